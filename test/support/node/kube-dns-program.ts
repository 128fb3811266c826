/*
 * kube-dns for a bed: the embedded cluster DNS on port 53 of the addresses that are its arguments. It says "listening". The
 * variable KUBE_DNS_TTL_SECONDS sets the TTL of the cluster's names.
 */
import { startClusterDns } from "../../../src/cluster-dns/cluster-dns-server.ts";
import { createClusterZone } from "../../../src/cluster-dns/cluster-zone.ts";
import { searchZone } from "../servers/search-zone.ts";

const ttl = process.env["KUBE_DNS_TTL_SECONDS"];
const zone = createClusterZone(ttl === undefined ? searchZone : { ...searchZone, ttl: Number(ttl) });
for (const host of process.argv.slice(2)) {
  await startClusterDns({ address: { host, port: 53 }, zone, outside: "built-in" });
}
console.log("listening");
