/*
 * What is counted and logged of every reply. How long the replies of a batch took is counted once for all of them.
 */
import { type Histogram, observe, observeMany } from "../runtime/histogram.ts";
import { hostOf, type SocketAddress } from "../runtime/socket-address.ts";
import { Flag, rcodeMask } from "../wire/header.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Front } from "./front.ts";
import { countUp, type ListenCounters, replySourceNames } from "./listen-counters.ts";

/**
 * Notes a reply and returns its rcode: `flags` are those of its header, `source` is a ReplySource, and `ownRcode` the rcode if the header
 * cannot hold all of it, else -1.
 */
type NoteReply = (
  query: ClientQuery,
  client: SocketAddress,
  flags: number,
  sizeBytes: number,
  source: number,
  receivedAtMs: number,
  ownRcode: number,
) => number;

/** The notes of one socket. */
export interface ReplyNotes {
  /** Notes a reply in a batch. Its duration is counted by `endBatch`, together with those of the same moment of receipt. */
  readonly noteNow: NoteReply;
  /** Notes a reply that leaves alone, now. */
  readonly noteLate: NoteReply;
  /** The replies of the batch have left. */
  endBatch(nowMs: number): void;
}

/** Creates the notes of a socket, which go into `counters` and the front's query log. */
export function createReplyNotes(front: Front, counters: ListenCounters): ReplyNotes {
  // By source: the replies of this batch.
  const pending = new Uint32Array(replySourceNames.length);
  let pendingSum = 0;
  let batchReceivedAtMs = 0;

  const count: NoteReply = (query, client, flags, sizeBytes, source, receivedAtMs, ownRcode) => {
    const rcode = ownRcode < 0 ? flags & rcodeMask : ownRcode;
    countUp(counters.replies, rcode * replySourceNames.length + source);
    if ((flags & Flag.TC) !== 0) counters.truncated += 1;
    observe(counters.replySizes, sizeBytes);
    if (front.queryLog === undefined) return rcode;
    const durationMs = front.clock.nowMs() - receivedAtMs;
    front.queryLog(hostOf(client), counters.protocol, query, rcode, source, durationMs, sizeBytes);
    return rcode;
  };

  function endBatch(nowMs: number): void {
    if (pendingSum === 0) return;
    pendingSum = 0;
    for (let source = 0; source < pending.length; source += 1) {
      const times = pending[source] as number;
      if (times > 0) observeMany(counters.durations[source] as Histogram, (nowMs - batchReceivedAtMs) / 1000, times);
      pending[source] = 0;
    }
  }

  return {
    noteNow(query, client, flags, sizeBytes, source, receivedAtMs, ownRcode) {
      if (pendingSum > 0 && receivedAtMs !== batchReceivedAtMs) endBatch(front.clock.nowMs());
      pending[source] = (pending[source] as number) + 1;
      pendingSum += 1;
      batchReceivedAtMs = receivedAtMs;
      return count(query, client, flags, sizeBytes, source, receivedAtMs, ownRcode);
    },
    noteLate(query, client, flags, sizeBytes, source, receivedAtMs, ownRcode) {
      observe(counters.durations[source] as Histogram, (front.clock.nowMs() - receivedAtMs) / 1000);
      return count(query, client, flags, sizeBytes, source, receivedAtMs, ownRcode);
    },
    endBatch,
  };
}
