/*
 * Gives the metrics what they read, from the parts of a running nodens.
 */
import { countedTypeNames, replySourceNames } from "../listen/listen-counters.ts";
import { watchEventLoopDelay } from "../observe/event-loop-delay.ts";
import type { BuildInfo, MetricSources } from "../observe/metric-sources.ts";
import { countReceiveDrops } from "../observe/receive-drops.ts";
import { type AttachMode, attachModes } from "../attach/modes.ts";
import { shedReasons } from "../resolve/answer.ts";
import { questionClasses } from "../resolve/question-class.ts";
import { searchRules } from "../search/rules.ts";
import { firstNames } from "../seen/repeats.ts";
import { waitBuckets } from "../seen/waits.ts";
import { copyOutcomes, verdictNames } from "../shadow/figures.ts";
import { transportNames } from "../upstream/transport.ts";
import { Rcode } from "../wire/codes.ts";
import { faultNames } from "../wire/fault.ts";
import type { AppParts } from "./app-parts.ts";

/** Joins the parts to the metrics. `close` stops the watch on the event loop. */
export function metricSourcesOf(
  { sockets, upstream, chain, lifeCycle, attachment, reload, readiness, seen, shadow, clock }: AppParts,
  build: BuildInfo,
  settingsHash: () => string,
  adminProblemCount: () => number,
): { readonly sources: MetricSources; close(): void } {
  const eventLoop = watchEventLoopDelay(clock);
  const counters = () => sockets.listeners.map((listener) => listener.counters);
  const udpSockets = () => sockets.listeners.filter(({ protocol }) => protocol === "udp");
  const sources: MetricSources = {
    build,
    names: {
      rcodes: Rcode,
      requestTypes: countedTypeNames,
      replySources: replySourceNames,
      faults: faultNames,
      searchRules,
      questionClasses,
      shedReasons,
      attachModes: Object.keys(attachModes) as AttachMode[],
      transports: transportNames,
      waitBuckets,
      firsts: firstNames,
      shadowVerdicts: verdictNames,
      copyOutcomes,
    },
    listeners: counters,
    serverCounters: upstream.serverCounters,
    asksWithoutServer: upstream.asksWithoutServer,
    routes: upstream.routes,
    cache: () => chain.cache,
    resolver: () => chain.resolver.counters,
    searchRules: () => ({
      counters: chain.knowledge.counters,
      isOn: (rule) => chain.isRuleOn(rule, clock.nowMs()),
    }),
    schedule: () => chain.schedule,
    sharedQuestions: () => chain.shared,
    isLooping: chain.loopGuard.isLooping,
    lifeCycleState: lifeCycle.state,
    isReady: () => readiness().ready,
    reloads: () => reload.counters,
    settingsHash,
    setupErrors() {
      const counts = attachment.problemCounts();
      const permission = counts.permission + (shadow?.problemCount() ?? 0);
      return { ...counts, permission, admin: adminProblemCount(), config: reload.counters.failed };
    },
    attachMode: () => reload.inForce().attach.mode,
    isAttached: shadow?.isWatching ?? attachment.isComplete,
    isFailOpen: attachment.isFailOpen,
    hasFallback: attachment.hasFallback,
    blockedPods: attachment.blockedPods,
    intercepted: attachment.intercepted,
    survivedExceptions: () => 0,
    eventLoopDelays: () => eventLoop.delays,
    receiveDrops: countReceiveDrops(udpSockets),
    waits: (first, bucket) => seen.waits.count(first, bucket),
    shadow: () => shadow?.numbers(),
    forgottenQueries: seen.forgottenCount,
  };
  return { sources, close: eventLoop.close };
}
