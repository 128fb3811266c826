/*
 * Which names go where, from what people write in the settings.
 */
import type { ServerAddress } from "../runtime/server-address.ts";
import { wireName } from "../wire/name-text.ts";
import type { Transport } from "./transport.ts";
import type { RouteDefinition } from "./upstream.ts";

/** What decides about routes (settings: cluster and upstream). Zones are in presentation form. */
export interface RoutePlan {
  readonly clusterDomain: string;
  readonly reverseZones: readonly string[];
  readonly clusterServers: readonly ServerAddress[];
  /** Empty: the cluster's servers. */
  readonly outsideServers: readonly ServerAddress[];
  readonly stubDomains: Readonly<Record<string, readonly ServerAddress[]>>;
  readonly clusterTransport: Transport;
  readonly outsideTransport: Transport;
}

/**
 * The routes of a plan: the cluster's zone, its reverse zones, each stub domain, and "outside" for every other name. A reverse zone may be
 * slow where kube-dns asks others about it, so those names have a lane of their own, where they do not stand in front of the cluster's; and
 * UDP, over which kube-dns answers all at once.
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
    // Last: where it shares its servers with the route before, they are probed by that one's question.
    ...(reverse.zones.length > 0 ? [reverse] : []),
  ];
}
