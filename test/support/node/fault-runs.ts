/*
 * What pods lose while kube-dns is in trouble: a node of its own for each run, four pods that ask without ever asking again, a fault of
 * ten seconds, and a count.
 */
import { setTimeout as pause } from "node:timers/promises";
import { listDnsFlows } from "../program/count-flows.ts";
import { type CorednsOnNode, startCorednsOnNode } from "./coredns-on-node.ts";
import { blackhole, losePackets, prepareReplacement, silence } from "./kube-dns-faults.ts";
import { type LoggedLookup, logLookups, longestWaitMs, type LookupLoad, monotonicMs } from "./logged-lookups.ts";
import { bedAddress, type BedHost, createNodeBed, type NodeBed } from "./node-bed.ts";
import { type NodensOnNode, startNodensOnNode } from "./nodens-on-node.ts";

/** Who answers the pods. */
export const faultWays = ["coredns", "link-local", "intercept"] as const;

/** CoreDNS as NodeLocal DNSCache runs it, or nodens in one of its modes. */
export type FaultWay = (typeof faultWays)[number];

/** What happens, and what nodens may let pods notice of it. */
export const faults = {
  "one-silent": { title: "one of two servers silent", mostLost: 4, mostP99Ms: 200 },
  "one-blackholed": { title: "one of two blackholed", mostLost: 4, mostP99Ms: 200 },
  "one-replaced": { title: "one pod replaced, its entries kept", mostLost: 4, mostLostAfterFirstSecond: 0 },
  loss: { title: "20 % loss each way", mostLost: 9, mostP99Ms: 600 },
  "both-blackholed-hits": { title: "both blackholed: hits", mostLost: 0 },
  "both-silent-hits": { title: "both silent: hits", mostLost: 0 },
  "both-silent-expired": { title: "both silent: names that expire", mostLost: 0 },
  "both-silent-misses": { title: "both silent: entries that come", mostNewEntries: 40 },
  none: { title: "no fault: entries after 10,000 names", mostLost: 0, mostEntries: 16 },
} as const satisfies Readonly<Record<string, FaultBudget>>;
export type Fault = keyof typeof faults;

/** At most so much, where something is said. One lost lookup a client is four. */
export interface FaultBudget {
  readonly title: string;
  readonly mostLost?: number;
  readonly mostLostAfterFirstSecond?: number;
  readonly mostP99Ms?: number;
  readonly mostNewEntries?: number;
  readonly mostEntries?: number;
}

/** In words, what of a fault's budget an outcome is over; empty when it keeps it. */
export function overBudget(fault: Fault, outcome: FaultOutcome): string[] {
  const budget: FaultBudget = faults[fault];
  const bounds: [string, number, number | undefined][] = [
    ["lost", outcome.lost, budget.mostLost],
    ["lost after the first second", outcome.lostAfterFirstSecond, budget.mostLostAfterFirstSecond],
    ["ms for 99 %", outcome.p99Ms, budget.mostP99Ms],
    ["new entries", outcome.newEntries, budget.mostNewEntries],
    ["entries", outcome.entries, budget.mostEntries],
  ];
  return bounds
    .filter(([, value, most]) => most !== undefined && value > most)
    .map(([what, value, most]) => `${Math.round(value)} ${what} (at most ${most})`);
}

/** The programs that a run needs, by path. */
export interface FaultPrograms {
  /** Compiled from test/fixtures/clients/steady-lookups.c. */
  readonly client: string;
  readonly coredns: string;
}

/** What came of a run. Lost is a lookup with SERVFAIL or another refusal, and one that took longer than `lateAfterMs`. */
export interface FaultOutcome {
  readonly lookups: number;
  readonly lost: number;
  /** Of the lost ones, those that failed at once, and those that began a second or more after the fault did. */
  readonly refused: number;
  readonly lostAfterFirstSecond: number;
  /** Lookups that never got a reply took as long as their client waits. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** DNS entries in the node's connection tracking at the end, of whatever origin, and those of them that came meanwhile. */
  readonly entries: number;
  readonly newEntries: number;
}

