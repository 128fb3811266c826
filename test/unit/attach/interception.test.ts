import { describe, expect, onTestFinished, test } from "vitest";
import { type InterceptionOptions, startInterception } from "../../../src/attach/interception.ts";
import type { SetupProblem } from "../../../src/attach/setup-problem.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

const target = { virtualAddress: "10.96.0.10", host: "169.254.20.10", port: 10_053 };

function start(overrides: Partial<InterceptionOptions> = {}) {
  const node = createFakeNode();
  const clock = createFakeClock();
  const asked: string[] = [];
  const state: { udp: boolean | "hangs"; tcp: boolean; may: boolean; problems: readonly SetupProblem[] } = {
    udp: true,
    tcp: true,
    may: true,
    problems: [],
  };
  const interception = startInterception({
    targets: [target],
    probePort: 10_052,
    notrack: true,
    countsTracked: true,
    clock,
    run: node.run,
    openSession: node.openSession,
    answers({ host, port }, protocol) {
      asked.push(`${protocol} ${host}:${port}`);
      const answer = state[protocol];
      return answer === "hangs" ? new Promise(() => {}) : Promise.resolve(answer);
    },
    mayIntercept: () => state.may,
    report: (problems) => (state.problems = problems),
    ...overrides,
  });
  onTestFinished(() => interception.close());
  const renewals = () =>
    node.sessions.flatMap(({ lines }) => lines).filter((line) => line.startsWith("add element")).length;
  return { interception, node, clock, asked, state, renewals };
}

