/*
 * What pods notice of something that happens on their node: lookups go on all the while, over UDP and TCP, and beside them some
 * that no fault of nodens can touch, by which it is known how busy the machine is.
 */
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { type BedHost, bedAddress, type NodeBed } from "./node-bed.ts";
import { lookUpSteadily, type RunningLookups, type SeenLookups } from "./steady-lookups.ts";

/** What the clients saw. */
export interface WatchedLookups {
  /** Over UDP, at each of the addresses. */
  readonly udp: readonly SeenLookups[];
  /** Over TCP, likewise. */
  readonly tcp: readonly SeenLookups[];
  /** To a kube-dns pod itself, over both: neither nodens nor the Service is on the way. */
  readonly control: readonly SeenLookups[];
}

/** Long enough after the event for any hole to be seen. */
const settleMs = 3500;

/**
 * Starts lookups at the addresses `servers`, lets `happen` after a second, goes on for a while after that, and resolves with what was
 * seen. UDP lookups are sent again every 250 ms; over TCP a new connection is tried after a second, or at once when one was cut. Neither
 * gives up before ten seconds.
 */
export async function watchLookups(
  { pods, kubeDns }: NodeBed,
  client: string,
  happen: () => unknown,
  servers: readonly string[] = [bedAddress.service],
): Promise<WatchedLookups> {
  const [first, second, dns] = [pods[0], pods[1], kubeDns[0]] as [BedHost, BedHost, BedHost];
  const cached = { name: "web.default.svc.cluster.local", perSecond: 100 / servers.length, waitMs: 250, attempts: 40 };
  const uncached = { name: "x%.example.com", perSecond: 50 / servers.length, waitMs: 1000, attempts: 10 };
  const udp = servers.map((server) => lookUpSteadily(first, client, { ...cached, server }));
  const tcp = servers.map((server) => lookUpSteadily(second, client, { ...uncached, server, transport: "tcp" }));
  const control = [
    lookUpSteadily(second, client, { ...cached, server: dns.address }),
    lookUpSteadily(first, client, { ...uncached, server: dns.address, transport: "tcp" }),
  ];
  await pause(1000);
  await happen();
  await pause(settleMs);
  const endAll = (running: readonly RunningLookups[]) => Promise.all(running.map((lookups) => lookups.end()));
  return { udp: await endAll(udp), tcp: await endAll(tcp), control: await endAll(control) };
}

/** The kernel's switch back to kube-dns, and half as much for a machine that does other things. */
const switchMs = 3000;

/**
 * Expects that every lookup was answered in the end, by the address that was asked, and that no time without an answer was longer than
 * `budgetMs`. What the control waited for is the machine's, and is added. A single lookup over UDP may take no longer either; over TCP, a
 * question that has reached a process which does not answer waits as long as its client likes. So many lookups as `mostMisdirected` may
 * have had a reply from another address before the right one.
 */
export function expectNoHole(
  { udp, tcp, control }: WatchedLookups,
  budgetMs: number = switchMs,
  mostMisdirected = 0,
): void {
  const limitMs = budgetMs + Math.max(...control.map(({ longestGapMs }) => longestGapMs));
  for (const [transport, all] of Object.entries({ udp, tcp })) {
    for (const { started, answered, failed, wrongSource, longestGapMs, slowestMs } of all) {
      expect(started).toBeGreaterThan(50);
      expect({ answered, failed }).toEqual({ answered: started, failed: 0 });
      expect(wrongSource, `replies from another address over ${transport}`).toBeLessThanOrEqual(mostMisdirected);
      expect(longestGapMs, `the longest time without an answer over ${transport}`).toBeLessThan(limitMs);
      if (transport === "udp") expect(slowestMs, "the slowest lookup").toBeLessThan(limitMs);
    }
  }
}
