/*
 * When pods are better served here than by the kube-dns Service that they asked.
 */
import type { Route } from "../upstream/upstream.ts";
import type { LiveUpstream } from "./live-upstream.ts";
import type { OwnSockets } from "./own-sockets.ts";

/**
 * Whether pods that ask a Service address would find no more there than nodens does. False while no server for cluster names, or none for
 * outside names, is up, unless the address is one of them: then kube-dns itself is away, and nodens has stale answers at least.
 */
export function findsAsMuch(routes: readonly Route[], virtualAddress: string): boolean {
  return routes
    .filter(({ name }) => name === "cluster" || name === "outside")
    .every(({ servers }) => servers.some(({ health, address }) => health.isUp() || address.host === virtualAddress));
}

/**
 * Makes the function that asks `host` a question which the node's rules send on to the Service. It resolves with whether that was answered;
 * with undefined where the Service was silent but is down, by what nodens knows of it as a server: that says nothing of the way there.
 */
export function createAwayQuestion(
  { answersAway }: Pick<OwnSockets, "answersAway">,
  { routes }: Pick<LiveUpstream, "routes">,
): (host: string, service: string) => Promise<boolean | undefined> {
  return async (host, service) => {
    if (await answersAway(host)) return true;
    const asServer = routes().flatMap(({ servers }) => servers.filter(({ address }) => address.host === service));
    return asServer.some(({ health }) => !health.isUp()) ? undefined : false;
  };
}
