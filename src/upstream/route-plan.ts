/*
 * Plans which names go where, from what people write in the settings.
 */
import type { ServerAddress } from "../runtime/server-address.ts";
import { wireName } from "../wire/name-text.ts";
import type { Transport } from "../wire/transport.ts";
import type { RouteDefinition } from "./upstream.ts";

/** What determines the routes (settings: cluster and upstream). Zones are in presentation form. */
export interface RoutePlan {
  readonly clusterDomain: string;
  readonly reverseZones: readonly string[];
  readonly clusterServers: readonly ServerAddress[];
  /** If empty, outside names go to the cluster's servers. */
  readonly outsideServers: readonly ServerAddress[];
  readonly stubDomains: Readonly<Record<string, readonly ServerAddress[]>>;
  readonly clusterTransport: Transport;
  readonly outsideTransport: Transport;
}

/**
 * The routes of a plan: the cluster's zone, its reverse zones, each stub domain, and "outside" for every other name. Throws if a zone is not a
 * name. Reverse names may be slow if kube-dns asks other servers for them, so they have a route of their own, where they do not hold up the
 * cluster's names, and use the outside transport: over UDP, kube-dns answers all at once.
 */
export function planRoutes(plan: RoutePlan): RouteDefinition[] {
  const outsideServers = plan.outsideServers.length > 0 ? plan.outsideServers : plan.clusterServers;
  const stubs = Object.entries(plan.stubDomains).map(([zone, servers]) => ({
    name: zone,
    zones: [wireName(zone)],
    servers,
    transport: plan.outsideTransport,
  }));
  const reverse = {
    name: "reverse",
    zones: plan.reverseZones.map(wireName),
    servers: plan.clusterServers,
    transport: plan.outsideTransport,
  };
  return [
    {
      name: "cluster",
      zones: [wireName(plan.clusterDomain)],
      servers: plan.clusterServers,
      transport: plan.clusterTransport,
    },
    ...stubs,
    { name: "outside", zones: [Uint8Array.of(0)], servers: outsideServers, transport: plan.outsideTransport },
    // Last, because servers that it shares with an earlier route are probed with that route's question.
    ...(reverse.zones.length > 0 ? [reverse] : []),
  ];
}
