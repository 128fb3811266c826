import { shedReasons } from "../../../src/resolve/answer.ts";
import { questionClasses } from "../../../src/resolve/question-class.ts";
/* Sources of metrics as they are right after the start: real counters, all 0. */
import { forEachInferringRule, searchRules } from "../../../src/search/rules.ts";
import { createResolverCounters } from "../../../src/resolve/resolver.ts";
import { countedTypeNames, createListenCounters, replySourceNames } from "../../../src/listen/listen-counters.ts";
import type { MetricSources } from "../../../src/observe/metric-sources.ts";
import { createHistogram, timeBoundsSeconds } from "../../../src/runtime/histogram.ts";
import type { ServerAddress } from "../../../src/runtime/server-address.ts";
import { createServerCounters } from "../../../src/upstream/server-counters.ts";
import { firstNames } from "../../../src/seen/repeats.ts";
import { waitBuckets } from "../../../src/seen/waits.ts";
import { copyOutcomes, verdictNames } from "../../../src/shadow/figures.ts";
import { transportNames } from "../../../src/upstream/transport.ts";
import { Rcode } from "../../../src/wire/codes.ts";
import { faultNames } from "../../../src/wire/fault.ts";

export const listenAddress: ServerAddress = { host: "169.254.20.10", port: 53 };
export const kubeDns: ServerAddress = { host: "10.96.0.10", port: 53 };

/** Numbers that a test changes, and the sources that read them. One server in two routes, as by default. */
export function createFakeSources() {
  const udp = createListenCounters(listenAddress, "udp");
  const tcp = createListenCounters(listenAddress, "tcp");
  const [cluster, outside] = [createServerCounters(), createServerCounters()];
  const isUp = { cluster: true, outside: true };
  const failed = { tcp: false, udp: false };
  const paths = { tcp: { isFailed: () => failed.tcp }, udp: { isFailed: () => failed.udp } };
  const cacheCounters = {
    answerHits: 0,
    denialHits: 0,
    sharedDenialHits: 0,
    misses: 0,
    answerEvictions: 0,
    denialEvictions: 0,
  };
  const resolver = createResolverCounters();
  const sources: MetricSources = {
    build: { version: "0.1.0", revision: "abc", nodeVersion: "v26.10.0" },
    names: {
      rcodes: Rcode,
      requestTypes: countedTypeNames,
      replySources: replySourceNames,
      faults: faultNames,
      searchRules,
      questionClasses,
      shedReasons,
      attachModes: ["host-ip", "link-local", "intercept", "none", "observe"],
      transports: transportNames,
      waitBuckets,
      firsts: firstNames,
      shadowVerdicts: verdictNames,
      copyOutcomes,
    },
    listeners: () => [udp, tcp],
    serverCounters: () => [
      { address: kubeDns, counters: cluster },
      { address: kubeDns, counters: outside },
    ],
    asksWithoutServer: () => 0,
    searchRules: () => ({
      counters: forEachInferringRule(() => ({ checks: 0, disagreements: 0 })),
      isOn: () => true,
    }),
    routes: () => [
      {
        name: "cluster",
        transport: "tcp",
        servers: [{ address: kubeDns, health: { isUp: () => isUp.cluster }, paths }],
      },
      {
        name: "outside",
        transport: "udp",
        servers: [{ address: kubeDns, health: { isUp: () => isUp.outside }, paths }],
      },
    ],
    cache: () => ({ usage: () => ({ entries: 0, sizeBytes: 0 }), counters: cacheCounters }),
    resolver: () => resolver,
    schedule: () => ({ underWayCount: () => 0, waitingCount: () => 0 }),
    sharedQuestions: () => ({ inFlightCount: () => 0, waiterCount: () => 0 }),
    isLooping: () => false,
    lifeCycleState: () => "ready",
    isReady: () => true,
    reloads: () => ({ succeeded: 0, failed: 0, wasLastSuccessful: true }),
    settingsHash: () => "00ff",
    setupErrors: () => ({
      nft: 0,
      nft_owner: 0,
      permission: 0,
      address: 0,
      listen: 0,
      path: 0,
      admin: 0,
      pods: 0,
      unseen: 0,
      config: 0,
    }),
    attachMode: () => "link-local",
    isAttached: () => true,
    isFailOpen: () => false,
    hasFallback: () => true,
    blockedPods: () => ({ questions: 0, replies: 0 }),
    intercepted: () => ({ addresses: 0, pods: undefined }),
    survivedExceptions: () => 0,
    eventLoopDelays: () => createHistogram(timeBoundsSeconds),
    receiveDrops: () => 0,
    waits: () => 0,
    shadow: () => undefined,
    forgottenQueries: () => 0,
  };
  return { sources, udp, tcp, cluster, outside, isUp, failed, cacheCounters, resolver };
}
