/*
 * From a packet to its reply, the same for UDP and TCP: admit, read, answer from the cache at once, or wait for the resolver.
 */
import { ageSecondsOf } from "../cache/entry.ts";
import type { Answer } from "../resolve/answer.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { Clock } from "../runtime/clock.ts";
import { type Histogram, observe } from "../runtime/histogram.ts";
import { ExtendedError, Rcode, RrType } from "../wire/codes.ts";
import { composeDenial } from "../wire/denial.ts";
import { Fault } from "../wire/fault.ts";
import { Flag, HeaderOffset, maxMessageSizeBytes, rcodeMask } from "../wire/header.ts";
import { readU16 } from "../wire/octets.ts";
import { type ClientQuery, copyQuery, createQueryView, minUdpSizeBytes, readQuery } from "../wire/query.ts";
import { composeError, shapeReply } from "../wire/shape-reply.ts";
import type { AccessList } from "./access-list.ts";
import type { HealthQuestion } from "./health-question.ts";
import { countUp, type ListenCounters, replySourceNames, ReplySource, typeSlot } from "./listen-counters.ts";

/** What all sockets share. The first three may be replaced while queries run. */
export interface Front {
  accessList: AccessList;
  /** The most that a UDP reply may take, whatever the client says. */
  maxUdpReplySizeBytes: number;
  /** Told of every reply, when there is a query log. */
  queryLog: QueryLog | undefined;
  readonly resolver: Resolver;
  /** What nodens asks its own sockets. */
  readonly health: HealthQuestion;
  readonly clock: Clock;
  /** Keys the hashes of names: random per process. */
  readonly hashSeed: number;
}

/** Writes one line about a reply. `query` is valid only during the call. */
export type QueryLog = (
  client: string,
  protocol: "udp" | "tcp",
  query: ClientQuery,
  rcode: number,
  source: number,
  durationMs: number,
  sizeBytes: number,
) => void;

/** No reply at all. */
export const noReply = 0;

/** The reply takes longer: `answerLater` gives it. */
export const replyLater = -1;

/** Answers the queries of one socket. */
export interface QueryAnswerer {
  /**
   * Answers a query that needs nobody else: writes the reply into `target` (room for maxMessageSizeBytes) and returns its size,
   * or `noReply`, or `replyLater`. `client` is the asker's address as the socket reports it.
   */
  answerNow(packet: Uint8Array, sizeBytes: number, client: string, target: Uint8Array): number;
  /**
   * Right after answerNow said `replyLater`: resolves the query it read. `reply` is called once, with a message that is valid
   * during the call, or with size 0 when there will be none.
   */
  answerLater(client: string, reply: (message: Uint8Array, sizeBytes: number) => void): void;
  /** Whether what answerNow read last was nodens's own question, which no counter and no log knows of. */
  wasOwn(): boolean;
  readonly counters: ListenCounters;
}

/** Late replies are written one at a time, so that all sockets share one buffer. */
const lateReply = new Uint8Array(maxMessageSizeBytes);

/** What a client is told for whom there is no room: on an open connection it would wait for long before it asked again. */
const tooBusy = { rcode: Rcode.SERVFAIL, extendedError: ExtendedError.none };