/** Later than this is too late: what a lookup may take. */
export const lateAfterMs = 2000;

/** How long a fault is watched. */
const faultSeconds = 10;

const proxy = "iptables";

/** Time for flows to be opened and round trips to be learned. */
const warmUpSeconds = 3;

/** Short, so that names expire within a fault. */
const shortTtlSeconds = 5;

/** Runs one fault on a fresh node. Needs root and what a bed needs. */
export async function runFault(way: FaultWay, fault: Fault, programs: FaultPrograms): Promise<FaultOutcome> {
  const isExpiring = fault === "both-silent-expired";
  const bed = await createNodeBed({ proxy, podCount: 4, ...(isExpiring ? { ttlSeconds: shortTtlSeconds } : {}) });
  let resolver: CorednsOnNode | NodensOnNode | undefined;
  try {
    resolver =
      way === "coredns" ? await startCorednsOnNode(bed, programs.coredns) : await startNodensOnNode(bed, { mode: way });
    const server = way === "intercept" ? bedAddress.service : bedAddress.own;
    if (isExpiring) return await runExpired(bed, server, programs);
    if (fault === "none") return await runUntroubled(bed, server, programs);
    return await runSteady(bed, server, fault, programs);
  } finally {
    await resolver?.stop();
    await bed.close();
  }
}

/** Load that goes on all the time, with the fault in its middle. */
async function runSteady(
  bed: NodeBed,
  server: string,
  fault: Exclude<Fault, "none">,
  { client }: FaultPrograms,
): Promise<FaultOutcome> {
  const seconds = 2 * (warmUpSeconds + faultSeconds);
  const wanted = loadsOf(fault);
  const loads = wanted.map((load, index) =>
    logLookups(bed.pods[index % bed.pods.length] as BedHost, client, { ...load, server, seconds }),
  );
  await pause(warmUpSeconds * 1000);
  const strike = await preparations[fault](bed, ...(await busiestFirst(bed)));
  const entriesBefore = (await listDnsFlows(bed)).length;
  const beganAtMs = monotonicMs();
  await strike();
  const endsAtMs = beganAtMs + faultSeconds * 1000;
  await pause(endsAtMs - monotonicMs());
  const entries = (await listDnsFlows(bed)).length;
  const ended = await Promise.all(loads.map((load) => load.end()));
  const during = ended
    .filter((_, index) => wanted[index]?.isCounted)
    .flat()
    .filter(({ startedAtMs }) => startedAtMs >= beganAtMs && startedAtMs < endsAtMs);
  return outcomeOf(during, beganAtMs, entries, entries - entriesBefore);
}

/** Names that were asked once, and are asked again when they have expired and nobody is left to ask. */
async function runExpired(bed: NodeBed, server: string, { client }: FaultPrograms): Promise<FaultOutcome> {
  const [pod] = bed.pods as [BedHost];
  const load = { server, name: "10-244-0-%.default.pod.cluster.local" };
  const names = 150;
  await logLookups(pod, client, { ...load, perSecond: names, seconds: 1 }).ended;
  const strike = await silenceBoth(bed, ...(await busiestFirst(bed)));
  const entriesBefore = (await listDnsFlows(bed)).length;
  const beganAtMs = monotonicMs();
  await strike();
  await pause((shortTtlSeconds + 1) * 1000);
  const seconds = faultSeconds - shortTtlSeconds;
  const lookups = await logLookups(pod, client, { ...load, perSecond: names / seconds, seconds }).ended;
  const entries = (await listDnsFlows(bed)).length;
  return outcomeOf(lookups, beganAtMs, entries, entries - entriesBefore);
}

/** 10,000 names that nobody has asked before, in four seconds. */
async function runUntroubled(bed: NodeBed, server: string, { client }: FaultPrograms): Promise<FaultOutcome> {
  const beganAtMs = monotonicMs();
  const loads = missedNames.map((name, index) =>
    logLookups(bed.pods[index % bed.pods.length] as BedHost, client, { server, name, perSecond: 625, seconds: 4 }),
  );
  const lookups = (await Promise.all(loads.map(({ ended }) => ended))).flat();
  const entries = (await listDnsFlows(bed)).length;
  return outcomeOf(lookups, beganAtMs, entries, entries);
}

