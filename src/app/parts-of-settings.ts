/*
 * What each part takes from the settings.
 */
import { attachModes } from "../attach/modes.ts";
import type { CacheLimits } from "../cache/answer-cache.ts";
import type { AllowedRange } from "../listen/access-list.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { clusterReverseZones } from "../settings/reverse-zones.ts";
import type { Settings } from "../settings/settings-table.ts";
import { planRoutes } from "../upstream/route-plan.ts";
import { wireName } from "../wire/name-text.ts";

/** Routes and bounds of the upstream, with the servers of the cluster: those of the settings or the embedded one. */
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
        // A socket has no handshake to wait for, no line to stand in, and nobody closes it on the other side.
        udp: {
          ...udp,
          maxWaitMs: udp.retransmitMs,
          maxDepth: Infinity,
          connectTimeoutMs: tcp.connectTimeoutMs,
          idleTimeoutMs: Infinity,
        },
        // Only the server itself writes on a connection.
        tcp: { ...tcp, maxWaitMs: tcp.queryTimeoutMs, maxWrongReplies: Infinity },
      },
      health,
    },
  };
}

/** Limits that a reload changes in place: the parts read them at every use. */
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
      // A stub domain below the cluster zone has servers of its own: the zone's schema says nothing of its names.
      exemptions: [...search.exemptions, ...Object.keys(upstream.stubDomains)].map(wireName),
      isMulticluster: search.multicluster,
      maxDenialTtlSeconds: Math.min(cache.maxClusterDenialTtlSeconds, cache.maxDenialTtlSeconds),
    },
    resolver: {
      maxTtlSeconds: cache.maxTtlSeconds,
      maxDenialTtlSeconds: cache.maxDenialTtlSeconds,
      maxClusterDenialTtlSeconds: cache.maxClusterDenialTtlSeconds,
      dynamicZones: clusterReverseZones(settings).map(wireName),
      staleAfterMs: cache.staleAfterMs,
      prefetches: cache.prefetch,
      answersOutsideNames: search.answerOutsideName,
    },
  };
}

/** Who may ask: the configured ranges, and nodens itself, which asks its own sockets whether they answer. */
export function rangesOf({ listen, attach: { mode, addresses } }: Settings): AllowedRange[] {
  const hosts = [...listen.addresses.map(({ host }) => host), ...(attachModes[mode].placesAddresses ? addresses : [])];
  const own = hosts.map((host) => ({ address: host, prefixLength: host.includes(":") ? 128 : 32 }));
  return [...listen.allow, ...own];
}

/** What to listen on whatever comes: not what the attachment has to put on the node first. */
export function ownAddresses({ listen, attach: { mode, addresses } }: Settings): ServerAddress[] {
  const attached = attachModes[mode].placesAddresses ? addresses.map((host) => ({ host, port: 53 })) : [];
  return listen.addresses.filter((address) => !attached.some((other) => isSameAddress(other, address)));
}

/** Whether both are the same socket, as far as spelling tells. */
export function isSameAddress(one: ServerAddress, other: ServerAddress): boolean {
  return formatServerAddress(one) === formatServerAddress(other);
}
