import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type LossReason } from "../../../src/upstream/flow.ts";
import { watchServerHealth } from "../../../src/upstream/server-health.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

const limits = { failuresUntilDown: 3, probeIntervalMs: 500, maxBackoffMs: 5000 };

/** A server's health whose probes answer what the test says: a promise that it settles, or a value. */
function watch(probe: () => boolean | Promise<boolean> = () => false) {
  const clock = createFakeClock();
  const onChange = vi.fn<(isUp: boolean) => void>();
  const probedAtMs: number[] = [];
  const health = watchServerHealth(
    limits,
    clock,
    () => {
      probedAtMs.push(clock.nowMs());
      return Promise.resolve(probe());
    },
    onChange,
  );
  onTestFinished(() => health.close());
  return { health, clock, onChange, probedAtMs, lose };

  /** Loses `count` queries that left now. */
  function lose(count: number, reason: LossReason = "timeout", sentAtMs = clock.nowMs()): void {
    for (let index = 0; index < count; index += 1) health.noteLoss(reason, sentAtMs);
  }
}

describe("a server goes down", () => {
  test("after as many silent losses as allowed, and not before", () => {
    const { health, onChange, lose } = watch();
    lose(2);
    expect(health.isUp()).toBe(true);
    lose(1);
    expect(health.isUp()).toBe(false);
    expect(onChange.mock.calls).toStrictEqual([[false]]);
  });

  test("is told once, however many losses follow", () => {
    const { onChange, lose } = watch();
    lose(100);
    expect(onChange).toHaveBeenCalledOnce();
  });

  test("at once when it refuses", () => {
    const { health, lose } = watch();
    lose(1, "refused");
    expect(health.isUp()).toBe(false);
  });

  test.each(["timeout", "closed", "unreachable"] as const)("by losses because of: %s", (reason) => {
    const { health, lose } = watch();
    lose(3, reason);
    expect(health.isUp()).toBe(false);
  });

  test.each(["stopped", "exhausted", "forgery"] as const)("never by what says nothing of it: %s", (reason) => {
    const { health, lose } = watch();
    lose(100, reason);
    expect(health.isUp()).toBe(true);
  });

  test("not by one slow name while it answers others", async () => {
    const { health, clock, lose } = watch();
    for (let round = 0; round < 20; round += 1) {
      const sentAtMs = clock.nowMs();
      await clock.advance(400);
      health.noteReply();
      await clock.advance(400);
      lose(5, "timeout", sentAtMs);
    }
    expect(health.isUp()).toBe(true);
  });

  test("by losses in a row: an answer in between starts the count anew", async () => {
    const { health, clock, lose } = watch();
    lose(2);
    await clock.advance(1);
    health.noteReply();
    await clock.advance(1);
    lose(2);
    expect(health.isUp()).toBe(true);
    lose(1);
    expect(health.isUp()).toBe(false);
  });
});

describe("a server that is down", () => {
  test("is probed with growing pauses, up to the longest, with jitter of a quarter", async () => {
    const { clock, probedAtMs, lose } = watch();
    const downAtMs = clock.nowMs();
    lose(3);
    await clock.advance(60_000);
    const pauses = probedAtMs.map((at, index) => at - (probedAtMs[index - 1] ?? downAtMs));
    const nominal = [500, 1000, 2000, 4000, 5000, 5000, 5000];
    for (const [index, pauseMs] of nominal.entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(0.75 * pauseMs);
      expect(pauses[index]).toBeLessThanOrEqual(1.25 * pauseMs);
    }
    expect(Math.max(...pauses)).toBeLessThanOrEqual(6250);
    expect(new Set(pauses).size).toBe(pauses.length);
  });

  test("is up again with the first answer, to a probe or to anything else, and probed no more", async () => {
    const { health, clock, onChange, probedAtMs, lose } = watch();
    lose(3);
    await clock.advance(700);
    expect(probedAtMs).toHaveLength(1);
    health.noteReply();
    expect(health.isUp()).toBe(true);
    expect(onChange.mock.calls).toStrictEqual([[false], [true]]);
    await clock.advance(60_000);
    expect(probedAtMs).toHaveLength(1);
    expect(clock.pendingTimers()).toBe(0);
  });

  test("starts with short pauses the next time", async () => {
    const { health, clock, probedAtMs, lose } = watch();
    lose(3);
    await clock.advance(30_000);
    health.noteReply();
    await clock.advance(1000);
    probedAtMs.length = 0;
    lose(3);
    await clock.advance(625);
    expect(probedAtMs).toHaveLength(1);
  });

  test("is probed by one at a time, also when it went up and down again during a probe", async () => {
    const pending: ((hasReplied: boolean) => void)[] = [];
    const { health, clock, probedAtMs, lose } = watch(() => new Promise((resolve) => pending.push(resolve)));
    lose(3);
    await clock.advance(625);
    health.noteReply();
    await clock.advance(1);
    lose(3);
    pending[0]?.(false);
    await clock.advance(0);
    await clock.advance(625);
    pending[1]?.(false);
    await clock.advance(0);
    probedAtMs.length = 0;
    await clock.advance(1250);
    expect(probedAtMs).toHaveLength(1);
  });

  test("is left alone once closed", async () => {
    const { health, clock, probedAtMs, lose } = watch();
    lose(3);
    health.close();
    await clock.advance(60_000);
    expect(probedAtMs).toHaveLength(0);
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe("whether it ever answered", () => {
  test("is false until the first answer, and true ever after", () => {
    const { health, lose } = watch();
    expect(health.hasAnswered()).toBe(false);
    lose(1);
    expect(health.hasAnswered()).toBe(false);
    health.noteReply();
    lose(10);
    expect(health.hasAnswered()).toBe(true);
  });
});
