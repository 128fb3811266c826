/*
 * Thousands of mixed questions, asked through nodens and straight at the server behind it: nothing but the TTL may differ,
 * neither when nodens has to ask nor when it remembers. See compare-replies.ts for what else is not compared, and why.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { askAll } from "../support/messages/ask-many.ts";
import { comparable, type ComparableReply, differencesOf, ttlsAbove } from "../support/messages/compare-replies.ts";
import { metricSum } from "../support/program/metric-sums.ts";
import {
  createRandom,
  type MixedQuestion,
  pickQuestions,
  shuffle,
  writeMixedZone,
} from "../support/servers/mixed-zone.ts";
import { a, buildMessage, Flags, soa, type TestMessage, Type } from "../support/messages/messages.ts";
import { type RealServer, startNamed, startUnbound } from "../support/servers/real-servers.ts";
import { describeWith } from "../support/program/requirements.ts";
import { type RunningNodens, runNodens } from "../support/program/run-nodens.ts";

const seed = 20_260_229;
const questionsPerZone = 2000;
const concurrency = 50;
const servfail = 2;
/** The cache's keys have 32 bits: of 4000 questions two share one in a run of a thousand. */
const mostClashes = 4;

const zones = {
  // Asked over TCP,
  "cluster.local": writeMixedZone("cluster.local", "host1.outside.test."),
  // and over UDP.
  "outside.test": writeMixedZone("outside.test", "host1.cluster.local."),
};

const zoneFiles = Object.fromEntries(Object.entries(zones).map(([origin, { text }]) => [origin, text]));

const servers = [
  { command: "named", start: () => startNamed(zoneFiles) },
  // unbound offers few TCP connections by default; the straight questions alone come over fifty.
  { command: "unbound", start: () => startUnbound(zoneFiles, ["incoming-num-tcp: 200"]) },
];

for (const { command, start } of servers) {
  describeWith([command], `nodens in front of ${command}`, () => {
    let server: RealServer;

    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server.close());

    test("the zones are as large and as mixed as they should be", () => {
      const counts = Object.values(zones).map(({ recordCount }) => recordCount);
      expect(Math.min(...counts)).toBeGreaterThan(2000);
    });

    describe.each(["tcp", "udp"] as const)("over %s", (protocol) => {
      const questions = ask(protocol);
      const packets = questions.map(({ packet }) => packet);

      test(`${questions.length} questions, cold and warm, have the answers of the server itself`, async () => {
        const direct = await askAll(server, protocol, packets, { concurrency });
        const rcodes = new Set(direct.map((reply) => (reply === undefined ? undefined : comparable(reply).rcode)));
        expect([...rcodes], "what the server itself answers").toEqual(expect.arrayContaining([0, 3]));
        expect([...rcodes], "what the server itself answers").not.toContain(undefined);

        const nodens = await startNodens(server);
        const cold = await askAll({ host: "127.0.0.1", port: nodens.port }, protocol, packets, { concurrency });
        const hitsBefore = await metricSum(nodens, "coredns_cache_hits_total");
        const unkept = await metricSum(nodens, "nodens_unkept_replies_total");
        const warm = await askAll({ host: "127.0.0.1", port: nodens.port }, protocol, packets, { concurrency });
        const hits = (await metricSum(nodens, "coredns_cache_hits_total")) - hitsBefore;

        expect(compareAll(questions, direct, cold), "cold").toEqual([]);
        expect(compareAll(questions, direct, warm), "warm").toEqual([]);
        expect(compareTtls(questions, direct, cold), "cold TTLs").toEqual([]);
        expect(compareTtls(questions, cold, warm), "warm TTLs").toEqual([]);
        // Every question is a different one: what was kept is found again, unless two questions clash, and the rest is little.
        const failures = direct.filter((reply) => reply !== undefined && comparable(reply).rcode === servfail).length;
        const expectedHits = questions.length - unkept - failures;
        expect(hits, "warm questions that the cache answered").toBeGreaterThanOrEqual(expectedHits - mostClashes);
        expect(expectedHits / questions.length, "share of answers that may be kept").toBeGreaterThan(0.6);
      });
    });
  });
}

