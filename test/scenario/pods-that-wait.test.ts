/*
 * Who waited, and what had become of the query: each cause planted once, and clients that look as if they waited but did not.
 */
import { describe, expect, test } from "vitest";
import { ReplySource } from "../../src/listen/listen-counters.ts";
import { type Histogram, observe, observeMany } from "../../src/runtime/histogram.ts";
import { type Cause, causeNames, causes, movedBy } from "../../src/seen/causes.ts";
import { waitsTable } from "../../src/seen/page-tables.ts";
import { takePicture } from "../../src/seen/picture.ts";
import { printTop } from "../../src/seen/print-top.ts";
import { First, firstNames } from "../../src/seen/repeats.ts";
import { createSecondRing } from "../../src/seen/second-ring.ts";
import { sentenceOf } from "../../src/seen/sentence.ts";
import { bucketOf, waitBuckets } from "../../src/seen/waits.ts";
import { a } from "../support/messages/messages.ts";
import { createWorld, denial, type TypeName, type World } from "../support/world/create-world.ts";
import { type PlantedCounters, sampleWorld } from "../support/world/sampled-world.ts";

const web = "web.shop.svc.cluster.local";
const webReply = { answers: [a(web, "10.96.1.1")] };

/** The waits that are claimed, oldest first, as "TYPE after first". */
function claims({ seen }: World): string[] {
  return seen.waits
    .recent()
    .toReversed()
    .map(
      ({ type, afterMs, first }) =>
        `${type === 1 ? "A" : "AAAA"} ${waitBuckets[bucketOf(afterMs)]} ${firstNames[first]}`,
    );
}

/** A world in which the Service is in the cache. */
async function createWarmWorld(): Promise<World> {
  const world = createWorld();
  for (const type of ["A", "AAAA"] as const) {
    const asked = world.asks(web, type, { client: "10.0.9.9", port: 1, id: 1 });
    await asked;
    await world.upstream.settlesAll(type === "A" ? webReply : denial);
  }
  return world;
}

/** A client that has asked A and AAAA together from one port, for ten other names. */
async function makesPairs(world: World, client: string): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    const name = `other-${turn}.shop.svc.cluster.local`;
    for (const type of ["A", "AAAA"] as const)
      await world.asks(name, type, { client, port: 20_000 + turn, id: 100 + turn * 2 + (type === "A" ? 0 : 1) });
    await world.upstream.settlesAll(webReply);
  }
}

async function asksPair(world: World, client: string, types: readonly TypeName[] = ["A", "AAAA"]): Promise<void> {
  for (const type of types) await world.asks(web, type, { client, port: 30_000, id: type === "A" ? 7 : 8 });
}

describe("a pod that asks again", () => {
  test("after 5 s, with the same port and ID, although it was answered: the reply was lost", async () => {
    const world = await createWarmWorld();
    await world.asks(web, "A", { client: "10.0.0.7", id: 7 });
    await world.passes(5);
    await world.asks(web, "A", { client: "10.0.0.7", id: 7 });
    expect(claims(world)).toEqual(["A 5s answered"]);
    expect(world.seen.waits.recent()[0]?.client).toBe("10.0.0.7");
  });

  test("after 2.5 s while upstream is silent: it waits for upstream", async () => {
    const world = createWorld();
    await world.asks(web, "A", { id: 7 });
    await world.passes(2.5);
    // The stale answer or the failure would come after 1.8 s; there is neither yet.
    await world.asks(web, "A", { id: 7 });
    expect(claims(world)).toEqual(["A 2.5s waiting"]);
  });

  test("after it got no reply because too many wait: a limit shed it", async () => {
    const world = createWorld({ maxWaiters: 1, maxWaitersPerClient: 1 });
    await world.asks("first.shop.svc.cluster.local", "A", { client: "10.0.0.8", id: 1 });
    const shed = await world.asks(web, "A", { client: "10.0.0.8", id: 7 });
    expect(shed.isDropped()).toBe(true);
    await world.passes(2.5);
    await world.asks(web, "A", { client: "10.0.0.8", id: 7 });
    expect(claims(world)).toEqual(["A 2.5s shed"]);
  });

  test("after a SERVFAIL, as musl does: it waited because of the error", async () => {
    const world = createWorld();
    await world.asks(web, "A", { id: 7 });
    await world.upstream.fails();
    await world.passes(2.5);
    await world.asks(web, "A", { id: 7 });
    expect(claims(world)).toEqual(["A 2.5s failed"]);
  });

  test("a third time is counted again, from the second", async () => {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 3; turn += 1) {
      await world.asks(web, "A", { id: 7 });
      await world.passes(5);
    }
    expect(claims(world)).toEqual(["A 5s answered", "A 5s answered"]);
  });
});

