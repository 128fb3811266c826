/*
 * A network in memory, on a fake clock: servers behind one address, flows that are pinned to one of them, loss, delay, silence,
 * refusal. UDP loses what it loses; TCP sends again after the kernel's time-outs, and delivers in order.
 *
 *     flow ──loss, delay──▶ pod (a server behind the address, for the life of the flow) ──loss, delay──▶ flow
 */
import type { Clock } from "../../../src/runtime/clock.ts";
import type { OpenSocket, SocketEvents } from "../../../src/flows/flow-socket.ts";
import type { LossReason } from "../../../src/flows/loss-reason.ts";
import { perTransport } from "../../../src/upstream/transport.ts";
import type { Transport } from "../../../src/wire/transport.ts";
import { readMessage, type ReadMessage } from "../messages/messages.ts";

/** A query as it arrived at a pod. */
export interface SimulatedQuery extends ReadMessage {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly hasOpt: boolean;
  readonly transport: Transport;
  readonly flow: SimulatedFlow;
  readonly atMs: number;
}

/** What a pod sends back: messages, each after its own time from the query. */
export type SimulatedReply =
  | Uint8Array
  | readonly { readonly message: Uint8Array; readonly afterMs: number }[]
  | undefined;

/** One server behind an address. Everything may be changed while it runs. */
export interface Pod {
  answer(query: SimulatedQuery): SimulatedReply;
  /** Takes everything and says nothing: gone, without a word. */
  isSilent: boolean;
  /** Whether somebody listens, by transport: nobody, or a firewall that swallows. */
  readonly ports: Record<Transport, "open" | "closed" | "silent">;
}

/** A flow as the network sees it. */
export interface SimulatedFlow {
  readonly transport: Transport;
  readonly pod: Pod;
  readonly openedAtMs: number;
  /** What is sent on this 5-tuple vanishes, in both directions. */
  isDead: boolean;
  isClosed: boolean;
  /** The server ends the connection. */
  closeByServer(): void;
}

/** The network. */
export interface SimulatedNetwork {
  readonly sockets: Readonly<Record<Transport, OpenSocket>>;
  /** Every flow that was opened, closed ones included. */
  readonly flows: readonly SimulatedFlow[];
  readonly received: SimulatedQuery[];
  readonly faults: {
    /** Share of the packets that are lost, each way. */
    loss: number;
    /** Why no socket can be opened, if none can. */
    openFails: LossReason | undefined;
    /** Why no UDP packet can be sent, if none can. */
    sendFails: LossReason | undefined;
    oneWayMs: number;
  };
  /** Puts pods behind an address. New flows go to one of them, as kube-proxy does it: by chance. */
  place(host: string, pods: readonly Pod[]): void;
}

/** Kernel time-outs: the handshake's first, and a segment's first. */
const handshakeTimeoutMs = 1000;
const segmentTimeoutMs = 200;
/** On a flow with other segments under way, their acknowledgements tell of the loss sooner (RFC 8985). */
const busySegmentTimeoutMs = 40;

/** Creates a network without servers. `random` gives numbers from 0 up to 1. */
export function createSimulatedNetwork(clock: Clock, random: () => number = Math.random): SimulatedNetwork {
  const places = new Map<string, readonly Pod[]>();
  const flows: SimulatedFlow[] = [];
  const received: SimulatedQuery[] = [];
  const faults: SimulatedNetwork["faults"] = { loss: 0, openFails: undefined, sendFails: undefined, oneWayMs: 0.5 };
  const network = { clock, random, flows, received, faults };
  const open =
    (transport: Transport): OpenSocket =>
    ({ host }, events) => {
      const pods = places.get(host) ?? [];
      const pod = pods[Math.floor(random() * pods.length)];
      if (pod === undefined) throw new Error(`nobody has the address ${host}`);
      return transport === "udp" ? openUdp(network, pod, events) : openTcp(network, pod, events);
    };
  return {
    sockets: perTransport(open),
    flows,
    received,
    faults,
    place: (host, pods) => void places.set(host, pods),
  };
}

interface Parts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly flows: SimulatedFlow[];
  readonly received: SimulatedQuery[];
  readonly faults: SimulatedNetwork["faults"];
}

