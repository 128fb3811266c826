/*
 * From a packet to its reply, for UDP and TCP alike: admit, read, answer from the cache at once, or wait for the resolver.
 */
import { ageSecondsOf } from "../cache/entry.ts";
import type { Answer, ShedReason } from "../resolve/answer.ts";
import type { Miss } from "../resolve/miss-queue.ts";
import { observe } from "../runtime/histogram.ts";
import { hostKey, socketAddress, type SocketAddress } from "../runtime/socket-address.ts";
import { ExtendedError, Rcode, RrType } from "../wire/codes.ts";
import { composeDenial } from "../wire/denial.ts";
import { Fault } from "../wire/fault.ts";
import { Flag, HeaderOffset, maxMessageSizeBytes, rcodeMask } from "../wire/header.ts";
import { readU16 } from "../wire/octets.ts";
import { type ClientQuery, copyQuery, createQueryView, minUdpSizeBytes, readQuery } from "../wire/query.ts";
import { composeError, shapeReply } from "../wire/shape-reply.ts";
import { readHeader } from "../wire/stored-message.ts";
import { countUp, type DropReason, type ListenCounters, ReplySource, typeSlot } from "./listen-counters.ts";
import type { Front } from "./front.ts";
import { createReplyNotes } from "./note-replies.ts";
import { unseen } from "./onlooker.ts";

/** Result of answerNow: the query gets no reply. */
export const noReply = 0;

/** Result of answerNow: the reply takes longer, and `answerLater` gives it. */
export const replyLater = -1;

/** Answers the queries of one socket. */
export interface QueryAnswerer {
  /**
   * Answers the query in the first `sizeBytes` octets of `packet` if nobody else has to be asked: writes the reply into `target` (room
   * for maxUdpReplyRoomBytes over UDP, for maxMessageSizeBytes over TCP) and returns its size, or `noReply`, or `replyLater`. `client` is
   * the sender. `nowMs` may be the same for all queries of a batch; `waitedMs` is how long this one lay in the socket before. A malformed
   * packet gets its error reply, or none. `packet` and `client` must stay as they are until the next call, or that of `endBatch`: only
   * then is the reply noted. Never throws.
   */
  answerNow(
    packet: Uint8Array,
    sizeBytes: number,
    client: SocketAddress,
    target: Uint8Array,
    nowMs: number,
    waitedMs?: number,
  ): number;
  /**
   * To be called right after answerNow returned `replyLater`: has the query that it read resolved when its turn comes, not before
   * `endBatch`. `reply` is called once, with a message that is valid only during the call, or with size 0 if there is no reply. The host
   * of `client` must stay as it is until then.
   */
  answerLater(client: SocketAddress, reply: (message: Uint8Array, sizeBytes: number) => void): void;
  /** Drops a query that lay too long in the socket, since `receivedAtMs`: counts it, and shows it to the onlooker. */
  dropLate(packet: Uint8Array, sizeBytes: number, client: SocketAddress, receivedAtMs: number): void;
  /**
   * To be called when the replies of a batch have left, which may be one reply: notes the last of them, counts how long all took, and
   * begins with the queries that take longer.
   */
  endBatch(nowMs: number): void;
  /** Whether the last query that answerNow read was nodens's own. Such a query appears in no counter and no log. */
  wasOwn(): boolean;
  readonly counters: ListenCounters;
}

/**
 * The longest query: a header of 12 octets, a question of up to 259, and OPT with options such as cookies (RFC 7873) and padding
 * (RFC 8467: to 128 octets), or a signature. No query needs as much as fits into a datagram of the usual EDNS size (RFC 6891 §6.2.5).
 */
export const maxQuerySizeBytes = 4096;

/** Over UDP no answer is sent later than this after its query: no resolver's wait for one is longer. */
const lateAnswerMs = 5000;

/** The most that answerNow writes over UDP, whatever the settings say: the largest setting of `listen.maxUdpReplyBytes`. */
export const maxUdpReplyRoomBytes = 4096;

/** Late replies are written one at a time, so all sockets share one buffer. */
const lateReply = new Uint8Array(maxMessageSizeBytes);

/** What a client on TCP gets when there is no room for its question, or no answer: on an open connection it would wait long before asking again. */
const failed = { rcode: Rcode.SERVFAIL, extendedError: ExtendedError.none };

