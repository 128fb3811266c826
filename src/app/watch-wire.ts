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
import { releaseMemoryOfStart } from "../runtime/memory-of-start.ts";
import { keepYoungGenerationSmall } from "../runtime/short-run.ts";
import { isTopLevelDomain } from "../search/top-level-domains.ts";
import { nameAsTold } from "../seen/picture.ts";
import { firstNames } from "../seen/repeats.ts";
import { createWaitsWithDrops, type WaitWithDrops } from "../seen/waits-with-drops.ts";
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

const silent: Log = { info() {}, warn() {}, error() {} };

/** Watches by the system's clock, in a process that does nothing else: it gives back what only starting has needed. */
export const watchWire: WatchWire = (addresses, zone) => {
  keepYoungGenerationSmall();
  const watch = watchWireWith(addresses, zone, systemClock);
  if (watch.report().problem === undefined) releaseMemoryOfStart();
  return watch;
};

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
    ask: (question, tell) => void wire.ask(question).then(tell),
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
  const waits = createWaitsWithDrops(seen.waits);
  let cancel = () => {};

  function sample(): void {
    const nowMs = clock.nowMs();
    seen.tick(nowMs);
    waits.sample(readConntrackStats(readSystemFile), nowMs);
    cancel = clock.after(sampleMs, sample);
  }

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
      waits: waits.kept().map(tell),
    };
  }

  sample();
  return {
    report,
    close() {
      cancel();
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

function tell({ wait, dropped }: WaitWithDrops): WireWait {
  const { client, name, nameHash, type, afterMs, first } = wait;
  return {
    client,
    name: nameAsTold(name, nameHash, "on"),
    type: typeName(type),
    afterMs,
    first: firstNames[first] ?? "",
    dropped,
  };
}
