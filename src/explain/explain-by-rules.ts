/*
 * What the search rules say about a lookup when no nodens is asked: what a nodens in front of a CoreDNS zone would do while it knows
 * nothing, and again once it has learned which parents are absent.
 */
import { type Chain, type ChainLimits, type ChainOptions, createChain } from "../resolve/create-chain.ts";
import type { Foresee } from "../resolve/foresee.ts";
import type { Clock } from "../runtime/clock.ts";
import { forEachInferringRule } from "../search/rules.ts";
import { isTopLevelDomain } from "../search/top-level-domains.ts";
import { RrType } from "../wire/codes.ts";
import { composeDenial, type SoaRecord } from "../wire/denial.ts";
import { isAtOrBelow } from "../wire/name.ts";
import { nameFromText } from "../wire/name-text.ts";
import { type ClientQuery, createQueryView, readQuery } from "../wire/query.ts";
import { composeQuery, ownQuestion } from "../wire/question.ts";
import { composeRecord } from "../wire/record.ts";
import { parseReply } from "../wire/reply.ts";
import { explainLookup, type Explanation } from "./explain-lookup.ts";
import type { ExplainRequest } from "./explain-request.ts";

/** The TTL that kube-dns gives its SOA; nodens's own limits are lower. */
const soaSeconds = 30;

/** Time stands still in an imagined nodens, and no timer ever fires. */
const stillClock: Clock = {
  nowMs: () => 0,
  wallMs: () => 0,
  after: () => () => {},
  pause: () => new Promise(() => {}),
  afterIo() {},
};

/**
 * Explains a lookup by the rules alone. `clusterDomain` is a name that the settings would accept; `limits` are those of the imagined
 * nodens. Never rejects.
 */
export async function explainByRules(
  request: ExplainRequest,
  clusterDomain: string,
  limits: ChainLimits,
): Promise<Explanation> {
  const zone = nameFromText(clusterDomain) ?? Uint8Array.of(0);
  const foresee = imagineChain(zone, limits).foresee;
  const state = { clusterDomain, source: "rules", rules: forEachInferringRule(() => true), foresee } as const;
  const first = explainLookup(request, state);
  const parents = first.steps
    .filter((_, index) => index !== first.likelyStep)
    .flatMap(({ queries }) => queries.flatMap(({ now }) => (now.kind === "asksParent" ? [now.parent] : [])));
  const foreseeLater = await foreseeKnowing(new Set(parents), zone, limits);
  return explainLookup(request, { ...state, foreseeLater });
}

/** What is foreseen once these parents have been asked for. */
async function foreseeKnowing(parents: ReadonlySet<string>, zone: Uint8Array, limits: ChainLimits): Promise<Foresee> {
  const chain = imagineChain(zone, limits);
  for (const parent of parents) {
    const query = queryFor(nameFromText(parent) ?? zone);
    await new Promise<void>((resolve) => {
      if (chain.resolver.resolve(query, "", () => resolve()) !== "later") resolve();
    });
  }
  return chain.foresee;
}

/** A chain that has seen the zone's schema and SOA. Its upstream denies every name. */
function imagineChain(zone: Uint8Array, limits: ChainLimits): Chain {
  const soa = soaOfZone(zone);
  const chain = createChain({
    limits,
    clock: stillClock,
    zone,
    suffixes: [],
    loopSecret: "explain",
    hashSeed: 0,
    isTopLevelDomain,
    ask: ({ name }, tell) => queueMicrotask(() => tell(denialOf(queryFor(name), soa))),
    learnZone: () => Promise.resolve(),
    onRuleOff: () => {},
    isAway: () => false,
    answersAtOnce: () => true,
    routeOf: (name) =>
      isAtOrBelow(name, zone) ? { route: "cluster", transport: "tcp" } : { route: "outside", transport: "udp" },
  });
  chain.knowledge.noteSchema(true);
  chain.knowledge.noteSoa(soa, stillClock.nowMs());
  return chain;
}

function denialOf(query: ClientQuery, soa: SoaRecord): Parameters<Parameters<ChainOptions["ask"]>[1]>[0] {
  const target = new Uint8Array(query.questionEnd + soa.octets.length + maxOptSizeBytes);
  const size = composeDenial(target, query, soa, soaSeconds, target.length);
  const reply = parseReply(target.subarray(0, size));
  return typeof reply === "number" ? { failure: "closed" } : { reply };
}

const maxOptSizeBytes = 64;

function queryFor(name: Uint8Array): ClientQuery {
  const packet = composeQuery(ownQuestion(name, RrType.A));
  const query = createQueryView(0);
  readQuery(packet, packet.length, query);
  return query;
}

/** `Z 30 IN SOA . . 0 0 0 0 30` */
function soaOfZone(zone: Uint8Array): SoaRecord {
  const data = new Uint8Array(22);
  data[data.length - 1] = soaSeconds;
  return {
    octets: composeRecord(zone, RrType.SOA, soaSeconds, data),
    ttlOffset: zone.length + 4,
    denialTtlSeconds: soaSeconds,
  };
}
