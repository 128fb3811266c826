/*
 * The network between a node and kube-dns, for one node: what flows stand on. kube-proxy pins a flow to a pod; the node's connection
 * tracking keeps a UDP flow there until it hears that the pod is no endpoint any more, and a connection for its life.
 */
import type { FlowSocket, OpenSocket, SocketEvents } from "../../src/flows/flow-socket.ts";
import type { Transport } from "../../src/wire/transport.ts";
import type { Chance } from "./chance.ts";
import { isOwnType, readServerQuery } from "./compose-answer.ts";
import type { EventClock } from "./event-clock.ts";
import type { KubeDnsPod, KubeDnsService } from "./kube-dns.ts";
import type { Traffic } from "./traffic.ts";

/** What a node's network is made of. */
export interface NetworkParts {
  readonly clock: EventClock;
  readonly service: KubeDnsService;
  readonly chance: Chance;
  readonly traffic: Traffic;
}

/** How long a node takes to learn of a change of the endpoints, at least, and up to how much longer. */
const endpointsLagMs = { least: 200, spread: 1800 };

/** One way, from a node to kube-dns: nodes are near or far. */
const oneWayMs = { least: 0.25, spread: 0.75 };

/** The first wait of the kernel before it sends a segment again; it doubles. */
const firstResendMs = 200;

interface Path extends NetworkParts {
  readonly oneWayMs: number;
  /** A pod for a new flow, or undefined when the node knows of none. */
  pick(): KubeDnsPod | undefined;
  isEndpoint(pod: KubeDnsPod): boolean;
}

/** Creates the sockets of one node. */
export function createNodeSockets(parts: NetworkParts): Readonly<Record<Transport, OpenSocket>> {
  const { service, chance } = parts;
  const lagMs = endpointsLagMs.least + chance() * endpointsLagMs.spread;
  const path: Path = {
    ...parts,
    oneWayMs: oneWayMs.least + chance() * oneWayMs.spread,
    pick() {
      const pods = service.endpoints(lagMs);
      return pods[Math.floor(chance() * pods.length)];
    },
    isEndpoint: (pod) => service.endpoints(lagMs).includes(pod),
  };
  return { udp: (_server, events) => openUdp(path, events), tcp: (_server, events) => openTcp(path, events) };
}

function openUdp(path: Path, events: SocketEvents): FlowSocket {
  const { clock, traffic } = path;
  let pod = path.pick();
  let isClosed = false;
  traffic.noteOpened("udp");
  clock.after(0, () => !isClosed && events.onOpen());

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    traffic.noteClosed("udp");
  }

  function refuse(): void {
    if (isClosed) return;
    close();
    events.onEnd("refused");
  }

  function arrive(message: Uint8Array): void {
    // kube-proxy removes the entry of a pod that is no endpoint any more; the next packet makes another.
    if (pod === undefined || !path.isEndpoint(pod)) pod = path.pick();
    if (pod === undefined) {
      refuse();
      return;
    }
    const own = isOwnType(readServerQuery(message).type);
    traffic.noteQuestion(own, !pod.isSilent);
    const answer = pod.isSilent ? undefined : pod.answer(message, 0);
    if (answer === undefined) return;
    const answering = pod;
    clock.after(answer.atMs - clock.nowMs() + path.oneWayMs, () => {
      if (!isClosed && !answering.isSilent) events.onMessage(answer.reply);
    });
  }

  return { send: (message) => void clock.after(path.oneWayMs, () => !isClosed && arrive(message)), close };
}

function openTcp(path: Path, events: SocketEvents): FlowSocket {
  const { clock, traffic } = path;
  const pod = path.pick();
  let unsent: Uint8Array[] = [];
  let state: "connecting" | "open" | "closed" = "connecting";
  let freeAtMs = 0;
  let resendMs = firstResendMs;
  let cancelResend: (() => void) | undefined;
  traffic.noteOpened("tcp");
  clock.after(2 * path.oneWayMs, onHandshake);

  function onHandshake(): void {
    if (state === "closed") return;
    if (pod === undefined) {
      close();
      events.onEnd("refused");
      return;
    }
    // The kernel would try again after a second; nodens waits no longer than that.
    if (pod.isSilent) return;
    state = "open";
    pod.connections.add(onServerEnd);
    events.onOpen();
    flush();
  }

  function onServerEnd(): void {
    clock.after(path.oneWayMs, () => {
      if (state === "closed") return;
      close();
      events.onEnd("closed");
    });
  }

  function close(): void {
    if (state === "closed") return;
    state = "closed";
    cancelResend?.();
    pod?.connections.delete(onServerEnd);
    traffic.noteClosed("tcp");
  }

  function flush(): void {
    if (state !== "open" || unsent.length === 0) return;
    const messages = unsent;
    unsent = [];
    clock.after(path.oneWayMs, () => {
      for (const message of messages) if (state === "open") arrive(message);
    });
  }

  function arrive(message: Uint8Array): void {
    if (pod === undefined) return;
    traffic.noteQuestion(isOwnType(readServerQuery(message).type), !pod.isSilent);
    if (pod.isSilent) {
      sendAgainLater(message);
      return;
    }
    resendMs = firstResendMs;
    const answer = pod.answer(message, Math.max(freeAtMs, clock.nowMs()));
    if (answer === undefined) return;
    freeAtMs = answer.atMs;
    clock.after(answer.atMs - clock.nowMs() + path.oneWayMs, () => {
      if (state === "open" && !pod.isSilent) events.onMessage(answer.reply);
    });
  }

  /** The kernel sends it again, for as long as the connection is open. */
  function sendAgainLater(message: Uint8Array): void {
    unsent.push(message);
    if (cancelResend !== undefined) return;
    cancelResend = clock.after(resendMs, () => {
      cancelResend = undefined;
      resendMs *= 2;
      flush();
    });
  }

  return {
    send(message) {
      unsent.push(message);
      if (cancelResend === undefined) flush();
    },
    close,
  };
}
