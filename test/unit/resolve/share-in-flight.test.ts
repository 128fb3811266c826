import { describe, expect, test } from "vitest";
import type { Answer } from "../../../src/resolve/answer.ts";
import { createSharedQuestions, type WaitLimits } from "../../../src/resolve/share-in-flight.ts";

const roomy: WaitLimits = { maxInFlight: 100, maxWaiters: 100, maxWaitersPerQuestion: 100, maxWaitersPerClient: 100 };
const servfail: Answer = { kind: "error", rcode: 2, extendedError: -1 };

/** A table, and questions that a test answers when it likes. */
function createTable(limits: Partial<WaitLimits> = {}) {
  const shared = createSharedQuestions({ ...roomy, ...limits });
  function start(key: string) {
    const answer = Promise.withResolvers<Answer>();
    const settled = Promise.withResolvers<void>();
    const inFlight = shared.start(key, answer.promise, settled.promise);
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

  test("stays in flight after its waiters got a stale answer, until the fresh one came", async () => {
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

  test("may be asked again once it settled", async () => {
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
    expect(question.inFlight.waiters).toBe(3);
    question.answer();
    expect(await Promise.all(waiting)).toEqual([servfail, servfail, servfail]);
    expect(shared.waiterCount()).toBe(0);
    expect(question.inFlight.waiters).toBe(0);
  });

  test("nobody has to look at the answer for the others to get it", async () => {
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
  test("on questions in flight: there is room below it, none at it, and room again when one settles", async () => {
    const { shared, start } = createTable({ maxInFlight: 2 });
    const first = start("q");
    expect(shared.hasRoom()).toBe(true);
    start("r");
    expect(shared.hasRoom()).toBe(false);
    first.settle();
    await settle();
    expect(shared.hasRoom()).toBe(true);
  });

  test("on the waiters of one question", () => {
    const { shared, start } = createTable({ maxWaitersPerQuestion: 2 });
    const question = start("q");
    const waits = [1, 2, 3].map((last) => shared.wait(question.inFlight, `10.0.0.${last}`));
    expect(waits.map((wait) => typeof wait === "string" && wait)).toEqual([false, false, "waiters"]);
    expect(shared.wait(start("r").inFlight, "10.0.0.3")).toBeInstanceOf(Promise);
  });

  test("on all waiters", () => {
    const { shared, start } = createTable({ maxWaiters: 2 });
    void shared.wait(start("q").inFlight, "10.0.0.1");
    void shared.wait(start("r").inFlight, "10.0.0.2");
    expect(shared.wait(start("s").inFlight, "10.0.0.3")).toBe("waiters");
    expect(shared.waiterCount()).toBe(2);
  });

  test("on the waiters of one client, over all questions; other clients do not feel it", () => {
    const { shared, start } = createTable({ maxWaitersPerClient: 2 });
    const [first, second] = [start("q"), start("r")];
    void shared.wait(first.inFlight, "10.0.0.1");
    void shared.wait(second.inFlight, "10.0.0.1");
    expect(shared.wait(first.inFlight, "10.0.0.1")).toBe("client");
    expect(shared.wait(first.inFlight, "10.0.0.2")).toBeInstanceOf(Promise);
  });

  test("are known before a question is started", () => {
    const { shared, start } = createTable({ maxWaiters: 2, maxWaitersPerClient: 1 });
    expect(shared.boundAgainst("10.0.0.1")).toBeUndefined();
    void shared.wait(start("q").inFlight, "10.0.0.1");
    expect(shared.boundAgainst("10.0.0.1")).toBe("client");
    expect(shared.boundAgainst("10.0.0.2")).toBeUndefined();
    void shared.wait(start("r").inFlight, "10.0.0.2");
    expect(shared.boundAgainst("10.0.0.3")).toBe("waiters");
  });

  test("who was turned away is not counted", () => {
    const { shared, start } = createTable({ maxWaitersPerClient: 1 });
    const question = start("q");
    void shared.wait(question.inFlight, "10.0.0.1");
    for (let more = 0; more < 5; more += 1) void shared.wait(question.inFlight, "10.0.0.1");
    expect(shared.waiterCount()).toBe(1);
    expect(question.inFlight.waiters).toBe(1);
  });

  test("answered waiters make room, for their client and in total", async () => {
    const { shared, start } = createTable({ maxWaiters: 1, maxWaitersPerClient: 1, maxWaitersPerQuestion: 1 });
    const question = start("q");
    const waiting = shared.wait(question.inFlight, "10.0.0.1");
    const other = start("r");
    expect(shared.wait(other.inFlight, "10.0.0.1")).toBe("client");
    expect(shared.wait(other.inFlight, "10.0.0.2")).toBe("waiters");
    question.answer();
    await waiting;
    expect(shared.wait(other.inFlight, "10.0.0.1")).toBeInstanceOf(Promise);
  });

  test("a reload's limits hold at once", () => {
    const limits = { ...roomy };
    const shared = createSharedQuestions(limits);
    shared.start("q", new Promise(() => {}), new Promise(() => {}));
    limits.maxInFlight = 1;
    expect(shared.hasRoom()).toBe(false);
  });
});