describe("a pod whose query was lost on the way in", () => {
  test("sends AAAA 2.5 s after A, if it is musl and otherwise sends both together", async () => {
    const world = await createWarmWorld();
    await makesPairs(world, "10.0.0.7");
    await asksPair(world, "10.0.0.7", ["A"]);
    await world.passes(2.5);
    await asksPair(world, "10.0.0.7", ["AAAA"]);
    await passesSeen(world, 1);
    expect(claims(world)).toEqual(["AAAA 2.5s unseen"]);
  });

  test("sends A again, whose first was lost, and the AAAA of then, if it is glibc", async () => {
    const world = await createWarmWorld();
    await makesPairs(world, "10.0.0.7");
    await asksPair(world, "10.0.0.7", ["AAAA"]);
    await world.passes(5);
    await asksPair(world, "10.0.0.7", ["A", "AAAA"]);
    await passesSeen(world, 1);
    expect(claims(world)).toContain("A 5s unseen");
  });

  test.each([1, 2.5, 5])(
    "is not claimed where a new pair takes the port of one %d s before by chance",
    async (after) => {
      const world = await createWarmWorld();
      await makesPairs(world, "10.0.0.7");
      await asksPair(world, "10.0.0.7");
      await world.passes(after);
      for (const type of ["A", "AAAA"] as const)
        await world.asks(web, type, { client: "10.0.0.7", port: 30_000, id: type === "A" ? 70 : 80 });
      await passesSeen(world, 1);
      expect(claims(world)).toEqual([]);
    },
  );

  test("sends A again and then AAAA, if it is glibc: the reply to A was not lost", async () => {
    const world = await createWarmWorld();
    await makesPairs(world, "10.0.0.7");
    await asksPair(world, "10.0.0.7", ["A"]);
    await world.passes(5);
    await asksPair(world, "10.0.0.7", ["A", "AAAA"]);
    expect(claims(world)).toEqual(["A 5s unseen"]);
  });

  test("is not claimed of a client that asks for A alone", async () => {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 20; turn += 1) {
      await world.asks(web, "A", { client: "10.0.0.7", port: 20_000 + turn, id: turn });
      await world.passes(2.5);
    }
    expect(claims(world)).toEqual([]);
  });

  test("is not claimed of a client with one port that alternates between A and AAAA", async () => {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 20; turn += 1) {
      await world.asks(web, turn % 2 === 0 ? "A" : "AAAA", { client: "10.0.0.7", port: 53, id: turn });
      await world.passes(5);
    }
    expect(claims(world)).toEqual([]);
  });
});

describe("no wait is claimed of a client that", () => {
  test("asks again at once", async () => {
    const world = await createWarmWorld();
    await world.asks(web, "A", { id: 7 });
    await world.passes(0.1);
    await world.asks(web, "A", { id: 7 });
    expect(claims(world)).toEqual([]);
  });

  test("looks a name up every five seconds, each time from another port", async () => {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 20; turn += 1) {
      for (const type of ["A", "AAAA"] as const) await world.asks(web, type, { port: 20_000 + turn, id: turn });
      await world.passes(5);
    }
    expect(claims(world)).toEqual([]);
  });

  test("asks from one port with a new ID each time", async () => {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 20; turn += 1) {
      await world.asks(web, "A", { port: 53, id: turn });
      await world.passes(2.5);
    }
    expect(claims(world)).toEqual([]);
  });

  test("shares port and ID with another client", async () => {
    const world = await createWarmWorld();
    await world.asks(web, "A", { client: "10.0.0.7", id: 7 });
    await world.passes(5);
    await world.asks(web, "A", { client: "10.0.0.8", id: 7 });
    expect(claims(world)).toEqual([]);
  });

  test("asks over TCP", async () => {
    const world = await createWarmWorld();
    await world.asks(web, "A", { over: "tcp", id: 7 });
    await world.passes(5);
    await world.asks(web, "A", { over: "tcp", id: 7 });
    expect(claims(world)).toEqual([]);
  });

  test("comes back with the same port and ID after a minute", async () => {
    const world = await createWarmWorld();
    await world.asks(web, "A", { id: 7 });
    await world.passes(60);
    await world.asks(web, "A", { id: 7 });
    expect(claims(world)).toEqual([]);
  });
});

