/*
 * Paths that fail, and questions that get through all the same: the real upstream over a simulated network, on a fake clock.
 */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { mutableLimitsOf } from "../../src/app/parts-of-settings.ts";
import { createQuestionSchedule } from "../../src/resolve/schedule-questions.ts";
import { defaultSettings } from "../../src/settings/settings-table.ts";
import { ownQuestion, questionKey } from "../../src/wire/question.ts";
import { a, nameBytes, replyTo, Type } from "../support/messages/messages.ts";
import type { SimulatedFlow, SimulatedQuery } from "../support/network/simulated-network.ts";
import {
  answersAfter,
  answersWith,
  type AskedUpstream,
  createPod,
  createUpstreamWorld,
  seededRandom,
  type UpstreamWorld,
} from "../support/network/upstream-world.ts";

const names = (count: number, zone: string) => Array.from({ length: count }, (_, index) => `n${index}.${zone}`);
const cluster = "default.svc.cluster.local";
const outside = "example.com";
const zoneOf = { tcp: cluster, udp: outside };

const slowerThan = (asked: readonly AskedUpstream[], ms: number) =>
  asked.filter((each) => (each.tookMs() ?? Infinity) > ms);
const unanswered = (asked: readonly AskedUpstream[]) =>
  asked.filter((each) => !each.outcome().startsWith("10.")).map((each) => each.outcome());
const sendsOf = (asked: readonly AskedUpstream[]) => asked.reduce((sum, each) => sum + each.arrivals().length, 0);
const percentile = (asked: readonly AskedUpstream[], share: number) =>
  asked.map((each) => each.tookMs() ?? Infinity).toSorted((x, y) => x - y)[Math.floor(share * (asked.length - 1))];

/** The flows that questions of a zone went over, those of nodens's own left out. */
function flowsUsed(world: UpstreamWorld, zone: string): Set<SimulatedFlow> {
  return new Set(world.network.received.filter(({ name }) => name.endsWith(zone)).map(({ flow }) => flow));
}

function openFlowsOf(world: UpstreamWorld, transport: "udp" | "tcp"): SimulatedFlow[] {
  return world.openFlows().filter((flow) => flow.transport === transport);
}

describe.each(["udp", "tcp"] as const)("a flow that goes silent (%s)", (transport) => {
  const zone = zoneOf[transport];

  test("is left within 100 ms, and what it owes is answered by another", async () => {
    const world = createUpstreamWorld({ servers: [[createPod()]] });
    await world.askInTurn(names(10, zone), 5);
    for (const flow of openFlowsOf(world, transport)) flow.isDead = true;
    const asked = await world.askInTurn(names(10, `after.${zone}`), 50);
    expect(unanswered(asked)).toEqual([]);
    expect(slowerThan(asked, 200)).toHaveLength(0);
    expect(slowerThan(asked, 20).length).toBeLessThanOrEqual(2);
    expect(world.count(({ silentFlows }) => silentFlows[transport])).toBeGreaterThan(0);
  });

  test("takes all its questions along", async () => {
    const world = createUpstreamWorld({ servers: [[createPod()]] });
    await world.askInTurn(names(10, zone), 5);
    for (const flow of openFlowsOf(world, transport)) flow.isDead = true;
    const asked = names(20, `burst.${zone}`).map((name) => world.ask(name));
    await world.clock.advance(200);
    expect(unanswered(asked)).toEqual([]);
  });

  test("is given up though it answers what nodens itself asks, when clients' questions stay without an answer", async () => {
    const dead = new Set<SimulatedFlow>();
    const pod = createPod("10.0.0.1", (query) =>
      dead.has(query.flow) && query.name.endsWith(zone) ? undefined : answersWith("10.0.0.1")(query),
    );
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askInTurn(names(10, zone), 5);
    for (const flow of world.openFlows()) dead.add(flow);
    const asked = await world.askInTurn(names(20, `after.${zone}`), 200);
    expect(unanswered(asked)).toEqual([]);
    expect(slowerThan(asked, 500).length).toBeLessThanOrEqual(1);
    expect(slowerThan(asked.slice(10), 30)).toHaveLength(0);
  });
});

