import { expect, test } from "vitest";
import { createWaits, type Wait } from "../../../src/seen/waits.ts";
import { createWaitsWithDrops } from "../../../src/seen/waits-with-drops.ts";

const startMs = 1_000_000;
const none = { drop: 0, insertFailed: 0, earlyDrop: 0 };

/** A wait of 5 s that ended at a second of the test. */
const waitAt = (second: number): Wait => ({
  atMs: startMs + second * 1000,
  client: "10.0.0.7",
  name: undefined,
  nameHash: 1,
  type: 1,
  afterMs: 5000,
  first: 1,
  podCauses: [],
});

test("a wait is told with what connection tracking dropped when its first query was sent, and no other second", () => {
  const waits = createWaits();
  const noted = createWaitsWithDrops(waits);
  for (let second = 0; second <= 200; second += 1) {
    // Between the seconds 10 and 11, and long after.
    const totals = { drop: second >= 11 ? 3 : 0, insertFailed: second >= 100 ? 9 : 0, earlyDrop: second >= 11 ? 1 : 0 };
    if (second === 16 || second === 30) waits.add(waitAt(second));
    noted.sample(totals, startMs + second * 1000);
  }
  expect(noted.kept().map(({ wait, dropped }) => [wait.atMs, dropped])).toEqual([
    [startMs + 30_000, ""],
    [startMs + 16_000, "drop +3, early_drop +1"],
  ]);
});

test("a wait that came since the last sample is told as well, and where nothing is tracked without drops", () => {
  const waits = createWaits();
  const noted = createWaitsWithDrops(waits);
  noted.sample(undefined, startMs);
  noted.sample(undefined, startMs + 1000);
  waits.add(waitAt(1));
  expect(noted.kept()).toEqual([{ wait: waitAt(1), dropped: "" }]);
  noted.sample(none, startMs + 2000);
  expect(noted.kept()).toHaveLength(1);
});
