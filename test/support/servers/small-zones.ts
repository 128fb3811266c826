/*
 * One cluster zone and one outside zone with the same content for every kind of real server: as zone files, and in the words
 * of dnsmasq.
 */
import type { Zones } from "./real-servers.ts";

/** More addresses than fit into 1232 octets. */
export const largeAddresses = Array.from({ length: 90 }, (_, index) => `203.0.113.${index + 1}`);

/** The address of every name below "many" in both zones: a supply of names that nobody has asked for. */
export const manyAddress = "198.51.100.77";

/** The zones' origins, by how nodens asks for names in them. */
export const origins = { tcp: "cluster.local", udp: "outside.test" } as const;

const ttlSeconds = 60;

/** Zone files of both zones. */
export function smallZones(): Zones {
  return Object.fromEntries(Object.values(origins).map((origin) => [origin, zoneFile(origin)]));
}

function zoneFile(origin: string): string {
  const lines = [
    `$ORIGIN ${origin}.`,
    `$TTL ${ttlSeconds}`,
    "@ SOA ns hostmaster 1 7200 1800 86400 30",
    "@ NS ns",
    "ns A 192.0.2.53",
    "web A 192.0.2.1",
    "web AAAA 2001:db8::1",
    "v4 A 192.0.2.4",
    "alias CNAME web",
    "_http._tcp.web SRV 0 50 80 web",
    `*.many A ${manyAddress}`,
    ...largeAddresses.map((address) => `large A ${address}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** Both zones as dnsmasq is told. It knows no wildcards but `address`, and no SOA. */
export function smallZonesForDnsmasq(): string[] {
  return [
    `local-ttl=${ttlSeconds}`,
    ...Object.values(origins).flatMap((origin) => [
      `local=/${origin}/`,
      `host-record=web.${origin},192.0.2.1,2001:db8::1`,
      `host-record=v4.${origin},192.0.2.4`,
      `cname=alias.${origin},web.${origin}`,
      `srv-host=_http._tcp.web.${origin},web.${origin},80,0,50`,
      `address=/many.${origin}/${manyAddress}`,
      ...largeAddresses.map((address) => `host-record=large.${origin},${address}`),
    ]),
  ];
}
