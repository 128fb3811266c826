/*
 * What is seen of clients, joined to a running nodens: the onlooker that listeners call, and the counters that are sampled every second to tell
 * what moved when a pod waited.
 */
import type { Attachment } from "../attach/attachment.ts";
import { type ListenCounters, ReplySource, replySourceNames } from "../listen/listen-counters.ts";
import type { ConntrackLosses } from "../observe/conntrack-stats.ts";
import { type Clock, toNextBeatMs } from "../runtime/clock.ts";
import { type Histogram, timeBoundsSeconds } from "../runtime/histogram.ts";
import { type Cause, causeNames, podCausesOf } from "../seen/causes.ts";
import type { PictureParts } from "../seen/picture.ts";
import { createSecondRing } from "../seen/second-ring.ts";
import { createSeen, type Seen } from "../seen/seen.ts";
import type { PathState } from "../seen/upstream-rows.ts";
import { hostSuffixes } from "../settings/host-suffixes.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import type { Settings } from "../settings/settings-table.ts";
import type { ServerCounters } from "../upstream/server-counters.ts";
import { transportNames } from "../upstream/transport.ts";
import type { Transport } from "../wire/transport.ts";
import { nameFromText, wireName } from "../wire/name-text.ts";
import type { CountedServer, OnEnd } from "./live-upstream.ts";

/** What is sampled, as totals. */
export interface SampledCounters {
  listeners(): readonly ListenCounters[];
  receiveDrops(): number;
  /** Undefined where nothing is tracked. */
  conntrackLosses(): ConntrackLosses | undefined;
  eventLoopDelays(): Histogram;
  /** How long hits took, which take no time themselves: so long their queries lay in the sockets. */
  hitDelays(): readonly Histogram[];
  serverCounters(): Iterable<CountedServer>;
  readonly attachment: Pick<Attachment, "isFailOpen" | "podTroubles">;
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
  /** By ending, the buckets of its durations. */
  durations: causeNames.length + 6,
} as const;

/** The strip of the page goes back this far. */
export const ringSeconds = 900;

const sampleMs = 1000;

/** So long after a wait it is looked what is wrong for the pod. */
const explainedMs = 5000;

/** A delay that tells of a stall begins with this bucket: over 64 ms. */
const firstLateBucket = timeBoundsSeconds.findIndex((bound) => bound > 0.065);

/** Routes whose servers are kube-dns. */
const clusterRoutes = new Set(["cluster", "reverse"]);

/** Where lookups end, in the order of their buckets in the ring. */
export const endingNames = ["cache", "rules", "kube-dns", "outside", "stale", "error"] as const;
const hereEndings: readonly (typeof endingNames)[number][] = ["cache", "rules", "stale"];

/** Creates what is seen by the settings' measure. `routeOf` returns the name of the route that a name takes. */
export function createSeenFor(settings: Settings, seed: number, routeOf: (name: Uint8Array) => string): Seen {
  const suffixes = hostSuffixes(settings).flatMap((suffix) => nameFromText(suffix) ?? []);
  return createSeen({
    recordedQueries: settings.seen.recordedQueries,
    keepsNames: settings.seen.names === "on",
    suffixes: [wireName(settings.cluster.domain), ...suffixes],
    isHit: (source) => source === ReplySource.cache || source === ReplySource.rule,
    isFromUpstream: (source) => source === ReplySource.upstream,
    isClusterName: (name) => clusterRoutes.has(routeOf(name)),
    seed,
  });
}

/** Notes each question that goes upstream, other than nodens's own. */
export function noteTripsOf({ trips }: Seen, clock: Clock): OnEnd {
  const texts = new WeakMap<ServerAddress, string>();

  function textOf(address: ServerAddress): string {
    const known = texts.get(address);
    if (known !== undefined) return known;
    const text = formatServerAddress(address);
    texts.set(address, text);
    return text;
  }

  return (route, { question, last, sends, startedAtMs, failure }) => {
    const { nameHash, type } = question;
    if (nameHash === 0) return;
    const server = last === undefined ? "" : textOf(last.address);
    const transport = last?.transport ?? "";
    trips.note({
      nameHash,
      type,
      route,
      server,
      transport,
      sends,
      startedAtMs,
      endedAtMs: clock.nowMs(),
      failure: failure ?? "",
    });
  };
}

/** What pictures of a running nodens are made from, with a ring that nothing was sampled into yet. */
export function picturePartsOf(seen: Seen, settings: Settings): PictureParts {
  return {
    seen,
    ring: createSecondRing(column.durations + endingNames.length * durationBuckets, ringSeconds),
    columns: column,
    sources: replySourceNames,
    endings: endingNames,
    hereEndings,
    boundsSeconds: timeBoundsSeconds,
    zone: settings.cluster.domain,
    names: settings.seen.names,
  };
}