/** Creates the answerer of one socket. */
export function createQueryAnswerer(front: Front, counters: ListenCounters): QueryAnswerer {
  const { clock } = front;
  const query = createQueryView(front.hashSeed);
  const isUdp = counters.protocol === "udp";
  let receivedAtMs = 0;
  let isOwn = false;

  function answerNow(packet: Uint8Array, sizeBytes: number, client: string, target: Uint8Array): number {
    receivedAtMs = clock.nowMs();
    isOwn = false;
    if (!front.accessList(client)) {
      counters.drops.denied += 1;
      return noReply;
    }
    const fault = readQuery(packet, sizeBytes, query);
    if (fault !== 0) return answerFault(fault, sizeBytes, client, target);
    const ownSize = query.type === RrType.HINFO ? answerOwn(front, query, client, counters, target) : notOwn;
    isOwn = ownSize !== notOwn;
    if (isOwn) return ownSize;
    countUp(counters.requestsByType, typeSlot(query.type));
    observe(counters.requestSizes, sizeBytes);
    if (query.dnssecOk) counters.dnssecOk += 1;
    if (query.ednsVersion > 0) return answerError(Rcode.BADVERS, client, target);
    const refusal = front.resolver.refuse(query);
    if (refusal !== undefined) return answerError(refusal, client, target);

    const entry = front.resolver.lookup(query, receivedAtMs);
    if (entry === undefined) return deny(client, target);
    const age = ageSecondsOf(entry, receivedAtMs);
    const size = shapeReply(target, entry, query, age, 0, ExtendedError.none, limitFor(query));
    noteReply(query, client, target, size, ReplySource.cache, receivedAtMs);
    return size;
  }

  /** NXDOMAIN by a search rule, or `replyLater`. */
  function deny(client: string, target: Uint8Array): number {
    const absence = front.resolver.deny(query, receivedAtMs);
    if (absence === undefined) return replyLater;
    const size = composeDenial(target, query, absence.soa, absence.ttlSeconds, limitFor(query));
    noteReply(query, client, target, size, ReplySource.rule, receivedAtMs);
    return size;
  }

  /** The reply that the fault deserves: none where a reply could start a loop or there is no ID to reply to. */
  function answerFault(fault: number, sizeBytes: number, client: string, target: Uint8Array): number {
    countUp(counters.faults, -fault);
    if (fault === Fault.shortHeader || fault === Fault.wrongDirection) {
      counters.drops.malformed += 1;
      return noReply;
    }
    observe(counters.requestSizes, sizeBytes);
    return answerError(fault === Fault.opcode ? Rcode.NOTIMP : Rcode.FORMERR, client, target);
  }

  function answerError(rcode: number, client: string, target: Uint8Array): number {
    const size = composeError(target, query, rcode, ExtendedError.none);
    noteReply(query, client, target, size, ReplySource.error, receivedAtMs, rcode);
    return size;
  }

  function answerLater(client: string, reply: (message: Uint8Array, sizeBytes: number) => void): void {
    const kept = copyQuery(query);
    const since = receivedAtMs;
    void Promise.resolve(front.resolver.resolve(kept, client)).then((answer) => {
      const size = shapeAnswer(answer, kept, client, since);
      reply(lateReply, size);
    });
  }

  /** Writes an answer for this client into `lateReply`. Returns its size, 0 for none: only over UDP. */
  function shapeAnswer(answer: Answer, kept: ClientQuery, client: string, since: number): number {
    if (answer.kind === "dropped" && isUdp) {
      counters.drops[answer.reason] += 1;
      return noReply;
    }
    if (answer.kind === "dropped" || answer.kind === "error") {
      const { rcode, extendedError } = answer.kind === "error" ? answer : tooBusy;
      const size = composeError(lateReply, kept, rcode, extendedError);
      noteReply(kept, client, lateReply, size, ReplySource.error, since, rcode);
      return size;
    }
    if (answer.kind === "denial") {
      const size = composeDenial(lateReply, kept, answer.soa, answer.ttlSeconds, limitFor(kept));
      noteReply(kept, client, lateReply, size, ReplySource.rule, since);
      return size;
    }
    const { entry, fixedTtlSeconds, extendedError } = answer;
    const age = ageSecondsOf(entry, clock.nowMs());
    const size = shapeReply(lateReply, entry, kept, age, fixedTtlSeconds, extendedError, limitFor(kept));
    const source = answer.source === "stale" ? ReplySource.stale : ReplySource.upstream;
    noteReply(kept, client, lateReply, size, source, since);
    return size;
  }

  function limitFor(asked: ClientQuery): number {
    if (!isUdp) return maxMessageSizeBytes;
    return asked.hasEdns ? Math.min(asked.udpSizeBytes, front.maxUdpReplySizeBytes) : minUdpSizeBytes;
  }

  function noteReply(
    asked: ClientQuery,
    client: string,
    message: Uint8Array,
    sizeBytes: number,
    source: number,
    since: number,
    ownRcode?: number,
  ): void {
    const flags = readU16(message, HeaderOffset.flags);
    const rcode = ownRcode ?? flags & rcodeMask;
    countUp(counters.replies, rcode * replySourceNames.length + source);
    if ((flags & Flag.TC) !== 0) counters.truncated += 1;
    observe(counters.replySizes, sizeBytes);
    const durationMs = clock.nowMs() - since;
    observe(counters.durations[source] as Histogram, durationMs / 1000);
    front.queryLog?.(client, counters.protocol, asked, rcode, source, durationMs, sizeBytes);
  }

  return { answerNow, answerLater, wasOwn: () => isOwn, counters };
}

/** Not a question of nodens itself. */
const notOwn = -2;

/**
 * Answers what nodens itself asks, of the type HINFO all of it, so that other queries pay one comparison: the size of the reply,
 * `noReply` for a loop probe, or `notOwn`. Nothing of it is a client's traffic.
 */
function answerOwn(
  { health, resolver }: Front,
  query: ClientQuery,
  client: string,
  { address }: ListenCounters,
  target: Uint8Array,
): number {
  if (health.isAsked(query, client, address.host)) return health.answer(target, query);
  return resolver.takesLoopProbe(query) ? noReply : notOwn;
}
