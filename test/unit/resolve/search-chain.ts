/*
 * A resolver over real parts with the search rules on, in front of an upstream that a test settles question by question.
 */
import { createAnswerCache } from "../../../src/cache/answer-cache.ts";
import { createFailureMemory } from "../../../src/cache/failure-memory.ts";
import type { Answer } from "../../../src/resolve/answer.ts";
import { createLoopGuard } from "../../../src/resolve/loop-guard.ts";
import { createResolver } from "../../../src/resolve/resolver.ts";
import { createSharedQuestions } from "../../../src/resolve/share-in-flight.ts";
import { type AbsenceLimits, createAbsences } from "../../../src/search/absences.ts";
import { laterSteps } from "../../../src/search/outside-name.ts";
import { createSearchScope } from "../../../src/search/search-scope.ts";
import { type CheckedRule, createZoneKnowledge } from "../../../src/search/zone-knowledge.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange.ts";
import { composeQuery, type Question } from "../../../src/wire/question.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { nameBytes, type ReadMessage, readMessage, soa, Type } from "../../support/messages/messages.ts";
import { nxdomain, queryFor, type QueryDetails, replyFor, type ReplySpec } from "../cache/parsed-messages.ts";

/** The mnemonics of the types that are asked here. */
export type TypeName = "A" | "AAAA" | "TXT" | "SRV" | "HTTPS";

/** What a test may set; the rest is as nodens has it by default. */
export interface ChainSettings {
  readonly checkOneIn?: number;
  readonly maxClusterDenialTtlSeconds?: number;
  readonly shortCircuit?: AbsenceLimits["shortCircuit"];
  /** Suffixes beside the cluster zone. */
  readonly suffixes?: readonly string[];
  /** False for a zone that has shown nothing, such as the older kube-dns. */
  readonly showsSchema?: boolean;
  readonly maxInFlight?: number;
  /** Whether a suffix query may be answered with the outside name (search.answerOutsideName). */
  readonly answersOutsideNames?: boolean;
}

/** How a question stands upstream: "NAME TYPE". */
type Asked = string;

/** A chain in which nothing was asked yet. The zone is cluster.local, its SOA lives for an hour. */
export type SearchChain = ReturnType<typeof createSearchChain>;

/** NXDOMAIN as the zone sends it. */
export const denial: ReplySpec = { rcode: nxdomain, authorities: [soa("cluster.local", 30, 30)] };

/** NODATA as the zone sends it. */
export const nodata: ReplySpec = { authorities: [soa("cluster.local", 30, 30)] };

