/* Settings of `cluster`: which names are the cluster's. */
import { defaultClusterDomain } from "./command-defaults.ts";
import { group, zone, zones } from "./setting-kinds.ts";

const privateReverseZones = [
  "10.in-addr.arpa",
  ...Array.from({ length: 16 }, (_, index) => `${16 + index}.172.in-addr.arpa`),
  "168.192.in-addr.arpa",
  "c.f.ip6.arpa",
  "d.f.ip6.arpa",
];

/** The group `cluster`. */
export const cluster = group("Which names belong to the cluster.", {
  domain: zone({
    default: defaultClusterDomain,
    effect: "restart",
    flag: { name: "--cluster-domain", value: "NAME", help: "zone of the cluster" },
    help: "The zone of Services and pods: the `clusterDomain` of kubelet.",
  }),
  reverseZones: zones({
    default: privateReverseZones,
    effect: "live",
    help: "Reverse zones that are forwarded like cluster names, and whose denials live no longer. The default is the private ranges that pod and Service addresses come from, and the zones of every range in `listen.allow`.",
  }),
});
