/*
 * nodens in the shadow: copies of pods' packets go in, and nothing comes out but figures.
 *
 *      a pod's query ──▶ what is seen of clients ──▶ the answer that nodens would give ──┐
 *                                                                                        ├──▶ a verdict
 *      its reply ──▶ what upstream says, for the shadow's own cache ─────────────────────┘
 *
 * Everything is bounded: what waits for a reply, what is remembered, and what a packet can cost. Nothing here throws for what a packet says.
 */
import { ReplySource } from "../listen/listen-counters.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import type { Seen } from "../seen/seen.ts";
import { HeaderOffset, headerSizeBytes } from "../wire/header.ts";
import { equalOctets, skipName } from "../wire/name.ts";
import { readU16 } from "../wire/octets.ts";
import { type ClientQuery, copyQuery, createQueryView, readQuery } from "../wire/query.ts";
import { parseReply, repeatsQuestion } from "../wire/reply.ts";
import { createShadowAnswers, type ShadowAnswer } from "./answer-in-shadow.ts";
import { digestOfReply, type ReplyDigest } from "./compare-replies.ts";
import { type CopyOutcome, createShadowFigures, type ShadowFigures, type Verdict } from "./figures.ts";
import { createFlowTable } from "./flow-table.ts";
import { judgeAnswer } from "./judge-answer.ts";
import { learnFromReply } from "./learn-from-reply.ts";
import { createReplyHistory } from "./reply-history.ts";
import { createWireMessages, type WireMessage } from "./wire-messages.ts";
import type { WireUpstream } from "./wire-upstream.ts";

/** What the shadow is made of. */
export interface ShadowOptions {
  readonly resolver: Resolver;
  /** The upstream that the resolver asks. */
  readonly wire: WireUpstream;
  readonly knowledge: Pick<ZoneKnowledge, "noteSchema" | "noteSoa">;
  readonly seen: Pick<Seen, "received" | "answered">;
  readonly clock: Clock;
  /** The cluster zone (folded, wire form). */
  readonly zone: Uint8Array;
  /** Keys the hashes of names, in the resolver's cache too. */
  readonly hashSeed: number;
  /** How many sources of replies there are. */
  readonly sourceCount: number;
  /** The largest reply over UDP. */
  maxUdpReplySizeBytes(): number;
  /** Whether questions to this address take no entry of connection tracking, because a cache on the node answers them. */
  isAnsweredHere(address: string): boolean;
  /** Called with what differed, and why; `name` and `ours` are valid during the call. */
  onVerdict(verdict: Verdict, query: ComparedQuery): void;
  /** Called for each reply that was compared: the source that nodens would have had, the code that the pod got, how long it waited. */
  onReply(source: number, rcode: number, durationMs: number): void;
}

/** A query whose two answers were compared. */
export interface ComparedQuery {
  readonly client: string;
  readonly name: Uint8Array;
  readonly type: number;
  /** A ReplySource, and the codes of both replies. */
  readonly source: number;
  readonly ourRcode: number | undefined;
  readonly realRcode: number;
}

/** nodens in the shadow. Moments are monotonic milliseconds. */
export interface Shadow {
  /** Takes a copy of a packet (from the IP header on), which passed at `atMs`. `isReply`: it was leaving from a server's address. */
  take(octets: Uint8Array, sizeBytes: number, isReply: boolean, atMs: number): void;
  /** Gives up queries that nobody will answer any more. To be called every second or so. */
  tick(nowMs: number): void;
  /** How many questions nodens would have sent upstream. */
  upstreamQuestions(): number;
  /** How many connections over TCP could not be followed. */
  lostStreams(): number;
  readonly figures: ShadowFigures;
}

/** A query, until both replies are there and have been compared, and a moment longer, in which copies of the same packets may come. */
interface Open {
  readonly client: string;
  readonly query: ClientQuery;
  readonly atMs: number;
  /** What `seen` calls it. */
  readonly number: number;
  ours: ShadowAnswer | undefined;
  real: ReplyDigest | undefined;
  isCompared: boolean;
}

const undecided = { ours: undefined, real: undefined, isCompared: false } as const;

const mostOpen = 16_384;
const rememberedFlows = 65_536;

/** No resolver waits longer for a reply. */
const openMs = 15_000;

/** A packet that passes a second interface does so at once; no resolver repeats itself so soon. */
const duplicateMs = 20;