describe("one of two pods behind the address goes without a word", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("lookups do not notice (%i)", async (seed) => {
    const pods = [createPod(), createPod()];
    const world = createUpstreamWorld({ servers: [pods], random: seededRandom(seed) });
    await world.askSteadily(names(200, cluster), 10);
    pods[0]!.isSilent = true;
    const asked = await world.askSteadily(names(500, `after.${cluster}`), 10);
    expect(unanswered(asked)).toEqual([]);
    expect(slowerThan(asked, 1000)).toHaveLength(0);
    expect(percentile(asked, 0.99)).toBeLessThanOrEqual(200);
  });

  test("nobody notices after the first second", async () => {
    const pods = [createPod(), createPod()];
    const world = createUpstreamWorld({ servers: [pods] });
    await world.askSteadily(names(200, cluster), 10);
    pods[0]!.isSilent = true;
    world.network.place("10.96.0.10", [pods[1]!]);
    const asked = await world.askSteadily(names(500, `after.${cluster}`), 10);
    expect(slowerThan(asked.slice(100), 30)).toHaveLength(0);
  });
});

describe("20 % of the packets are lost each way", () => {
  const zones = { "cluster names": [cluster], "outside names": [outside], "both kinds of names": [cluster, outside] };
  const mixed = (count: number, prefix: string, [first, second = first]: readonly string[]) =>
    names(count, prefix).map((name, index) => `${name}.${index % 2 === 0 ? first : second}`);
  const cases = Object.keys(zones).flatMap((kind) => [1, 2, 3, 4, 5].map((seed) => [kind, seed] as const));

  test.each(cases)(
    "%s: half take 2 ms at most, 90 of 100 take 120 ms, 99 take 600 ms, one of 500 is late (%i)",
    async (kind, seed) => {
      const random = seededRandom(seed);
      const jitter = vi.spyOn(Math, "random").mockImplementation(random);
      onTestFinished(() => jitter.mockRestore());
      const world = createUpstreamWorld({ servers: [[createPod(), createPod()]], random });
      const zone = zones[kind as keyof typeof zones];
      await world.askSteadily(mixed(300, "warm", zone), 10);
      world.network.faults.loss = 0.2;
      const asked = await world.askSteadily(mixed(1519, "lossy", zone), 10);
      const lost = asked.filter((each) => (each.tookMs() ?? Infinity) > 2000 || !each.outcome().startsWith("10."));
      expect(percentile(asked, 0.5)).toBeLessThanOrEqual(2);
      expect(percentile(asked, 0.9)).toBeLessThanOrEqual(120);
      expect(percentile(asked, 0.99)).toBeLessThanOrEqual(600);
      expect(lost.length).toBeLessThanOrEqual(3);
      expect(world.network.flows.length).toBeLessThanOrEqual(80);
    },
  );

  test("once that is over, cluster names are asked over TCP again after ten seconds", async () => {
    const world = createUpstreamWorld({ servers: [[createPod(), createPod()]] });
    await world.askSteadily(mixed(50, "warm", [cluster]), 10);
    world.network.faults.loss = 0.2;
    const lossy = await world.askSteadily(mixed(300, "lossy", [cluster]), 10);
    world.network.faults.loss = 0;
    await world.clock.advance(10_000);
    const after = await world.askInTurn(mixed(20, "after", [cluster]), 50);
    const firstOver = (asked: readonly AskedUpstream[]) =>
      new Set(asked.map((each) => each.arrivals()[0]?.transport).filter((transport) => transport !== undefined));
    expect(firstOver(lossy.slice(100))).toContain("udp");
    expect(firstOver(after)).toEqual(new Set(["tcp"]));
  });

  test("a connection that a slow name holds up is not taken for a loss", async () => {
    const slow = createPod("10.0.0.1", (query) =>
      query.name.startsWith("slow") ? answersAfter(700)(query) : answersWith("10.0.0.1")(query),
    );
    const world = createUpstreamWorld({ servers: [[slow]] });
    const some = names(300, cluster).map((name, index) => (index % 25 === 0 ? `slow-${name}` : name));
    const asked = await world.askSteadily(some, 20);
    expect(unanswered(asked)).toEqual([]);
    const servers = world.upstream.routes.flatMap((route) => route.servers);
    expect(servers.filter(({ earlySends }) => earlySends.areHelping())).toEqual([]);
  });

  test("names that are slow are not taken for lost packets: no connection is opened for them", async () => {
    const slow = createPod("10.0.0.1", (query) =>
      query.name.startsWith("slow") ? answersAfter(700)(query) : answersWith("10.0.0.1")(query),
    );
    const world = createUpstreamWorld({ servers: [[slow]] });
    const some = names(300, outside).map((name, index) => (index % 10 === 0 ? `slow-${name}` : name));
    const asked = await world.askSteadily(some, 10);
    expect(unanswered(asked)).toEqual([]);
    expect(world.network.flows.filter(({ transport }) => transport === "tcp")).toEqual([]);
  });
});

