/*
 * What the table of own addresses may depend on, for its tests.
 */
import type { OwnAddressTableOptions } from "../../../src/attach/own-address-table.ts";

/** An address of each family, each with a Service, and sources of both. */
export const fullOwnAddressOptions: OwnAddressTableOptions = {
  own: [
    { address: "169.254.20.10", service: "10.96.0.10" },
    { address: "fd00:20::10", service: "fd00:96::10" },
  ],
  sources: ["10.0.0.0/8", "fc00::/7"],
  notrack: true,
  countsTracked: true,
  ownLabels: { health: "nodens-health", watch: "nodens-watch", away: "nodens-away" },
};

/** One address with its Service and nothing more than the table needs, changed as said. */
export function ownAddressOptions(changes: Partial<OwnAddressTableOptions> = {}): OwnAddressTableOptions {
  return {
    own: fullOwnAddressOptions.own.slice(0, 1),
    sources: ["10.0.0.0/8"],
    notrack: true,
    countsTracked: false,
    ownLabels: fullOwnAddressOptions.ownLabels,
    ...changes,
  };
}
