/*
 * kube-proxy's rules: its mode, which attach mode fits, and how sources are translated.
 */
import type { Finding } from "./finding.ts";
import type { NodeView } from "./node-view.ts";
import { isNodeNamespace, noNodeNamespace } from "./node-namespace.ts";
import type { NodeRules } from "./read-rules.ts";

/** What kube-proxy and network plugins have put there. */
export function checkRules(rules: NodeRules, node: NodeView): Finding[] {
  if (!rules.isIptablesRead && !rules.isNftRead && rules.proxy === undefined) {
    return [
      {
        check: "rules",
        state: "unknown",
        found: "neither iptables-save nor nft may read the rules: NET_ADMIN is missing, or the programs",
      },
    ];
  }
  if (!isNodeNamespace(rules, node)) return [{ check: "rules", state: "unknown", found: noNodeNamespace }];
  return [checkProxy(rules, node), checkMasquerade(rules)];
}

/** Data planes that translate Service addresses before netfilter sees the packets, by an interface of theirs, with what fits. */
const dataPlanes = [
  {
    name: "Cilium without kube-proxy",
    interface: /^cilium_/,
    fits: "link-local, or the overlay cilium-local-redirect",
  },
  { name: "Calico's eBPF data plane", interface: /^bpfin\.cali/, fits: "link-local" },
  { name: "OVN-Kubernetes", interface: /^ovn-k8s/, fits: "link-local with an address that pods can route to" },
  { name: "Antrea", interface: /^antrea-gw/, fits: "link-local with an address that pods can route to" },
] as const;

function checkProxy({ proxy }: NodeRules, { interfaces, kernelRelease }: NodeView): Finding {
  const check = "kube-proxy";
  const link = "install.md#data-planes";
  const plane = dataPlanes.find((each) => interfaces.some((name) => each.interface.test(name)));
  if (proxy === undefined && plane !== undefined) {
    return {
      check,
      state: "warn",
      found: `${plane.name}: attach.mode intercept does not fit`,
      why: "Service addresses are translated before netfilter sees the packets, so intercept would see nothing",
      cure: [`attach.mode: ${plane.fits}`],
      link,
    };
  }
  if (proxy === undefined) {
    return {
      check,
      state: "unknown",
      found: "no rules of kube-proxy: another program translates Service addresses, or this is not a node",
      link,
    };
  }
  const [major = 0, minor = 0] = kernelRelease.split(/[.-]/).map(Number);
  const hasOwners = major > 5 || (major === 5 && minor >= 12);
  const fitting = hasOwners
    ? "intercept, link-local and host-ip fit"
    : "link-local and host-ip fit (intercept from Linux 5.12 on)";
  return { check, state: "ok", found: `mode ${proxy}: attach.mode ${fitting}` };
}

function checkMasquerade({ orderedMasquerades, firstOrderedMasquerade }: NodeRules): Finding {
  const check = "masquerade";
  if (orderedMasquerades === 0) return { check, state: "ok", found: "every MASQUERADE picks random ports" };
  return {
    check,
    state: "warn",
    found: `${orderedMasquerades === 1 ? "1 rule" : `${orderedMasquerades} rules`} without --random-fully: ${firstOrderedMasquerade}`,
    why: "two pods that leave at the same moment may be given the same source port, and one packet is dropped",
    cure: ["let the network plugin and kube-proxy add --random-fully (iptables 1.6.2 or later)"],
    link: "why-timeouts.md#2-a-port-and-an-entry-for-every-lookup",
  };
}
