import { describe, expect, test } from "vitest";
import { createRoundTrip } from "../../../src/flows/round-trip.ts";
import { createEarlySends } from "../../../src/upstream/early-sends.ts";
import { createEdnsMemory } from "../../../src/upstream/edns-memory.ts";
import { createFlowPool, type FlowPoolLimits } from "../../../src/upstream/flow-pool.ts";
import { createServerCounters } from "../../../src/upstream/server-counters.ts";
import type { Transport } from "../../../src/wire/transport.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { createSimulatedNetwork, type Pod } from "../../support/network/simulated-network.ts";
import { createPod, seededRandom } from "../../support/network/upstream-world.ts";
import { flowLimits, questionFor, track, type TrackedAttempt } from "../flows/flow-parts.ts";

const host = "10.96.0.10";

/** A pool over a simulated network with one server. */
function createPool(
  pod: Pod = createPod(),
  limits: Partial<FlowPoolLimits> = {},
  transport: Transport = "udp",
  isKept = true,
) {
  const clock = createFakeClock();
  const network = createSimulatedNetwork(clock, seededRandom(1));
  network.place(host, [pod]);
  const counters = createServerCounters();
  const told = { failures: 0 };
  const pool = createFlowPool({
    server: { host, port: 53 },
    transport,
    openSocket: network.sockets[transport],
    limits: { ...flowLimits, maxFlows: 2, maxAgeSeconds: 60, maxQueries: 1000, ...limits },
    health: { failuresUntilDown: 3, probeIntervalMs: 500, maxBackoffMs: 5000 },
    clock,
    counters,
    roundTrip: createRoundTrip(800),
    edns: createEdnsMemory(clock, () => {}),
    earlySends: createEarlySends(clock),
    probeQuestion: questionFor("probe.test"),
    isKept,
    onHeard() {},
    onFailed: () => void (told.failures += 1),
  });
  let count = 0;

  /** Sends a client's question. */
  function send(): TrackedAttempt & { readonly name: string; cancel(): void } {
    const name = `q${(count += 1)}.test`;
    const tracked = track(name);
    return { ...tracked, name, cancel: pool.send(tracked.attempt) };
  }

  /** Sends so many, each after the answer to the one before. */
  async function answer(times: number): Promise<void> {
    for (let turn = 0; turn < times; turn += 1) {
      send();
      await clock.advance(2);
    }
  }

  const flowOf = ({ name }: { name: string }) => network.received.find((query) => query.name === name)?.flow;
  const openCount = () => network.flows.filter(({ isClosed }) => !isClosed).length;
  return { pool, clock, network, pod, counters, told, send, answer, flowOf, openCount };
}

describe("a question of a client", () => {
  test("opens the first flow, and goes on the one that has answered from then on", async () => {
    const { send, clock, network, openCount } = createPool();
    const first = send();
    await clock.advance(2);
    const second = send();
    await clock.advance(2);
    expect([first.outcome(), second.outcome()]).toEqual(["answered", "answered"]);
    expect([openCount(), network.received.length]).toEqual([1, 2]);
  });

  test("does not go on a flow that is only being proven while another has answered", async () => {
    const { pool, answer, send, flowOf, clock, network } = createPool(createPod(), { maxFlows: 4 });
    await answer(1);
    const [proven] = network.flows;
    network.faults.oneWayMs = 50;
    pool.addFlow();
    expect(network.flows).toHaveLength(2);
    const asked = send();
    await clock.advance(200);
    expect(flowOf(asked)).toBe(proven);
  });

  /** A pool with two proven flows. Questions for these names stay without an answer, all others get one. */
  async function createBusy(...unanswered: string[]) {
    const pod = createPod();
    const { answer: answerIt } = pod;
    pod.answer = (query) => (unanswered.includes(query.name) ? undefined : answerIt(query));
    const made = createPool(pod);
    // Busy enough for a second flow.
    await made.answer(4);
    await made.clock.advance(100);
    expect(made.pool.goodFlows()).toHaveLength(2);
    return made;
  }

  test("goes on the flow that owes least", async () => {
    const { send, flowOf, clock } = await createBusy("q5.test");
    const slow = send();
    await clock.advance(2);
    const others = [send(), send()];
    await clock.advance(2);
    const third = send();
    await clock.advance(2);
    expect([...others, third].map((each) => flowOf(each) === flowOf(slow))).toEqual([false, true, false]);
  });

  test("takes turns between flows that owe the same", async () => {
    const { send, flowOf, clock } = await createBusy();
    const asked = [];
    for (let turn = 0; turn < 4; turn += 1) {
      asked.push(send());
      await clock.advance(2);
    }
    const [a, b, c, d] = asked.map(flowOf);
    expect([a === b, c === a, d === b]).toEqual([false, true, true]);
  });

  test("waits where all are full, in order, and leaves as soon as there is room", async () => {
    const { answer, send, clock, network } = createPool(createPod(), { maxDepth: 1, maxFlows: 1 }, "tcp");
    await answer(1);
    const asked = [send(), send(), send()];
    asked[1]?.cancel();
    await clock.advance(1);
    expect(asked.map((each) => each.outcome())).toEqual(["answered", "waiting", "waiting"]);
    await clock.advance(5);
    expect(asked.map((each) => each.outcome())).toEqual(["answered", "waiting", "answered"]);
    expect(network.received.map(({ name }) => name)).not.toContain(asked[1]?.name);
  });
});

