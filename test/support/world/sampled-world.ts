/*
 * A world whose counters are sampled every second, as in a running nodens, with counters of the node that a test can make grow.
 */
import { onTestFinished } from "vitest";
import { hitDelaysOf, picturePartsOf, type SampledCounters, sampleCounters } from "../../../src/app/live-seen.ts";
import { createHistogram, timeBoundsSeconds } from "../../../src/runtime/histogram.ts";
import type { TroubledPod } from "../../../src/seen/causes.ts";
import { type Picture, takePicture } from "../../../src/seen/picture.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";
import { createServerCounters } from "../../../src/upstream/server-counters.ts";
import type { World } from "./create-world.ts";

/** What the node and upstream count. A test changes it. */
export interface PlantedCounters {
  readonly conntrack: { drop: number; insertFailed: number; earlyDrop: number };
  receiveDrops: number;
  readonly eventLoop: ReturnType<typeof createHistogram>;
  isFailOpen: boolean;
  readonly servers: Readonly<Record<"cluster" | "outside", ReturnType<typeof createServerCounters>>>;
  readonly troubled: TroubledPod[];
}

/** Samples the counters of `world` until the test ends. */
export function sampleWorld(world: World) {
  const parts = picturePartsOf(world.seen, defaultSettings());
  const planted: PlantedCounters = {
    conntrack: { drop: 0, insertFailed: 0, earlyDrop: 0 },
    receiveDrops: 0,
    eventLoop: createHistogram(timeBoundsSeconds),
    isFailOpen: false,
    servers: { cluster: createServerCounters(), outside: createServerCounters() },
    troubled: [],
  };
  let looks = 0;
  const address = { host: "10.96.0.10", port: 53 };
  const sampled: SampledCounters = {
    listeners: () => Object.values(world.counters),
    receiveDrops: () => planted.receiveDrops,
    conntrackLosses: () => planted.conntrack,
    eventLoopDelays: () => planted.eventLoop,
    hitDelays: () => hitDelaysOf(Object.values(world.counters)),
    serverCounters: () => Object.entries(planted.servers).map(([route, counters]) => ({ route, address, counters })),
    attachment: {
      isFailOpen: () => planted.isFailOpen,
      podTroubles() {
        looks += 1;
        return planted.troubled;
      },
    },
  };
  const samples = sampleCounters(parts, sampled, world.clock, () => {});
  onTestFinished(samples.close);
  return {
    parts,
    planted,
    picture: (): Picture => takePicture(parts, world.clock.nowMs()),
    /** How often it was asked what is wrong for single pods. */
    troubleLooks: () => looks,
  };
}
