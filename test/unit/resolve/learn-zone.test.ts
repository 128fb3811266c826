import { describe, expect, test } from "vitest";
import { learnUntilShown, learnZone } from "../../../src/resolve/learn-zone.ts";
import { createNameDenials } from "../../../src/search/name-denials.ts";
import { createZoneKnowledge } from "../../../src/search/zone-knowledge.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange-state.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import type { Question } from "../../../src/wire/question.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { a, nameBytes, soa, txt, Type } from "../../support/messages/messages.ts";
import { nxdomain, replyFor, type ReplySpec } from "../../support/messages/parsed-messages.ts";

const zone = nameBytes("cluster.local");
const versionName = "dns-version.cluster.local";
const shown: ReplySpec = { answers: [txt(versionName, "1.1.0", 28_800)] };
const denied: ReplySpec = { rcode: nxdomain, authorities: [soa("cluster.local", 30, 30)] };
const silence = { failure: "timeout" } as const;

/** What the zone says to each of the two questions: a reply, or a failure. */
interface Script {
  readonly txt: ReplySpec | typeof silence;
  readonly a: ReplySpec | typeof silence;
}

/** Lets nodens learn the zone, once for each script, with one memory. */
async function learn(...scripts: Script[]) {
  const clock = createFakeClock();
  const knowledge = createZoneKnowledge({ checkOneIn: 64 });
  const nameDenials = createNameDenials([zone], knowledge, clock.nowMs);
  const asked: Question[] = [];
  for (const script of scripts) {
    const ask = (question: Question): Promise<ExchangeResult> => {
      asked.push(question);
      const said = question.type === Type.TXT ? script.txt : script.a;
      return Promise.resolve("failure" in said ? said : { reply: replyFor(question, said) });
    };
    await learnZone(zone, { knowledge, nameDenials, askOwn: ask, clock });
  }
  return { knowledge, nameDenials, asked, nowMs: clock.nowMs() };
}

test("asks the zone for its schema version, and for something that it denies", async () => {
  const { asked } = await learn({ txt: shown, a: denied });
  expect(asked.map(({ name, type }) => `${nameToText(name)} ${type}`)).toEqual([
    `${nameToText(nameBytes(versionName))} ${Type.TXT}`,
    `${nameToText(nameBytes(versionName))} ${Type.A}`,
  ]);
  expect(asked.every((question) => question.recursionDesired && question.class === 1)).toBe(true);
});

test("a zone that shows both enables both rules", async () => {
  const { knowledge, nowMs } = await learn({ txt: shown, a: denied });
  expect(knowledge.hasSchema()).toBe(true);
  expect(knowledge.soa()?.denialTtlSeconds).toBe(30);
  expect(knowledge.mayUse("absentBySchema", nowMs)).toBe(true);
  expect(knowledge.mayUse("absentParent", nowMs)).toBe(true);
});

describe("the schema is not shown by", () => {
  test.each<[string, ReplySpec]>([
    ["NXDOMAIN, as the older kube-dns says", { rcode: nxdomain, authorities: [soa("cluster.local", 60, 60)] }],
    ["NODATA", { authorities: [soa("cluster.local")] }],
    ["an answer of another type", { answers: [a(versionName, "10.0.0.1")] }],
    ["text beside NXDOMAIN", { rcode: nxdomain, answers: [txt(versionName, "1.1.0")] }],
  ])("%s", async (_, said) => {
    const { knowledge, nowMs } = await learn({ txt: said, a: denied });
    expect(knowledge.hasSchema()).toBe(false);
    expect(knowledge.mayUse("absentParent", nowMs)).toBe(false);
    expect(knowledge.mayUse("absentBySchema", nowMs)).toBe(false);
  });

  test.each<[string, Script["txt"]]>([
    ["SERVFAIL", { rcode: 2 }],
    ["REFUSED", { rcode: 5 }],
    ["silence", silence],
  ])("%s, which leaves what was known", async (_, said) => {
    expect((await learn({ txt: said, a: denied })).knowledge.hasSchema()).toBe(false);
    expect((await learn({ txt: shown, a: denied }, { txt: said, a: denied })).knowledge.hasSchema()).toBe(true);
  });

  test("a zone that showed it before: what upstream says now is what counts", async () => {
    const older: ReplySpec = { rcode: nxdomain, authorities: [soa("cluster.local")] };
    expect((await learn({ txt: shown, a: denied }, { txt: older, a: denied })).knowledge.hasSchema()).toBe(false);
  });
});

