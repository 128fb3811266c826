/*
 * One server of a route: its connections and sockets, its health, its numbers.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { observe } from "../runtime/histogram.ts";
import { composeQuery, type Question } from "../wire/question.ts";
import type { Attempt, Cancel } from "./flow.ts";
import { durationsFor, type ServerCounters } from "./server-counters.ts";
import { type HealthLimits, type ServerHealth, watchServerHealth } from "./server-health.ts";
import { perTransport, type Transport, type TransportLimits, transports } from "./transport.ts";

/** How a server is spoken to. */
export interface ServerLimits {
  readonly transports: TransportLimits;
  readonly health: HealthLimits;
  /** How long a probe may take. */
  readonly probeTimeoutMs: number;
}

/** A server that can be asked. */
export interface Server {
  readonly address: ServerAddress;
  readonly counters: ServerCounters;
  readonly health: ServerHealth;
  /** Sends an attempt, and keeps health and numbers up to date with what becomes of it. */
  send(attempt: Attempt, transport: Transport): Cancel;
  /** An attempt sent over `transport` at `sentAtMs` got no answer in time; it may still come. */
  noteTimeout(transport: Transport, sentAtMs: number): void;
  /** Asks the probe question. Whether any reply came, whatever it says. */
  probe(): Promise<boolean>;
  close(): void;
}

/** What a server is made of. */
export interface ServerOptions {
  readonly address: ServerAddress;
  /** Over what it is probed. */
  readonly transport: Transport;
  readonly probeQuestion: Question;
  readonly limits: ServerLimits;
  readonly clock: Clock;
  /** Added to: counters outlive a server that a reload replaces. */
  readonly counters: ServerCounters;
  onHealthChange(isUp: boolean): void;
}

/** Creates a server. It is asked nothing until the first `send` or `probe`. */
export function createServer(options: ServerOptions): Server {
  const { address, transport, probeQuestion, limits, clock, counters } = options;
  const pools = perTransport((name) => transports[name].createPool(address, limits.transports, clock, counters));
  const health = watchServerHealth(limits.health, clock, probe, options.onHealthChange);

  function send(attempt: Attempt, via: Transport): Cancel {
    const sentAtMs = clock.nowMs();
    const watched: Attempt = {
      question: attempt.question,
      packet: attempt.packet,
      onReply(reply) {
        observe(durationsFor(counters, reply.rcode), (clock.nowMs() - sentAtMs) / 1000);
        health.noteReply();
        attempt.onReply(reply);
      },
      onLost(reason) {
        counters.losses[reason] += 1;
        health.noteLoss(reason, sentAtMs);
        attempt.onLost(reason);
      },
    };
    return pools[via].send(watched);
  }

  function noteTimeout(via: Transport, sentAtMs: number): void {
    counters.losses.timeout += 1;
    health.noteLoss("timeout", sentAtMs);
    pools[via].suspect(sentAtMs);
  }

  function probe(): Promise<boolean> {
    return new Promise((resolve) => {
      const sentAtMs = clock.nowMs();
      function finish(hasReplied: boolean): void {
        cancelTimer();
        if (!hasReplied) counters.failedProbes += 1;
        resolve(hasReplied);
      }
      const cancelTimer = clock.after(limits.probeTimeoutMs, () => {
        cancelAttempt();
        noteTimeout(transport, sentAtMs);
        finish(false);
      });
      const attempt: Attempt = {
        question: probeQuestion,
        packet: composeQuery(probeQuestion),
        onReply: () => finish(true),
        onLost: () => finish(false),
      };
      const cancelAttempt = send(attempt, transport);
    });
  }

  return {
    address,
    counters,
    health,
    send,
    noteTimeout,
    probe,
    close() {
      health.close();
      for (const pool of Object.values(pools)) pool.close();
    },
  };
}
