/*
 * The eyes of `attach.mode: observe` for a command that looks for a minute: copies of pods' packets, a shadow with a small cache, and what is seen
 * of clients. Everything in it is bounded, so that it may run beside a server, within whose memory limit it is not: see docs/see.md.
 */
import { randomBytes, randomInt } from "node:crypto";
import type { WatchWire, WireReport, WireWait } from "../doctor/wire-view.ts";
import { readConntrackStats } from "../observe/conntrack-stats.ts";
import { readSystemFile } from "../observe/receive-drops.ts";
import { createChain } from "../resolve/create-chain.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { isTopLevelDomain } from "../search/top-level-domains.ts";
import { nameAsTold } from "../seen/picture.ts";
import { firstNames } from "../seen/repeats.ts";
import { createSecondRing, type SecondRing } from "../seen/second-ring.ts";
import type { Seen } from "../seen/seen.ts";
import type { Wait } from "../seen/waits.ts";
import { defaultSettings, type Settings } from "../settings/settings-table.ts";
import type { ShadowPicture } from "../shadow/picture.ts";
import { createWireUpstream } from "../shadow/wire-upstream.ts";
import { typeName } from "../wire/codes.ts";
import { isAtOrBelow } from "../wire/name.ts";
import { wireName } from "../wire/name-text.ts";
import { createSeenFor } from "./live-seen.ts";
import { watchInShadow } from "./live-shadow.ts";
import { mutableLimitsOf } from "./parts-of-settings.ts";

/** What is kept is for a minute or an hour of one node, not for a day. */
const cacheBytes = 4 * 1024 * 1024;
const recordedQueries = 16_384;

const sampleMs = 1000;
const sampledSeconds = 64;
const trackingColumns = ["drop", "insertFailed", "earlyDrop"] as const;
const trackingNames = ["drop", "insert_failed", "early_drop"] as const;

const silent: Log = { info() {}, warn() {}, error() {} };

/** Watches by the system's clock. */
export const watchWire: WatchWire = (addresses, zone) => watchWireWith(addresses, zone, systemClock);

function watchWireWith(addresses: readonly string[], zone: string, clock: Clock): ReturnType<WatchWire> {
  const settings = settingsFor(addresses, zone);
  const startedAtMs = clock.nowMs();
  let problem: string | undefined;
  const wireZone = wireName(zone);
  const hashSeed = randomInt(2 ** 48 - 1);
  const routeOf = (name: Uint8Array) =>
    ({ route: isAtOrBelow(name, wireZone) ? "cluster" : "outside", transport: "udp" }) as const;
  const seen = createSeenFor(settings, randomInt(2 ** 31), (name) => routeOf(name).route);
  const { deadlineMs } = settings.upstream;
  const wire = createWireUpstream({ zone: wireZone, clock, hashSeed, deadlineMs: () => deadlineMs });
  const chain = createChain({
    limits: mutableLimitsOf(settings),
    clock,
    zone: wireZone,
    suffixes: [],
    loopSecret: randomBytes(16).toString("hex"),
    hashSeed,
    isTopLevelDomain,
    ask: wire.ask,
    learnZone: async () => {},
    onRuleOff() {},
    routeOf,
    isAway: () => false,
    answersAtOnce: () => true,
  });
  const shadow = watchInShadow({
    settings,
    chain,
    wire,
    seen,
    clock,
    hashSeed,
    zone: wireZone,
    log: silent,
    front: { maxUdpReplySizeBytes: settings.listen.maxUdpReplyBytes },
    lifeCycle: {
      becomeReady() {
        problem = undefined;
        return true;
      },
      explain: (reason) => (problem = reason),
    },
  });
  const waits = keepWaits(seen, clock);

  function report(): WireReport {
    const told = shadow.page(new URLSearchParams()) as { readonly json: ShadowPicture };
    const { queries, savedQueries, conntrackEntries, unanswered, copies } = told.json;
    return {
      problem,
      seconds: Math.round((clock.nowMs() - startedAtMs) / 1000),
      queries,
      pods: seen.clients.columns.queries.filter((count) => count > 0).length,
      savedQueries,
      conntrackEntries,
      unanswered,
      droppedCopies: copies.dropped,
      waited: seen.waits.total(),
      waits: waits.kept(),
    };
  }

  return {
    report,
    close() {
      waits.close();
      shadow.close();
    },
  };
}

function settingsFor(addresses: readonly string[], zone: string): Settings {
  const settings = defaultSettings();
  return {
    ...settings,
    cluster: { ...settings.cluster, domain: zone },
    attach: { ...settings.attach, virtualAddresses: [...addresses], addresses: [] },
    cache: { ...settings.cache, answersBytes: cacheBytes, denialsBytes: cacheBytes },
    seen: { ...settings.seen, recordedQueries, names: "on" },
  };
}

/** Samples connection tracking every second, and notes with each new wait what it dropped when the first query was sent. */
function keepWaits(seen: Seen, clock: Clock): { kept(): readonly WireWait[]; close(): void } {
  const ring = createSecondRing(trackingColumns.length, sampledSeconds);
  let kept = new Map<Wait, WireWait>();
  let cancel = () => {};

  /** They may be told long after they were, so what moved then is noted at once. */
  function note(): void {
    kept = new Map(seen.waits.recent().map((wait) => [wait, kept.get(wait) ?? tell(wait, ring)]));
  }

  function sample(): void {
    const tracked = readConntrackStats(readSystemFile);
    ring.sample(
      trackingColumns.map((column) => tracked?.[column] ?? 0),
      clock.nowMs(),
    );
    seen.tick(clock.nowMs());
    note();
    cancel = clock.after(sampleMs, sample);
  }

  sample();
  return {
    kept() {
      note();
      return [...kept.values()];
    },
    close: () => cancel(),
  };
}

/** Around the moment at which the first query was sent, packets and samples may lie this far apart. */
const slackMs = 1500;

function tell(wait: Wait, ring: SecondRing): WireWait {
  const { client, name, nameHash, type, afterMs, first, atMs } = wait;
  const sentAtMs = atMs - afterMs;
  const dropped = trackingNames
    .map((label, column) => ({ label, by: ring.grownBetween(column, sentAtMs - slackMs, sentAtMs + slackMs) }))
    .filter(({ by }) => by > 0)
    .map(({ label, by }) => `${label} +${by}`)
    .join(", ");
  return {
    client,
    name: nameAsTold(name, nameHash, "on"),
    type: typeName(type),
    afterMs,
    first: firstNames[first] ?? "",
    dropped,
  };
}