/** Creates a shadow that has seen nothing. */
export function createShadow(options: ShadowOptions): Shadow {
  const { resolver, wire, seen, clock, hashSeed } = options;
  const figures = createShadowFigures(options.sourceCount);
  const answerInShadow = createShadowAnswers(resolver, clock, options.maxUdpReplySizeBytes);
  const view = createQueryView(hashSeed);
  const flows = createFlowTable(rememberedFlows);
  const history = createReplyHistory();
  const open = new Map<string, Open>();
  const messages = createWireMessages({
    onFlow: ofPods(noteFlow),
    onMessage: ofPods((message) => (message.isReply ? takeReply(message) : takeQuery(message))),
    onUnusable: count,
  });

  function count(outcome: CopyOutcome): void {
    figures.copies[outcome] += 1;
  }

  function noteFlow({ client, port, server, isTcp, atMs }: WireMessage): void {
    if (options.isAnsweredHere(server)) return;
    if (flows.begins(`${client} ${port} ${server} ${isTcp}`, atMs)) figures.flows += 1;
  }

  function takeQuery(message: WireMessage): void {
    const { octets, client, isTcp, atMs } = message;
    if (readQuery(octets, octets.length, view) !== 0) {
      count("malformed");
      return;
    }
    const key = keyOf(message, view.id, view.type);
    const earlier = open.get(key);
    if (earlier !== undefined && isSameName(earlier.query, view) && atMs - earlier.atMs < duplicateMs) {
      count("duplicate");
      return;
    }
    count("used");
    if (earlier !== undefined) giveUp(key, earlier);
    else if (open.size >= mostOpen) giveUpOldest();
    const number = seen.received(message.clientAddress, view, isTcp, Math.floor(atMs));
    const asked: Open = { client, query: copyQuery(view), atMs, number, ...undecided };
    open.set(key, asked);
    const answer = answerInShadow(view, client, isTcp);
    if (!(answer instanceof Promise)) noteOurs(asked, answer);
    else void answer.then((late) => noteOurs(asked, late));
  }

  function noteOurs(asked: Open, answer: ShadowAnswer): void {
    const { source } = answer;
    figures.queries[source] = (figures.queries[source] as number) + 1;
    asked.ours = answer;
    compare(asked);
  }

  function takeReply(message: WireMessage): void {
    const { octets, atMs } = message;
    const asked = open.get(keyOfReply(message));
    if (asked === undefined || !repeatsQuestionOf(octets, asked.query)) {
      count("unmatched");
      return;
    }
    if (asked.real !== undefined) {
      count("duplicate");
      return;
    }
    const reply = parseReply(octets);
    if (typeof reply === "number") {
      count("malformed");
      return;
    }
    count("used");
    const { query, number, ours } = asked;
    const digest = digestOfReply(reply);
    const source = ours?.source ?? ReplySource.upstream;
    const durationMs = Math.max(0, atMs - asked.atMs);
    seen.answered(number, query.name, digest.rcode, source, durationMs);
    options.onReply(source, digest.rcode, durationMs);
    asked.real = digest;
    if (!digest.isCut) learnFromReply(query, reply, ours !== undefined, options);
    compare(asked);
    if (!digest.isCut) history.note(query.name.hash, query.type, digest, atMs);
  }

  function compare(asked: Open): void {
    const { ours, real, query } = asked;
    if (asked.isCompared || ours === undefined || real === undefined) return;
    asked.isCompared = true;
    const { hash } = query.name;
    const verdict = judgeAnswer(ours, real, {
      saidSo: (reply) => history.saidSo(hash, query.type, reply, clock.nowMs()),
      wasAssumed: () => ours.rule === "absentParent" || wire.wasAssumed(hash),
    });
    figures.verdicts[verdict] += 1;
    if (verdict !== "same") options.onVerdict(verdict, comparedOf(asked, ours, real));
  }

  function giveUp(key: string, asked: Open): void {
    open.delete(key);
    if (asked.isCompared) return;
    asked.isCompared = true;
    if (asked.real === undefined) figures.unanswered += 1;
    else figures.verdicts.unheard += 1;
  }

  function giveUpOldest(): void {
    const [oldest] = open;
    if (oldest !== undefined) giveUp(...oldest);
  }

  return {
    take: messages.take,
    tick(nowMs) {
      for (const [key, asked] of open) {
        if (asked.isCompared || nowMs - asked.atMs >= openMs) giveUp(key, asked);
      }
    },
    upstreamQuestions: wire.askedCount,
    lostStreams: messages.lostStreams,
    figures,
  };
}

/** Passes on what pods say and hear. A server that asks its own address, as nodens does to see whether that is answered, is not a pod. */
function ofPods(take: (message: WireMessage) => void): (message: WireMessage) => void {
  return (message) => {
    if (message.client !== message.server) take(message);
  };
}

/** What a query and its reply have in common. */
function keyOf({ client, port, server, isTcp }: WireMessage, id: number, type: number): string {
  return `${client} ${port} ${server} ${isTcp} ${id} ${type}`;
}

/** The key of the query that a reply belongs to; "", which no query has, if it has no question that can be read. */
function keyOfReply(message: WireMessage): string {
  const { octets } = message;
  if (octets.length < headerSizeBytes) return "";
  const nameEnd = skipName(octets, headerSizeBytes, octets.length);
  if (nameEnd < 0 || nameEnd + 4 > octets.length) return "";
  return keyOf(message, readU16(octets, HeaderOffset.id), readU16(octets, nameEnd));
}

function repeatsQuestionOf(message: Uint8Array, { name, type, class: rrClass }: ClientQuery): boolean {
  return repeatsQuestion(message, name.octets, type, rrClass);
}

/** `kept` is a copy, whose octets are the name and no more. */
function isSameName(kept: ClientQuery, { name }: ClientQuery): boolean {
  return kept.name.sizeBytes === name.sizeBytes && equalOctets(name.octets, 0, kept.name.octets);
}

function comparedOf({ client, query }: Open, { source, digest }: ShadowAnswer, real: ReplyDigest): ComparedQuery {
  const { name, type } = query;
  return { client, name: name.octets, type, source, ourRcode: digest?.rcode, realRcode: real.rcode };
}
