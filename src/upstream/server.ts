/*
 * One server of a route: the paths to it, what is known about each, its health, and its counters.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { observe } from "../runtime/histogram.ts";
import type { Question } from "../wire/question.ts";
import type { Cancel } from "../flows/attempt.ts";
import type { EarlySends } from "./early-sends.ts";
import { createEdnsMemory, type EdnsMemory } from "./edns-memory.ts";
import type { OpeningLimits } from "./flow-opening.ts";
import type { Flow } from "../flows/flow.ts";
import { createFlowPool, type FlowPool, type FlowPoolLimits } from "./flow-pool.ts";
import type { OpenSocket } from "../flows/flow-socket.ts";
import type { Heard } from "../flows/heard-reply.ts";
import { createRoundTrip, type RoundTrip } from "../flows/round-trip.ts";
import { retryEdns } from "./prove-flow.ts";
import { durationsFor, type ServerCounters } from "./server-counters.ts";
import { type ServerHealth, watchServerHealth } from "./server-health.ts";
import { perTransport, transports } from "./transport.ts";
import type { Transport } from "../wire/transport.ts";

/** Limits for talking to a server (settings: upstream). */
export interface ServerLimits {
  /** By transport. `maxWaitMs` is the longest that a question waits before it may be sent again. */
  readonly paths: Readonly<Record<Transport, FlowPoolLimits & { readonly maxWaitMs: number }>>;
  readonly health: OpeningLimits;
}

/** A transport to a server: its flows, and its round trip. */
export interface Path extends FlowPool {
  readonly transport: Transport;
  readonly roundTrip: RoundTrip;
}

/** A server that can be asked. */
export interface Server {
  readonly address: ServerAddress;
  readonly counters: ServerCounters;
  readonly health: ServerHealth;
  readonly edns: EdnsMemory;
  readonly earlySends: EarlySends;
  readonly paths: Readonly<Record<Transport, Path>>;
  /** Calls `action` whenever the server has said something, until cancelled. */
  onHeard(action: () => void): Cancel;
  /** Something came over `path`, on `flow` if that is known, in answer to a client's question that was sent at `sentAtMs`. */
  noteReply(path: Path, flow: Flow | undefined, sentAtMs: number, heard: Heard): void;
  /**
   * A question that was first sent at `sinceMs` was given up. After several in a row, without an answer to any client in between, the server
   * counts as down, whatever it answers to nodens's own questions.
   */
  noteGivenUp(sinceMs: number): void;
  /** Asks the probe question. Resolves with whether any reply came, whatever it says; never rejects. */
  probe(): Promise<boolean>;
  /** Closes every flow; what waits is lost with "stopped". */
  close(): void;
}

/** What a server is made of. */
export interface ServerOptions {
  readonly address: ServerAddress;
  /** The transport over which it is asked first. */
  readonly transport: Transport;
  readonly sockets: Readonly<Record<Transport, OpenSocket>>;
  readonly probeQuestion: Question;
  readonly limits: ServerLimits;
  readonly clock: Clock;
  /** Added to by this server. The counters outlive a server that a reload replaces. */
  readonly counters: ServerCounters;
  /** Shared by all servers with the same address: packets get lost on the way there, whatever the route. */
  readonly earlySends: EarlySends;
  onHealthChange(isUp: boolean): void;
}

/** How long the other transport gets to prove itself after one has failed. */
const verdictMs = 200;

/** Creates a server. Nothing is opened or asked until the first question or probe. */
export function createServer(options: ServerOptions): Server {
  const { address, transport: primary, limits, clock, counters } = options;
  const health = watchServerHealth(clock, options.onHealthChange);
  const edns = createEdnsMemory(clock, () => void (counters.ednsDropped += 1));
  const listeners = new Set<() => void>();
  let cancelVerdict = () => {};
  let lastAnswerAtMs = -Infinity;
  let givenUp = 0;
  const paths = perTransport(createPath);

  function createPath(transport: Transport): Path {
    const other = () => paths[transports[transport].other].roundTrip;
    const roundTrip = createRoundTrip(limits.paths[transport].maxWaitMs, other);
    const pool = createFlowPool({
      ...options,
      server: address,
      transport,
      openSocket: options.sockets[transport],
      limits: limits.paths[transport],
      health: limits.health,
      roundTrip,
      edns,
      isKept: transport === primary,
      onHeard,
      onFailed: () => onFailed(transport),
    });
    return { ...pool, transport, roundTrip };
  }

  function retryEdnsOn(flow: Flow | undefined, roundTrip: RoundTrip): void {
    if (flow?.isGood() !== true || !edns.takeRetry()) return;
    retryEdns(flow, { question: options.probeQuestion, edns, roundTrip, clock });
  }

  function onHeard(): void {
    health.noteHeard();
    for (const listener of listeners) listener();
  }

  function onFailed(transport: Transport): void {
    counters.failedTransports[transport] += 1;
    const other = paths[transports[transport].other];
    cancelVerdict();
    if (other.isFailed()) {
      health.noteDown();
      return;
    }
    other.want();
    cancelVerdict = clock.after(verdictMs, () => {
      const isAnyGood = Object.values(paths).some((path) => path.goodFlows().length > 0);
      if (!isAnyGood) health.noteDown();
    });
  }

  return {
    address,
    counters,
    health,
    edns,
    earlySends: options.earlySends,
    paths,
    onHeard(action) {
      listeners.add(action);
      return () => void listeners.delete(action);
    },
    noteReply({ roundTrip }, flow, sentAtMs, heard) {
      lastAnswerAtMs = clock.nowMs();
      retryEdnsOn(flow, roundTrip);
      const rcode = heard.kind === "whole" ? heard.reply.rcode : heard.kind === "bare" ? heard.rcode : undefined;
      if (rcode !== undefined) observe(durationsFor(counters, rcode), (lastAnswerAtMs - sentAtMs) / 1000);
    },
    noteGivenUp(sinceMs) {
      givenUp = lastAnswerAtMs > sinceMs ? 0 : givenUp + 1;
      if (givenUp < limits.health.failuresUntilDown) return;
      givenUp = 0;
      health.noteDown();
    },
    async probe() {
      return (await paths[primary].probe()) || (await paths[transports[primary].other].probe());
    },
    close() {
      cancelVerdict();
      for (const path of Object.values(paths)) path.close();
    },
  };
}
