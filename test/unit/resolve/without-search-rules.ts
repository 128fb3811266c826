/* The parts of a resolver whose zone has shown nothing, so that no search rule acts. */
import type { AnswerCache } from "../../../src/cache/answer-cache.ts";
import { createAbsences } from "../../../src/search/absences.ts";
import { createZoneKnowledge } from "../../../src/search/zone-knowledge.ts";
import { nameBytes } from "../../support/messages/messages.ts";

/** What createResolver needs of the search rules. */
export function withoutSearchRules(cache: AnswerCache) {
  const zone = nameBytes("cluster.local");
  const knowledge = createZoneKnowledge({ checkOneIn: 0 });
  const limits = { shortCircuit: "off", exemptions: [], isMulticluster: false, maxDenialTtlSeconds: 5 } as const;
  return {
    zone,
    knowledge,
    absences: createAbsences(zone, limits, knowledge, cache.addressVerdict, () => false),
    laterSteps: () => undefined,
    learnZone: async () => {},
    onRuleOff() {
      throw new Error("no rule acts here");
    },
  };
}