describe("more cluster names than connections carry", () => {
  /** One client asks through the queue in front of the route. */
  function createAsker({ upstream, clock }: UpstreamWorld) {
    const schedule = createQuestionSchedule({
      limits: mutableLimitsOf(defaultSettings()).schedule,
      clock,
      shed: new Map(),
      routeOf: () => ({ route: "cluster", transport: "tcp" }),
      answersAtOnce: upstream.answersAtOnce,
      ask: upstream.ask,
    });
    /** How long the answers took, the quickest first. */
    return async (asked: readonly string[], everyMs: number): Promise<number[]> => {
      const tookMs: number[] = [];
      for (const name of asked) {
        const question = ownQuestion(nameBytes(name), Type.A);
        const startMs = clock.nowMs();
        schedule.ask(question, questionKey(question), { class: "client", client: "10.0.0.1" }, (result) => {
          if ("reply" in result) tookMs.push(clock.nowMs() - startMs);
        });
        await clock.advance(everyMs);
      }
      await clock.advance(5000);
      return tookMs.toSorted((one, other) => one - other);
    };
  }

  test.each([1, 50])(
    "go over UDP too: one client's 5,000 a second to a server that takes %i ms for each on a connection are answered in time",
    async (takesMs) => {
      const world = createUpstreamWorld({ servers: [[createPod("10.0.0.1", answersAfter(takesMs))]] });
      await world.askInTurn(names(10, cluster));
      const ask = createAsker(world);
      await ask(names(1000, `first.${cluster}`), 0.2);
      const tookMs = await ask(names(1000, `then.${cluster}`), 0.2);
      expect(tookMs).toHaveLength(1000);
      expect(tookMs[990]).toBeLessThanOrEqual(takesMs + 3);
      expect(openFlowsOf(world, "tcp").length).toBeGreaterThan(0);
      expect(world.openFlows().length).toBeLessThanOrEqual(5);
    },
  );

  test("wait their turn on the connections where UDP is closed", async () => {
    const pod = createPod("10.0.0.1", answersAfter(1));
    pod.ports.udp = "silent";
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askInTurn(names(10, cluster));
    const tookMs = await createAsker(world)(names(500, `then.${cluster}`), 1);
    expect(tookMs).toHaveLength(500);
    expect(world.network.received.filter(({ transport }) => transport === "udp")).toHaveLength(0);
  });

  test("while they are few, all go over TCP, and no UDP socket is opened", async () => {
    const world = createUpstreamWorld({ servers: [[createPod("10.0.0.1", answersAfter(1))]] });
    await world.askInTurn(names(10, cluster));
    for (let turn = 0; turn < 50; turn += 1) {
      for (const type of ["a", "b"]) world.ask(`${type}${turn}.${cluster}`);
      await world.clock.advance(20);
    }
    expect(world.network.flows.filter(({ transport }) => transport === "udp")).toHaveLength(0);
  });
});

