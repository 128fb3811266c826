/*
 * What each part takes from the settings.
 */
import type { InterceptedSources } from "../attach/intercept-table.ts";
import { attachModes } from "../attach/modes.ts";
import type { CacheLimits } from "../cache/answer-cache.ts";
import type { AllowedRange } from "../listen/access-list.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { clusterReverseZones } from "../settings/reverse-zones.ts";
import type { Settings } from "../settings/settings-table.ts";
import { planRoutes } from "../upstream/route-plan.ts";
import { wireName } from "../wire/name-text.ts";

/** Routes and bounds of the upstream. `clusterServers` are the servers in the settings, or the embedded one. */
export function upstreamOptionsOf(settings: Settings, clusterServers: readonly ServerAddress[]) {
  const { cluster, upstream } = settings;
  const { outsideServers, stubDomains, clusterTransport, outsideTransport, maxSends, deadlineMs, tcp, udp, health } =
    upstream;
  return {
    routes: planRoutes({
      clusterDomain: cluster.domain,
      reverseZones: clusterReverseZones(settings),
      clusterServers,
      outsideServers,
      stubDomains,
      clusterTransport,
      outsideTransport,
    }),
    exchange: { maxSends, deadlineMs },
    server: {
      paths: {
        // A UDP socket has no handshake to wait for and no queue to wait in, and the other side never closes it.
        udp: {
          ...udp,
          maxWaitMs: udp.retransmitMs,
          maxDepth: Infinity,
          connectTimeoutMs: tcp.connectTimeoutMs,
          idleTimeoutMs: Infinity,
        },
        // On a connection, only the server itself can write.
        tcp: { ...tcp, maxWaitMs: tcp.queryTimeoutMs, maxWrongReplies: Infinity },
      },
      health,
    },
  };
}

/** Limits that a reload changes in place: each part reads its own at every use. A new object at every call. */
export function mutableLimitsOf(settings: Settings) {
  const { cache, limits, search, upstream } = settings;
  const cacheLimits: CacheLimits = {
    answersSizeBytes: cache.answersBytes,
    denialsSizeBytes: cache.denialsBytes,
    staleSeconds: cache.staleSeconds,
  };
  return {
    cache: cacheLimits,
    failures: { firstTtlSeconds: cache.failureTtlSeconds, maxTtlSeconds: cache.maxFailureTtlSeconds },
    waits: { ...limits },
    schedule: { maxInFlight: limits.maxInFlight },
    checks: { checkOneIn: search.checkOneIn },
    absences: {
      shortCircuit: search.shortCircuit,
      // A stub domain below the cluster zone has its own servers: the zone's schema says nothing about its names.
      exemptions: [...search.exemptions, ...Object.keys(upstream.stubDomains)].map(wireName),
      isMulticluster: search.multicluster,
      maxDenialTtlSeconds: Math.min(cache.maxClusterDenialTtlSeconds, cache.maxDenialTtlSeconds),
    },
    resolver: {
      maxTtlSeconds: cache.maxTtlSeconds,
      maxDenialTtlSeconds: cache.maxDenialTtlSeconds,
      maxClusterDenialTtlSeconds: cache.maxClusterDenialTtlSeconds,
      dynamicZones: [...clusterReverseZones(settings), ...cache.dynamicZones].map(wireName),
      staleAfterMs: cache.staleAfterMs,
      prefetches: cache.prefetch,
      answersOutsideNames: search.answerOutsideName,
    },
  };
}

/** Who may ask: the configured ranges, and nodens itself, which checks that its own sockets answer. */
export function rangesOf({ listen, attach: { mode, addresses } }: Settings): AllowedRange[] {
  const hosts = [...listen.addresses.map(({ host }) => host), ...(attachModes[mode].placesAddresses ? addresses : [])];
  const own = hosts.map((host) => ({ address: host, prefixLength: host.includes(":") ? 128 : 32 }));
  return [...listen.allow, ...own];
}

/** Who may see more of the admin server than whether nodens runs: the configured ranges, and whoever asks from its very address. */
export function adminRangesOf({ admin, listen }: Settings): AllowedRange[] {
  const { host } = admin.address;
  const own = { address: host, prefixLength: host.includes(":") ? 128 : 32 };
  return [...(admin.allow.length > 0 ? admin.allow : listen.allow), own];
}

/** Whose questions may be intercepted: of those that may ask, all but the exceptions. */
export function interceptedSourcesOf(settings: Settings): InterceptedSources {
  return { allowed: settings.listen.allow, excepted: settings.attach.except };
}

/** The addresses to listen on from the start: all but those that the attachment has to place on the node first. */
export function ownAddresses({ listen, attach: { mode, addresses } }: Settings): ServerAddress[] {
  if (attachModes[mode].onlyWatches) return [];
  const attached = attachModes[mode].placesAddresses ? addresses.map((host) => ({ host, port: 53 })) : [];
  return listen.addresses.filter((address) => !attached.some((other) => isSameAddress(other, address)));
}

/** Whether both addresses are spelt alike, port included. */
export function isSameAddress(one: ServerAddress, other: ServerAddress): boolean {
  return formatServerAddress(one) === formatServerAddress(other);
}
