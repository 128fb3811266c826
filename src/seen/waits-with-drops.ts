/*
 * The last waits, each with what connection tracking dropped in the second in which its first query was sent. They may be told long after they were,
 * so what moved then is noted at once.
 */
import { createSecondRing } from "./second-ring.ts";
import type { Wait, Waits } from "./waits.ts";

/** Totals of connection tracking since the node was started. */
export interface TrackingTotals {
  readonly drop: number;
  readonly insertFailed: number;
  readonly earlyDrop: number;
}

/** A wait, and "insert_failed +2", or "" where nothing was dropped. */
export interface WaitWithDrops {
  readonly wait: Wait;
  readonly dropped: string;
}

/** Notes waits. Moments are monotonic milliseconds. */
export interface WaitsWithDrops {
  /** To be called every second, with the totals of that moment; undefined where nothing is tracked. */
  sample(totals: TrackingTotals | undefined, nowMs: number): void;
  /** Those that are kept, newest first. */
  kept(): readonly WaitWithDrops[];
}

const columns = { drop: "drop", insertFailed: "insert_failed", earlyDrop: "early_drop" } as const;
const columnNames = Object.keys(columns) as readonly (keyof typeof columns)[];

/** A client waits for 15 s at most before it asks again, and its first query lies so far back. */
const sampledSeconds = 64;

/** Around the moment at which a query was sent, packets and samples may lie this far apart. */
const slackMs = 1500;

/** Creates it, over the waits that somebody else adds. */
export function createWaitsWithDrops(waits: Pick<Waits, "recent">): WaitsWithDrops {
  const ring = createSecondRing(columnNames.length, sampledSeconds);
  let kept = new Map<Wait, string>();

  function note(): void {
    kept = new Map(waits.recent().map((wait) => [wait, kept.get(wait) ?? droppedAt(wait.atMs - wait.afterMs)]));
  }

  function droppedAt(sentAtMs: number): string {
    return columnNames
      .map((name, column) => ({ name, by: ring.grownBetween(column, sentAtMs - slackMs, sentAtMs + slackMs) }))
      .filter(({ by }) => by > 0)
      .map(({ name, by }) => `${columns[name]} +${by}`)
      .join(", ");
  }

  return {
    sample(totals, nowMs) {
      ring.sample(
        columnNames.map((name) => totals?.[name] ?? 0),
        nowMs,
      );
      note();
    },
    kept() {
      note();
      return [...kept].map(([wait, dropped]) => ({ wait, dropped }));
    },
  };
}
