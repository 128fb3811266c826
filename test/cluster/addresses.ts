/* The addresses of a cluster, which are the same in each: every cluster has a network of its own. */

/** What is outside of the nodes: the API server, and the name server for names outside. */
export const worldAddress = "172.20.0.1";

/** Where the API server listens. */
export const serverUrl = `https://${worldAddress}:6443`;

/** The first address of the Services, which is the API server's. */
export const apiServiceAddress = "10.96.0.1";

/** The kube-dns Service. */
export const kubeDnsAddress = "10.96.0.10";

/** The same servers under an address that nodens is not told of (names.yaml). */
export const plainDnsAddress = "10.96.0.11";

export const serviceRange = "10.96.0.0/16";
export const podRange = "10.244.0.0/16";
export const clusterDomain = "cluster.local";

/** A node's own address; nodes are counted from 1. */
export function nodeAddress(index: number): string {
  return `172.20.0.${10 + index}`;
}

/** The addresses of a node's pods. */
export function podRangeOf(index: number): string {
  return `10.244.${index}.0/24`;
}