describe("the SOA", () => {
  test("comes from NODATA as well: a server other than CoreDNS has the name, for TXT", async () => {
    const { knowledge } = await learn({ txt: shown, a: { authorities: [soa("cluster.local", 20, 20)] } });
    expect(knowledge.soa()?.denialTtlSeconds).toBe(20);
  });

  test("is not taken from another zone: the root denies a zone that nobody serves", async () => {
    for (const owner of [".", "local", "x.cluster.local"]) {
      const { knowledge } = await learn({ txt: shown, a: { rcode: nxdomain, authorities: [soa(owner, 900, 900)] } });
      expect(knowledge.soa(), owner).toBeUndefined();
    }
  });

  test.each<[string, Script["a"]]>([
    ["SERVFAIL", { rcode: 2, authorities: [soa("cluster.local")] }],
    ["a denial without one", { rcode: nxdomain }],
    ["silence", silence],
  ])("does not come from %s, which leaves the one that was known", async (_, said) => {
    expect((await learn({ txt: shown, a: said })).knowledge.soa()).toBeUndefined();
    expect((await learn({ txt: shown, a: denied }, { txt: shown, a: said })).knowledge.soa()).toBeDefined();
  });
});

describe("that the zone denies names and not types is shown by", () => {
  test.each<[string, Script]>([
    ["its schema", { txt: shown, a: denied }],
    ["NODATA for an address", { txt: denied, a: {} }],
  ])("%s", async (_, script) => {
    expect((await learn(script)).nameDenials.areShownFor(zone)).toBe(true);
  });

  test.each<[string, Script]>([
    ["NXDOMAIN, as the older kube-dns says", { txt: denied, a: denied }],
    ["silence", { txt: silence, a: silence }],
    ["an address", { txt: denied, a: { answers: [a(versionName, "10.0.0.1")] } }],
  ])("and not by %s", async (_, script) => {
    expect((await learn(script)).nameDenials.areShownFor(zone)).toBe(false);
  });
});

describe("until the schema is shown", () => {
  /** Answers each question for the schema in turn; undefined is silence. Returns how often it was asked. */
  async function learnInTurn(said: (ReplySpec | undefined)[], waits: number[], isOver = () => false) {
    const clock = createFakeClock();
    const knowledge = createZoneKnowledge({ checkOneIn: 64 });
    let asked = 0;
    const ask = (question: Question): Promise<ExchangeResult> => {
      if (question.type !== Type.TXT) return Promise.resolve(silence);
      const spec = said[asked];
      asked += 1;
      return Promise.resolve(spec === undefined ? silence : { reply: replyFor(question, spec) });
    };
    void learnUntilShown(zone, { knowledge, nameDenials: { noteNoData() {} }, askOwn: ask, clock }, isOver);
    const counts: number[] = [];
    for (const wait of [0, ...waits]) {
      await clock.advance(wait);
      counts.push(asked);
    }
    return { counts, knowledge };
  }

  test("a zone that does not answer is asked again every ten seconds", async () => {
    const { counts, knowledge } = await learnInTurn([undefined, undefined, shown], [9999, 1, 10_000, 3_600_000]);
    expect(counts).toEqual([1, 1, 2, 3, 3]);
    expect(knowledge.hasSchema()).toBe(true);
  });

  test("a zone that has none is asked again every ten minutes: it may be upgraded", async () => {
    const { counts } = await learnInTurn([{ rcode: nxdomain }, shown], [599_999, 1, 3_600_000]);
    expect(counts).toEqual([1, 1, 2, 2]);
  });

  test("nothing is asked any more once it is over", async () => {
    let isOver = false;
    const learning = learnInTurn([undefined, undefined], [10_000], () => isOver);
    isOver = true;
    expect((await learning).counts).toEqual([1, 1]);
  });
});
