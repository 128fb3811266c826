/*
 * The whole chain in memory: clients' packets go in, replies come out; time and the upstream do what a test says.
 *
 *      asks() ──▶ answer-query ──▶ the chain of create-chain ──▶ upstream: answers(), fails()
 *
 * Every limit is that of the default settings, unless a test sets another.
 */
import { mutableLimitsOf } from "../../../src/app/parts-of-settings.ts";
import { createAccessList } from "../../../src/listen/access-list.ts";
import { createQueryAnswerer, noReply, replyLater } from "../../../src/listen/answer-query.ts";
import type { Front } from "../../../src/listen/front.ts";
import { createHealthQuestion } from "../../../src/listen/health-question.ts";
import { createListenCounters, ReplySource, replySourceNames } from "../../../src/listen/listen-counters.ts";
import { createMissQueue } from "../../../src/resolve/miss-queue.ts";
import type { ShedReason } from "../../../src/resolve/answer.ts";
import { createChain } from "../../../src/resolve/create-chain.ts";
import type { ResolverCounters } from "../../../src/resolve/resolver.ts";
import type { Foresight, RouteTaken } from "../../../src/resolve/step.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";
import type { InferringRule, ShortCircuit } from "../../../src/search/rules.ts";
import { createSeen } from "../../../src/seen/seen.ts";
import { defaultSettings, type Settings } from "../../../src/settings/settings-table.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange-state.ts";
import { soaOf } from "../../../src/wire/denial.ts";
import { isAtOrBelow } from "../../../src/wire/name.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import { composeQuery, ownQuestion, type Question } from "../../../src/wire/question.ts";
import { parseReply } from "../../../src/wire/reply.ts";
import {
  buildQuery,
  Flags,
  nameBytes,
  type ReadMessage,
  readMessage,
  replyTo,
  soa,
  type TestMessage,
  type TestOpt,
  Type,
} from "../messages/messages.ts";
import { hashSeed } from "../messages/parsed-messages.ts";
import { createFakeClock } from "../program/fake-clock.ts";

/** The mnemonic of a type, as tests write it. */
export type TypeName = keyof typeof Type;

/** How a client asks. Left out: 10.0.0.1, port 40000, over UDP, ID 1234, RD without CD, no EDNS, class IN. */
export interface AskDetails {
  readonly client?: string;
  readonly port?: number;
  readonly over?: "udp" | "tcp";
  readonly id?: number;
  readonly flags?: number;
  readonly opt?: TestOpt;
  readonly class?: number;
  readonly dnssecOk?: boolean;
  readonly checkingDisabled?: boolean;
  readonly recursionDesired?: boolean;
}

/** A query of a client, and what became of it. */
export interface Asked {
  /** What the client sent. */
  readonly query: Uint8Array;
  /** Whether it waits for upstream. */
  isWaiting(): boolean;
  /** Whether nodens let it go without a reply. */
  isDropped(): boolean;
  /** The reply. Throws when there is none. */
  reply(): ReadMessage;
  /** Its octets. Throws when there is none. */
  octets(): Uint8Array;
  /** Its code. Throws when there is none. */
  rcode(): number;
  /** Whether it has records in its answer section. Throws when there is no reply. */
  hasData(): boolean;
  /** Whether it came from the cache at once. */
  isCached(): boolean;
  /** The TTL of a denial that no message said, but a rule; undefined for every other outcome. */
  deniedForSeconds(): number | undefined;
}

/** A question as it arrived upstream. */
interface UpstreamQuery extends ReadMessage {
  readonly name: string;
  readonly type: number;
}

/** What a test may set; the rest is as nodens has it by default. */
export interface WorldSettings {
  readonly answersSizeBytes?: number;
  readonly denialsSizeBytes?: number;
  readonly maxTtlSeconds?: number;
  readonly maxDenialTtlSeconds?: number;
  readonly maxClusterDenialTtlSeconds?: number;
  readonly dynamicZones?: readonly string[];
  readonly staleSeconds?: number;
  readonly staleAfterMs?: number;
  readonly prefetches?: boolean;
  readonly maxInFlight?: number;
  readonly maxWaiters?: number;
  readonly maxWaitersPerClient?: number;
  /** Which way names (folded, wire form) go. Left out: over UDP, long names on another route than short ones. */
  readonly routeOf?: (name: Uint8Array) => RouteTaken;
  /** Whether a route answers many questions at once. Left out: all but "cluster". */
  readonly answersAtOnce?: (route: string) => boolean;
  readonly shortCircuit?: ShortCircuit;
  readonly answersOutsideNames?: boolean;
  /** Exactly every Nth denial by a rule is checked; none if left out. */
  readonly checkOneIn?: number;
  /** Suffixes beside the cluster zone. */
  readonly suffixes?: readonly string[];
  /** Domains below the zone that have servers of their own. */
  readonly stubDomains?: readonly string[];
  /** Whether the zone has shown that it is a CoreDNS zone, with an SOA that lives for an hour. False if left out. */
  readonly showsSchema?: boolean;
  /** Whether the zone and the suffixes have shown that they deny names, not types. True if left out. */
  readonly showsNameDenials?: boolean;
}

