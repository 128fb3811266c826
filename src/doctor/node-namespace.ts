/*
 * Whether the doctor sees the node's network, or that of a pod.
 */
import type { NodeView } from "./node-view.ts";
import type { NodeRules } from "./read-rules.ts";

/**
 * Whether this looks like the node's own network namespace: kube-proxy's rules are in it, or IPVS, or the interface of a network plugin. Without
 * any of these it cannot be told.
 */
export function isNodeNamespace({ proxy, hasProxyChains }: NodeRules, { interfaces }: NodeView): boolean {
  const pluginInterface = /^(cilium_|cali|flannel|cni0|kube-ipvs0|ovn-k8s|antrea|weave|veth|lxc|nodelocaldns)/;
  return hasProxyChains || proxy !== undefined || interfaces.some((name) => pluginInterface.test(name));
}

/** What a finding says where it is not. */
export const noNodeNamespace =
  "not in the node's network namespace, or without NET_ADMIN, which reading its rules needs: run it with hostNetwork, or with nsenter -t 1 -n";