describe("what moved", () => {
  const totals = causeNames.map(() => 0);
  const wait = { atMs: 15_000, afterMs: 5000, first: First.answered as number };

  /** A ring in which the cause's counter grew by 3 in the second that begins at 10 s: the one in which the query was first sent. */
  function ringWith(cause: Cause) {
    const ring = createSecondRing(causeNames.length, 60);
    for (let second = 0; second < 30; second += 1)
      ring.sample(totals.with(causeNames.indexOf(cause), second > 10 ? 3 : 0), second * 1000);
    return ring;
  }

  const lost = ["answered", "unseen"];
  const late = ["waiting", "shed", "failed"];
  const explained: Readonly<Record<Cause, readonly string[]>> = {
    conntrackDrop: lost,
    conntrackInsertFailed: lost,
    conntrackEarlyDrop: lost,
    receiveDrops: ["unseen"],
    eventLoopLate: ["answered", "waiting", "shed", "unseen"],
    failOpen: lost,
    upstreamLosses: late,
  };

  test.each(causeNames)("%s is told of the waits that it explains, and of no others", (cause) => {
    const told = firstNames.filter(
      (_, first) => movedBy({ ...wait, first }, ringWith(cause), 0)[0]?.label === causes[cause].label,
    );
    expect(told.toSorted()).toEqual(explained[cause].toSorted());
  });

  test("is told with by how much", () => {
    expect(movedBy(wait, ringWith("conntrackDrop"), 0)).toMatchObject([{ label: "conntrack_drop", by: 3 }]);
  });

  test.each([8000, 25_000])("is not told of a query that was sent at another time, %d ms", (atMs) => {
    expect(movedBy({ ...wait, atMs }, ringWith("conntrackDrop"), 0)).toEqual([]);
  });

  test("is told of a query that waited for upstream as long as it waited", () => {
    expect(movedBy({ atMs: 12_500, afterMs: 5000, first: First.waiting }, ringWith("upstreamLosses"), 0)).toHaveLength(
      1,
    );
  });
});