/** The reply of an upstream: sections, flags beside QR, RD and RA, rcode. `lacksRa` takes RA away. */
export type UpstreamReply = TestMessage & { readonly rcode?: number; readonly lacksRa?: boolean };

/** A nodens without sockets. The cluster zone is cluster.local. */
export type World = ReturnType<typeof createWorld>;

/** NXDOMAIN as the rcode. */
export const nxdomain = 3;

/** NXDOMAIN as the cluster zone sends it. */
export const denial: UpstreamReply = { rcode: nxdomain, authorities: [soa("cluster.local", 30, 30)] };

/** NODATA as the cluster zone sends it. */
export const nodata: UpstreamReply = { authorities: [soa("cluster.local", 30, 30)] };

/** Creates a world in which nothing was asked yet. */
export function createWorld(settings: WorldSettings = {}) {
  const clock = createFakeClock();
  const zone = nameBytes("cluster.local");
  const suffixes = (settings.suffixes ?? []).map(nameBytes);
  const received: UpstreamQuery[] = [];
  const asked: string[] = [];
  const open: OpenQuestion[] = [];
  const switchedOff: { rule: InferringRule; name: string }[] = [];
  let learnings = 0;
  let isAway = false;

  const chain = createChain({
    limits: mutableLimitsOf(settingsOf(settings)),
    clock,
    zone,
    suffixes,
    loopSecret: "5ec2e7",
    hashSeed,
    // Chance that is none: exactly every Nth denial is checked.
    random: () => 0.5,
    isTopLevelDomain: (label) => label === "com",
    ask(question, settle) {
      const packet = composeQuery(question);
      const message = readMessage(packet);
      const [{ name, type } = { name: "", type: 0 }] = message.questions;
      received.push({ ...message, name, type });
      asked.push(textOf(name, type));
      open.push({ text: textOf(name, type), name, type, question, packet, settle });
    },
    learnZone: async () => void (learnings += 1),
    onRuleOff: (rule, { name }) => switchedOff.push({ rule, name: nameToText(name) }),
    isAway: () => isAway,
    answersAtOnce: settings.answersAtOnce ?? ((route) => route !== "cluster"),
    routeOf: settings.routeOf ?? ((name) => ({ route: name.length > 15 ? "long" : "short", transport: "udp" })),
  });
  if (settings.showsSchema === true) {
    chain.knowledge.noteSchema(true);
    chain.knowledge.noteSoa(soaOfZone(), clock.nowMs());
  }
  if (settings.showsNameDenials !== false) for (const each of [zone, ...suffixes]) chain.nameDenials.noteNoData(each);
  const seen = createSeen({
    recordedQueries: 4096,
    keepsNames: true,
    suffixes: [zone, ...(settings.suffixes ?? []).map(nameBytes)],
    isHit: (source) => source === ReplySource.cache || source === ReplySource.rule,
    isFromUpstream: (source) => source === ReplySource.upstream,
    isClusterName: (name) => isAtOrBelow(name, zone),
    seed: hashSeed,
  });
  const front: Front = {
    accessList: createAccessList([
      { address: "10.0.0.0", prefixLength: 8 },
      { address: "127.0.0.0", prefixLength: 8 },
    ]),
    maxUdpReplySizeBytes: 1232,
    queryLog: (_client, _protocol, _query, _rcode, source) => (lastSource = replySourceNames[source] ?? ""),
    onlooker: seen,
    misses: createMissQueue(clock),
    resolver: chain.resolver,
    health: createHealthQuestion(zone, "5e1f"),
    clock,
    hashSeed,
  };
  let lastSource = "";
  const address = { host: "127.0.0.1", port: 53 };
  const answerers = {
    udp: createQueryAnswerer(front, createListenCounters(address, "udp")),
    tcp: createQueryAnswerer(front, createListenCounters(address, "tcp")),
  };

  /** A client sends these octets. */
  async function sends(
    query: Uint8Array,
    { client = "10.0.0.1", port = 40_000, over = "udp" }: AskDetails = {},
  ): Promise<Asked> {
    const answerer = answerers[over];
    const target = new Uint8Array(65_535);
    let octets: Uint8Array | undefined;
    let source = "";
    const keep = (message: Uint8Array, sizeBytes: number) => {
      octets = message.slice(0, sizeBytes);
      source = lastSource;
    };
    const peer = socketAddress({ host: client, port });
    const size = answerer.answerNow(query, query.length, peer, target, clock.nowMs());
    if (size === replyLater) answerer.answerLater(peer, keep);
    // A reply is logged when it has left.
    answerer.endBatch(clock.nowMs());
    if (size !== replyLater) keep(target, size);
    const isImmediate = size !== replyLater;
    await passes(0);
    function octetsOf(): Uint8Array {
      if (octets === undefined) throw new Error("the client still waits");
      if (octets.length === noReply) throw new Error("the client got no reply");
      return octets;
    }
    return {
      query,
      isWaiting: () => octets === undefined,
      isDropped: () => octets?.length === noReply,
      octets: octetsOf,
      reply: () => readMessage(octetsOf()),
      rcode: () => readMessage(octetsOf()).rcode,
      hasData: () => readMessage(octetsOf()).answers.length > 0,
      isCached: () => isImmediate && source === "cache",
      deniedForSeconds: () =>
        octets !== undefined && source === "rule" ? readMessage(octets).authorities[0]?.ttl : undefined,
    };
  }

  /** A client asks for a name. */
  function asks(name: string, type: TypeName = "A", details: AskDetails = {}): Promise<Asked> {
    const { id = 0x1234, class: rrClass = 1, dnssecOk, checkingDisabled, recursionDesired } = details;
    const flags =
      details.flags ?? (recursionDesired === false ? 0 : Flags.RD) | (checkingDisabled === true ? Flags.CD : 0);
    const opt = details.opt ?? (dnssecOk === true ? { dnssecOk } : undefined);
    const questions = [{ name, type: Type[type], class: rrClass }];
    return sends(buildQuery(name, Type[type], { id, flags, opt, questions }), details);
  }

  /** What would be done with a client's queries for a name, asked at once. */
  function foresees(name: string, ...types: TypeName[]): Foresight[] {
    return chain.foresee(
      nameBytes(name),
      types.map((type) => Type[type]),
    );
  }

  /** The upstream answers the oldest open question, or the oldest for `about`. */
  async function answers(reply: UpstreamReply, about?: About): Promise<void> {
    settleWith(takeOpen(about), reply);
    await passes(0);
  }

  /** The upstream answers the oldest open question that stands as "NAME TYPE". */
  function answersTo(text: string, reply: UpstreamReply): Promise<void> {
    return answers(reply, aboutOf(text));
  }

  /** Everything that was tried for it was in vain. */
  function failsTo(text: string, failure: LossReason = "timeout"): Promise<void> {
    return fails(failure, aboutOf(text));
  }

  /** Everything that was tried for the oldest open question, or the oldest for `about`, was in vain. */
  async function fails(failure: LossReason = "timeout", about?: About): Promise<void> {
    takeOpen(about).settle({ failure });
    await passes(0);
  }

  /** The upstream answers, or fails, all that is open: alike, or as `outcome` says for each "NAME TYPE" and its question. */
  async function settlesAll(outcome: Outcome | ((text: string, question: Question) => Outcome)): Promise<void> {
    for (const each of open.splice(0)) {
      const own = typeof outcome === "function" ? outcome(each.text, each.question) : outcome;
      if (own === "timeout") each.settle({ failure: "timeout" });
      else settleWith(each, own);
    }
    await passes(0);
  }

  function takeOpen(about: About = {}): OpenQuestion {
    const index = open.findIndex(({ name, type }) => {
      return (about.name ?? name) === name && (about.type === undefined || Type[about.type] === type);
    });
    const [taken] = index < 0 ? [] : open.splice(index, 1);
    if (taken === undefined)
      throw new Error(
        `${JSON.stringify(about)} is not open upstream, but ${JSON.stringify(open.map(({ text }) => text))}`,
      );
    return taken;
  }

  /** Time passes. */
  async function passes(seconds: number): Promise<void> {
    await clock.advance(seconds * 1000);
    // Replies go through more promises than timers do.
    await clock.advance(0);
  }

  return {
    ...chain,
    asks,
    sends,
    passes,
    foresees,
    answers: answersTo,
    fails: failsTo,
    /** Everything that upstream was asked, as "NAME TYPE", in order. */
    asked,
    /** What of it is not answered yet. */
    open: () => open.map(({ text }) => text),
    upstream: {
      answers,
      fails,
      settlesAll,
      /** Every question that was sent, in order. */
      received,
      /** How many of them are not answered yet. */
      openCount: () => open.length,
      /** Its servers are found not to answer. */
      goesAway: () => void (isAway = true),
      /** A server that had been down answers again. */
      recovers() {
        isAway = false;
        chain.failures.relax(clock.nowMs());
      },
    },
    switchedOff,
    /** How many questions and waiters were let go for this reason, on all routes, for whomever. */
    shed: (reason: ShedReason) => shedOf(chain.resolver.counters, reason),
    learnings: () => learnings,
    clock,
    front,
    seen,
    counters: { udp: answerers.udp.counters, tcp: answerers.tcp.counters },
  };
}

