import { describe, expect, test } from "vitest";
import type { Answer, ShedReason } from "../../../src/resolve/answer.ts";
import { createSharedQuestions, type InFlight, type WaitLimits } from "../../../src/resolve/share-in-flight.ts";
import { Type } from "../../support/messages/messages.ts";
import { questionFor } from "../../support/messages/parsed-messages.ts";

const questionOf = (name: string) => questionFor(`${name}.example`, Type.A);

const roomy: WaitLimits = { maxWaiters: 100, maxWaitersPerClient: 100 };
const servfail: Answer = { kind: "error", rcode: 2, extendedError: -1 };

/** A table, and questions that a test answers when it likes. */
function createTable(limits: Partial<WaitLimits> = {}) {
  const shared = createSharedQuestions({ ...roomy, ...limits });
  function start(name: string, route = "outside") {
    const inFlight = shared.start(questionOf(name), route);
    return { inFlight, answer: () => shared.answer(inFlight, servfail), end: () => shared.end(inFlight) };
  }
  /** The answer to come, or the bound that the waiter would exceed. */
  function wait(flight: InFlight, client: string): Promise<Answer> | ShedReason {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const waiter = shared.wait(flight, client, resolve);
    return typeof waiter === "string" ? waiter : promise;
  }
  return { shared, start, wait };
}

describe("a question in flight", () => {
  test("is found until it ends", () => {
    const { shared, start } = createTable();
    const question = start("q");
    expect(shared.find(questionOf("q"))).toBe(question.inFlight);
    expect(shared.find(questionOf("r"))).toBeUndefined();
    expect(shared.inFlightCount()).toBe(1);
    question.end();
    expect(shared.find(questionOf("q"))).toBeUndefined();
    expect(shared.inFlightCount()).toBe(0);
  });

  test("stays in flight after its waiters got a stale answer, until the fresh one has come", async () => {
    const { shared, start, wait } = createTable();
    const question = start("q");
    question.answer();
    expect(shared.find(questionOf("q"))).toBe(question.inFlight);
    expect(await wait(question.inFlight, "10.0.0.1")).toBe(servfail);
    question.end();
    expect(shared.find(questionOf("q"))).toBeUndefined();
  });

  test("may be asked again once it has ended", () => {
    const { shared, start } = createTable();
    start("q").end();
    const again = start("q");
    expect(shared.find(questionOf("q"))).toBe(again.inFlight);
  });
});

describe("waiters", () => {
  test("are told at once, in the order in which they came, and once", () => {
    const { shared, start } = createTable();
    const question = start("q");
    const told: string[] = [];
    for (const client of ["10.0.0.1", "10.0.0.2"]) shared.wait(question.inFlight, client, () => told.push(client));
    question.answer();
    expect(told).toEqual(["10.0.0.1", "10.0.0.2"]);
    question.answer();
    expect(told.length).toBe(2);
  });

  test("that leave are not told, and count no more", () => {
    const { shared, start } = createTable();
    const question = start("q");
    const told: string[] = [];
    const waiters = ["10.0.0.1", "10.0.0.2"].map((client) =>
      shared.wait(question.inFlight, client, () => told.push(client)),
    );
    const [first] = waiters;
    if (first === undefined || typeof first === "string") throw new Error("shed");
    shared.leave(first);
    shared.leave(first);
    expect(shared.waiterCount()).toBe(1);
    question.answer();
    expect(told).toEqual(["10.0.0.2"]);
    expect(shared.waiterCount()).toBe(0);
  });

  test("are not counted where nodens itself wants the answer, or the end", async () => {
    const { shared, start } = createTable();
    const question = start("q");
    const answer = shared.answerOf(question.inFlight);
    const end = shared.ended(question.inFlight);
    expect(shared.waiterCount()).toBe(0);
    question.answer();
    question.end();
    expect(await answer).toBe(servfail);
    await end;
    expect(await shared.answerOf(question.inFlight)).toBe(servfail);
    await shared.ended(question.inFlight);
  });

  test("all get the answer, and are counted until then", async () => {
    const { shared, start, wait } = createTable();
    const question = start("q");
    const waiting = ["10.0.0.1", "10.0.0.2", "10.0.0.1"].map(async (client) => wait(question.inFlight, client));
    expect(shared.waiterCount()).toBe(3);
    question.answer();
    expect(await Promise.all(waiting)).toEqual([servfail, servfail, servfail]);
    expect(shared.waiterCount()).toBe(0);
  });

  test("get the answer even if another one never looks at it", async () => {
    const { shared, start, wait } = createTable();
    const question = start("q");
    void wait(question.inFlight, "10.0.0.1");
    const follower = wait(question.inFlight, "10.0.0.2");
    question.answer();
    expect(await follower).toBe(servfail);
    expect(shared.waiterCount()).toBe(0);
  });
});