describe("waiting", () => {
  test("a server that takes a second is not sent everything twice", async () => {
    const world = createUpstreamWorld({ servers: [[createPod("10.0.0.1", answersAfter(1000))]] });
    const asked = await world.askInTurn(names(20, outside), 100);
    expect(unanswered(asked)).toEqual([]);
    expect(sendsOf(asked)).toBeLessThanOrEqual(25);
  });

  test("a slow name is asked once, while its flow answers others", async () => {
    const pod = createPod("10.0.0.1", (query) =>
      query.name.startsWith("slow") ? answersAfter(150)(query) : answersWith("10.0.0.1")(query),
    );
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askInTurn(names(10, outside), 5);
    const slow = world.ask(`slow.${outside}`);
    await world.clock.advance(300);
    expect(slow.outcome()).toBe("10.0.0.1");
    expect(slow.arrivals()).toHaveLength(1);
  });

  test("early sends stop where the budget ends", async () => {
    const pod = createPod("10.0.0.1", (query) =>
      query.name.startsWith("slow") ? answersAfter(600)(query) : answersWith("10.0.0.1")(query),
    );
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askInTurn(names(50, outside), 5);
    const mixed = names(400, outside).map((name, index) => (index % 2 === 0 ? `slow.${name}` : `quick.${name}`));
    const asked = await world.askSteadily(mixed, 10);
    const slow = asked.filter(({ name }) => name.startsWith("slow"));
    expect(unanswered(asked)).toEqual([]);
    expect(sendsOf(slow)).toBeLessThanOrEqual(slow.length + 120);
    expect(world.count(({ earlySends }) => earlySends.overBudget)).toBeGreaterThan(0);
  });

  test("a slow name on a connection does not hold up those behind it", async () => {
    const pod = createPod("10.0.0.1", (query) =>
      query.name.startsWith("slow") ? answersAfter(2000)(query) : answersWith("10.0.0.1")(query),
    );
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askInTurn(names(10, cluster), 5);
    world.ask(`slow.${cluster}`);
    await world.clock.advance(1);
    const asked = await world.askSteadily(names(50, `behind.${cluster}`), 10);
    expect(unanswered(asked)).toEqual([]);
    expect(slowerThan(asked, 200)).toHaveLength(0);
  });
});

describe("flows that cannot be opened", () => {
  test.each(["exhausted", "unreachable"] as const)("cost nothing while an open one works (%s)", async (reason) => {
    for (const zone of [cluster, outside]) {
      const pod = createPod("10.0.0.1", (query) =>
        query.name.startsWith("hang") ? undefined : answersWith("10.0.0.1")(query),
      );
      const world = createUpstreamWorld({ servers: [[pod]] });
      await world.askInTurn([`warm.${zone}`]);
      world.network.faults.openFails = reason;
      world.ask(`hang.${zone}`);
      await world.clock.advance(300);
      const asked = await world.askInTurn(names(10, zone), 100);
      expect(unanswered(asked)).toEqual([]);
      expect(slowerThan(asked, 20)).toHaveLength(0);
    }
  });

  test("one packet that cannot be sent ends no flow", async () => {
    const world = createUpstreamWorld({ servers: [[createPod("10.0.0.1", answersAfter(20))]] });
    await world.askInTurn(names(3, outside), 5);
    const flows = openFlowsOf(world, "udp");
    const waiting = world.ask(`waiting.${outside}`);
    await world.clock.advance(1);
    world.network.faults.sendFails = "exhausted";
    const refused = world.ask(`refused.${outside}`);
    await world.clock.advance(5);
    world.network.faults.sendFails = undefined;
    await world.clock.advance(1000);
    expect([waiting, refused].map((each) => each.outcome())).toEqual(["10.0.0.1", "10.0.0.1"]);
    expect(waiting.arrivals()).toHaveLength(1);
    expect(flows.every(({ isClosed }) => !isClosed)).toBe(true);
  });
});

describe("a transport that does not work", () => {
  test.each(["closed", "silent"] as const)("TCP %s: cluster names go over UDP", async (port) => {
    const pod = createPod();
    pod.ports.tcp = port;
    const world = createUpstreamWorld({ servers: [[pod]] });
    const [first, ...others] = await world.askInTurn(names(20, cluster), 100);
    expect(first?.tookMs()).toBeLessThan(1000);
    expect(unanswered(others)).toEqual([]);
    expect(slowerThan(others, 20)).toHaveLength(0);
    expect(world.count(({ failedTransports }) => failedTransports.tcp)).toBeGreaterThan(0);
  });

  test("is tried again in the background, and used once it works", async () => {
    const pod = createPod();
    pod.ports.tcp = "closed";
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askInTurn(names(20, cluster), 100);
    pod.ports.tcp = "open";
    await world.clock.advance(10_000);
    await world.askInTurn(names(5, `again.${cluster}`), 100);
    const [last] = await world.askInTurn([`last.${cluster}`]);
    expect(last?.arrivals().map(({ transport }) => transport)).toEqual(["tcp"]);
  });

  test.each(["closed", "silent"] as const)("truncated, and TCP is %s: the client is told promptly", async (port) => {
    const pod = createPod("10.0.0.1", ({ bytes, transport }) =>
      transport === "udp" ? replyTo(bytes, { flags: 0x8200 }) : undefined,
    );
    pod.ports.tcp = port;
    const world = createUpstreamWorld({ servers: [[pod]] });
    const [first, ...others] = await world.askInTurn(names(10, outside), 200);
    expect(first?.outcome()).toBe("truncated");
    expect(first?.tookMs()).toBeLessThanOrEqual(1000);
    expect(others.every((each) => each.outcome() === "truncated")).toBe(true);
    expect(slowerThan(others, 20)).toHaveLength(0);
  });
});

