/*
 * A small fleet through each situation, with the real upstream/ and resolve/: from a second after it is over on, kube-dns is never asked more
 * than twice as often as on a quiet day. `npm run simulate:fleet` does the same with a thousand nodes.
 */
import { describe, expect, test } from "vitest";
import { mostTimesQuiet, peakAfter, quietMean } from "../../bench/fleet/judge.ts";
import { fleetOf, simulate } from "../../bench/fleet/simulate.ts";
import { situations, type SituationName } from "../../bench/fleet/situations.ts";

const names = Object.keys(situations) as SituationName[];
const nodes = 24;

describe.each(names)("%s", (name) => {
  const situation = situations[name];

  test("kube-dns is asked at most twice as often as on a quiet day", async () => {
    const { questions, failedLookups } = await simulate(situation, fleetOf({ nodes, seed: 1 }));
    expect(quietMean(questions, situation)).toBeGreaterThan(nodes);
    expect(peakAfter(questions, situation).ratio).toBeLessThanOrEqual(mostTimesQuiet);
    // In the last ten seconds everything is as it was.
    expect(failedLookups.slice(-10).every((count) => count === 0)).toBe(true);
  });
});