/** How many were let go for this reason, on all routes, for whomever. */
export function shedOf({ shed }: Pick<ResolverCounters, "shed">, reason: ShedReason): number {
  const counts = [...shed.values()].flatMap((byClass) => Object.values(byClass));
  return counts.reduce((sum, byReason) => sum + byReason[reason], 0);
}

type Outcome = UpstreamReply | "timeout";

interface OpenQuestion {
  readonly text: string;
  readonly name: string;
  readonly type: number;
  readonly question: Question;
  readonly packet: Uint8Array;
  readonly settle: (result: ExchangeResult) => void;
}

type LossReason = Extract<ExchangeResult, { failure: unknown }>["failure"];

interface About {
  readonly name?: string;
  readonly type?: TypeName;
}

function aboutOf(text: string): About {
  const [name = "", type = ""] = text.split(" ");
  return { name, type: type as TypeName };
}

function textOf(name: string, type: number): string {
  const typeName = Object.entries(Type).find(([, value]) => value === type)?.[0] ?? String(type);
  return `${name} ${typeName}`;
}

function settleWith({ packet, settle }: OpenQuestion, reply: UpstreamReply): void {
  const octets = replyTo(packet, { opt: {}, ...reply });
  if (reply.lacksRa === true) octets[3] = (octets[3] ?? 0) & 0x7f;
  const parsed = parseReply(octets);
  if (typeof parsed === "number") throw new Error(`the reply has fault ${parsed}`);
  settle({ reply: parsed });
}

