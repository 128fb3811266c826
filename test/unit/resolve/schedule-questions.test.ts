import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { QuestionClass } from "../../../src/resolve/question-class.ts";
import { questionClasses } from "../../../src/resolve/question-class.ts";
import { windows } from "../../../src/resolve/route-lane.ts";
import { type AskResult, createQuestionSchedule } from "../../../src/resolve/schedule-questions.ts";
import type { ShedCounters } from "../../../src/resolve/shed-counters.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange-state.ts";
import type { Transport } from "../../../src/wire/transport.ts";
import { questionKey } from "../../../src/wire/question.ts";
import { Type } from "../../support/messages/messages.ts";
import { questionFor } from "../../support/messages/parsed-messages.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

const answered = { reply: {} } as ExchangeResult;
const lost: ExchangeResult = { failure: "timeout" };

/** A schedule over an upstream that answers when a test says so. The first label of a name is its route, TCP but for "udp". */
function createSchedule(maxInFlight = 2048) {
  const clock = createFakeClock();
  const shed: ShedCounters = new Map();
  const open: { readonly name: string; readonly settle: (result: ExchangeResult) => void }[] = [];
  const results = new Map<string, AskResult>();
  const routeOf = (name: Uint8Array) => {
    const route = new TextDecoder().decode(name.subarray(1, 1 + (name[0] ?? 0)));
    const transport: Transport = route === "udp" ? "udp" : "tcp";
    return { route, transport };
  };
  const names = new Map<string, string>();
  const schedule = createQuestionSchedule({
    limits: { maxInFlight },
    clock,
    shed,
    routeOf,
    answersAtOnce: (route) => route === "udp",
    ask: ({ name }, settle) => void open.push({ name: names.get(new TextDecoder().decode(name)) ?? "", settle }),
  });

  /** Asks; `text` is route, client and number, as in "cluster.a.1". */
  function ask(text: string, of: QuestionClass = "client"): void {
    const question = questionFor(text, Type.A);
    names.set(new TextDecoder().decode(question.name), text);
    const client = text.split(".")[1] ?? "";
    const key = questionKey(question);
    schedule.ask(question, key, { class: of, client }, (result) => void results.set(text, result));
  }

  async function settle(text: string, result: ExchangeResult = answered): Promise<void> {
    const index = open.findIndex(({ name }) => name === text);
    const [found] = index < 0 ? [] : open.splice(index, 1);
    if (found === undefined) throw new Error(`${text} is not open`);
    found.settle(result);
    await clock.advance(0);
  }

  const hasten = (text: string, client: string) =>
    schedule.hasten(questionKey(questionFor(text, Type.A)), { class: "client", client });
  return { schedule, clock, shed, ask, settle, hasten, results, open: () => open.map(({ name }) => name) };
}

