/*
 * The attempts that wait for a reply on one flow, by ID: the place where a reply is matched to its question, or to none.
 */
import { HeaderOffset, headerSizeBytes } from "../wire/header.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import { parseReply, repeatsQuestion } from "../wire/reply.ts";
import type { Attempt, Cancel, LossReason } from "./flow.ts";
import { pickQueryId } from "./query-id.ts";

/** What became of a packet: it answered an attempt, or why it answered none. */
export type MatchResult = "answered" | "malformed" | "unknown-id" | "wrong-question" | "late";

/** The most attempts that wait on one flow. Half of the ID space stays free, so that an ID cannot be foreseen. */
export const maxWaitingAttempts = 32_768;

/** So many cancelled IDs are remembered. Each is good for one late reply, so that a guesser gains next to nothing. */
const maxCancelledIds = 1024;

/** Attempts by ID, in the order in which they were sent. */
export interface WaitingAttempts {
  /** Gives the attempt an ID that is open nowhere else on this flow. Returns its packet, and the cancellation. */
  add(attempt: Attempt, nowMs: number): { packet: Uint8Array; cancel: Cancel };
  /**
   * Hands a reply to the attempt with its ID if it repeats that attempt's question (RFC 5452 §9.1). Anything else changes
   * nothing: the right reply may still come. The packet then belongs to the attempt.
   */
  match(packet: Uint8Array): MatchResult;
  /** Takes everything out and reports it lost. */
  loseAll(reason: LossReason): void;
  count(): number;
  oldestSentAtMs(): number;
}

/** Creates an empty set. `onEmpty` is called whenever the last attempt has left. */
export function createWaitingAttempts(onEmpty: () => void): WaitingAttempts {
  const byId = new Map<number, { attempt: Attempt; sentAtMs: number }>();
  // IDs of attempts that were taken back, the oldest first: their replies are late, and no sign of guessing.
  const cancelled = new Set<number>();

  function rememberCancelled(id: number): void {
    cancelled.add(id);
    if (cancelled.size <= maxCancelledIds) return;
    for (const oldest of cancelled) {
      cancelled.delete(oldest);
      return;
    }
  }

  function remove(id: number): void {
    if (byId.delete(id) && byId.size === 0) onEmpty();
  }

  return {
    add(attempt, nowMs) {
      const id = pickQueryId((candidate) => byId.has(candidate));
      cancelled.delete(id);
      const waiting = { attempt, sentAtMs: nowMs };
      byId.set(id, waiting);
      const packet = attempt.packet.slice();
      writeU16(packet, HeaderOffset.id, id);
      const cancel = () => {
        // The ID may be somebody else's by now.
        if (byId.get(id) !== waiting) return;
        rememberCancelled(id);
        remove(id);
      };
      return { packet, cancel };
    },
    match(packet) {
      if (packet.length < headerSizeBytes) return "malformed";
      const id = readU16(packet, HeaderOffset.id);
      const attempt = byId.get(id)?.attempt;
      if (attempt === undefined) return cancelled.delete(id) ? "late" : "unknown-id";
      const { question } = attempt;
      if (!repeatsQuestion(packet, question.name, question.type, question.class)) return "wrong-question";
      const reply = parseReply(packet);
      if (typeof reply === "number") return "malformed";
      remove(id);
      attempt.onReply(reply);
      return "answered";
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
    count: () => byId.size,
    oldestSentAtMs() {
      for (const { sentAtMs } of byId.values()) return sentAtMs;
      return Infinity;
    },
  };
}
