import { describe, expect, test } from "vitest";
import type { Answer } from "../../../src/resolve/answer.ts";
import { createSharedQuestions, type WaitLimits } from "../../../src/resolve/share-in-flight.ts";

const roomy: WaitLimits = { maxWaiters: 100, maxWaitersPerClient: 100 };
const servfail: Answer = { kind: "error", rcode: 2, extendedError: -1 };

/** A table, and questions that a test answers when it likes. */
function createTable(limits: Partial<WaitLimits> = {}) {
  const shared = createSharedQuestions({ ...roomy, ...limits });
  function start(key: string, route = "outside") {
    const answer = Promise.withResolvers<Answer>();
    const settled = Promise.withResolvers<void>();
    const inFlight = shared.start(key, route, answer.promise, settled.promise);
    return { inFlight, answer: () => answer.resolve(servfail), settle: () => settled.resolve() };
  }
  return { shared, start };
}

/** Lets promise reactions run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

describe("a question in flight", () => {
  test("is found by its key until it settles", async () => {
    const { shared, start } = createTable();
    const question = start("q");
    expect(shared.find("q")).toBe(question.inFlight);
    expect(shared.find("r")).toBeUndefined();
    expect(shared.inFlightCount()).toBe(1);
    question.settle();
    await settle();
    expect(shared.find("q")).toBeUndefined();
    expect(shared.inFlightCount()).toBe(0);
  });

  test("stays in flight after its waiters got a stale answer, until the fresh one has come", async () => {
    const { shared, start } = createTable();
    const question = start("q");
    question.answer();
    await settle();
    expect(shared.find("q")).toBe(question.inFlight);
    expect(await shared.wait(question.inFlight, "10.0.0.1")).toBe(servfail);
    question.settle();
    await settle();
    expect(shared.find("q")).toBeUndefined();
  });

  test("may be asked again once it has settled", async () => {
    const { shared, start } = createTable();
    start("q").settle();
    await settle();
    const again = start("q");
    expect(shared.find("q")).toBe(again.inFlight);
  });
});

describe("waiters", () => {
  test("all get the answer, and are counted until then", async () => {
    const { shared, start } = createTable();
    const question = start("q");
    const waiting = ["10.0.0.1", "10.0.0.2", "10.0.0.1"].map(async (client) => shared.wait(question.inFlight, client));
    expect(shared.waiterCount()).toBe(3);
    question.answer();
    expect(await Promise.all(waiting)).toEqual([servfail, servfail, servfail]);
    expect(shared.waiterCount()).toBe(0);
  });

  test("get the answer even if another one never looks at it", async () => {
    const { shared, start } = createTable();
    const question = start("q");
    void shared.wait(question.inFlight, "10.0.0.1");
    const follower = shared.wait(question.inFlight, "10.0.0.2");
    question.answer();
    expect(await follower).toBe(servfail);
    expect(shared.waiterCount()).toBe(0);
  });
});

describe("bounds", () => {
  test("limit the waiters of a route, and do not affect another route", () => {
    const { shared, start } = createTable({ maxWaiters: 2 });
    void shared.wait(start("q").inFlight, "10.0.0.1");
    void shared.wait(start("r").inFlight, "10.0.0.2");
    expect(shared.wait(start("s").inFlight, "10.0.0.3")).toBe("waiters");
    expect(shared.wait(start("t", "cluster").inFlight, "10.0.0.3")).toBeInstanceOf(Promise);
    expect(shared.waiterCount()).toBe(3);
  });

  test("limit one client's waiters over all questions, and do not affect other clients", () => {
    const { shared, start } = createTable({ maxWaitersPerClient: 2 });
    const [first, second] = [start("q"), start("r")];
    void shared.wait(first.inFlight, "10.0.0.1");
    void shared.wait(second.inFlight, "10.0.0.1");
    expect(shared.wait(first.inFlight, "10.0.0.1")).toBe("client");
    expect(shared.wait(first.inFlight, "10.0.0.2")).toBeInstanceOf(Promise);
  });

  test("let no client have more waiters on a route than it leaves free", () => {
    const { shared, start } = createTable({ maxWaiters: 100 });
    const question = start("q").inFlight;
    const ofOne = Array.from({ length: 200 }, () => shared.wait(question, "10.0.0.1"));
    expect(ofOne.filter((wait) => wait === "client")).toHaveLength(150);
    const ofAnother = Array.from({ length: 200 }, () => shared.wait(question, "10.0.0.2"));
    expect(ofAnother.filter((wait) => wait === "client")).toHaveLength(175);
    expect(shared.wait(question, "10.0.0.3")).toBeInstanceOf(Promise);
  });

  test("are known before a question is started", () => {
    const { shared, start } = createTable({ maxWaiters: 2, maxWaitersPerClient: 1 });
    expect(shared.boundAgainst("10.0.0.1", "outside")).toBeUndefined();
    void shared.wait(start("q").inFlight, "10.0.0.1");
    expect(shared.boundAgainst("10.0.0.1", "cluster")).toBe("client");
    expect(shared.boundAgainst("10.0.0.2", "outside")).toBeUndefined();
    void shared.wait(start("r").inFlight, "10.0.0.2");
    expect(shared.boundAgainst("10.0.0.3", "outside")).toBe("waiters");
  });

  test("do not count clients that were turned away", () => {
    const { shared, start } = createTable({ maxWaitersPerClient: 1 });
    const question = start("q");
    void shared.wait(question.inFlight, "10.0.0.1");
    for (let more = 0; more < 5; more += 1) void shared.wait(question.inFlight, "10.0.0.1");
    expect(shared.waiterCount()).toBe(1);
  });

  test("make room when waiters are answered, for the client and in total", async () => {
    const { shared, start } = createTable({ maxWaiters: 2, maxWaitersPerClient: 1 });
    const question = start("q");
    const waiting = shared.wait(question.inFlight, "10.0.0.1");
    const other = start("r");
    expect(shared.wait(other.inFlight, "10.0.0.1")).toBe("client");
    void shared.wait(start("s").inFlight, "10.0.0.3");
    expect(shared.wait(other.inFlight, "10.0.0.2")).toBe("waiters");
    question.answer();
    await waiting;
    expect(shared.wait(other.inFlight, "10.0.0.1")).toBeInstanceOf(Promise);
  });

  test("follow a reload at once", () => {
    const limits = { ...roomy };
    const shared = createSharedQuestions(limits);
    expect(shared.boundAgainst("10.0.0.1", "outside")).toBeUndefined();
    limits.maxWaiters = 0;
    expect(shared.boundAgainst("10.0.0.1", "outside")).toBe("waiters");
  });
});