describe("bounds", () => {
  test("limit the waiters of a route, and do not affect another route", () => {
    const { shared, start, wait } = createTable({ maxWaiters: 2 });
    void wait(start("q").inFlight, "10.0.0.1");
    void wait(start("r").inFlight, "10.0.0.2");
    expect(wait(start("s").inFlight, "10.0.0.3")).toBe("waiters");
    expect(wait(start("t", "cluster").inFlight, "10.0.0.3")).toBeInstanceOf(Promise);
    expect(shared.waiterCount()).toBe(3);
  });

  test("limit one client's waiters over all questions, and do not affect other clients", () => {
    const { start, wait } = createTable({ maxWaitersPerClient: 2 });
    const [first, second] = [start("q"), start("r")];
    void wait(first.inFlight, "10.0.0.1");
    void wait(second.inFlight, "10.0.0.1");
    expect(wait(first.inFlight, "10.0.0.1")).toBe("client");
    expect(wait(first.inFlight, "10.0.0.2")).toBeInstanceOf(Promise);
  });

  test("let no client have more waiters on a route than it leaves free", () => {
    const { start, wait } = createTable({ maxWaiters: 100 });
    const question = start("q").inFlight;
    const ofOne = Array.from({ length: 200 }, () => wait(question, "10.0.0.1"));
    expect(ofOne.filter((wait) => wait === "client")).toHaveLength(150);
    const ofAnother = Array.from({ length: 200 }, () => wait(question, "10.0.0.2"));
    expect(ofAnother.filter((wait) => wait === "client")).toHaveLength(175);
    expect(wait(question, "10.0.0.3")).toBeInstanceOf(Promise);
  });

  test("are known before a question is started", () => {
    const { shared, start, wait } = createTable({ maxWaiters: 2, maxWaitersPerClient: 1 });
    expect(shared.boundAgainst("10.0.0.1", "outside")).toBeUndefined();
    void wait(start("q").inFlight, "10.0.0.1");
    expect(shared.boundAgainst("10.0.0.1", "cluster")).toBe("client");
    expect(shared.boundAgainst("10.0.0.2", "outside")).toBeUndefined();
    void wait(start("r").inFlight, "10.0.0.2");
    expect(shared.boundAgainst("10.0.0.3", "outside")).toBe("waiters");
  });

  test("do not count clients that were turned away", () => {
    const { shared, start, wait } = createTable({ maxWaitersPerClient: 1 });
    const question = start("q");
    void wait(question.inFlight, "10.0.0.1");
    for (let more = 0; more < 5; more += 1) void wait(question.inFlight, "10.0.0.1");
    expect(shared.waiterCount()).toBe(1);
  });

  test("make room when waiters are answered, for the client and in total", async () => {
    const { start, wait } = createTable({ maxWaiters: 2, maxWaitersPerClient: 1 });
    const question = start("q");
    const waiting = wait(question.inFlight, "10.0.0.1");
    const other = start("r");
    expect(wait(other.inFlight, "10.0.0.1")).toBe("client");
    void wait(start("s").inFlight, "10.0.0.3");
    expect(wait(other.inFlight, "10.0.0.2")).toBe("waiters");
    question.answer();
    await waiting;
    expect(wait(other.inFlight, "10.0.0.1")).toBeInstanceOf(Promise);
  });

  test("follow a reload at once", () => {
    const limits = { ...roomy };
    const shared = createSharedQuestions(limits);
    expect(shared.boundAgainst("10.0.0.1", "outside")).toBeUndefined();
    limits.maxWaiters = 0;
    expect(shared.boundAgainst("10.0.0.1", "outside")).toBe("waiters");
  });
});