/** The names of a client's questions on a route. */
function namesOf(route: string, client: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${route}.${client}.${index}`);
}

describe("a route", () => {
  test("asks at once while there is room", () => {
    const { ask, open } = createSchedule();
    ask("cluster.a.1");
    ask("cluster.b.1");
    expect(open()).toEqual(["cluster.a.1", "cluster.b.1"]);
  });

  test("lets one client have half of the window, so that the next is asked at once", () => {
    const { ask, open } = createSchedule();
    for (const name of namesOf("cluster", "hog", 300)) ask(name);
    expect(open()).toHaveLength(windows.inOrder.least / 2);
    ask("cluster.other.1");
    expect(open().at(-1)).toBe("cluster.other.1");
  });

  test("is given more at once while others wait and answers come, but no more than its bound", async () => {
    const { ask, open, settle } = createSchedule();
    for (const name of namesOf("udp", "a", 700)) ask(name);
    expect(open()).toHaveLength(windows.atOnce.least / 2);
    for (let answer = 0; answer < 300; answer += 1) await settle(open()[0] ?? "");
    expect(open().length).toBeGreaterThan(windows.atOnce.least / 2);
    expect(open().length).toBeLessThanOrEqual(windows.atOnce.most / 2);
  });

  test("that no longer answers is soon given less at once", async () => {
    const { ask, open, settle } = createSchedule();
    for (const name of namesOf("udp", "a", 700)) ask(name);
    for (let answer = 0; answer < 300; answer += 1) await settle(open()[0] ?? "");
    for (let failure = 0; failure < 200; failure += 1) await settle(open()[0] ?? "", lost);
    expect(open().length).toBeLessThanOrEqual(windows.atOnce.least / 2);
  });

  test("is shared equally by clients, whichever came first", async () => {
    const { ask, open, settle } = createSchedule();
    for (const client of ["a", "b"]) for (const name of namesOf("cluster", client, 100)) ask(name);
    for (let turn = 0; turn < 40; turn += 1) await settle(open()[0] ?? "");
    const ofA = open().filter((name) => name.startsWith("cluster.a"));
    expect(open().length).toBeGreaterThan(8);
    expect(Math.abs(2 * ofA.length - open().length)).toBeLessThanOrEqual(1);
  });

  test("that is dead does not stop another", () => {
    const { ask, open } = createSchedule();
    for (const client of ["a", "b", "c", "d"]) for (const name of namesOf("dead", client, 1024)) ask(name);
    ask("cluster.e.1");
    expect(open().at(-1)).toBe("cluster.e.1");
    expect(open().filter((name) => name.startsWith("dead")).length).toBeLessThanOrEqual(windows.inOrder.least);
  });

  test("does not count what was overtaken, which is slow or lost and not in anybody's way", async () => {
    const { ask, open, settle } = createSchedule();
    for (const name of namesOf("cluster", "a", 20)) ask(name);
    expect(open()).toHaveLength(8);
    await settle("cluster.a.7");
    expect(open()).toHaveLength(7 + 8);
  });

  test("still counts what was overtaken by a failure, which says nothing about the path", async () => {
    const { ask, open, settle } = createSchedule();
    for (const name of namesOf("cluster", "a", 20)) ask(name);
    await settle("cluster.a.7", lost);
    expect(open()).toHaveLength(8);
  });

  test("that is full sheds the newest question of the client with the most", async () => {
    const { ask, results, clock, shed, schedule } = createSchedule(20);
    for (const name of namesOf("cluster", "hog", 20)) ask(name);
    await clock.advance(0);
    expect(results.size).toBe(0);
    for (const name of namesOf("cluster", "other", 3)) ask(name);
    await clock.advance(0);
    expect([...results]).toEqual([19, 18, 17].map((number) => [`cluster.hog.${number}`, { shed: "client" }]));
    ask("cluster.hog.20");
    await clock.advance(0);
    expect(results.get("cluster.hog.20")).toEqual({ shed: "client" });
    expect(shed.get("cluster")?.client).toEqual({ inflight: 0, waiters: 0, client: 4, late: 0 });
    expect(schedule.underWayCount("cluster") + schedule.waitingCount("cluster")).toBe(20);
  });

  test("that is full of many clients' questions sheds the next one", async () => {
    const { ask, results, clock } = createSchedule(4);
    for (const client of ["a", "b", "c", "d", "e"]) ask(`cluster.${client}.1`);
    await clock.advance(0);
    expect([...results]).toEqual([["cluster.e.1", { shed: "inflight" }]]);
  });

  test("sheds what had no turn for two seconds, and leaves no timer", async () => {
    const { ask, results, clock, settle, open } = createSchedule();
    for (const name of namesOf("cluster", "a", 10)) ask(name);
    await clock.advance(1999);
    expect(results.size).toBe(0);
    await clock.advance(1);
    expect([...results.keys()]).toEqual(["cluster.a.8", "cluster.a.9"]);
    expect(results.get("cluster.a.9")).toEqual({ shed: "late" });
    for (const name of open()) await settle(name, lost);
    expect(clock.pendingTimers()).toBe(0);
    expect(open()).toEqual([]);
  });
});

describe("classes", () => {
  test("a client's own question comes before a parent of it", async () => {
    const { ask, open, settle } = createSchedule();
    for (const name of namesOf("cluster", "a", 8)) ask(name);
    ask("cluster.a.parent", "parent");
    ask("cluster.a.itself");
    await settle("cluster.a.0");
    expect(open().at(-1)).toBe("cluster.a.itself");
  });

  test("a parent for one client does not wait for all questions of another", async () => {
    const { ask, open } = createSchedule();
    for (const name of namesOf("cluster", "hog", 300)) ask(name);
    ask("cluster.b.parent", "parent");
    expect(open().at(-1)).toBe("cluster.b.parent");
  });

  test.each([
    ["prefetch", 4, 256],
    ["check", 2, 16],
  ] as const)("%s: has a small share of the window, and of the queue", async (of, underWay, waiting) => {
    const { ask, open, clock, results, schedule } = createSchedule();
    for (const name of namesOf("cluster", "", 1000)) ask(name, of);
    await clock.advance(0);
    expect(open()).toHaveLength(underWay);
    expect(schedule.waitingCount("cluster")).toBe(waiting);
    expect(results.size).toBe(1000 - underWay - waiting);
    ask("cluster.a.1");
    expect(open().at(-1)).toBe("cluster.a.1");
  });

  test("nodens's own questions wait for clients that have a turn", async () => {
    const { ask, open, settle } = createSchedule(16);
    for (const client of ["a", "b", "c", "d", "e", "f", "g", "h"]) ask(`cluster.${client}.1`);
    ask("cluster..check", "check");
    ask("cluster.i.1");
    expect(open()).toHaveLength(8);
    await settle("cluster.h.1", lost);
    expect(open().at(-1)).toBe("cluster.i.1");
  });
});

describe("a question that somebody else wants too", () => {
  test("takes the turn of the client that has fewer", async () => {
    const { ask, open, hasten } = createSchedule();
    for (const name of namesOf("cluster", "hog", 300)) ask(name);
    hasten("cluster.hog.299", "other");
    expect(open().at(-1)).toBe("cluster.hog.299");
  });

  test("becomes a client's question if it was a prefetch", () => {
    const { ask, open, hasten } = createSchedule();
    for (const name of namesOf("cluster", "", 5)) ask(name, "prefetch");
    expect(open()).toHaveLength(4);
    hasten("cluster..4", "a");
    expect(open().at(-1)).toBe("cluster..4");
  });

  test("keeps its turn if the other client has more", () => {
    const { ask, open, hasten } = createSchedule();
    for (const client of ["a", "b"]) for (const name of namesOf("cluster", client, 30)) ask(name);
    const before = open();
    hasten("cluster.a.29", "b");
    expect(open()).toEqual(before);
  });
});

const anyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("ask" as const),
      route: fc.constantFrom("cluster", "udp", "dead"),
      client: fc.constantFrom("a", "b", "c"),
      of: fc.constantFrom(...questionClasses),
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("settle" as const), at: fc.nat(), isAnswered: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("hasten" as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(100, 1000, 2500) }) },
);

test("whatever is asked, every question is answered or shed once, no route exceeds its bounds, and nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(1, 2, 7, 40), fc.array(anyStep, { maxLength: 40 }), async (maxInFlight, steps) => {
      const { schedule, ask, settle, hasten, results, open, clock, shed } = createSchedule(maxInFlight);
      const asked: string[] = [];
      const isWithinBounds = () => {
        for (const route of ["cluster", "udp", "dead"]) {
          const underWay = schedule.underWayCount(route);
          expect(underWay).toBeLessThanOrEqual(Math.ceil(maxInFlight / 2));
          expect(underWay + schedule.waitingCount(route)).toBeLessThanOrEqual(maxInFlight + 4 + 256 + 2 + 16 + 64);
          expect(open().filter((name) => name.startsWith(`${route}.`))).toHaveLength(underWay);
        }
      };
      for (const step of steps) {
        if (step.kind === "ask") {
          for (let more = 0; more < step.count; more += 1) {
            const name = `${step.route}.${step.client}.${asked.length}`;
            asked.push(name);
            ask(name, step.of);
          }
        } else if (step.kind === "pass") await clock.advance(step.ms);
        else if (step.kind === "hasten") hasten(asked[step.at % Math.max(1, asked.length)] ?? "cluster.a.x", "z");
        else if (open().length > 0)
          await settle(open()[step.at % open().length] ?? "", step.isAnswered ? answered : lost);
        await clock.advance(0);
        isWithinBounds();
      }
      while (open().length > 0) await settle(open()[0] ?? "");
      expect([...results.keys()].toSorted()).toEqual(asked.toSorted());
      const letGo = [...results.values()].filter((result) => "shed" in result).length;
      const counted = [...shed.values()].flatMap((byClass) => Object.values(byClass).flatMap(Object.values));
      expect(counted.reduce((sum: number, count: number) => sum + count, 0)).toBe(letGo);
      expect(clock.pendingTimers()).toBe(0);
    }),
    { numRuns: 300 },
  );
});
