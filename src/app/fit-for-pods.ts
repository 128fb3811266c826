/*
 * When pods are better served here than by the kube-dns Service that they asked.
 */
import type { Route } from "../upstream/upstream.ts";

/**
 * Whether pods that ask a Service address would find no more there than nodens does. False while no server for cluster names, or none for
 * outside names, is up, unless the address is one of them: then kube-dns itself is away, and nodens has stale answers at least.
 */
export function findsAsMuch(routes: readonly Route[], virtualAddress: string): boolean {
  return routes
    .filter(({ name }) => name === "cluster" || name === "outside")
    .every(({ servers }) => servers.some(({ health, address }) => health.isUp() || address.host === virtualAddress));
}
