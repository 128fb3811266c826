/*
 * The attempts that wait for a reply on one flow, by ID: the place where a reply is matched to its question, or to none.
 */
import { HeaderOffset, headerSizeBytes } from "../wire/header.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import type { Attempt, Cancel } from "./attempt.ts";
import { readHeard } from "./heard-reply.ts";
import type { LossReason } from "./loss-reason.ts";
import { pickQueryId } from "./query-id.ts";

/** What became of a packet: it answered an attempt, or why it answered none. */
export type MatchResult = "answered" | "malformed" | "unknown-id" | "wrong-question" | "late";

/** The most attempts that wait on one flow. Half of the ID space stays free, so that an ID cannot be foreseen. */
export const maxWaitingAttempts = 32_768;

/** So many IDs are remembered whose question is over. Few of 65,536, so that a guesser gains next to nothing. */
const maxPastIds = 1024;

/** An attempt on its flow. */
export interface Waiting {
  readonly attempt: Attempt;
  readonly sentAtMs: number;
  /** 1 for the flow's first, and so on. */
  readonly order: number;
}

/** Attempts by ID, in the order in which they were sent. */
export interface WaitingAttempts {
  /** Gives the attempt an ID that is open nowhere else on this flow. Returns its packet, and the cancellation. */
  add(attempt: Attempt, nowMs: number): { packet: Uint8Array; waiting: Waiting; cancel: Cancel };
  /**
   * Hands what was heard to the attempt with its ID. Anything that is not about its question changes nothing: the right reply may
   * still come. `onMatch` is told of the attempt first. The packet then belongs to the attempt.
   */
  match(packet: Uint8Array, onMatch: (waiting: Waiting) => void): MatchResult;
  /** Takes one out and reports it lost. */
  lose(waiting: Waiting, reason: LossReason): void;
  /** Takes everything out and reports it lost. */
  loseAll(reason: LossReason): void;
  /** Those that wait now, in their order: a copy. */
  all(): Waiting[];
  count(): number;
}

/** Creates an empty set. `onEmpty` is called whenever the last attempt has left. */
export function createWaitingAttempts(onEmpty: () => void): WaitingAttempts {
  const byId = new Map<number, Waiting>();
  // IDs of questions that are over, the oldest first. Their replies are late, or came twice: no sign of guessing.
  const past = new Set<number>();
  let sent = 0;

  function remember(id: number): void {
    past.add(id);
    if (past.size <= maxPastIds) return;
    for (const oldest of past) {
      past.delete(oldest);
      return;
    }
  }

  function remove(id: number): void {
    if (!byId.delete(id)) return;
    remember(id);
    if (byId.size === 0) onEmpty();
  }

  function removeIf(id: number, waiting: Waiting): boolean {
    // The ID may be somebody else's by now.
    if (byId.get(id) !== waiting) return false;
    remove(id);
    return true;
  }

  return {
    add(attempt, nowMs) {
      const id = pickQueryId((candidate) => byId.has(candidate));
      past.delete(id);
      sent += 1;
      const waiting = { attempt, sentAtMs: nowMs, order: sent };
      byId.set(id, waiting);
      const packet = attempt.packet.slice();
      writeU16(packet, HeaderOffset.id, id);
      return { packet, waiting, cancel: () => void removeIf(id, waiting) };
    },
    match(packet, onMatch) {
      if (packet.length < headerSizeBytes) return "malformed";
      const id = readU16(packet, HeaderOffset.id);
      const waiting = byId.get(id);
      if (waiting === undefined) return past.has(id) ? "late" : "unknown-id";
      const heard = readHeard(packet, waiting.attempt.question);
      if (typeof heard === "string") return heard;
      onMatch(waiting);
      remove(id);
      waiting.attempt.onReply(heard);
      return "answered";
    },
    lose(waiting, reason) {
      for (const [id, each] of byId) {
        if (each === waiting && removeIf(id, each)) waiting.attempt.onLost(reason);
      }
    },
    loseAll(reason) {
      if (byId.size === 0) return;
      // One loss may take back attempts that are still to come: those are gone from the map when their turn would be.
      for (const [id, { attempt }] of byId) {
        byId.delete(id);
        attempt.onLost(reason);
      }
      onEmpty();
    },
    all: () => [...byId.values()],
    count: () => byId.size,
  };
}