describe("flows", () => {
  test("are at most as many as the settings say, however much waits", async () => {
    const { answer, send, clock, openCount } = createPool(createPod(), { maxDepth: 1, maxFlows: 3 }, "tcp");
    await answer(8);
    for (let question = 0; question < 50; question += 1) send();
    await clock.advance(100);
    expect(openCount()).toBe(3);
  });

  test("that are worn go on until a successor is proven", async () => {
    const { answer, send, flowOf, clock, network } = createPool(createPod(), { maxQueries: 10, maxFlows: 1 });
    await answer(7);
    const [worn] = network.flows;
    expect(network.flows).toHaveLength(1);
    network.faults.oneWayMs = 10;
    // With jitter, a flow is worn after 12 at the latest.
    for (let turn = 0; turn < 5; turn += 1) send();
    const during = send();
    await clock.advance(200);
    expect(flowOf(during)).toBe(worn);
    expect(worn?.isClosed).toBe(true);
    const after = send();
    await clock.advance(100);
    expect([after.outcome(), flowOf(after) === worn]).toEqual(["answered", false]);
  });

  test("that are doubted are left and replaced", async () => {
    const { pool, answer, counters, clock, network } = createPool();
    await answer(1);
    const [flow] = pool.goodFlows();
    if (flow === undefined) throw new Error("no flow is good");
    pool.doubt(flow);
    await clock.advance(100);
    expect(pool.goodFlows()).not.toContain(flow);
    expect(pool.goodFlows().length).toBeGreaterThan(0);
    expect(network.flows[0]?.isClosed).toBe(true);
    expect(counters.silentFlows.udp).toBe(1);
  });

  test("that owe an answer for long are kept while they answer questions of nodens's own", async () => {
    const pod = createPod();
    const { answer: answerIt } = pod;
    pod.answer = (query) => (query.name === "q2.test" ? undefined : answerIt(query));
    const { answer, send, pool, clock, counters, network, flowOf } = createPool(pod, { maxFlows: 1 });
    await answer(1);
    const slow = send();
    await clock.advance(3000);
    expect([slow.outcome(), counters.silentFlows.udp, pool.goodFlows().length]).toEqual(["waiting", 0, 1]);
    expect(network.received.filter(({ name, flow }) => name === "probe.test" && flow === flowOf(slow))).not.toEqual([]);
  });

  test("that go silent while they owe are asked something easy, and then left for another", async () => {
    const { answer, send, flowOf, clock, network, counters } = createPool();
    await answer(1);
    const [dead] = network.flows;
    if (dead !== undefined) dead.isDead = true;
    send();
    await clock.advance(1000);
    expect(counters.silentFlows.udp).toBe(1);
    const after = send();
    await clock.advance(5);
    expect([after.outcome(), flowOf(after) === dead]).toEqual(["answered", false]);
  });
});

describe("a path that does not work", () => {
  /** A server that nobody listens on. */
  function createRefusing(isKept: boolean) {
    const pod = createPod();
    pod.ports.tcp = "closed";
    return createPool(pod, {}, "tcp", isKept);
  }

  test("loses the question at once, and counts as failed", async () => {
    const { pool, send, clock, told } = createRefusing(true);
    const asked = send();
    await clock.advance(5);
    expect([asked.outcome(), pool.isFailed(), told.failures]).toEqual(["refused", true, 1]);
  });

  test("is tried again in the background, and works again without any client's question", async () => {
    const { pool, send, clock, pod } = createRefusing(true);
    send();
    await clock.advance(20_000);
    pod.ports.tcp = "open";
    await clock.advance(7000);
    expect([pool.isFailed(), pool.goodFlows().length]).toEqual([false, 1]);
  });

  test("is left alone where nobody wants it, and tried again when somebody does", async () => {
    const { pool, send, clock, pod, network } = createRefusing(false);
    send();
    await clock.advance(30_000);
    pod.ports.tcp = "open";
    const tried = network.flows.length;
    await clock.advance(60_000);
    expect(network.flows).toHaveLength(tried);
    pool.want();
    await clock.advance(1000);
    expect(pool.isFailed()).toBe(false);
  });
});

test("a probe says whether anything came, whatever it was", async () => {
  for (const isSilent of [false, true]) {
    const { pool, clock, pod } = createPool();
    pod.isSilent = isSilent;
    const probed = pool.probe();
    await clock.advance(10_000);
    expect(await probed).toBe(!isSilent);
  }
});

test("what waits when it is closed is lost, and nothing is left behind", async () => {
  const { pool, send, clock, pod, openCount } = createPool(createPod(), { maxDepth: 1, maxFlows: 1 }, "tcp");
  pod.isSilent = true;
  const asked = [send(), send()];
  pool.close();
  expect(asked.map((each) => each.outcome())).toEqual(["stopped", "stopped"]);
  expect(send().outcome()).toBe("stopped");
  await clock.advance(60_000);
  expect([openCount(), clock.pendingTimers()]).toEqual([0, 0]);
});
