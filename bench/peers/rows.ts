/*
 * The rows of `npm run bench` as data: what is asked of whom, and what nodens is to reach beside the others.
 */
import type { ServerName } from "./servers.ts";
import type { NameSet } from "./questions.ts";
import type { Measure } from "./results.ts";

/** One line of a row's table. */
export interface Series {
  readonly label: string;
  /** "straight": clients ask upstream itself. */
  readonly server: ServerName | "straight";
  /** For hits: what is asked. */
  readonly names?: NameSet;
}

/** What is to be reached: the measure of one series, as a share of another's where `of` is given. */
export interface Goal {
  readonly series: string;
  readonly measure: Measure;
  readonly most: number;
  readonly of?: string;
  /** The row of `of`, where it is another. */
  readonly ofRow?: string;
}

/** How a row asks. */
export type RowWay =
  | {
      readonly kind: "hits";
      readonly mode: "udp" | "tcp" | "tcp1";
      readonly window: number;
      readonly clients: number;
      readonly perSecond: number;
    }
  | { readonly kind: "misses"; readonly names: "outside" | "cluster"; readonly perSecond: number }
  | { readonly kind: "pods"; readonly perSecond: number }
  | { readonly kind: "rest"; readonly perSecond: number }
  | { readonly kind: "flood"; readonly names: "outside"; readonly isUnique: boolean; readonly perSecond: number }
  | { readonly kind: "memory" };

/** A row. */
export interface Row {
  readonly name: string;
  readonly title: string;
  readonly way: RowWay;
  readonly upstreamPauseMs: number;
  /** Entries that every cache has room for. */
  readonly entries: number;
  /** The longest life of a denial in every cache, where it is not each server's own. */
  readonly denialSeconds?: number;
  readonly series: readonly Series[];
  readonly goals: readonly Goal[];
  /** Fewer rounds than usual, for what takes long to prepare. */
  readonly mostRounds?: number;
}

const thousand: NameSet = { kind: "outside", count: 1000, bothTypes: true };
const plain = "nodens";

const hitWay = { kind: "hits", mode: "udp", window: 100, clients: 10, perSecond: 10_000 } as const;

const hit: Row = {
  name: "hit",
  title: "A hit, 1,000 names (A and AAAA, Zipf)",
  way: hitWay,
  upstreamPauseMs: 0,
  entries: 2000,
  series: of(
    ["floor", "nodens", "dgram", "unbound", "dnsdist", "dnsmasq", "bind", "coredns-cache", "coredns-log"],
    thousand,
  ),
  goals: [
    ...cheaper(["floor", 1.35], ["unbound", 1], ["dnsdist", 1], ["dnsmasq", 1]),
    ...cheaper(["coredns-cache", 0.5], ["coredns-log", 0.25]),
  ],
};

const kinds: Row = {
  name: "kinds",
  title: "Kinds of hits",
  way: hitWay,
  upstreamPauseMs: 0,
  entries: 12_000,
  series: [
    { label: plain, server: "nodens", names: thousand },
    { label: "nodens, EDNS and DO", server: "nodens", names: { ...thousand, hasEdns: true } },
    { label: "nodens, denial", server: "nodens", names: { ...thousand, kind: "absent" } },
    { label: "nodens, denial by schema", server: "nodens", names: { ...thousand, kind: "schema" } },
    { label: "nodens, learned denial", server: "nodens", names: { ...thousand, kind: "learned" } },
    { label: "unbound", server: "unbound", names: thousand },
    { label: "unbound, EDNS and DO", server: "unbound", names: { ...thousand, hasEdns: true } },
    { label: "unbound, denial", server: "unbound", names: { ...thousand, kind: "absent" } },
  ],
  goals: ["EDNS and DO", "denial", "denial by schema", "learned denial"].map((kind) => ({
    series: `nodens, ${kind}`,
    measure: "cpuMicros",
    most: 1.2,
    of: plain,
  })),
};

const connected: readonly ServerName[] = ["nodens", "unbound", "dnsdist", "dnsmasq", "bind", "coredns-cache"];

const tcp: Row = {
  name: "tcp",
  title: "A hit over TCP, 4 connections, 64 queries pipelined on each",
  way: { kind: "hits", mode: "tcp", window: 256, clients: 4, perSecond: 10_000 },
  upstreamPauseMs: 0,
  entries: 2000,
  // dnsmasq ends a connection after 100 queries, and with it what else was asked on it.
  series: of(
    connected.filter((name) => name !== "dnsmasq"),
    thousand,
  ),
  goals: cheaper(["unbound", 1]),
};

const tcpSingle: Row = {
  name: "tcp-single",
  title: "A hit over TCP, a connection for each query",
  way: { kind: "hits", mode: "tcp1", window: 16, clients: 1, perSecond: 1000 },
  upstreamPauseMs: 0,
  entries: 2000,
  series: of(connected, thousand),
  goals: cheaper(["unbound", 1]),
};

function scale(count: number, title: string): Row {
  return {
    name: `scale-${count >= 1_000_000 ? "1m" : `${count / 1000}k`}`,
    title: `A hit, ${title} names (A, Zipf)`,
    way: hitWay,
    upstreamPauseMs: 0,
    entries: count,
    series: of(["floor", "nodens", "unbound", "dnsdist", "dnsmasq", "coredns-cache"], { kind: "outside", count }),
    goals: [
      ...cheaper(["floor", 1.35], ["unbound", 1], ["dnsdist", 1], ["dnsmasq", 1], ["coredns-cache", 0.5]),
      ...(count > 1000
        ? [{ series: plain, measure: "cpuMicros", most: 1.5, of: plain, ofRow: "scale-1k" } as const]
        : []),
      // 450 octets a name.
      ...(count === 1_000_000 ? [{ series: plain, measure: "residentMib", most: 429 } as const] : []),
    ],
    mostRounds: 3,
  };
}

