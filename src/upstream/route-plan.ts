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

/** The routes of a plan: the cluster's own zones, each stub domain, and "outside" for every other name. */
export function planRoutes(plan: RoutePlan): RouteDefinition[] {
  const outsideServers = plan.outsideServers.length > 0 ? plan.outsideServers : plan.clusterServers;
  const stubs = Object.entries(plan.stubDomains).map(([zone, servers]) => ({
    name: zone,
    zones: [wireName(zone)],
    servers,
    transport: plan.outsideTransport,
  }));
  return [
    {
      name: "cluster",
      zones: [plan.clusterDomain, ...plan.reverseZones].map(wireName),
      servers: plan.clusterServers,
      transport: plan.clusterTransport,
    },
    ...stubs,
    { name: "outside", zones: [Uint8Array.of(0)], servers: outsideServers, transport: plan.outsideTransport },
  ];
}