/** Gets everything ready that takes time, and resolves with what makes the fault. */
type PrepareFault = (bed: NodeBed, busiest: BedHost, other: BedHost) => (() => unknown) | Promise<() => unknown>;

const silenceBoth: PrepareFault = (_, busiest, other) => () => [busiest, other].forEach(silence);

const blackholeBoth: PrepareFault = (bed, busiest, other) => () =>
  Promise.all([busiest, other].map((dns) => blackhole(bed, dns)));

const preparations: Readonly<Record<Exclude<Fault, "none">, PrepareFault>> = {
  "one-silent": (_, busiest) => () => silence(busiest),
  "one-blackholed": (bed, busiest) => () => blackhole(bed, busiest),
  "one-replaced": (bed, busiest) => prepareReplacement(bed, busiest, proxy),
  loss: (bed, busiest, other) => () => Promise.all([busiest, other].map((dns) => losePackets(bed, dns, 20))),
  "both-blackholed-hits": blackholeBoth,
  "both-silent-hits": silenceBoth,
  "both-silent-expired": silenceBoth,
  "both-silent-misses": silenceBoth,
};

/** The kube-dns pods, first the one that is asked more: a fault of the other might go unnoticed by chance. */
async function busiestFirst({ kubeDns }: NodeBed): Promise<[BedHost, BedHost]> {
  const received = (dns: BedHost) => dns.run("cat", ["/sys/class/net/eth0/statistics/rx_packets"]);
  const countAll = async () => (await Promise.all(kubeDns.map(received))).map(({ stdout }) => Number(stdout));
  const before = await countAll();
  await pause(500);
  const after = await countAll();
  const [one = 0, other = 0] = after.map((count, index) => count - (before[index] ?? 0));
  const [first, second] = kubeDns as [BedHost, BedHost];
  return one >= other ? [first, second] : [second, first];
}

interface WantedLoad extends Pick<LookupLoad, "name" | "perSecond"> {
  /** Whether its lookups are those that matter. */
  readonly isCounted: boolean;
}

/** Half of what is not in the cache is under the cluster zone, half outside. */
const missedNames = ["a%.default.svc.cluster.local", "b%.ns2.svc.cluster.local", "c%.example.com", "d%.example.com"];
const cachedNames = ["web.default.svc.cluster.local", "api.ns2.svc.cluster.local", "www.example.com", "baidu.com"];

/** What the four pods ask for: names that nobody has asked before and, where hits are what matters, others besides. */
function loadsOf(fault: Fault): WantedLoad[] {
  const isAboutHits = fault === "both-silent-hits" || fault === "both-blackholed-hits";
  return [
    ...missedNames.map((name) => ({ name, perSecond: 25, isCounted: !isAboutHits })),
    ...(isAboutHits ? cachedNames.map((name) => ({ name, perSecond: 180, isCounted: true })) : []),
  ];
}

function outcomeOf(
  lookups: readonly LoggedLookup[],
  beganAtMs: number,
  entries: number,
  newEntries: number,
): FaultOutcome {
  const isRefused = ({ rcode }: LoggedLookup) => rcode !== 0 && rcode !== nxdomain && rcode !== -1;
  const lost = lookups.filter((lookup) => isRefused(lookup) || lookup.rcode === -1 || lookup.tookMs > lateAfterMs);
  const times = lookups.map(({ rcode, tookMs }) => (rcode === -1 ? longestWaitMs : tookMs)).toSorted((a, b) => a - b);
  const quantile = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? NaN;
  return {
    lookups: lookups.length,
    lost: lost.length,
    refused: lost.filter(isRefused).length,
    lostAfterFirstSecond: lost.filter(({ startedAtMs }) => startedAtMs >= beganAtMs + 1000).length,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    entries,
    newEntries,
  };
}

const nxdomain = 3;
