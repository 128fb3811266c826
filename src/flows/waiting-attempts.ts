/*
 * The attempts that wait for a reply on one flow, by ID. Here a reply is matched to its question, or to none.
 */
import { HeaderOffset, headerSizeBytes } from "../wire/header.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import type { Attempt, Cancel } from "./attempt.ts";
import { readHeard } from "./heard-reply.ts";
import type { LossReason } from "./loss-reason.ts";
import { pickQueryId } from "./query-id.ts";

/** What became of a packet: "answered" if it answered an attempt, otherwise why it did not. */
export type MatchResult = "answered" | "malformed" | "unknown-id" | "wrong-question" | "late";

/** The most attempts that may wait on one flow. Half of the ID space stays free, so that an ID cannot be predicted. */
export const maxWaitingAttempts = 32_768;

/** How many IDs of past questions are remembered: few out of 65,536, so that somebody guessing gains next to nothing. */
const maxPastIds = 1024;

/** An attempt that waits on its flow. */
export interface Waiting {
  readonly attempt: Attempt;
  readonly sentAtMs: number;
  /** 1 for the flow's first attempt, 2 for the second, and so on. */
  readonly order: number;
}

/** Attempts by ID, in the order in which they were sent. */
export interface WaitingAttempts {
  /** Gives the attempt an ID that is not open on this flow. Returns a new packet with that ID, and how to cancel the attempt. */
  add(attempt: Attempt, nowMs: number): { packet: Uint8Array; waiting: Waiting; cancel: Cancel };
  /**
   * Hands a packet to the attempt with its ID, to which it then belongs; `onMatch` is called first. A packet that is not about the
   * attempt's question changes nothing, since the right reply may still come.
   */
  match(packet: Uint8Array, onMatch: (waiting: Waiting) => void): MatchResult;
  /** Removes one attempt and reports it lost. Does nothing if it no longer waits. */
  lose(waiting: Waiting, reason: LossReason): void;
  /** Removes every attempt and reports it lost. */
  loseAll(reason: LossReason): void;
  /** A new array of the attempts that wait now, in the order in which they were sent. */
  all(): Waiting[];
  count(): number;
}

/** Creates an empty set. `onEmpty` is called whenever the last attempt has been removed. */
export function createWaitingAttempts(onEmpty: () => void): WaitingAttempts {
  const byId = new Map<number, Waiting>();
  // IDs of past questions, the oldest first. Replies to those are late, or duplicates, and not a sign of guessing.
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
    // The ID may belong to another attempt by now.
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
      // One loss may cancel attempts that are yet to be reported: those are gone from the map by then.
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
