/*
 * The attempts that wait for a reply on one flow, by ID. Here a reply is matched to its question, or to none.
 */
import { HeaderOffset, headerSizeBytes } from "../wire/header.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import type { Attempt } from "./attempt.ts";
import { readHeard } from "./heard-reply.ts";
import type { LossReason } from "./loss-reason.ts";
import { createPastIds } from "./past-ids.ts";
import { pickQueryId } from "./query-id.ts";

/** What became of a packet: "answered" if it answered an attempt, otherwise why it did not. */
export type MatchResult = "answered" | "malformed" | "unknown-id" | "wrong-question" | "late";

/** The most attempts that may wait on one flow. Half of the ID space stays free, so that an ID cannot be predicted. */
export const maxWaitingAttempts = 32_768;

/** An attempt that waits on its flow. */
export interface Waiting {
  readonly attempt: Attempt;
  readonly sentAtMs: number;
  /** 1 for the flow's first attempt, 2 for the second, and so on. */
  readonly order: number;
  readonly id: number;
}

/** Attempts by ID, in the order in which they were sent. */
export interface WaitingAttempts {
  /** Gives the attempt an ID that is not open on this flow, and writes that into its packet. */
  add(attempt: Attempt, nowMs: number): Waiting;
  /** Removes one attempt, which is told nothing any more. Does nothing if it no longer waits. */
  cancel(waiting: Waiting): void;
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
  /** The one that has waited the longest; undefined if none waits. */
  oldest(): Waiting | undefined;
  count(): number;
}

/** There are always at least twice as many slots as attempts, so that an ID with a free one is soon found. */
const leastSlots = 64;

/** Creates an empty set. `onEmpty` is called whenever the last attempt has been removed. */
export function createWaitingAttempts(onEmpty: () => void): WaitingAttempts {
  // The slot of an attempt is the low bits of its ID; slots are a power of two.
  let slots = Array.from<Waiting | undefined>({ length: leastSlots });
  let count = 0;
  let sent = 0;
  const past = createPastIds();

  const slotOf = (id: number) => id & (slots.length - 1);
  const isTaken = (id: number) => slots[slotOf(id)] !== undefined || past.has(id);

  function grow(): void {
    const waiting = slots;
    slots = Array.from({ length: 2 * waiting.length });
    for (const each of waiting) if (each !== undefined) slots[slotOf(each.id)] = each;
  }

  /** Takes an attempt out, unless it is out already. Returns whether it was in. */
  function takeOut(waiting: Waiting): boolean {
    // The slot may belong to another attempt by now.
    if (slots[slotOf(waiting.id)] !== waiting) return false;
    slots[slotOf(waiting.id)] = undefined;
    count -= 1;
    past.add(waiting.id);
    return true;
  }

  function remove(waiting: Waiting): boolean {
    if (!takeOut(waiting)) return false;
    if (count === 0) onEmpty();
    return true;
  }

  const inUse = () => slots.filter((waiting) => waiting !== undefined);

  return {
    add(attempt, nowMs) {
      if (2 * (count + 1) > slots.length) grow();
      const id = pickQueryId(isTaken);
      sent += 1;
      count += 1;
      const waiting = { attempt, sentAtMs: nowMs, order: sent, id };
      slots[slotOf(id)] = waiting;
      writeU16(attempt.packet, HeaderOffset.id, id);
      return waiting;
    },
    match(packet, onMatch) {
      if (packet.length < headerSizeBytes) return "malformed";
      const id = readU16(packet, HeaderOffset.id);
      const waiting = slots[slotOf(id)];
      if (waiting?.id !== id) return past.has(id) ? "late" : "unknown-id";
      const heard = readHeard(packet, waiting.attempt.question);
      if (typeof heard === "string") return heard;
      onMatch(waiting);
      remove(waiting);
      waiting.attempt.onReply(heard);
      return "answered";
    },
    cancel: (waiting) => void remove(waiting),
    lose(waiting, reason) {
      if (remove(waiting)) waiting.attempt.onLost(reason);
    },
    loseAll(reason) {
      if (count === 0) return;
      // One loss may cancel attempts that are yet to be reported.
      for (const waiting of inUse().toSorted(byOrder)) if (takeOut(waiting)) waiting.attempt.onLost(reason);
      onEmpty();
    },
    all: () => inUse().toSorted(byOrder),
    oldest() {
      let found: Waiting | undefined;
      for (const waiting of slots)
        if (waiting !== undefined && waiting.order < (found?.order ?? Infinity)) found = waiting;
      return found;
    },
    count: () => count,
  };
}

function byOrder(one: Waiting, other: Waiting): number {
  return one.order - other.order;
}