/** Creates the chain. */
export function createSearchChain(settings: ChainSettings = {}) {
  const clock = createFakeClock();
  const zone = nameBytes("cluster.local");
  const cache = createAnswerCache({ answersSizeBytes: 1_000_000, denialsSizeBytes: 1_000_000, staleSeconds: 3600 });
  const failures = createFailureMemory({ firstTtlSeconds: 1, maxTtlSeconds: 5 });
  const maxWaits = { maxWaiters: 1000, maxWaitersPerQuestion: 1000, maxWaitersPerClient: 1000 };
  const shared = createSharedQuestions({ maxInFlight: settings.maxInFlight ?? 1000, ...maxWaits });
  // Chance that is none: exactly every Nth denial is checked.
  const knowledge = createZoneKnowledge({ checkOneIn: settings.checkOneIn ?? 0 }, () => 0.5);
  const maxClusterDenialTtlSeconds = settings.maxClusterDenialTtlSeconds ?? 5;
  const suffixes = (settings.suffixes ?? []).map(nameBytes);
  const isTopLevelDomain = (label: string) => label === "com";
  const limits: AbsenceLimits = {
    shortCircuit: settings.shortCircuit ?? "learned",
    exemptions: [],
    isMulticluster: false,
    maxDenialTtlSeconds: maxClusterDenialTtlSeconds,
  };
  const asked: Asked[] = [];
  const open: { asked: Asked; question: Question; settle: (result: ExchangeResult) => void }[] = [];
  const switchedOff: { rule: CheckedRule; name: string }[] = [];
  let learnings = 0;

  const resolver = createResolver({
    cache,
    failures,
    shared,
    loopGuard: createLoopGuard("5ec2e7"),
    clock,
    scope: createSearchScope([zone, ...suffixes]),
    limits: {
      maxTtlSeconds: 86_400,
      maxDenialTtlSeconds: 1800,
      maxClusterDenialTtlSeconds,
      staleAfterMs: 1800,
      prefetches: false,
      sharesDenials: settings.shortCircuit !== "off",
      answersOutsideNames: settings.answersOutsideNames ?? false,
    },
    zone,
    knowledge,
    absences: createAbsences(zone, limits, knowledge, cache.addressVerdict, isTopLevelDomain),
    laterSteps: (name) => laterSteps(name, zone, suffixes, isTopLevelDomain),
    ask: (question) =>
      new Promise((settle) => {
        const text = describe(question);
        asked.push(text);
        open.push({ asked: text, question, settle });
      }),
    learnZone: async () => void (learnings += 1),
    onRuleOff: (rule, question) => switchedOff.push({ rule, name: describe(question) }),
  });
  if (settings.showsSchema !== false) {
    knowledge.noteSchema(true);
    knowledge.noteSoa({ octets: zone, ttlOffset: 0, denialTtlSeconds: 3600 }, clock.nowMs());
  }

  /** A client asks, as it does: the cache, the rules, then the chain. Returns where the answer will be. */
  async function asks(name: string, type: TypeName = "A", details: QueryDetails = {}) {
    const query = queryFor(name, Type[type], details);
    const state: { answer: Answer | "cached" | undefined } = { answer: undefined };
    const entry = resolver.lookup(query, clock.nowMs());
    const absence = entry === undefined ? resolver.deny(query, clock.nowMs()) : undefined;
    let rcode = entry === undefined ? undefined : rcodeIn(entry);
    if (entry !== undefined) state.answer = "cached";
    else if (absence !== undefined) state.answer = { kind: "denial", soa: absence.soa, ttlSeconds: absence.ttlSeconds };
    else void Promise.resolve(resolver.resolve(query, "10.0.0.1")).then((answer) => (state.answer = answer));
    await clock.advance(0);
    return {
      isWaiting: () => state.answer === undefined,
      isCached: () => state.answer === "cached",
      /** NXDOMAIN that no message says: by a rule. Its TTL, or undefined. */
      deniedForSeconds: () =>
        typeof state.answer === "object" && state.answer.kind === "denial" ? state.answer.ttlSeconds : undefined,
      /** The code that the client sees. Throws while it waits, and for silence. */
      rcode(): number {
        if (typeof state.answer === "object") rcode = rcodeOf(state.answer);
        if (rcode === undefined) throw new Error("there is no answer");
        return rcode;
      },
      /** The message that the client gets. Throws while it waits, and for everything that is no message. */
      message(): ReadMessage {
        if (typeof state.answer !== "object" || state.answer.kind !== "message") throw new Error("there is no message");
        const { octets, sizeBytes } = state.answer.entry;
        return readMessage(octets.subarray(0, sizeBytes));
      },
      /** Whether records of the asked type came. */
      hasData: () =>
        typeof state.answer === "object" && state.answer.kind === "message" && state.answer.entry.kind === "answer",
    };
  }

  /** Upstream answers the oldest open question with this text. */
  async function answers(text: Asked, spec: ReplySpec): Promise<void> {
    const { question, settle } = take(text);
    settle({ reply: replyFor(question, spec) });
    await clock.advance(0);
  }

  /** What was tried for it was in vain. */
  async function fails(text: Asked, failure: "timeout" | "closed" = "timeout"): Promise<void> {
    take(text).settle({ failure });
    await clock.advance(0);
  }

  function take(text: Asked) {
    const index = open.findIndex((each) => each.asked === text);
    const [taken] = index < 0 ? [] : open.splice(index, 1);
    if (taken === undefined)
      throw new Error(`"${text}" is not open upstream, but ${JSON.stringify(open.map((each) => each.asked))}`);
    return taken;
  }

  return {
    asks,
    answers,
    fails,
    /** Everything that upstream was asked, in order. */
    asked,
    /** What of it is not answered yet. */
    open: () => open.map((each) => each.asked),
    switchedOff,
    learnings: () => learnings,
    clock,
    cache,
    knowledge,
    resolver,
    shared,
  };
}

function rcodeOf(answer: Answer): number {
  if (answer.kind === "dropped") throw new Error(`dropped: ${answer.reason}`);
  if (answer.kind === "message") return rcodeIn(answer.entry);
  return answer.kind === "denial" ? nxdomain : answer.rcode;
}

function rcodeIn({ octets }: { readonly octets: Uint8Array }): number {
  return (octets[3] ?? 0) & 0xf;
}

function describe(question: Question): Asked {
  const [{ name, type } = { name: "", type: 0 }] = readMessage(composeQuery(question)).questions;
  const typeName = Object.entries(Type).find(([, value]) => value === type)?.[0] ?? String(type);
  return `${name} ${typeName}`;
}