/** Creates the answerer of one socket, which counts in `counters`. */
export function createQueryAnswerer(front: Front, counters: ListenCounters): QueryAnswerer {
  const { clock } = front;
  const query = createQueryView(front.hashSeed);
  const isUdp = counters.protocol === "udp";
  const own = socketAddress(counters.address);
  const notes = createReplyNotes(front, counters);
  let receivedAtMs = 0;
  let takenAtMs = 0;
  let isOwn = false;
  // Of the query at hand: its size, whether it could not be read, and, if its reply takes longer, what the onlooker calls it.
  let querySizeBytes = 0;
  let isFaulty = false;
  let number = unseen;
  // The reply to it, until that has been noted.
  let isUnnoted = false;
  let replyClient: SocketAddress;
  let replyFlags = 0;
  let replySizeBytes = 0;
  let replySource = 0;
  let replyRcode = -1;

  function answerNow(
    packet: Uint8Array,
    sizeBytes: number,
    client: SocketAddress,
    target: Uint8Array,
    nowMs: number,
    waitedMs = 0,
  ): number {
    noteReply();
    receivedAtMs = nowMs - waitedMs;
    takenAtMs = nowMs;
    querySizeBytes = sizeBytes;
    isOwn = false;
    isFaulty = false;
    if (!front.accessList(client)) {
      counters.drops.denied += 1;
      return noReply;
    }
    const fault = readQuery(packet, sizeBytes, query);
    if (fault !== 0) return answerFault(fault, client, target);
    const ownSize = query.type === RrType.HINFO ? answerOwn(front, query, client, own, target) : notOwn;
    isOwn = ownSize !== notOwn;
    if (isOwn) return ownSize;
    if (query.ednsVersion > 0) return answerError(Rcode.BADVERS, client, target);
    const refusal = front.resolver.refuse(query);
    if (refusal !== undefined) return answerError(refusal, client, target);

    const entry = front.resolver.lookup(query, nowMs);
    if (entry === undefined) return deny(client, target, nowMs);
    const age = ageSecondsOf(entry, nowMs);
    const size = shapeReply(target, entry, query, age, 0, ExtendedError.none, limitFor(query));
    keepReply(client, target, size, ReplySource.cache);
    return size;
  }

  /** Writes the NXDOMAIN of a search rule and returns its size, or `replyLater` if no rule applies. */
  function deny(client: SocketAddress, target: Uint8Array, nowMs: number): number {
    const absence = front.resolver.deny(query, nowMs);
    if (absence === undefined) {
      countQuery();
      number = front.onlooker?.received(client, query, !isUdp, Math.floor(receivedAtMs)) ?? unseen;
      return replyLater;
    }
    const size = composeDenial(target, query, absence.soa, absence.ttlSeconds, limitFor(query));
    keepReply(client, target, size, ReplySource.rule);
    return size;
  }

  /** Writes the reply that a fault gets: none if a reply could start a loop, or if there is no ID to reply to. */
  function answerFault(fault: number, client: SocketAddress, target: Uint8Array): number {
    countUp(counters.faults, -fault);
    isFaulty = true;
    if (fault === Fault.shortHeader || fault === Fault.wrongDirection) {
      counters.drops.malformed += 1;
      return noReply;
    }
    observe(counters.requestSizes, querySizeBytes);
    return answerError(fault === Fault.opcode ? Rcode.NOTIMP : Rcode.FORMERR, client, target);
  }

  function answerError(rcode: number, client: SocketAddress, target: Uint8Array): number {
    const size = composeError(target, query, rcode, ExtendedError.none);
    keepReply(client, target, size, ReplySource.error, rcode);
    return size;
  }

  /** Counts the query at hand, which is a client's and could be read. */
  function countQuery(): void {
    countUp(counters.requestsByType, typeSlot(query.type));
    observe(counters.requestSizes, querySizeBytes);
    if (query.dnssecOk) counters.dnssecOk += 1;
  }

  /**
   * The reply to the query at hand is noted before the next query is read, or when its batch has left: so the last one of a batch, which at
   * rest is the only one, leaves before anything is counted.
   */
  function keepReply(client: SocketAddress, message: Uint8Array, sizeBytes: number, source: number, rcode = -1): void {
    isUnnoted = true;
    replyClient = client;
    replyFlags = readU16(message, HeaderOffset.flags);
    replySizeBytes = sizeBytes;
    replySource = source;
    replyRcode = rcode;
  }

  function noteReply(): void {
    if (!isUnnoted) return;
    isUnnoted = false;
    if (!isFaulty) countQuery();
    const rcode = notes.noteNow(query, replyClient, replyFlags, replySizeBytes, replySource, receivedAtMs, replyRcode);
    if (front.onlooker === undefined || isFaulty) return;
    const durationMs = takenAtMs - receivedAtMs;
    front.onlooker.answeredAtOnce(replyClient, query, !isUdp, Math.floor(receivedAtMs), rcode, replySource, durationMs);
  }

  function answerLater(client: SocketAddress, reply: (message: Uint8Array, sizeBytes: number) => void): void {
    const key = hostKey(client);
    const kept: KeptQuery = { query: copyQuery(query), client, key, receivedAtMs, number, reply, begin, shed };
    front.misses.add(key, kept);
  }

  function begin(this: KeptQuery): void {
    const answer = front.resolver.resolve(this.query, this.key, (later) => settle(later, this));
    if (answer !== "later") settle(answer, this);
  }

  function shed(this: KeptQuery, reason: ShedReason): void {
    settle({ kind: "dropped", reason }, this);
  }

  function settle(answer: Answer, kept: KeptQuery): void {
    const size = shapeAnswer(answer, kept);
    kept.reply(lateReply, size);
  }

  function endBatch(nowMs: number): void {
    noteReply();
    notes.endBatch(nowMs);
    front.misses.begin();
  }

  function dropLate(packet: Uint8Array, sizeBytes: number, client: SocketAddress, sinceMs: number): void {
    // It is about the query at hand, which this one takes the place of.
    noteReply();
    counters.drops.late += 1;
    const { onlooker } = front;
    if (onlooker === undefined || !front.accessList(client) || readQuery(packet, sizeBytes, query) !== 0) return;
    // nodens's own questions have this type.
    if (query.type !== RrType.HINFO) onlooker.dropped(onlooker.received(client, query, false, Math.floor(sinceMs)));
  }

  /** Writes an answer for this client into `lateReply`. Returns its size, or `noReply`, which happens only over UDP. */
  function shapeAnswer(answer: Answer, kept: KeptQuery): number {
    if (isUdp && clock.nowMs() - kept.receivedAtMs > lateAnswerMs) return drop(kept, "late");
    if (answer.kind === "dropped" && isUdp) return drop(kept, answer.reason);
    if (answer.kind === "dropped" || answer.kind === "error" || (!isUdp && saysNothing(answer))) {
      const { rcode, extendedError } = answer.kind === "error" ? answer : failed;
      const size = composeError(lateReply, kept.query, rcode, extendedError);
      return noteLate(kept, size, ReplySource.error, rcode);
    }
    const limit = limitFor(kept.query);
    if (answer.kind === "denial") {
      const { soa, ttlSeconds, extendedError } = answer;
      const size = composeDenial(lateReply, kept.query, soa, ttlSeconds, limit, extendedError);
      return noteLate(kept, size, sourceOf(answer));
    }
    const { entry, fixedTtlSeconds, extendedError } = answer;
    const age = ageSecondsOf(entry, clock.nowMs());
    const size = shapeReply(lateReply, entry, kept.query, age, fixedTtlSeconds, extendedError, limit);
    return noteLate(kept, size, sourceOf(answer));
  }

  /** Notes the reply in `lateReply`, and returns its size. */
  function noteLate(
    { query: asked, client, receivedAtMs: sinceMs, number: noted }: KeptQuery,
    sizeBytes: number,
    source: number,
    ownRcode = -1,
  ): number {
    const flags = readU16(lateReply, HeaderOffset.flags);
    const rcode = notes.noteLate(asked, client, flags, sizeBytes, source, sinceMs, ownRcode);
    front.onlooker?.answered(noted, asked.name, rcode, source, clock.nowMs() - sinceMs);
    return sizeBytes;
  }

  function drop({ number: noted }: KeptQuery, reason: DropReason): typeof noReply {
    counters.drops[reason] += 1;
    front.onlooker?.dropped(noted);
    return noReply;
  }

  function limitFor(asked: ClientQuery): number {
    if (!isUdp) return maxMessageSizeBytes;
    return asked.hasEdns ? Math.min(asked.udpSizeBytes, front.maxUdpReplySizeBytes) : minUdpSizeBytes;
  }

  return { answerNow, answerLater, dropLate, endBatch, wasOwn: () => isOwn, counters };
}

