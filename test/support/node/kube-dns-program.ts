/*
 * kube-dns for a bed: the embedded cluster DNS on port 53 of the addresses that are its arguments. It says "listening".
 */
import { startClusterDns } from "../../../src/cluster-dns/cluster-dns-server.ts";
import { createClusterZone } from "../../../src/cluster-dns/cluster-zone.ts";
import { searchZone } from "../servers/search-zone.ts";

const zone = createClusterZone(searchZone);
for (const host of process.argv.slice(2)) {
  await startClusterDns({ address: { host, port: 53 }, zone, outside: "built-in" });
}
console.log("listening");