/** What is told of the upstream in force. */
export interface ToldUpstream {
  routes(): readonly {
    readonly name: string;
    readonly servers: readonly {
      readonly address: ServerAddress;
      readonly paths: Readonly<Record<Transport, { isFailed(): boolean }>>;
      readonly health: { isUp(): boolean };
      readonly counters: Pick<ServerCounters, "openFlows" | "silentFlows">;
    }[];
  }[];
}

/** The state of every path of the upstream in force. */
export function pathStatesOf({ routes }: ToldUpstream): PathState[] {
  return routes().flatMap(({ name: route, servers }) =>
    servers.flatMap(({ address, paths, health, counters }) =>
      transportNames.map((transport) => ({
        route,
        server: formatServerAddress(address),
        transport,
        isUp: health.isUp(),
        isFailed: paths[transport].isFailed(),
        openFlows: counters.openFlows[transport],
        silentFlows: counters.silentFlows[transport],
      })),
    ),
  );
}

/** Samples the counters into the ring every second, from now on until it is closed, and calls `onSample` each time. */
export function sampleCounters(
  { seen, ring }: PictureParts,
  sampled: SampledCounters,
  clock: Clock,
  onSample: (nowMs: number) => void,
): { close(): void } {
  let failOpenSeconds = 0;
  let cancel = () => {};

  function sample(): void {
    const nowMs = clock.nowMs();
    if (sampled.attachment.isFailOpen()) failOpenSeconds += 1;
    ring.sample(totals(), nowMs);
    seen.tick(nowMs);
    explainWaits(seen, sampled.attachment, nowMs);
    onSample(nowMs);
    cancel = clock.after(toNextBeatMs(clock, sampleMs), sample);
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
      ...durationTotals(listeners, seen),
    ];
  }

  function causeTotals(servers: readonly CountedServer[]): number[] {
    const conntrack = sampled.conntrackLosses();
    const byName: Record<Cause, number> = {
      conntrackDrop: conntrack?.drop ?? 0,
      conntrackInsertFailed: conntrack?.insertFailed ?? 0,
      conntrackEarlyDrop: conntrack?.earlyDrop ?? 0,
      receiveDrops: sampled.receiveDrops(),
      // The timer looks a few times a second. What lay in a socket meanwhile tells of the stalls that a client met.
      eventLoopLate: sum([sampled.eventLoopDelays(), ...sampled.hitDelays()], lateIn),
      failOpen: failOpenSeconds,
      upstreamLosses: sum(servers, ({ counters }) => sumOf(counters.losses)),
    };
    return causeNames.map((name) => byName[name]);
  }

  sample();
  return { close: () => cancel() };
}

/** How long these sockets' hits took. */
export function hitDelaysOf(listeners: readonly ListenCounters[]): Histogram[] {
  return listeners.flatMap(({ durations }) => [
    durations[ReplySource.cache] as Histogram,
    durations[ReplySource.rule] as Histogram,
  ]);
}

function lateIn({ counts }: Histogram): number {
  return sum([...counts.subarray(firstLateBucket)], (count) => count);
}

/** The node's tables are asked when a pod has waited, and for some seconds after that: only then it may fall back to kube-dns. */
function explainWaits({ waits }: Seen, { podTroubles }: Pick<Attachment, "podTroubles">, nowMs: number): void {
  const fresh = waits.recent().filter(({ atMs }) => nowMs - atMs <= explainedMs);
  if (fresh.length === 0) return;
  const troubled = podTroubles();
  for (const wait of fresh) {
    const causes = podCausesOf(wait, troubled, nowMs);
    // What has healed meanwhile explains the wait all the same.
    if (causes.length > 0) wait.podCauses = causes;
  }
}

function durationTotals(listeners: readonly ListenCounters[], { upstreamDurations }: Seen): number[] {
  const bySource = (source: number) => {
    const totals = Array.from({ length: durationBuckets }, () => 0);
    for (const { durations } of listeners)
      for (const [bucket, count] of (durations[source] as Histogram).counts.entries())
        totals[bucket] = (totals[bucket] ?? 0) + count;
    return totals;
  };
  const byEnding: Record<(typeof endingNames)[number], Iterable<number>> = {
    cache: bySource(ReplySource.cache),
    rules: bySource(ReplySource.rule),
    "kube-dns": upstreamDurations.kubeDns.counts,
    outside: upstreamDurations.outside.counts,
    stale: bySource(ReplySource.stale),
    error: bySource(ReplySource.error),
  };
  return endingNames.flatMap((name) => [...byEnding[name]]);
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
