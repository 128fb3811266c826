/*
 * The embedded cluster DNS with the example zone that comes with nodens.
 */
import { type ClusterDns, type ClusterDnsOptions, startClusterDns } from "./cluster-dns-server.ts";
import { createClusterZone } from "./cluster-zone.ts";
import { readZoneFile } from "./zone-file.ts";

/** What the example needs: the zone's name, and what the server does not find out by itself. */
export interface ExampleZoneOptions extends Pick<ClusterDnsOptions, "ownAddresses" | "outside" | "clock"> {
  /** In lower case, without the last dot. */
  readonly zone: string;
}

/** Starts it on a free port of 127.0.0.1. Rejects when that cannot be opened. */
export function startExampleZone({ zone, ...options }: ExampleZoneOptions): Promise<ClusterDns> {
  return startClusterDns({
    ...options,
    address: { host: "127.0.0.1", port: 0 },
    zone: createClusterZone({ ...readZoneFile(), zone }),
  });
}
