import { describe, expect, test } from "vitest";
import { createLifeCycle, type LifeCycle, type LifeState } from "../../../src/runtime/life-cycle.ts";

const steps = {
  starting: () => {},
  ready: (life: LifeCycle) => void life.becomeReady(),
  draining: (life: LifeCycle) => life.drain(),
  gone: (life: LifeCycle) => life.end(),
} as const;

/** A life cycle that was brought into `state` from its start. */
function lifeIn(state: LifeState): LifeCycle {
  const life = createLifeCycle();
  steps[state](life);
  return life;
}

describe("the states", () => {
  test.each<[LifeState, "becomeReady" | "drain" | "end", LifeState]>([
    ["starting", "becomeReady", "ready"],
    ["starting", "drain", "draining"],
    ["starting", "end", "gone"],
    ["ready", "becomeReady", "ready"],
    ["ready", "drain", "draining"],
    ["ready", "end", "gone"],
    ["draining", "becomeReady", "draining"],
    ["draining", "drain", "draining"],
    ["draining", "end", "gone"],
    ["gone", "becomeReady", "gone"],
    ["gone", "drain", "gone"],
    ["gone", "end", "gone"],
  ])("%s, then %s: %s", (from, step, to) => {
    const life = lifeIn(from);
    expect(life.state()).toBe(from);
    life[step]();
    expect(life.state()).toBe(to);
  });

  test.each<[LifeState, boolean]>([
    ["starting", true],
    ["ready", false],
    ["draining", false],
    ["gone", false],
  ])("becoming ready while %s succeeds: %s", (state, succeeds) => {
    expect(lifeIn(state).becomeReady()).toBe(succeeds);
  });
});

describe("the reasons", () => {
  test("say why it is not ready: while it is starting, the last explanation", () => {
    const life = createLifeCycle();
    expect(life.reasons()).toEqual(["starting"]);
    life.explain("the cluster's zone has not been answered yet");
    life.explain("the upstream leads back here");
    expect(life.reasons()).toEqual(["the upstream leads back here"]);
  });

  test("are empty when it is ready, even after a late explanation", () => {
    const life = lifeIn("ready");
    life.explain("too late");
    expect(life.reasons()).toEqual([]);
  });

  test.each<[LifeState, string]>([
    ["draining", "draining"],
    ["gone", "stopped"],
  ])("are not changed by an explanation when it is %s", (state, reason) => {
    const life = lifeIn(state);
    life.explain("too late");
    expect(life.reasons()).toEqual([reason]);
  });

  test("draining after the end does not bring it back", () => {
    const life = lifeIn("gone");
    life.drain();
    expect(life.reasons()).toEqual(["stopped"]);
  });
});