/** What both kinds of flow have in common: the record, its end, and the way to the pod and back. */
function openFlow(parts: Parts, transport: Transport, pod: Pod, events: SocketEvents) {
  const { clock, random, flows, received, faults } = parts;
  const flow: SimulatedFlow = {
    transport,
    pod,
    openedAtMs: clock.nowMs(),
    isDead: false,
    isClosed: false,
    closeByServer: () => end("closed"),
  };
  flows.push(flow);

  function end(reason: LossReason): void {
    if (flow.isClosed) return;
    flow.isClosed = true;
    events.onEnd(reason);
  }

  const isCut = () => flow.isDead || pod.isSilent || pod.ports[transport] === "silent";
  const isLost = () => random() < faults.loss;

  function handle(bytes: Uint8Array): { message: Uint8Array; afterMs: number }[] {
    const read = readMessage(bytes);
    const [question] = read.questions;
    const hasOpt = (bytes[11] ?? 0) > 0;
    const query = { ...read, bytes, name: question?.name ?? "", hasOpt, transport, flow, atMs: clock.nowMs() };
    received.push(query);
    const reply = pod.answer(query);
    if (reply === undefined) return [];
    return reply instanceof Uint8Array ? [{ message: reply, afterMs: 0 }] : [...reply];
  }

  return { flow, end, isCut, isLost, handle };
}

function openUdp(parts: Parts, pod: Pod, events: SocketEvents): ReturnType<OpenSocket> {
  const { clock, faults } = parts;
  const { flow, end, isCut, isLost, handle } = openFlow(parts, "udp", pod, events);
  if (faults.openFails !== undefined) failToOpen(parts, end);
  else clock.after(0, () => !flow.isClosed && events.onOpen());

  function deliver(message: Uint8Array): void {
    if (!isCut() && !flow.isClosed) events.onMessage(message);
  }

  function arrive(message: Uint8Array): void {
    if (isCut()) return;
    if (pod.ports.udp === "closed") {
      clock.after(faults.oneWayMs, () => end("refused"));
      return;
    }
    for (const each of handle(message)) {
      if (!isLost()) clock.after(each.afterMs + faults.oneWayMs, () => deliver(each.message));
    }
  }

  return {
    send(message, onFailed) {
      if (flow.isClosed) return;
      const { sendFails } = faults;
      if (sendFails !== undefined) clock.after(0, () => !flow.isClosed && onFailed(sendFails));
      else if (!isLost()) clock.after(faults.oneWayMs, () => arrive(message));
    },
    close: () => void (flow.isClosed = true),
  };
}

function openTcp(parts: Parts, pod: Pod, events: SocketEvents): ReturnType<OpenSocket> {
  const { clock, faults } = parts;
  const { flow, end, isCut, isLost, handle } = openFlow(parts, "tcp", pod, events);
  const unsent: Uint8Array[] = [];
  let isOpen = false;
  const lastAtMs = { out: 0, back: 0 };
  let serverFreeAtMs = 0;
  let lastUsedAtMs = -Infinity;

  /** How long a packet takes that the kernel sends again until it is through. */
  function transitMs(firstTimeoutMs: number, isBusy = false): number {
    let delayMs = faults.oneWayMs;
    if (isBusy && isLost()) delayMs += busySegmentTimeoutMs;
    else if (isBusy) return delayMs;
    for (let timeoutMs = firstTimeoutMs; isLost() && timeoutMs < 60_000; timeoutMs *= 2) delayMs += timeoutMs;
    return delayMs;
  }

  /** In order: what left later arrives later. */
  function carry(direction: "out" | "back", action: () => void): void {
    const dueMs = Math.max(
      lastAtMs[direction],
      clock.nowMs() + transitMs(segmentTimeoutMs, clock.nowMs() - lastUsedAtMs < segmentTimeoutMs),
    );
    lastUsedAtMs = clock.nowMs();
    lastAtMs[direction] = dueMs;
    clock.after(dueMs - clock.nowMs(), () => {
      if (!isCut() && !flow.isClosed) action();
    });
  }

  /** One question at a time, as CoreDNS does. */
  function arrive(message: Uint8Array): void {
    for (const each of handle(message)) {
      serverFreeAtMs = Math.max(serverFreeAtMs, clock.nowMs()) + each.afterMs;
      const waitMs = serverFreeAtMs - clock.nowMs();
      const answer = () => carry("back", () => events.onMessage(each.message));
      if (waitMs === 0) answer();
      else clock.after(waitMs, answer);
    }
  }

  if (faults.openFails !== undefined) failToOpen(parts, end);
  else {
    clock.after(transitMs(handshakeTimeoutMs) + transitMs(handshakeTimeoutMs), () => {
      if (flow.isClosed || flow.isDead || pod.isSilent || pod.ports.tcp === "silent") return;
      if (pod.ports.tcp === "closed") {
        end("refused");
        return;
      }
      isOpen = true;
      events.onOpen();
      for (const message of unsent) carry("out", () => arrive(message));
    });
  }

  return {
    send(message) {
      if (isOpen) carry("out", () => arrive(message));
      else unsent.push(message);
    },
    close: () => void (flow.isClosed = true),
  };
}

function failToOpen({ clock, flows, faults }: Parts, end: (reason: LossReason) => void): void {
  // It was never a flow: no packet left.
  flows.pop();
  const reason = faults.openFails ?? "exhausted";
  clock.after(0, () => end(reason));
}