/** The zone's SOA, as a denial brings it. */
function soaOfZone() {
  const denied = replyTo(composeQuery(ownQuestion(nameBytes("cluster.local"), Type.A)), {
    authorities: [soa("cluster.local", 3600, 3600)],
  });
  const reply = parseReply(denied);
  const record = typeof reply === "number" ? undefined : soaOf(reply);
  if (record === undefined) throw new Error("the SOA of the test's zone cannot be read");
  return record;
}

/** The default settings with what a test wants otherwise. */
function settingsOf(wanted: WorldSettings): Settings {
  const { cache, limits, search, upstream, ...rest } = defaultSettings();
  const { stubDomains = [], answersOutsideNames = false, checkOneIn = 0 } = wanted;
  const stubServers = [{ host: "192.0.2.53", port: 53 }];
  return {
    ...rest,
    upstream: { ...upstream, stubDomains: Object.fromEntries(stubDomains.map((domain) => [domain, stubServers])) },
    cache: override(cache, {
      answersBytes: wanted.answersSizeBytes,
      denialsBytes: wanted.denialsSizeBytes,
      maxTtlSeconds: wanted.maxTtlSeconds,
      maxDenialTtlSeconds: wanted.maxDenialTtlSeconds,
      maxClusterDenialTtlSeconds: wanted.maxClusterDenialTtlSeconds,
      dynamicZones: wanted.dynamicZones && [...wanted.dynamicZones],
      staleSeconds: wanted.staleSeconds,
      staleAfterMs: wanted.staleAfterMs,
      prefetch: wanted.prefetches,
    }),
    limits: override(limits, {
      maxInFlight: wanted.maxInFlight,
      maxWaiters: wanted.maxWaiters,
      maxWaitersPerClient: wanted.maxWaitersPerClient,
    }),
    search: override(
      { ...search, answerOutsideName: answersOutsideNames, checkOneIn },
      { shortCircuit: wanted.shortCircuit },
    ),
  };
}

/** A group of settings with those values that are given. */
function override<Group extends object>(
  group: Group,
  values: { [Key in keyof Group]?: Group[Key] | undefined },
): Group {
  return { ...group, ...Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) };
}

/** Asks, and has the upstream answer at once: what a test starts from. */
export async function learn(
  world: World,
  name: string,
  type: TypeName,
  reply: UpstreamReply,
  details: AskDetails = {},
): Promise<ReadMessage> {
  const asked = await world.asks(name, type, details);
  await world.upstream.answers(reply);
  return asked.reply();
}