describe("the heartbeat", () => {
  test("makes the table, then renews the Service every half second, each time after an answer by the pods' way", async () => {
    const { interception, node, clock, asked, renewals } = start();
    await clock.advance(0);
    expect(node.sessions[0]?.lines[0]).toMatch(/^add table inet nodens_[0-9a-f]{8} \{ flags owner; /);
    expect(asked).toEqual(["udp 169.254.20.10:10052"]);
    expect(interception.isInForce()).toBe(true);
    await clock.advance(2000);
    expect(renewals()).toBe(5);
    expect(asked.filter((line) => line.startsWith("udp"))).toHaveLength(5);
  });

  test("renews in one transaction that works whether the element is there or not", async () => {
    const { node, clock } = start();
    await clock.advance(0);
    const [table] = /nodens_[0-9a-f]{8}/.exec(node.sessions[0]?.lines[0] ?? "") ?? [];
    expect(node.sessions[0]?.lines[1]).toBe(
      [
        `add element inet ${table} alive4 { 10.96.0.10 timeout 2s }`,
        `delete element inet ${table} alive4 { 10.96.0.10 }`,
        `add element inet ${table} alive4 { 10.96.0.10 timeout 2s }`,
      ].join("; "),
    );
  });

  test("stops with the first question that hangs, and two seconds later it is no longer in force", async () => {
    const { interception, clock, state, renewals } = start();
    await clock.advance(1000);
    const before = renewals();
    state.udp = "hangs";
    await clock.advance(1400);
    expect(renewals()).toBe(before);
    expect(interception.isInForce()).toBe(true);
    await clock.advance(700);
    expect(interception.isInForce()).toBe(false);
  });

  test("misses one answer without a word, says so at the third, and says no more when it is over", async () => {
    const { clock, state, interception } = start();
    await clock.advance(1000);
    state.udp = false;
    await clock.advance(1000);
    expect(state.problems).toEqual([]);
    await clock.advance(500);
    expect(state.problems).toEqual([{ kind: "path", message: expect.stringContaining("are not answered") }]);
    await clock.advance(2000);
    expect(interception.isInForce()).toBe(false);
    state.udp = true;
    await clock.advance(500);
    expect(state.problems).toEqual([]);
    expect(interception.isInForce()).toBe(true);
  });

  test("does nothing before nodens is fit for pods, and withdraws when it no longer is", async () => {
    const { node, clock, state, interception } = start();
    state.may = false;
    await clock.advance(3000);
    expect(node.sessions).toEqual([]);
    state.may = true;
    await clock.advance(500);
    expect(interception.isInForce()).toBe(true);
    state.may = false;
    await clock.advance(500);
    expect(node.sessions[0]?.lines.at(-1)).toMatch(/^flush set/);
    expect(interception.isInForce()).toBe(false);
  });

  test("an answer that throws is a problem like any other", async () => {
    const { clock, state } = start({ answers: () => Promise.reject(new Error("no descriptors")) });
    await clock.advance(1000);
    expect(state.problems).toEqual([{ kind: "nft", message: expect.stringContaining("no descriptors") }]);
  });
});

describe("two families and two Services", () => {
  const six = { virtualAddress: "fd96::a", host: "fd00:20::10", port: 10_053 };
  const second = { virtualAddress: "10.96.0.11", host: "169.254.20.10", port: 10_054 };

  test("each own address is asked once, and every Service is renewed in one transaction", async () => {
    const { node, clock, asked } = start({ targets: [target, second, six] });
    await clock.advance(0);
    expect(asked).toEqual(["udp 169.254.20.10:10052", "udp fd00:20::10:10052"]);
    const [, renewal = ""] = node.sessions[0]?.lines ?? [];
    for (const element of ["alive4 { 10.96.0.10 ", "alive4 { 10.96.0.11 ", "alive6 { fd96::a "]) {
      expect(renewal.split(element)).toHaveLength(4);
    }
  });

  test("the silence of one family is the silence of both", async () => {
    const { clock, interception } = start({
      targets: [target, six],
      answers: ({ host }) => Promise.resolve(host === target.host),
    });
    await clock.advance(5000);
    expect(interception.isInForce()).toBe(false);
  });
});

describe("the end", () => {
  test("withdrawal waits for the question under way, and renews nothing after it", async () => {
    let answer = (_isAnswered: boolean) => {};
    const { interception, node, clock, renewals } = start({
      answers: () => new Promise((resolve) => (answer = resolve)),
    });
    await clock.advance(0);
    answer(true);
    await clock.advance(0);
    await clock.advance(500);
    expect([renewals(), interception.isInForce()]).toEqual([1, true]);
    const withdrawn = interception.withdraw();
    answer(true);
    await withdrawn;
    expect(renewals()).toBe(1);
    expect(node.sessions[0]?.lines.at(-1)).toMatch(/^flush set/);
    expect(interception.isInForce()).toBe(false);
    await clock.advance(60_000);
    expect(renewals()).toBe(1);
  });

  test("withdrawal keeps the table, for the replies under way; closing ends it", async () => {
    const { interception, node, clock } = start();
    await clock.advance(0);
    await interception.withdraw();
    expect(node.sessions[0]?.isClosed).toBe(false);
    await interception.close();
    expect(node.sessions[0]?.isClosed).toBe(true);
  });

  test("withdrawn before it came into force, it says nothing to nft", async () => {
    const { interception, node, clock, state } = start();
    state.may = false;
    await clock.advance(1000);
    await interception.withdraw();
    await interception.close();
    state.may = true;
    await clock.advance(60_000);
    expect(node.sessions).toEqual([]);
  });

  test("nothing is reported any more", async () => {
    const { interception, node, clock, state } = start();
    await clock.advance(0);
    await interception.withdraw();
    node.sessions[0]?.kill();
    await clock.advance(60_000);
    expect(state.problems).toEqual([]);
  });
});

describe("the table", () => {
  test("is made anew, with the same name, when nft ends, after a pause that grows while it fails", async () => {
    const { node, clock, interception, state } = start();
    await clock.advance(1000);
    node.sessions[0]?.kill();
    expect(interception.isInForce()).toBe(false);
    expect(state.problems).toEqual([{ kind: "nft", message: expect.stringContaining("nft has ended") }]);
    node.complaint = "Error: Could not process rule: Device or resource busy";
    await clock.advance(1500);
    expect(node.sessions).toHaveLength(2);
    await clock.advance(1400);
    expect(node.sessions).toHaveLength(2);
    await clock.advance(600);
    expect(node.sessions).toHaveLength(3);
    node.complaint = undefined;
    await clock.advance(5000);
    expect(interception.isInForce()).toBe(true);
    expect(state.problems).toEqual([]);
    const name = (index: number) => /nodens_[0-9a-f]{8}/.exec(node.sessions[index]?.lines[0] ?? "")?.[0];
    expect(name(3)).toBe(name(0));
  });

  test.each([
    ["the program nft is not installed (spawn nft ENOENT)", "nft", /not installed/],
    ["Error: Could not process rule: Operation not permitted", "permission", /NET_ADMIN/],
    ["Error: syntax error, unexpected string, flags owner", "nft_owner", /Linux 5\.12/],
    ["Error: Could not process rule: Operation not supported", "nft_owner", /Linux 5\.12/],
    ["Error: Could not process rule: Device or resource busy", "nft", /busy/],
  ] as const)("that nft refuses with %j is said as such", async (complaint, kind, message) => {
    const { node, clock, state } = start();
    node.complaint = complaint;
    await clock.advance(0);
    expect(state.problems).toEqual([{ kind, message: expect.stringMatching(message) }]);
  });

  test("that vanished although nft runs is noticed by the packets that stay away", async () => {
    const { node, clock, state } = start();
    await clock.advance(1000);
    state.udp = false;
    node.failures.set("nft list chain", { code: 1 });
    await clock.advance(1500);
    expect(node.sessions[0]?.isClosed).toBe(true);
    state.udp = true;
    await clock.advance(2000);
    expect(node.sessions).toHaveLength(2);
  });
});

describe("a table that is lost", () => {
  test("is reported with the reason alone, however nft tells it", async () => {
    const { node, clock, state } = start({
      report: (problems) => reports.push(...problems.map(({ message }) => message)),
    });
    const reports: string[] = [];
    node.endsBecause = "the program nft is not installed (spawn nft ENOENT)";
    await clock.advance(60_000);
    expect(new Set(reports)).toEqual(new Set([`cannot intercept: ${node.endsBecause}`]));
    // After 0, 1, 3, 7, 15 and 31 s, each at the beat after it.
    expect(node.sessions).toHaveLength(6);
    expect(state.problems).toEqual([]);
  });

  test("while a question is under way stays a problem until there is another", async () => {
    let answer = (_isAnswered: boolean) => {};
    const { node, clock, state, interception } = start({
      answers: () => new Promise((resolve) => (answer = resolve)),
    });
    await clock.advance(0);
    answer(true);
    await clock.advance(0);
    await clock.advance(500);
    node.sessions[0]?.kill();
    answer(true);
    await clock.advance(0);
    expect(interception.isInForce()).toBe(false);
    expect(state.problems).toEqual([{ kind: "nft", message: expect.stringContaining("nft has ended") }]);
  });
});

describe("a session that has heard much", () => {
  test("gives way to another, without a moment in which nothing is in force", async () => {
    const { node, clock, interception, renewals } = start();
    await clock.advance(4_999_500);
    expect([node.sessions.length, renewals()]).toEqual([1, 10_000]);
    await clock.advance(500);
    expect(interception.isInForce()).toBe(true);
    expect(node.sessions.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    await clock.advance(2000);
    expect(node.sessions.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    const names = node.sessions.map(({ lines }) => /nodens_[0-9a-f]{8}/.exec(lines[0] ?? "")?.[0]);
    expect(new Set(names).size).toBe(2);
    expect(node.sessions[1]?.lines.slice(1).every((line) => line.includes(names[1] ?? "?"))).toBe(true);
  });

  test("is closed with the other when nodens ends in between", async () => {
    const { node, clock, interception } = start();
    await clock.advance(5_000_000);
    await interception.close();
    expect(node.sessions.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });
});

test("what is missed is forgotten while nodens does not want to intercept", async () => {
  const { clock, state } = start();
  state.udp = false;
  await clock.advance(3000);
  expect(state.problems).toHaveLength(1);
  state.may = false;
  await clock.advance(500);
  expect(state.problems).toEqual([]);
});

describe("the look at pods' packets", () => {
  test("comes three seconds after it is in force, and asks over TCP too", async () => {
    const { asked, clock } = start();
    await clock.advance(2900);
    expect(asked.filter((line) => line.startsWith("tcp"))).toEqual([]);
    await clock.advance(200);
    expect(asked.filter((line) => line.startsWith("tcp"))).toEqual(["tcp 169.254.20.10:10052"]);
  });

  test("suspends the interception when TCP does not take the way that UDP takes", async () => {
    const { clock, state, interception, node } = start();
    state.tcp = false;
    await clock.advance(3100);
    expect(interception.isInForce()).toBe(false);
    expect(node.sessions[0]?.lines.at(-1)).toMatch(/^flush set/);
    expect(state.problems).toEqual([{ kind: "path", message: expect.stringContaining("over UDP but not over TCP") }]);
  });

  test("suspends it when packets were rewritten and did not arrive, and says how many", async () => {
    const { clock, state, interception, node } = start();
    await clock.advance(1000);
    Object.assign(node.counters, { intercepted: 100, delivered: 50 });
    await interception.verify();
    expect(interception.isInForce()).toBe(false);
    expect(state.problems[0]?.message).toMatch(/^50 of 100 packets from pods were lost/);
  });

  test.each([
    ["three packets that may be on their way", { intercepted: 3, delivered: 0 }],
    ["few packets of which some arrived", { intercepted: 19, delivered: 10 }],
    ["few losses", { intercepted: 1000, delivered: 900 }],
    ["nothing", { intercepted: 0, delivered: 0 }],
  ])("makes nothing of %s", async (_, counters) => {
    const { clock, interception, node } = start();
    await clock.advance(1000);
    Object.assign(node.counters, counters);
    await interception.verify();
    expect(interception.isInForce()).toBe(true);
  });

  test("on a quiet node needs four packets only, if none arrived, however long they take to come together", async () => {
    const { clock, interception, node, state } = start();
    await clock.advance(1000);
    Object.assign(node.counters, { intercepted: 2, delivered: 0 });
    await interception.verify();
    expect(interception.isInForce()).toBe(true);
    Object.assign(node.counters, { intercepted: 4, delivered: 0 });
    await interception.verify();
    expect(interception.isInForce()).toBe(false);
    expect(state.problems[0]?.message).toMatch(/^4 of 4 packets/);
  });

  test("says when rewritten packets are tracked all the same, and goes on intercepting", async () => {
    const { clock, interception, node, state } = start();
    await clock.advance(1000);
    node.counters.tracked = 1;
    await interception.verify();
    expect(interception.isInForce()).toBe(true);
    expect(state.problems).toEqual([{ kind: "path", message: expect.stringContaining("are tracked in spite") }]);
    await interception.verify();
    expect(state.problems).toEqual([]);
  });

  test("counts from look to look", async () => {
    const { clock, interception, node } = start();
    await clock.advance(1000);
    Object.assign(node.counters, { intercepted: 10_000, delivered: 10_000 });
    await interception.verify();
    Object.assign(node.counters, { intercepted: 10_100, delivered: 10_000 });
    await interception.verify();
    expect(interception.isInForce()).toBe(false);
  });

  test("tries again after a minute, then after two", async () => {
    const { clock, interception, state } = start();
    state.tcp = false;
    await clock.advance(3100);
    await clock.advance(58_000);
    expect(interception.isInForce()).toBe(false);
    await clock.advance(2500);
    expect(interception.isInForce()).toBe(true);
    await clock.advance(3100);
    expect(interception.isInForce()).toBe(false);
    await clock.advance(115_000);
    expect(interception.isInForce()).toBe(false);
    state.tcp = true;
    await clock.advance(10_000);
    expect(interception.isInForce()).toBe(true);
    expect(state.problems).toEqual([]);
  });

  test("that suspends is not undone by a question that was under way", async () => {
    const answers: ((isAnswered: boolean) => void)[] = [];
    const { clock, interception, node, renewals } = start({
      answers: (_, protocol) =>
        protocol === "tcp" ? Promise.resolve(false) : new Promise((resolve) => answers.push(resolve)),
    });
    await clock.advance(0);
    answers.pop()?.(true);
    await clock.advance(0);
    await clock.advance(500);
    await interception.verify();
    answers.pop()?.(true);
    await clock.advance(0);
    expect(interception.isInForce()).toBe(false);
    expect(renewals()).toBe(1);
    expect(node.sessions[0]?.lines.at(-1)).toMatch(/^flush set/);
  });

  test("survives output that is no JSON", async () => {
    const { clock, interception, node, state } = start();
    await clock.advance(1000);
    node.failures.set("nft --json", { code: 0, stdout: "?" });
    await interception.verify();
    expect(state.problems[0]?.kind).toBe("nft");
  });
});
