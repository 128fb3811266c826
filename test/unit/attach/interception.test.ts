import { describe, expect, onTestFinished, test } from "vitest";
import { type InterceptionOptions, startInterception } from "../../../src/attach/interception.ts";
import type { InterceptedSources } from "../../../src/attach/intercept-table.ts";
import type { SetupProblem } from "../../../src/attach/setup-problem.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

const target = { virtualAddress: "10.96.0.10", host: "169.254.20.10", port: 10_053, probePort: 10_052 };

function start(overrides: Partial<InterceptionOptions> = {}) {
  const node = createFakeNode();
  const clock = createFakeClock();
  const asked: string[] = [];
  const state: {
    udp: boolean | "hangs";
    tcp: boolean;
    may: boolean;
    problems: readonly SetupProblem[];
    sources: InterceptedSources;
  } = {
    udp: true,
    tcp: true,
    may: true,
    problems: [],
    sources: { allowed: [{ address: "10.0.0.0", prefixLength: 8 }], excepted: [] },
  };
  const interception = startInterception({
    targets: [target],
    sources: () => state.sources,
    tracking: "auto",
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
  const beats = () => asked.filter((line) => line.startsWith("udp")).length;
  return { interception, node, clock, asked, state, beats };
}

describe("the heartbeat", () => {
  test("makes the table and says who may ask, then only asks, every half second", async () => {
    const { interception, node, clock, asked, beats } = start();
    await clock.advance(0);
    expect(asked).toEqual([]);
    await clock.advance(500);
    expect(node.sessions[0]?.lines[0]).toMatch(/^add table inet nodens_[0-9a-f]{8} \{ flags owner; /);
    expect(node.sessions[0]?.lines[1]).toMatch(/add element inet nodens_[0-9a-f]{8} allowed4 \{ 10\.0\.0\.0\/8 \}/);
    expect(asked).toEqual(["udp 169.254.20.10:10052"]);
    expect(interception.isInForce()).toBe(true);
    await clock.advance(2000);
    expect(beats()).toBe(5);
    expect(node.sessions[0]?.lines).toHaveLength(2);
    expect(node.runs).toEqual([]);
  });

  test("tells nft when other sources may ask", async () => {
    const { node, clock, state } = start();
    await clock.advance(1000);
    state.sources = { allowed: state.sources.allowed, excepted: [{ address: "10.9.0.1", prefixLength: 32 }] };
    await clock.advance(1000);
    expect(node.sessions[0]?.lines).toHaveLength(3);
    expect(node.sessions[0]?.lines[2]).toContain("excepted4 { 10.9.0.1/32 }");
  });

  test("stops with the first question that hangs, and two seconds later it is no longer in force", async () => {
    const { interception, clock, state, beats } = start();
    await clock.advance(1000);
    const before = beats();
    state.udp = "hangs";
    await clock.advance(1400);
    expect(beats()).toBe(before + 1);
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
    await clock.advance(1000);
    expect(interception.isInForce()).toBe(true);
    state.may = false;
    await clock.advance(500);
    expect(node.sessions[0]?.lines.at(-1)).toMatch(/; flush set/);
    expect(interception.isInForce()).toBe(false);
  });

  test("an answer that throws is a problem like any other", async () => {
    const { clock, state } = start({ answers: () => Promise.reject(new Error("no descriptors")) });
    await clock.advance(1000);
    expect(state.problems).toEqual([{ kind: "nft", message: expect.stringContaining("no descriptors") }]);
  });
});

describe("two families and two Services", () => {
  const six = { virtualAddress: "fd96::a", host: "fd00:20::10", port: 10_053, probePort: 10_052 };
  const second = { ...target, virtualAddress: "10.96.0.11", port: 10_054, probePort: 10_051 };

  test("each has test packets of its own", async () => {
    const { clock, asked } = start({ targets: [target, second, six] });
    await clock.advance(500);
    expect(asked).toEqual(["udp 169.254.20.10:10052", "udp 169.254.20.10:10051", "udp fd00:20::10:10052"]);
  });

  test("one that is silent is not in force, delays no other, and is named", async () => {
    const { clock, interception, state, asked } = start({
      targets: [target, six],
      answers({ host, port }, protocol) {
        asked.push(`${protocol} ${host}:${port}`);
        return host === target.host ? Promise.resolve(true) : clock.pause(1000).then(() => false);
      },
    });
    await clock.advance(5000);
    expect(interception.isInForce()).toBe(false);
    expect(asked.filter((line) => line.startsWith(`udp ${target.host}`))).toHaveLength(10);
    expect(state.problems).toEqual([
      { kind: "path", message: expect.stringContaining("to fd96::a (fd00:20::10 port") },
    ]);
  });

  test("one that may not be intercepted is let run out, and the others stay", async () => {
    const allowed = new Set(["10.96.0.10", "fd96::a"]);
    const { node, clock, asked } = start({
      targets: [target, six],
      mayIntercept: ({ virtualAddress }) => allowed.has(virtualAddress),
    });
    await clock.advance(1000);
    allowed.delete("fd96::a");
    const before = asked.length;
    await clock.advance(2000);
    expect(asked.slice(before).every((line) => line.includes(target.host))).toBe(true);
    expect(node.sessions[0]?.lines.filter((line) => line.includes("flush set") && line.includes("alive4"))).toEqual([]);
  });
});

describe("the end", () => {
  test("withdrawal waits for the question under way, whose reply renews the set, and asks nothing after it", async () => {
    let answer = (_isAnswered: boolean) => {};
    const { interception, node, clock, asked } = start({
      answers: () => {
        asked.push("udp");
        return new Promise((resolve) => (answer = resolve));
      },
    });
    await clock.advance(500);
    answer(true);
    await clock.advance(0);
    await clock.advance(500);
    expect([asked.length, interception.isInForce()]).toEqual([2, true]);
    const withdrawn = interception.withdraw();
    await clock.advance(0);
    expect(node.sessions[0]?.lines.at(-1)).not.toMatch(/; flush set inet \S+ alive4/);
    answer(true);
    await withdrawn;
    expect(node.sessions[0]?.lines.at(-1)).toMatch(/; flush set inet \S+ alive4/);
    expect(interception.isInForce()).toBe(false);
    await clock.advance(60_000);
    expect(asked).toHaveLength(2);
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
    await clock.advance(3400);
    expect(asked.filter((line) => line.startsWith("tcp"))).toEqual([]);
    await clock.advance(200);
    expect(asked.filter((line) => line.startsWith("tcp"))).toEqual(["tcp 169.254.20.10:10052"]);
  });

  test("suspends the interception when TCP does not take the way that UDP takes", async () => {
    const { clock, state, interception, beats } = start();
    state.tcp = false;
    await clock.advance(3600);
    expect(interception.isInForce()).toBe(false);
    const before = beats();
    await clock.advance(3000);
    expect(beats()).toBe(before);
    expect(state.problems).toEqual([{ kind: "path", message: expect.stringContaining("over UDP but not over TCP") }]);
  });

  test.each([
    { title: "once", replies: { tcp: [false, true], udp: true } },
    { title: "when UDP is not either", replies: { tcp: [false, false], udp: false } },
  ])("suspends nothing when TCP is not answered $title", async ({ replies }) => {
    const left = [...replies.tcp];
    const { clock, state, interception } = start({
      answers(_, protocol) {
        const isAnswered = protocol === "tcp" ? left.shift() === true : left.length === 2 || replies.udp;
        return Promise.resolve(isAnswered);
      },
    });
    await clock.advance(3600);
    expect(left.length).toBeLessThan(2);
    expect(state.problems).toEqual([]);
    expect(interception.isInForce()).toBe(true);
  });

  test("says when no replies leave for some pods, and when that is over", async () => {
    const { clock, interception, node, state } = start();
    await clock.advance(1000);
    node.counters.fell_back = 10;
    node.pods.fallen4 = 2;
    await interception.verify();
    expect(interception.isInForce()).toBe(true);
    expect(interception.podCounts()).toMatchObject({ fallenPods: 2, trackedPods: 0 });
    expect(state.problems).toEqual([
      { kind: "pods", message: expect.stringContaining("no replies leave for some pods") },
    ]);
    node.pods.fallen4 = 0;
    await interception.verify();
    expect(state.problems).toEqual([]);
  });

  test("says when packets of some pods have to be tracked, as long as they are", async () => {
    const { clock, interception, node, state } = start();
    await clock.advance(1000);
    node.counters.turned_tracked = 1;
    node.pods.tracked4 = 1;
    await interception.verify();
    await interception.verify();
    expect(interception.podCounts()).toMatchObject({ fallenPods: 0, trackedPods: 1 });
    expect(state.problems).toEqual([
      { kind: "pods", message: expect.stringContaining("untracked replies do not leave") },
    ]);
    node.pods.tracked4 = 0;
    await interception.verify();
    expect(state.problems).toEqual([]);
  });

  test("says so no longer when the half hour that the kernel keeps a pod among them is over", async () => {
    const { clock, interception, node, state } = start();
    await clock.advance(1000);
    const kept = /add set inet \S+ tracked4 \{[^}]* timeout (\d+)m;/.exec(node.sessions[0]?.lines[0] ?? "");
    const untilMs = clock.nowMs() + Number(kept?.[1]) * 60_000;
    // As the kernel does with a set whose elements have a timeout, and that nothing renews.
    const lookNow = () => {
      node.pods.tracked4 = clock.nowMs() < untilMs ? 1 : 0;
      return interception.verify();
    };
    const pods = () => state.problems.filter(({ kind }) => kind === "pods");
    await lookNow();
    expect(pods()).toEqual([{ kind: "pods", message: expect.stringContaining("half an hour later") }]);
    await clock.advance(29 * 60_000);
    await lookNow();
    expect(pods()).toHaveLength(1);
    await clock.advance(60_000);
    await lookNow();
    expect(pods()).toEqual([]);
    expect(interception.podCounts()?.trackedPods).toBe(0);
  });

  test("asks nft one thing", async () => {
    const { clock, interception, node } = start();
    await clock.advance(1000);
    await interception.verify();
    expect(node.runs.map((line) => line.split(" ").slice(0, 4).join(" "))).toEqual(["nft --json list table"]);
  });

  test("says when redirected packets are tracked all the same, and goes on intercepting", async () => {
    const { clock, interception, node, state } = start();
    await clock.advance(1000);
    node.counters.tracked = 1;
    await interception.verify();
    expect(interception.isInForce()).toBe(true);
    expect(state.problems).toEqual([{ kind: "path", message: expect.stringContaining("are tracked in spite") }]);
    await interception.verify();
    expect(state.problems).toEqual([]);
  });

  test("tries again after a minute, then after two", async () => {
    const { clock, interception, state } = start();
    state.tcp = false;
    await clock.advance(3600);
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

  test("survives output that is no JSON", async () => {
    const { clock, interception, node, state } = start();
    await clock.advance(1000);
    node.failures.set("nft --json", { code: 0, stdout: "?" });
    await interception.verify();
    expect(state.problems[0]?.kind).toBe("nft");
  });

  test("says when nothing comes for ten minutes, and whether anything came before", async () => {
    const { clock, interception, node, state } = start();
    const quiet = () => state.problems.filter(({ kind }) => kind === "unseen").map(({ message }) => message);
    await clock.advance(1000);
    await interception.verify();
    await clock.advance(590_000);
    expect(quiet()).toEqual([]);
    await clock.advance(20_000);
    expect(quiet()).toEqual([expect.stringContaining("in ten minutes of intercepting")]);
    node.counters.intercepted = 1;
    await interception.verify();
    expect(quiet()).toEqual([]);
    await clock.advance(601_000);
    expect(quiet()).toEqual([expect.stringContaining("and there were some before")]);
    expect(interception.isInForce()).toBe(true);
  });

  test("counts on where a new table begins at nothing", async () => {
    const { clock, interception, node } = start();
    await clock.advance(1000);
    node.counters.intercepted = 100;
    await interception.verify();
    node.sessions[0]?.kill();
    node.counters.intercepted = 5;
    await clock.advance(3000);
    await interception.verify();
    expect(interception.podCounts()?.packets.intercepted).toBe(105);
  });
});