describe("what the node counts in the second in which a query was lost", () => {
  const plant: Readonly<Record<Cause, (counters: PlantedCounters) => void>> = {
    conntrackDrop: ({ conntrack }) => (conntrack.drop += 2),
    conntrackInsertFailed: ({ conntrack }) => (conntrack.insertFailed += 2),
    conntrackEarlyDrop: ({ conntrack }) => (conntrack.earlyDrop += 2),
    receiveDrops: (counters) => (counters.receiveDrops += 2),
    eventLoopLate: ({ eventLoop }) => observeMany(eventLoop, 0.3, 2),
    failOpen: (counters) => (counters.isFailOpen = true),
    upstreamLosses: ({ servers }) => (servers.cluster.losses.timeout += 2),
  };

  /** A lookup whose replies, or whose second query, are lost while the cause is planted; or that upstream leaves waiting. */
  async function waitsWhile(cause: Cause, plantIt: (counters: PlantedCounters, world: World) => void) {
    const world = await createWarmWorld();
    await makesPairs(world, "10.0.0.7");
    const { planted, picture } = sampleWorld(world);
    await world.passes(10);
    plantIt(planted, world);
    const isLate = cause === "upstreamLosses";
    const isLostOnTheWayIn = cause === "receiveDrops";
    const asks = async () => {
      if (isLate) return world.asks("late.shop.svc.cluster.local", "A", { client: "10.0.0.7", id: 7 });
      await asksPair(world, "10.0.0.7", isLostOnTheWayIn ? ["A"] : undefined);
      return world.upstream.settlesAll(webReply);
    };
    await asks();
    await world.passes(1);
    planted.isFailOpen = false;
    await world.passes(4);
    await asks();
    await world.passes(1);
    return picture().waits.recent;
  }

  test.each(causeNames)("is told of it, and nothing else: %s", async (cause) => {
    const waits = await waitsWhile(cause, plant[cause]);
    expect(waits.length).toBeGreaterThan(0);
    for (const { moved } of waits) expect(moved.map(({ label }) => label)).toEqual([causes[cause].label]);
  });

  test.each([
    ["cache", 0.07, ["event_loop_late"]],
    ["rule", 0.07, ["event_loop_late"]],
    ["cache", 0.05, []],
    ["upstream", 0.07, []],
  ] as const)("tells of a stall by answers out of %s that took %d s: %j", async (source, seconds, labels) => {
    const waits = await waitsWhile("eventLoopLate", (_, { counters }) =>
      observe(counters.udp.durations[ReplySource[source]] as Histogram, seconds),
    );
    expect(waits.length).toBeGreaterThan(0);
    for (const { moved } of waits) expect(moved.map(({ label }) => label)).toEqual(labels);
  });

  test.each(causeNames)("is not told where it does not move: %s", async (cause) => {
    const waits = await waitsWhile(cause, () => {});
    expect(waits.length).toBeGreaterThan(0);
    for (const { moved } of waits) expect(moved).toEqual([]);
  });
});

describe("what is wrong for the pod alone", () => {
  async function createSampledWorld() {
    const world = await createWarmWorld();
    const { parts, planted, picture, troubleLooks } = sampleWorld(world);
    /** What is told of the waits, newest first, as "CLIENT LABEL +BY". */
    const told = () =>
      picture().waits.recent.flatMap(({ client, moved }) => moved.map(({ label, by }) => `${client} ${label} +${by}`));
    return { world, parts, troubled: planted.troubled, told, looks: troubleLooks };
  }

  /** Two pods get no replies, and ask again after a second. */
  async function bothWait(world: World): Promise<void> {
    for (const client of ["10.0.0.7", "10.0.0.8"]) await world.asks(web, "A", { client, id: 7 });
    await world.passes(1);
    for (const client of ["10.0.0.7", "10.0.0.8"]) await world.asks(web, "A", { client, id: 7 });
  }

  const leftToKubeDns = { kind: "leftToKubeDns", host: "10.0.0.7", packets: 4, lastAgoMs: 0 } as const;

  test("is told of its wait and of no other pod's: its questions were left to kube-dns, in the sentence, on the page and in top", async () => {
    const { world, parts, troubled, told } = await createSampledWorld();
    troubled.push(leftToKubeDns);
    await bothWait(world);
    await world.passes(1);
    expect(told()).toEqual(["10.0.0.7 pod_left_to_kube_dns +4"]);
    const picture = takePicture(parts, world.clock.nowMs());
    const words = "questions of the pod itself were left to kube-dns";
    expect(sentenceOf({ isReady: true, isFailOpen: false, mode: "none", reasons: [] }, picture).text).toContain(words);
    expect(waitsTable(picture)).toContain(words);
    const head = { version: "1", node: "n", mode: "intercept", isReady: true, isFailOpen: false, settingsSeconds: 1 };
    const view = {
      head: { ...head, inForceSeconds: undefined, upSeconds: 1 },
      picture,
      tail: [],
      upstream: [],
      waste: [],
      gauges: [],
    };
    const screen = printTop(view, { tab: "waits", rows: 24, filter: "", sort: "queries", line: -1 });
    expect(screen.replaceAll(/\s+/g, " ")).toContain(`while ${words}`);
  });

  test("is told where it falls back some seconds after it has asked again, and still when that has healed", async () => {
    const { world, troubled, told } = await createSampledWorld();
    await bothWait(world);
    await world.passes(2);
    expect(told()).toEqual([]);
    troubled.push(leftToKubeDns);
    await world.passes(1);
    troubled.length = 0;
    await world.passes(2);
    expect(told()).toEqual(["10.0.0.7 pod_left_to_kube_dns +4"]);
  });

  test.each([
    ["repliesDropped", "pod_replies_dropped"],
    ["questionsDropped", undefined],
  ] as const)("%s explains a reply that was lost: %s", async (kind, label) => {
    const { world, troubled, told } = await createSampledWorld();
    troubled.push({ ...leftToKubeDns, kind });
    await bothWait(world);
    await world.passes(1);
    expect(told()).toEqual(label === undefined ? [] : [`10.0.0.7 ${label} +4`]);
  });

  test("is not told of a wait that it came before", async () => {
    const { world, troubled, told } = await createSampledWorld();
    troubled.push({ ...leftToKubeDns, lastAgoMs: 10_000 });
    await bothWait(world);
    await world.passes(6);
    expect(told()).toEqual([]);
  });

  test("is not told of a pod that waits for upstream, and not asked for while none waits", async () => {
    const { world, troubled, told, looks } = await createSampledWorld();
    troubled.push(leftToKubeDns);
    await world.passes(3);
    expect(looks()).toBe(0);
    for (let turn = 0; turn < 2; turn += 1) {
      await world.asks("late.shop.svc.cluster.local", "A", { client: "10.0.0.7", id: 7 });
      await world.passes(1);
    }
    expect(looks()).toBeGreaterThan(0);
    expect(told()).toEqual([]);
  });
});