/** A reply made of the query's own octets. */
function rawReply(
  { bytes }: SimulatedQuery,
  flags: number,
  counts: readonly number[],
  size = bytes.length,
): Uint8Array {
  const reply = bytes.slice(0, size);
  [flags, ...counts].forEach((word, index) => {
    reply[2 + 2 * index] = word >> 8;
    reply[3 + 2 * index] = word & 0xff;
  });
  return reply;
}

describe("what a connected flow says is an answer", () => {
  test.each([
    ["FORMERR", 1],
    ["SERVFAIL", 2],
    ["NOTIMP", 4],
    ["REFUSED", 5],
  ])("a bare %s in answer to EDNS: the plain question follows at once", async (_, rcode) => {
    const pod = createPod("10.0.0.1", (query) =>
      query.hasOpt && query.name.endsWith(outside)
        ? rawReply(query, 0x8180 | rcode, [0, 0, 0, 0], 12)
        : answersWith("10.0.0.1")(query),
    );
    const world = createUpstreamWorld({ servers: [[pod]] });
    const asked = await world.askInTurn(names(10, outside), 10);
    expect(unanswered(asked)).toEqual([]);
    expect(slowerThan(asked, 10)).toHaveLength(0);
    expect(sendsOf(asked)).toBeLessThanOrEqual(12);
  });

  test.each([
    ["with TC", 0x8380],
    ["without TC", 0x8180],
  ])("a reply cut inside a record, %s: asked over TCP", async (_, flags) => {
    const pod = createPod("10.0.0.1", (query) => {
      const whole = answersWith("10.0.0.1")(query) as Uint8Array;
      if (query.transport === "tcp" || !query.name.endsWith(outside)) return whole;
      return rawReply({ ...query, bytes: whole }, flags, [1, 40, 0, 0], whole.length - 20);
    });
    const world = createUpstreamWorld({ servers: [[pod]] });
    const [asked] = await world.askInTurn([`a.${outside}`]);
    expect(asked?.outcome()).toBe("10.0.0.1");
    expect(asked?.tookMs()).toBeLessThan(20);
    expect(asked?.arrivals().map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
  });

  test("a reply that cannot be read over TCP: the next server", async () => {
    const broken = createPod("10.0.0.1", (query) => {
      const whole = answersWith("10.0.0.1")(query) as Uint8Array;
      return query.name.startsWith("bad") ? whole.slice(0, -20) : whole;
    });
    const world = createUpstreamWorld({ servers: [[broken], [createPod("10.0.0.2")]] });
    const [asked] = await world.askInTurn([`bad.${cluster}`]);
    expect(asked?.outcome()).toBe("10.0.0.2");
    expect(asked?.tookMs()).toBeLessThan(20);
  });
});

describe("a server that ends connections with questions unread", () => {
  test.each<[string, number, boolean]>([
    ["by a broken frame, for one name in ten", 10, false],
    ["by a broken frame, for one name in five, once for each", 5, true],
    ["by FIN, for one name in ten", 10, false],
  ])("%s: no other question is lost", async (how, oneIn, onlyOnce) => {
    const right = answersAfter(20);
    const broken = new Set<string>();
    const pod = createPod("10.0.0.1", (query) => {
      const { name, transport, flow } = query;
      const isAnswered = !name.startsWith("breaks") || transport === "udp" || (onlyOnce && broken.has(name));
      if (isAnswered) return right(query);
      broken.add(name);
      if (how.includes("frame")) return [{ message: new Uint8Array(3), afterMs: 20 }];
      flow.closeByServer();
      return undefined;
    });
    const world = createUpstreamWorld({ servers: [[pod]], random: seededRandom(3) });
    const labels = Array.from({ length: 400 }, (_, index) => `${index % oneIn === 0 ? "breaks" : "other"}${index}`);
    const asked = await world.askSteadily(
      labels.map((label) => `${label}.default.svc.cluster.local`),
      5,
    );
    const others = asked.filter(({ name }) => name.startsWith("other"));
    expect(broken.size).toBeGreaterThan(2);
    expect(others.filter((each) => each.outcome() !== "10.0.0.1")).toEqual([]);
  });
});

describe("EDNS that does not get through", () => {
  const withError = (query: SimulatedQuery, rcode: number, more: object) => replyTo(query.bytes, { rcode, ...more });
  test.each([
    ["FORMERR with OPT", (query: SimulatedQuery) => withError(query, 1, { opt: {} })],
    ["FORMERR", (query: SimulatedQuery) => withError(query, 1, {})],
    ["NOTIMP", (query: SimulatedQuery) => withError(query, 4, {})],
    [
      "OPT among the answers",
      ({ bytes, name }: SimulatedQuery) =>
        replyTo(bytes, {
          answers: [a(name, "10.9.9.9"), { name: ".", type: 41, class: 1232, ttl: 0, data: new Uint8Array(0) }],
        }),
    ],
  ])("%s: one plain question, and it is remembered", async (_, toEdns) => {
    const pod = createPod("10.0.0.1", (query) => (query.hasOpt ? toEdns(query) : answersWith("10.0.0.1")(query)));
    const world = createUpstreamWorld({ servers: [[pod]] });
    const asked = await world.askInTurn(names(40, outside), 10);
    expect(unanswered(asked)).toEqual([]);
    expect(sendsOf(asked)).toBeLessThanOrEqual(42);
    const flags = asked.at(-1)?.arrivals()[0]?.flags ?? 0;
    expect(flags & 0x0020).toBe(0);
    expect(world.count(({ ednsDropped }) => ednsDropped)).toBe(1);
  });

  test("silence: the flow is asked plainly, and it is remembered", async () => {
    const pod = createPod("10.0.0.1", (query) => (query.hasOpt ? undefined : answersWith("10.0.0.1")(query)));
    const world = createUpstreamWorld({ servers: [[pod]] });
    void world.upstream.probeAll();
    await world.clock.advance(3000);
    const asked = await world.askInTurn(names(40, outside), 100);
    expect(unanswered(asked.slice(1))).toEqual([]);
    expect(slowerThan(asked.slice(2), 20)).toHaveLength(0);
    expect(sendsOf(asked.slice(2))).toBeLessThanOrEqual(38);
  });

  test.each([
    ["says FORMERR", (query: SimulatedQuery) => withError(query, 1, {})],
    ["is silent", () => undefined],
  ])("is tried again by nodens itself, so that no client waits while the server still %s", async (_, toEdns) => {
    const pod = createPod("10.0.0.1", (query) => (query.hasOpt ? toEdns(query) : answersWith("10.0.0.1")(query)));
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askInTurn(names(10, outside), 100);
    expect(world.count(({ ednsDropped }) => ednsDropped)).toBe(1);
    await world.clock.advance(61_000);
    const before = world.network.received.length;
    const asked = await world.askInTurn(names(600, `later.${outside}`), 100);
    expect(slowerThan(asked, 20)).toEqual([]);
    expect(asked.flatMap((each) => each.arrivals()).filter(({ hasOpt }) => hasOpt)).toEqual([]);
    const own = world.network.received.slice(before).filter(({ hasOpt, name }) => hasOpt && !name.includes("later"));
    expect(own).toHaveLength(1);
    expect(world.count(({ ednsDropped }) => ednsDropped)).toBe(2);
  });

  test("is used again once nodens's own question with it was answered", async () => {
    let isOld = true;
    const pod = createPod("10.0.0.1", (query) =>
      query.hasOpt && isOld ? replyTo(query.bytes, { rcode: 1 }) : answersWith("10.0.0.1")(query),
    );
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askInTurn(names(3, outside), 10);
    isOld = false;
    await world.clock.advance(700_000);
    const asked = await world.askInTurn(names(3, `later.${outside}`), 10);
    expect(asked.flatMap((each) => each.arrivals()).map(({ hasOpt }) => hasOpt)).toEqual([false, true, true]);
  });
});

describe("refusals", () => {
  const lame = ({ bytes }: SimulatedQuery) =>
    rawReply({ bytes } as SimulatedQuery, 0x8100, [1, 0, 0, 0], bytes.length - 11);
  const upward = ({ bytes }: SimulatedQuery) => {
    const reply = replyTo(bytes, {
      authorities: [{ name: ".", type: 2, ttl: 60, data: Uint8Array.of(1, 0x61, 0) }],
    });
    reply[3] = (reply[3] ?? 0) & 0x7f;
    return reply;
  };
  const code =
    (rcode: number) =>
    ({ bytes }: SimulatedQuery) =>
      replyTo(bytes, { rcode });
  test.each([
    ["NOTIMP", code(4)],
    ["FORMERR", code(1)],
    ["SERVFAIL", code(2)],
    ["REFUSED", code(5)],
    ["a lame reply", lame],
    ["an upward referral", upward],
  ])("%s of the first server: the second is asked", async (_, refuse) => {
    const world = createUpstreamWorld({ servers: [[createPod("10.0.0.1", refuse)], [createPod("10.0.0.2")]] });
    const [asked] = await world.askInTurn([`a.${outside}`]);
    expect(asked?.outcome()).toBe("10.0.0.2");
    expect(asked?.tookMs()).toBeLessThan(20);
  });

  test("a server that refuses everything does not stay first", async () => {
    const world = createUpstreamWorld({ servers: [[createPod("10.0.0.1", code(5))], [createPod("10.0.0.2")]] });
    const asked = await world.askInTurn(names(40, outside), 10);
    expect(unanswered(asked)).toEqual([]);
    expect(sendsOf(asked)).toBeLessThanOrEqual(45);
  });

  test("a single server is asked again, but not at once", async () => {
    const world = createUpstreamWorld({ servers: [[createPod("10.0.0.1", code(2))]] });
    const [asked] = await world.askInTurn([`a.${outside}`]);
    expect(asked?.outcome()).toBe("rcode 2");
    const [first, second] = asked?.arrivals() ?? [];
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(50);
  });

  test("YXDOMAIN says something of the name, and stands", async () => {
    const world = createUpstreamWorld({ servers: [[createPod("10.0.0.1", code(6))], [createPod("10.0.0.2")]] });
    const [asked] = await world.askInTurn([`a.${outside}`]);
    expect(asked?.outcome()).toBe("rcode 6");
    expect(asked?.arrivals()).toHaveLength(1);
  });
});

describe("nothing answers", () => {
  test("for 10 s: few flows are opened, however much is asked", async () => {
    const pods = [createPod(), createPod()];
    const world = createUpstreamWorld({ servers: [pods] });
    const both = names(20, cluster).flatMap((name, index) => [name, `m${index}.${outside}`]);
    await world.askSteadily(both, 10);
    for (const pod of pods) pod.isSilent = true;
    const before = world.network.flows.length;
    const asked = names(500, cluster).flatMap((name, index) => [`x${name}`, `x${index}.${outside}`]);
    for (const name of asked) {
      world.ask(name);
      await world.clock.advance(10);
    }
    expect(world.network.flows.length - before).toBeLessThanOrEqual(40);
  });

  test("and then does again: it is noticed within a few seconds", async () => {
    const pod = createPod();
    const world = createUpstreamWorld({ servers: [[pod]] });
    await world.askSteadily(names(20, cluster), 10);
    pod.isSilent = true;
    await world.askSteadily(names(200, `down.${cluster}`), 50);
    pod.isSilent = false;
    await world.clock.advance(7000);
    const asked = await world.askInTurn(names(10, `up.${cluster}`), 10);
    expect(unanswered(asked)).toEqual([]);
    expect(slowerThan(asked, 20)).toHaveLength(0);
  });
});

describe("few flows", () => {
  test("10,000 names outside and in the cluster take 16 at most", { timeout: 60_000 }, async () => {
    const world = createUpstreamWorld({ servers: [[createPod(), createPod()]] });
    await world.askInTurn(names(5000, outside));
    await world.askInTurn(names(5000, cluster));
    expect(world.network.flows.length).toBeLessThanOrEqual(16);
    expect(flowsUsed(world, outside).size).toBeGreaterThan(1);
  });

  test("doubled replies are no forgery", async () => {
    const pod = createPod("10.0.0.1", (query) => {
      const message = answersWith("10.0.0.1")(query) as Uint8Array;
      return [
        { message, afterMs: 0 },
        { message: message.slice(), afterMs: 1 },
      ];
    });
    const world = createUpstreamWorld({ servers: [[pod]] });
    const asked = await world.askInTurn(names(400, outside));
    expect(unanswered(asked)).toEqual([]);
    expect(openFlowsOf(world, "udp").length).toBeLessThanOrEqual(2);
    expect(world.network.flows.length).toBeLessThanOrEqual(8);
  });
});
