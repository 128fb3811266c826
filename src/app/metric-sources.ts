/*
 * What the metrics read, from the parts of a running nodens.
 */
import type { App } from "./start-app.ts";
import { countedTypeNames, replySourceNames } from "../listen/listen-counters.ts";
import { watchEventLoopDelay } from "../observe/event-loop-delay.ts";
import type { BuildInfo, MetricSources, ReloadCounters } from "../observe/metric-sources.ts";
import { countReceiveDrops } from "../observe/receive-drops.ts";
import type { Clock } from "../runtime/clock.ts";
import { searchRules } from "../search/rules.ts";
import { transportNames } from "../upstream/transport.ts";
import { Rcode } from "../wire/codes.ts";
import { faultNames } from "../wire/fault.ts";

/** Joins `app` and what `serve` itself counts. `close` ends the watch over the event loop. */
export function metricSourcesOf(
  app: App,
  build: BuildInfo,
  reloads: ReloadCounters,
  settingsHash: () => string,
  clock: Clock,
): { readonly sources: MetricSources; close(): void } {
  const eventLoop = watchEventLoopDelay(clock);
  const counters = () => app.listeners().map((listener) => listener.counters);
  const udpAddresses = () => counters().flatMap(({ protocol, address }) => (protocol === "udp" ? [address] : []));
  const sources: MetricSources = {
    build,
    names: {
      rcodes: Rcode,
      requestTypes: countedTypeNames,
      replySources: replySourceNames,
      faults: faultNames,
      searchRules,
      transports: transportNames,
    },
    listeners: counters,
    serverCounters: app.serverCounters,
    asksWithoutServer: app.asksWithoutServer,
    routes: () => app.upstream().routes,
    cache: () => app.cache,
    resolver: () => app.resolver.counters,
    searchRules: () => ({ counters: app.knowledge.counters, isOn: app.isRuleOn }),
    sharedQuestions: () => app.shared,
    isLooping: app.loopGuard.isLooping,
    lifeCycleState: app.lifeCycle.state,
    reloads: () => reloads,
    settingsHash,
    setupErrors: () => ({ ...app.attachment.problemCounts(), config: reloads.failed }),
    isAttached: app.attachment.isComplete,
    isFailOpen: app.attachment.isFailOpen,
    survivedExceptions: () => 0,
    eventLoopDelays: () => eventLoop.delays,
    receiveDrops: countReceiveDrops(udpAddresses),
  };
  return { sources, close: eventLoop.close };
}
