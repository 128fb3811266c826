/* Settings of `attach`: how pods reach nodens on its node. */
import { addressRanges, group, ipAddresses, oneOf, wholeNumber, yesNoOrAuto } from "./setting-kinds.ts";

/** The group `attach`. */
export const attach = group("How pods reach nodens on this node, apart from `listen.addresses`.", {
  mode: oneOf(["host-ip", "link-local", "intercept", "none", "observe"], {
    default: "none",
    effect: "restart",
    help: "How pods reach nodens. `host-ip`: they ask the node's own address; list it in `listen.addresses`, with port 53, which nodens keeps out of connection tracking where it has NET_ADMIN. `link-local`: nodens puts `attach.addresses` on `lo`, answers there on port 53 and keeps that traffic out of connection tracking. In both, the kernel sends pods' questions on to the kube-dns Service while nodens does not answer. `intercept`: in addition, nodens redirects to itself what pods send to the kube-dns Service, as long as it answers; pods need no change. `none`: nodens touches nothing on the node, and pods reach it by other means, such as a Service. `observe`: nodens answers nobody and touches nothing; it reads copies of what pods and kube-dns say to each other, and tells what it would have saved and answered, for which it needs NET_RAW (docs/observe.md). `link-local` and `intercept` need root, NET_ADMIN and the programs `ip` and `nft`.",
  }),
  addresses: ipAddresses({
    default: ["169.254.20.10"],
    effect: "restart",
    help: "Addresses of nodens itself, at most one IPv4 and one IPv6, put on `lo` unless the node already has them (the node's own address is allowed too). They stay when nodens ends. `nodens detach` removes them.",
  }),
  virtualAddresses: ipAddresses({
    default: [],
    effect: "restart",
    help: "Addresses of the kube-dns Service: those that pods ask, for `intercept`, each of which needs an address of the same family in `attach.addresses`; and for `link-local` and `host-ip` where questions go while nodens does not answer, the first of each family; for `observe`, what is watched, beside `attach.addresses`, where NodeLocal DNSCache answers. Empty means the addresses of `upstream.servers` on port 53; with `intercept` a change of those needs a restart then.",
  }),
  interceptPort: wholeNumber("port", {
    default: 10_053,
    between: [1024, 65_000],
    effect: "restart",
    help: "Where intercepted packets arrive on `attach.addresses`; each further Service address takes the next port that no other nodens on the node uses, and as many ports below are for nodens's own test packets. The port tells queries to the Service from queries to the address itself, and is closed to direct packets.",
  }),
  except: addressRanges({
    default: [],
    effect: "live",
    help: "Pods, or ranges of them, that are not intercepted: they ask kube-dns as if nodens were not there. What `listen.allow` leaves out is not intercepted either. For `intercept`.",
  }),
  notrack: yesNoOrAuto({
    default: "auto",
    effect: "restart",
    help: "Whether traffic to `attach.addresses` and intercepted traffic is kept out of connection tracking. `auto`: yes, but the intercepted packets of a pod whose replies are dropped without it (by network policies or a firewall that let out only what belongs to a known connection) are tracked for half an hour at a time. `false` for network policies that need it everywhere (Calico with egress-only policies): then each socket that a pod asks from takes one conntrack entry, still without address translation.",
  }),
});
