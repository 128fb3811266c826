import { describe, expect, test } from "vitest";
import { becomeReady, type ReadinessParts } from "../../../src/app/become-ready.ts";
import { createLoopGuard } from "../../../src/resolve/loop-guard.ts";
import { createLifeCycle } from "../../../src/runtime/life-cycle.ts";
import { createZoneKnowledge } from "../../../src/search/zone-knowledge.ts";
import { nameBytes } from "../../support/messages/messages.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

/** What there is to see. A test changes it while time passes. */
interface Sight {
  isZoneAnswered: boolean;
  areSocketsOpen: boolean;
  silence: string | undefined;
  /** How often servers were probed. */
  probes: number;
  /** How often the zone was asked. */
  asked: number;
}

/** A nodens that starts, and sees everything that it needs unless `sight` says otherwise. */
async function start(sight: Partial<Sight> = {}) {
  const seen: Sight = { isZoneAnswered: true, areSocketsOpen: true, silence: undefined, probes: 0, asked: 0, ...sight };
  const clock = createFakeClock();
  const lifeCycle = createLifeCycle();
  const loopGuard = createLoopGuard("5ec2e7");
  const warnings: string[] = [];
  // Only what is read of the parts: the rest needs sockets.
  const upstream = { routes: [], probeAll: () => Promise.resolve(void (seen.probes += 1)) };
  const parts = {
    lifeCycle,
    loopGuard,
    clock,
    knowledge: createZoneKnowledge({ checkOneIn: 64 }),
    upstream: { inForce: () => upstream },
    sockets: { listeners: [{}], findSilence: () => Promise.resolve(seen.silence) },
    attachment: { areSocketsOpen: () => seen.areSocketsOpen },
    log: { info() {}, warn: (_fields: object, message: string) => void warnings.push(message) },
    learn: () => ((seen.asked += 1), Promise.resolve(seen.isZoneAnswered)),
    learnUntilShown: () => Promise.resolve(),
  } as unknown as ReadinessParts;
  void becomeReady(parts);
  await clock.advance(0);
  return { seen, clock, lifeCycle, loopGuard, warnings };
}

test("nodens is ready at once if everything works", async () => {
  expect((await start()).lifeCycle.state()).toBe("ready");
});

describe("nodens is not ready, and says why, while", () => {
  test.each<[string, Partial<Sight>, Partial<Sight>]>([
    ["the cluster's zone has not been answered yet", { isZoneAnswered: false }, { isZoneAnswered: true }],
    ["an address could not be opened", { areSocketsOpen: false }, { areSocketsOpen: true }],
    ["nodens's own socket is silent", { silence: "nodens's own socket is silent" }, { silence: undefined }],
  ])("%s", async (reason, missing, present) => {
    const { seen, clock, lifeCycle } = await start(missing);
    await clock.advance(60_000);
    expect([lifeCycle.state(), lifeCycle.reasons()]).toEqual(["starting", [reason]]);
    Object.assign(seen, present);
    await clock.advance(missing.isZoneAnswered === false ? 5000 : 500);
    expect(lifeCycle.state()).toBe("ready");
  });

  test("the upstream leads back to nodens, which is said even if that leaves the zone unanswered", async () => {
    const { seen, clock, lifeCycle, loopGuard } = await start({ isZoneAnswered: false });
    loopGuard.startRound();
    loopGuard.isOwnProbe(loopGuard.probeFor(nameBytes("cluster.local")));
    await clock.advance(500);
    expect(lifeCycle.reasons()).toEqual(["the upstream leads back to nodens"]);
    const { probes } = seen;
    await clock.advance(60_000);
    expect(seen.probes).toBe(probes);
    seen.isZoneAnswered = true;
    loopGuard.startRound();
    loopGuard.endRound();
    await clock.advance(5000);
    expect(lifeCycle.state()).toBe("ready");
  });
});

test("a zone that is not answered is asked again ever more rarely, up to every five seconds", async () => {
  const { seen, clock } = await start({ isZoneAnswered: false });
  const within = async (ms: number) => {
    const before = seen.asked;
    await clock.advance(ms);
    return seen.asked - before;
  };
  expect(seen.asked).toBe(1);
  const [first, later] = [await within(3000), (await within(20_000), await within(60_000))];
  expect(first).toBeGreaterThanOrEqual(2);
  expect(first).toBeLessThanOrEqual(3);
  // Each pause is between half of five seconds and all of them.
  expect(later).toBeGreaterThanOrEqual(12);
  expect(later).toBeLessThanOrEqual(24);
});

test("a zone that was answered is not asked again while something else is missing", async () => {
  const { seen, clock, lifeCycle } = await start({ areSocketsOpen: false });
  await clock.advance(60_000);
  expect([seen.asked, seen.probes]).toEqual([1, 1]);
  seen.areSocketsOpen = true;
  await clock.advance(500);
  expect(lifeCycle.state()).toBe("ready");
});

test("a zone that is not answered is logged once", async () => {
  const { clock, warnings } = await start({ isZoneAnswered: false });
  await clock.advance(10_000);
  expect(warnings).toEqual(["the cluster's zone is not answered; serving, but not ready"]);
});
