/*
 * What is seen of clients, joined to a running nodens: the onlooker that listeners call, and the counters that are sampled every second to tell
 * what moved when a pod waited.
 */
import type { Attachment } from "../attach/attachment.ts";
import { type ListenCounters, ReplySource, replySourceNames } from "../listen/listen-counters.ts";
import { readConntrackStats } from "../observe/conntrack-stats.ts";
import { readSystemFile } from "../observe/receive-drops.ts";
import type { Clock } from "../runtime/clock.ts";
import { type Histogram, timeBoundsSeconds } from "../runtime/histogram.ts";
import { type Cause, causeNames } from "../seen/causes.ts";
import { createSecondRing, type SecondRing } from "../seen/second-ring.ts";
import { createSeen, type Seen } from "../seen/seen.ts";
import { hostSuffixes } from "../settings/host-suffixes.ts";
import type { Settings } from "../settings/settings-table.ts";
import { nameFromText, wireName } from "../wire/name-text.ts";
import type { CountedServer } from "./live-upstream.ts";

/** What is sampled, as totals. */
export interface SampledCounters {
  listeners(): readonly ListenCounters[];
  receiveDrops(): number;
  eventLoopDelays(): Histogram;
  serverCounters(): Iterable<CountedServer>;
  readonly attachment: Pick<Attachment, "isFailOpen">;
}

/** How many buckets a histogram of durations has. */
export const durationBuckets = timeBoundsSeconds.length + 1;

/** Where each group of counters begins in the ring. */
export const column = {
  causes: 0,
  waits: causeNames.length,
  dropped: causeNames.length + 1,
  /** Sends on the routes to kube-dns, and on all others. */
  clusterSends: causeNames.length + 2,
  otherSends: causeNames.length + 3,
  openedFlows: causeNames.length + 4,
  servfail: causeNames.length + 5,
  /** By source, the buckets of its durations. */
  durations: causeNames.length + 6,
} as const;

/** The strip of the page goes back this far. */
export const ringSeconds = 900;

const sampleMs = 1000;

/** A delay that a client may notice begins with this bucket: over 128 ms. */
const firstLateBucket = timeBoundsSeconds.findIndex((bound) => bound > 0.13);

/** Routes whose servers are kube-dns. */
const clusterRoutes = new Set(["cluster", "reverse"]);

/** Creates what is seen by the settings' measure. */
export function createSeenFor(settings: Settings, seed: number): Seen {
  const suffixes = hostSuffixes(settings).flatMap((suffix) => nameFromText(suffix) ?? []);
  return createSeen({
    recordedQueries: settings.seen.recordedQueries,
    keepsNames: settings.seen.names === "on",
    suffixes: [wireName(settings.cluster.domain), ...suffixes],
    isHit: (source) => source === ReplySource.cache || source === ReplySource.rule,
    seed,
  });
}

/** Samples the counters every second, from now on until it is closed. */
export function sampleCounters(
  seen: Seen,
  sampled: SampledCounters,
  clock: Clock,
): { readonly ring: SecondRing; close(): void } {
  const ring = createSecondRing(column.durations + replySourceNames.length * durationBuckets, ringSeconds);
  let failOpenSeconds = 0;
  let cancel = () => {};

  function sample(): void {
    const nowMs = clock.nowMs();
    if (sampled.attachment.isFailOpen()) failOpenSeconds += 1;
    ring.sample(totals(), nowMs);
    seen.tick(nowMs);
    cancel = clock.after(sampleMs, sample);
  }

  function totals(): number[] {
    const listeners = sampled.listeners();
    const servers = [...sampled.serverCounters()];
    const sends = (isCluster: boolean) =>
      sum(servers, ({ route, counters }) => (clusterRoutes.has(route) === isCluster ? sumOf(counters.sends) : 0));
    return [
      ...causeTotals(servers),
      seen.waits.total(),
      sum(listeners, ({ drops }) => drops.inflight + drops.waiters + drops.client + drops.late),
      sends(true),
      sends(false),
      sum(servers, ({ counters }) => sumOf(counters.openedFlows)),
      sum(listeners, servfails),
      ...durationTotals(listeners),
    ];
  }

  function causeTotals(servers: readonly CountedServer[]): number[] {
    const conntrack = readConntrackStats(readSystemFile);
    const byName: Record<Cause, number> = {
      conntrackDrop: conntrack?.drop ?? 0,
      conntrackInsertFailed: conntrack?.insertFailed ?? 0,
      conntrackEarlyDrop: conntrack?.earlyDrop ?? 0,
      receiveDrops: sampled.receiveDrops(),
      eventLoopLate: sampled
        .eventLoopDelays()
        .counts.slice(firstLateBucket)
        .reduce((total, count) => total + count, 0),
      failOpen: failOpenSeconds,
      upstreamLosses: sum(servers, ({ counters }) => sumOf(counters.losses)),
    };
    return causeNames.map((name) => byName[name]);
  }

  sample();
  return { ring, close: () => cancel() };
}

function durationTotals(listeners: readonly ListenCounters[]): number[] {
  const totals = Array.from({ length: replySourceNames.length * durationBuckets }, () => 0);
  for (const { durations } of listeners) {
    for (const [source, { counts }] of durations.entries()) {
      for (const [bucket, count] of counts.entries()) {
        const at = source * durationBuckets + bucket;
        totals[at] = (totals[at] ?? 0) + count;
      }
    }
  }
  return totals;
}

const servfailRcode = 2;

function servfails({ replies }: ListenCounters): number {
  const start = servfailRcode * replySourceNames.length;
  return sum([...replies.subarray(start, start + replySourceNames.length)], (count) => count);
}

function sumOf(record: Readonly<Record<string, number>>): number {
  return sum(Object.values(record), (count) => count);
}

function sum<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