test("the comparison notices a flag, a code, a record that is missing and one that changed, and a raised TTL", () => {
  const reply = (more: TestMessage) =>
    comparable(
      buildMessage({
        flags: Flags.QR | Flags.RD,
        questions: [{ name: "Web.test", type: Type.A }],
        answers: [a("web.test", "192.0.2.1", 20), a("web.test", "192.0.2.2", 20)],
        ...more,
      }),
    );
  const right = reply({});
  const changes: [TestMessage, string][] = [
    [{ flags: Flags.QR | Flags.RD | Flags.AA }, "flags"],
    [{ flags: Flags.QR | Flags.RD | 3 }, "rcode"],
    [{ questions: [{ name: "web.test", type: Type.A }] }, "question"],
    [{ answers: [a("web.test", "192.0.2.1", 20)] }, "answers"],
    [{ answers: [a("web.test", "192.0.2.1", 20), a("web.test", "192.0.2.3", 20)] }, "answers"],
    [{ authorities: [soa("test")] }, "authorities"],
    [{ opt: {} }, "opt"],
  ];
  for (const [change, part] of changes)
    expect(differencesOf(right, reply(change)).join()).toMatch(new RegExp(`^${part}:`));
  expect(
    differencesOf(right, reply({ answers: [a("WEB.test", "192.0.2.2", 5), a("web.test", "192.0.2.1", 5)] })),
  ).toEqual([]);
  expect(ttlsAbove(right, reply({ answers: [a("web.test", "192.0.2.1", 21)] }))).toHaveLength(1);
});

function ask(protocol: "udp" | "tcp"): MixedQuestion[] {
  const random = createRandom(seed);
  const ofZones = Object.entries(zones).flatMap(([origin, zone]) =>
    pickQuestions(zone, origin, questionsPerZone, random, protocol === "udp"),
  );
  return shuffle(ofZones, random);
}

async function startNodens(server: RealServer): Promise<RunningNodens> {
  // Denials live as long as they may, so that a slow machine finds them in the second round.
  const settings = { upstream: { servers: [server.address] }, cache: { maxClusterDenialTtlSeconds: 30 } };
  const nodens = await runNodens({ settings });
  onTestFinished(async () => void (await nodens.stop()));
  return nodens;
}

type Replies = readonly (Uint8Array | undefined)[];

/** Every difference, each with its question. */
function compareAll(questions: readonly MixedQuestion[], expected: Replies, actual: Replies): string[] {
  return questions.flatMap(({ text }, index) => {
    const [wanted, got] = [read(expected[index]), read(actual[index])];
    if (typeof wanted === "string" || typeof got === "string") {
      return wanted === got ? [] : [`${text}: ${describeReply(wanted)} became ${describeReply(got)}`];
    }
    // A failure is told by its code alone, in nodens's own words.
    if (wanted.rcode === servfail)
      return got.rcode === servfail ? [] : [`${text}: SERVFAIL became ${describeReply(got)}`];
    // How much of a truncated answer is given is each server's own matter, so long as it says that there is more.
    const isCut = (reply: ComparableReply) => reply.flags.includes("TC");
    const differences = differencesOf(wanted, got).filter(
      (line) => !(isCut(wanted) && isCut(got) && /^(?:answers|authorities|additionals)/.test(line)),
    );
    return differences.map((difference) => `${text}: ${difference}`);
  });
}

function compareTtls(questions: readonly MixedQuestion[], expected: Replies, actual: Replies): string[] {
  return questions.flatMap(({ text }, index) => {
    const [wanted, got] = [read(expected[index]), read(actual[index])];
    if (typeof wanted === "string" || typeof got === "string") return [];
    return ttlsAbove(wanted, got).map((difference) => `${text}: ${difference}`);
  });
}

/** A reply, or what is wrong with it. */
function read(reply: Uint8Array | undefined): ComparableReply | string {
  if (reply === undefined) return "no reply";
  try {
    return comparable(reply);
  } catch (error) {
    return `malformed: ${String(error)}`;
  }
}

function describeReply(reply: ComparableReply | string): string {
  return typeof reply === "string" ? reply : `rcode ${reply.rcode}`;
}
