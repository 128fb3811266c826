/*
 * What the search rules say of a lookup when nobody is asked: a nodens with default settings in front of a CoreDNS zone, which knows
 * nothing yet, and once more when it knows which parents are absent.
 */
import { createAnswerCache } from "../cache/answer-cache.ts";
import { createFailureMemory } from "../cache/failure-memory.ts";
import { createForesight, type Foresee } from "../resolve/foresee.ts";
import { createLoopGuard } from "../resolve/loop-guard.ts";
import { createSharedQuestions } from "../resolve/share-in-flight.ts";
import { createAbsences } from "../search/absences.ts";
import { createSearchScope } from "../search/search-scope.ts";
import { isTopLevelDomain } from "../search/top-level-domains.ts";
import { createZoneKnowledge } from "../search/zone-knowledge.ts";
import { isAtOrBelow } from "../wire/name.ts";
import { nameFromText, nameToText } from "../wire/name-text.ts";
import { explainLookup, type Explanation } from "./explain-lookup.ts";
import type { ExplainRequest } from "./explain-request.ts";

/** Longest life of a denial of a cluster name by default. */
const denialTtlSeconds = 5;

/** Explains a lookup by the rules alone. `clusterDomain` is a name that settings would accept. */
export function explainByRules(request: ExplainRequest, clusterDomain: string): Explanation {
  const zone = nameFromText(clusterDomain) ?? Uint8Array.of(0);
  const state = { clusterDomain, source: "rules", rules: { schema: true, learned: true }, nowMs: 0 } as const;
  const first = explainLookup(request, { ...state, foresee: foreseeWith(zone, new Set()) });
  const parents = first.steps
    .filter((_, index) => index !== first.likelyStep)
    .flatMap(({ queries }) => queries.map(({ now }) => (now.kind === "asksParent" ? now.parent : undefined)));
  const absent = new Set(parents.filter((parent) => parent !== undefined));
  return explainLookup(request, {
    ...state,
    foresee: foreseeWith(zone, new Set()),
    foreseeLater: foreseeWith(zone, absent),
  });
}

function foreseeWith(zone: Uint8Array, absentParents: ReadonlySet<string>): Foresee {
  const knowledge = createZoneKnowledge({ checkOneIn: 0 });
  knowledge.noteSchema(true);
  knowledge.noteSoa({ octets: zone, ttlOffset: 0, denialTtlSeconds }, 0);
  const limits = {
    shortCircuit: "learned",
    exemptions: [],
    isMulticluster: false,
    maxDenialTtlSeconds: denialTtlSeconds,
  } as const;
  const absences = createAbsences(
    zone,
    limits,
    knowledge,
    ({ name }, offset) =>
      absentParents.has(nameToText(name.octets.subarray(offset, name.sizeBytes))) ? denialTtlSeconds : 0,
    isTopLevelDomain,
  );
  return createForesight({
    cache: createAnswerCache({ answersSizeBytes: 1, denialsSizeBytes: 1, staleSeconds: 0 }),
    failures: createFailureMemory({ firstTtlSeconds: 1, maxTtlSeconds: 1 }),
    shared: createSharedQuestions({ maxInFlight: 1, maxWaiters: 1, maxWaitersPerQuestion: 1, maxWaitersPerClient: 1 }),
    loopGuard: createLoopGuard("explain"),
    scope: createSearchScope([zone]),
    absences,
    limits: { answersOutsideNames: false, sharesDenials: true },
    laterSteps: () => undefined,
    routeOf: (name) =>
      isAtOrBelow(name, zone) ? { route: "cluster", transport: "tcp" } : { route: "outside", transport: "udp" },
    hashSeed: 0,
  });
}