/** A query whose answer takes longer. */
interface KeptQuery extends Miss {
  readonly query: ClientQuery;
  readonly client: SocketAddress;
  /** The client's host, as a key. */
  readonly key: string;
  reply(message: Uint8Array, sizeBytes: number): void;
  readonly receivedAtMs: number;
  /** What the onlooker calls it. */
  readonly number: number;
}

/** The query is not one of nodens's own. */
const notOwn = -2;

/**
 * Answers nodens's own queries, which are all of type HINFO, so that other queries pay for one comparison only. Returns the size of the
 * reply, `noReply` for a loop probe, or `notOwn`. None of this is client traffic.
 */
function answerOwn(
  { health, resolver }: Front,
  query: ClientQuery,
  client: SocketAddress,
  own: SocketAddress,
  target: Uint8Array,
): number {
  if (health.isAsked(query, client, own)) return health.answer(target, query);
  return resolver.takesLoopProbe(query) ? noReply : notOwn;
}

/**
 * Whether it is a truncated reply without a record. Over UDP that says to ask over TCP; over TCP resolvers take it for a name without
 * records of the type, because they do not look at TC there.
 */
function saysNothing(answer: Extract<Answer, { kind: "message" | "denial" }>): boolean {
  if (answer.kind === "denial") return false;
  const flags = readHeader(answer.entry, HeaderOffset.flags);
  const isEmpty = readHeader(answer.entry, HeaderOffset.answerCount) === 0;
  return isEmpty && (flags & Flag.TC) !== 0 && (flags & rcodeMask) === Rcode.NOERROR;
}

/** Where an answer that is a message or a denial comes from. */
function sourceOf(answer: Extract<Answer, { kind: "message" | "denial" }>): number {
  if (answer.kind === "denial") return answer.expiredAtMs === undefined ? ReplySource.rule : ReplySource.stale;
  return answer.source === "stale" ? ReplySource.stale : ReplySource.upstream;
}