function misses(pauseMs: number, perSecond: number, names: "outside" | "cluster"): Row {
  const over = names === "cluster" ? "cluster names, TCP" : "outside names, UDP";
  return {
    name: `miss-${pauseMs}ms-${perSecond}-${names === "cluster" ? "tcp" : "udp"}`,
    title: `Misses, ${perSecond.toLocaleString("en")} a second, upstream answers after ${pauseMs} ms (${over})`,
    way: { kind: "misses", names, perSecond },
    upstreamPauseMs: pauseMs,
    entries: 100_000,
    series: [{ label: "straight", server: "straight" }, ...of(["nodens", "unbound", "dnsdist", "coredns"])],
    goals: [
      { series: plain, measure: "p99", most: 1.2, of: "straight" },
      { series: plain, measure: "flows", most: 8 },
      ...cheaper(["unbound", 1], ["coredns", 0.5]),
    ],
    mostRounds: 3,
  };
}

/** Upstream's denials live 30 s. Caches that keep them for as long do less, and answer less: that a Service is absent when it is there. */
function pods(denialSeconds: number, servers: readonly ServerName[]): Row {
  return {
    name: `pods-${denialSeconds}s`,
    title: `Lookups of 200 pods with search lists (ndots:5, A and AAAA), denials kept for ${denialSeconds} s, upstream answers after 1 ms`,
    way: { kind: "pods", perSecond: 500 },
    upstreamPauseMs: 1,
    entries: 50_000,
    denialSeconds,
    series: [{ label: "straight", server: "straight" }, ...of(["nodens", ...servers])],
    goals: servers.flatMap((name) =>
      (["cpuMicros", "steadyUpstreamPerLookup", "p99"] as const).map(
        (measure) => ({ series: plain, measure, most: 1, of: name }) as const,
      ),
    ),
    mostRounds: 3,
  };
}

const rest: Row = {
  name: "rest",
  title: "A hit at rest, 500 a second, one at a time",
  way: { kind: "rest", perSecond: 500 },
  upstreamPauseMs: 0,
  entries: 2000,
  series: of(["floor", "nodens", "unbound", "dnsdist", "dnsmasq", "bind", "coredns-cache"], thousand),
  goals: [
    { series: plain, measure: "p50", most: 1, of: "unbound" },
    { series: plain, measure: "p99", most: 1, of: "unbound" },
  ],
};

function flood(name: string, title: string, perSecond: number, isUnique: boolean): Row {
  return {
    name: `flood-${name}`,
    title: `Others' hits (1,000 a second) while one pod sends ${title}`,
    way: { kind: "flood", names: "outside", isUnique, perSecond },
    upstreamPauseMs: 1,
    entries: 100_000,
    series: of(["floor", "nodens", "unbound", "dnsdist", "dnsmasq", "coredns-cache"], thousand),
    goals: [{ series: plain, measure: "timesQuiet", most: 2 }],
    mostRounds: 3,
  };
}

/** Entries that nodens's default budgets, 40 MiB, hold. */
const entriesOfBudgets = 262_144;

const memory: Row = {
  name: "memory",
  title: "Memory, and the time from exec to the first answer",
  way: { kind: "memory" },
  upstreamPauseMs: 0,
  entries: entriesOfBudgets,
  series: of(["nodens", "unbound", "dnsdist", "dnsmasq", "bind", "coredns-cache"]),
  goals: (
    [
      ["readyMs", 150],
      ["firstMs", 250],
      ["restMib", 60],
      ["restOwnMib", 18],
      ["hitsMib", 70],
      ["fullMib", 115],
    ] as const
  ).map(([measure, most]) => ({ series: plain, measure, most })),
  mostRounds: 3,
};

/** All rows, in their order. */
export const rows: readonly Row[] = [
  hit,
  kinds,
  tcp,
  tcpSingle,
  scale(1000, "1,000"),
  scale(10_000, "10,000"),
  scale(100_000, "100,000"),
  scale(1_000_000, "1,000,000"),
  ...[1, 50].flatMap((pauseMs) =>
    [500, 5000].flatMap((perSecond) => [misses(pauseMs, perSecond, "outside"), misses(pauseMs, perSecond, "cluster")]),
  ),
  // As NodeLocal DNSCache keeps them. dnsmasq cannot.
  pods(5, ["unbound", "dnsdist", "bind", "coredns"]),
  pods(30, ["unbound", "dnsdist", "dnsmasq", "bind"]),
  rest,
  flood("packets", "50,000 packets a second", 50_000, false),
  flood("names", "5,000 names a second that nobody asked before", 5000, true),
  memory,
];

/** Two revisions of nodens beside each other, for bench:compare. */
export const compareRow: Row = {
  ...hit,
  name: "compare",
  series: of(["floor", "base", "nodens"], thousand),
  goals: [],
};

function of(names: readonly ServerName[], set?: NameSet): Series[] {
  return names.map((name) => ({ label: name, server: name, ...(set === undefined ? {} : { names: set }) }));
}

function cheaper(...than: readonly (readonly [ServerName, number])[]): Goal[] {
  return than.map(([name, most]) => ({ series: plain, measure: "cpuMicros", most, of: name }));
}
