/*
 * The product's own chain with the default settings, in front of an upstream that answers everything from the inputs.
 */
import { mutableLimitsOf } from "../../src/app/parts-of-settings.ts";
import { type Chain, createChain } from "../../src/resolve/create-chain.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { isTopLevelDomain } from "../../src/search/top-level-domains.ts";
import { settingsSchema } from "../../src/settings/settings-table.ts";
import { nameFromText, nameToText } from "../../src/wire/name-text.ts";
import { copyQuery } from "../../src/wire/query.ts";
import { parseReply } from "../../src/wire/reply.ts";
import { soaOf } from "../../src/wire/denial.ts";
import { clusterZone, type Lookup } from "./inputs.ts";
import { hashSeed, readLookup } from "./read-lookup.ts";

/** The moment at which everything is asked and measured: nothing expires. */
export const benchNowMs = 1000;

/** A clock that stands still at that moment, and whose timers never fire. */
export const benchClock: Clock = {
  nowMs: () => benchNowMs,
  wallMs: () => benchNowMs,
  after: () => () => {},
  pause: () => new Promise(() => {}),
  afterIo() {},
};

/** A chain whose zone has shown its schema, and whose cache holds the answers to `lookups`. */
export async function createFilledChain(lookups: readonly Lookup[]): Promise<Chain> {
  const zone = nameFromText(clusterZone) as Uint8Array;
  const replies = new Map(lookups.map((lookup) => [`${lookup.type} ${lookup.name}`, lookup.reply]));
  const limits = mutableLimitsOf(settingsSchema.parse({}));
  const chain = createChain({
    // Checks ask upstream now and then: that is not what is measured.
    limits: { ...limits, checks: { checkOneIn: 0 } },
    clock: benchClock,
    zone,
    suffixes: [],
    loopSecret: "bench",
    hashSeed,
    isTopLevelDomain,
    ask({ name, type }, tell) {
      const packet = replies.get(`${type} ${nameToText(name)}`);
      const reply = packet === undefined ? 0 : parseReply(packet.slice());
      queueMicrotask(() => tell(typeof reply === "number" ? { failure: "timeout" } : { reply }));
    },
    learnZone: async () => {},
    onRuleOff: () => {},
    isAway: () => false,
    answersAtOnce: () => true,
    routeOf: () => ({ route: "bench", transport: "udp" }),
  });
  // First: denials are shared between A and AAAA where the zone has shown that it denies names.
  chain.knowledge.noteSchema(true);
  for (const lookup of lookups) {
    const query = copyQuery(readLookup(lookup.plainQuery));
    await new Promise<void>((resolve) => {
      if (chain.resolver.resolve(query, "10.244.1.10", () => resolve()) !== "later") resolve();
    });
  }
  const denial = parseReply(lookups.find(({ reply }) => isDenial(reply))?.reply.slice() ?? new Uint8Array(0));
  const soa = typeof denial === "number" ? undefined : soaOf(denial);
  if (soa !== undefined) chain.knowledge.noteSoa(soa, benchNowMs);
  return chain;
}

function isDenial(reply: Uint8Array): boolean {
  return ((reply[3] ?? 0) & 0xf) === 3;
}