/** Time passes, and what was recorded is looked at every second. */
async function passesSeen(world: World, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    await world.passes(1);
    world.seen.tick(world.clock.nowMs());
  }
}

/** A client like Go's resolver: A and AAAA from two ports with IDs by chance, and EDNS. */
async function asksAsGo(world: World, client: string, name = web): Promise<void> {
  for (const type of ["A", "AAAA"] as const) {
    goTurn += 1;
    const details = { client, port: 20_000 + goTurn, id: (goTurn * 7919) & 0xffff, opt: {} };
    await world.asks(name, type, details);
    await world.upstream.settlesAll(webReply);
  }
}
let goTurn = 0;

describe("a pod that asks again from another port", () => {
  /** A world with a client that looks like Go. */
  async function createGoWorld(): Promise<World> {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 20; turn += 1) await asksAsGo(world, "10.0.0.7", `other-${turn}.shop.svc.cluster.local`);
    await passesSeen(world, 20);
    return world;
  }

  test("once, 5 s after it was answered, if it looks like Go: both replies were lost", async () => {
    const world = await createGoWorld();
    await asksAsGo(world, "10.0.0.7");
    await passesSeen(world, 5);
    await asksAsGo(world, "10.0.0.7");
    await passesSeen(world, 7);
    expect(claims(world)).toEqual(["A 5s answered", "AAAA 5s answered"]);
    expect(world.seen.waits.recent()[0]).toMatchObject({ client: "10.0.0.7", afterMs: 5000 });
  });

  test("5 s after a question that upstream has not answered, if it looks like Go: at once", async () => {
    const world = await createGoWorld();
    const name = "late.shop.svc.cluster.local";
    const asks = (turn: number) =>
      world.asks(name, "A", { client: "10.0.0.7", port: 30_000 + turn, id: 5 + turn, opt: {} });
    await asks(0);
    await passesSeen(world, 5);
    expect(claims(world)).toEqual([]);
    await asks(1);
    await passesSeen(world, 1);
    expect(claims(world)).toEqual(["A 5s waiting"]);
  });

  test("with the same ID, whatever the interval, as c-ares does", async () => {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 4; turn += 1)
      await world.asks(web, "AAAA", { client: "10.0.0.7", port: 20_000 + turn, id: 900 + turn });
    await world.asks(web, "A", { client: "10.0.0.7", port: 31_000, id: 7 });
    await passesSeen(world, 3);
    await world.asks(web, "A", { client: "10.0.0.7", port: 32_000, id: 7 });
    await passesSeen(world, 1);
    expect(claims(world)).toEqual(["A other answered"]);
    const repeated: number[] = [];
    world.seen.eachRecorded(({ repeatedAfterMs }) => void (repeatedAfterMs > 0 && repeated.push(repeatedAfterMs)));
    expect(repeated).toEqual([3000]);
  });
});

