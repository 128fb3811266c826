/*
 * kube-dns, simulated: pods behind one Service address, each with a capacity in questions a second, and CoreDNS's way of answering -
 * UDP all at once, a connection one question after the other. Each node learns of a change of the endpoints in its own time.
 */
import type { EventClock } from "./event-clock.ts";
import type { Chance } from "./chance.ts";
import { composeAnswer, outsideTtlSeconds, readServerQuery } from "./compose-answer.ts";

/** A pod of kube-dns. */
export interface KubeDnsPod {
  /** Takes everything and says nothing: hung, cut off, or gone without a word. */
  isSilent: boolean;
  /** Its connections; each has a function that tells the other side of its end. */
  readonly connections: Set<() => void>;
  /**
   * Answers a question that arrives now, not before `notBeforeMs`, when its connection is free. Undefined when too many are before it:
   * the socket's buffer is full.
   */
  answer(packet: Uint8Array, notBeforeMs: number): { readonly reply: Uint8Array; readonly atMs: number } | undefined;
}

/** What pods can do. */
export interface PodLimits {
  readonly questionsPerSecond: number;
}

/** So many datagrams wait in a socket's buffer (212,992 octets, the kernel's default). */
const socketBufferQuestions = 277;

/** What CoreDNS takes for an outside name that it has in its cache or asks for: a mean, without use of its processor. */
const outsideMs = 2;

/** Creates a pod. */
export function createPod(clock: EventClock, limits: PodLimits, chance: Chance): KubeDnsPod {
  const workMs = 1000 / limits.questionsPerSecond;
  const ageMs = chance() * outsideTtlSeconds * 1000;
  let freeAtMs = 0;

  /** What is left of an outside name's TTL in this pod's cache: names expire at their own moments, for all who ask this pod. */
  function outsideTtl(packet: Uint8Array): number {
    const ownMs = ageMs + (packet[14] ?? 0) * 997 + (packet[15] ?? 0) * 311;
    return outsideTtlSeconds - (Math.floor((clock.nowMs() + ownMs) / 1000) % outsideTtlSeconds);
  }

  return {
    isSilent: false,
    connections: new Set(),
    answer(packet, notBeforeMs) {
      const nowMs = clock.nowMs();
      if (freeAtMs - nowMs > socketBufferQuestions * workMs && notBeforeMs <= nowMs) return undefined;
      freeAtMs = Math.max(freeAtMs, nowMs, notBeforeMs) + workMs;
      const query = readServerQuery(packet);
      const atMs = freeAtMs + (query.kind === "outside" ? outsideMs * (0.5 + chance()) : 0);
      return { reply: composeAnswer(query, outsideTtl(packet)), atMs };
    },
  };
}

/** The Service, as kube-proxy shows it to nodes. */
export interface KubeDnsService {
  /** The endpoints that a node knows of which learns of changes `lagMs` late. */
  endpoints(lagMs: number): readonly KubeDnsPod[];
  /** Changes the endpoints. */
  setEndpoints(pods: readonly KubeDnsPod[]): void;
}

/** Creates a Service in front of these pods. */
export function createService(clock: EventClock, first: readonly KubeDnsPod[]): KubeDnsService {
  // The newest first.
  const versions = [{ sinceMs: -Infinity, pods: first }];
  return {
    endpoints(lagMs) {
      const known = clock.nowMs() - lagMs;
      return versions.find(({ sinceMs }) => sinceMs <= known)?.pods ?? first;
    },
    setEndpoints: (pods) => void versions.unshift({ sinceMs: clock.nowMs(), pods }),
  };
}