describe("where a client asks for the same over and over, with IDs by chance", () => {
  /** From one port, as programs with c-ares of old do, or from another one each time. */
  const socketsOf = { "one port": () => 5000, "new ports": (turn: number) => 20_000 + turn } as const;

  /** A world in which a client has asked for the same names every two seconds for two minutes. */
  async function createBusyWorld(portOf: (turn: number) => number): Promise<World> {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 60; turn += 1) {
      await asksBoth(world, portOf(turn * 2), 1000 + turn * 2);
      await passesSeen(world, 2);
    }
    return world;
  }

  /** A and AAAA, whose IDs and ports follow each other. */
  async function asksBoth(world: World, port: number, id: number, types: readonly TypeName[] = ["A", "AAAA"]) {
    for (const type of types) await world.asks(web, type, { client: "10.0.0.7", port, id: type === "A" ? id : id + 1 });
    await world.upstream.settlesAll(webReply);
  }

  test.each(Object.entries(socketsOf))(
    "%s: one query with the ID of the one before is taken for chance",
    async (_, portOf) => {
      const world = await createBusyWorld(portOf);
      await asksBoth(world, portOf(200), 9000);
      await passesSeen(world, 5);
      await asksBoth(world, portOf(202), 9000, ["A"]);
      await asksBoth(world, portOf(202), 9500, ["AAAA"]);
      await passesSeen(world, 3);
      expect(claims(world)).toEqual([]);
      const repeated: number[] = [];
      world.seen.eachRecorded(({ repeatedAfterMs }) => void repeated.push(repeatedAfterMs));
      expect(repeated.every((afterMs) => afterMs === 0)).toBe(true);
    },
  );

  test.each(Object.entries(socketsOf))("%s: two queries at once are not, and both are told", async (_, portOf) => {
    const world = await createBusyWorld(portOf);
    await asksBoth(world, portOf(200), 9000);
    await passesSeen(world, 5);
    await asksBoth(world, portOf(202), 9000);
    await passesSeen(world, 3);
    expect(claims(world)).toEqual(["A 5s answered", "AAAA 5s answered"]);
    const repeated: number[] = [];
    world.seen.eachRecorded(({ repeatedAfterMs }) => void (repeatedAfterMs > 0 && repeated.push(repeatedAfterMs)));
    expect(repeated).toEqual([5000, 5000]);
  });
});

describe("no wait is claimed of a client that asks from another port", () => {
  test("every five seconds, though it looks like Go", async () => {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 20; turn += 1) await asksAsGo(world, "10.0.0.7", `other-${turn}.shop.svc.cluster.local`);
    for (let turn = 0; turn < 8; turn += 1) {
      await asksAsGo(world, "10.0.0.7");
      await passesSeen(world, 5);
    }
    await passesSeen(world, 10);
    expect(claims(world)).toEqual([]);
  });

  test("5 s later, if it sends A and AAAA from one port", async () => {
    const world = await createWarmWorld();
    await makesPairs(world, "10.0.0.7");
    for (let turn = 0; turn < 2; turn += 1) {
      await world.asks(web, "A", { client: "10.0.0.7", port: 31_000 + turn, id: 7 + turn });
      await passesSeen(world, 5);
    }
    await passesSeen(world, 10);
    expect(claims(world)).toEqual([]);
  });

  test("with an ID that it always uses", async () => {
    const world = await createWarmWorld();
    for (let turn = 0; turn < 10; turn += 1) {
      await world.asks(web, "A", { client: "10.0.0.7", port: 31_000 + turn, id: 1 });
      await world.asks(web, "AAAA", { client: "10.0.0.7", port: 31_000 + turn, id: 2 });
      await passesSeen(world, 3);
    }
    expect(claims(world)).toEqual([]);
  });
});
