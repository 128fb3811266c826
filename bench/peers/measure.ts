/*
 * One round of one series: a server is asked in a certain way, and what that took is returned.
 */
import type { RunningServer } from "./start-server.ts";
import { type Load, type LoadReport, runLoad, type Upstream } from "./run-load.ts";
import type { Round } from "./results.ts";
import type { Tools } from "./tools.ts";

/** What a round is given. */
export interface RoundInput {
  readonly tools: Tools;
  readonly upstream: Upstream;
  /** Undefined where clients ask upstream itself. */
  readonly server: RunningServer | undefined;
  readonly seconds: number;
  /** From 0, the one that is not counted. */
  readonly round: number;
}

/** How hits are asked. */
export interface HitLoad {
  /** Each name once. */
  readonly all: string;
  /** Names as often as they are popular. */
  readonly draws: string;
  readonly mode: "udp" | "tcp" | "tcp1";
  /** At once, to find what the server can do and what it costs. */
  readonly window: number;
  readonly clients: number;
  /** In the second part, which finds how long answers take. */
  readonly perSecond: number;
}

/** Fills the cache, twice: what was lost comes with the second. */
export async function fillCache(input: RoundInput, load: HitLoad, count: number): Promise<void> {
  if (input.server === undefined) return;
  for (let pass = 0; pass < 2; pass += 1) {
    await askHurried(input, { file: load.all, window: 100, most: count, timeoutMs: 1000 });
  }
}

/** First as many hits as the server can do, then so many a second. */
export async function measureHits(input: RoundInput, load: HitLoad): Promise<Round> {
  const { file, mode, clients } = { file: load.draws, mode: load.mode, clients: load.clients };
  const from = mode === "tcp1" ? { from: "127.1.0.1" } : {};
  await input.upstream.take();
  const full = await askHurried(input, {
    file,
    mode,
    clients,
    window: load.window,
    seconds: input.seconds / 2,
    isAwake: true,
    ...from,
  });
  const { udp, tcp } = await input.upstream.take();
  const steady = await askHurried(input, {
    file,
    mode,
    clients,
    perSecond: load.perSecond,
    seconds: input.seconds * 0.75,
    ...from,
  });
  return {
    cpuMicros: full.cpuMicros / full.report.answered,
    perSecond: full.report.answered / full.report.seconds,
    steadyCpuMicros: steady.cpuMicros / steady.report.answered,
    ...timesOf(steady.report),
    upstreamPerLookup: (udp + tcp) / full.report.answered,
    lostPercent: lostPercent(full.report),
    residentMib: input.server?.residentMib() ?? 0,
  };
}

/** How misses are asked: `file` has another name for each, enough for all rounds. */
export interface MissLoad {
  readonly file: string;
  readonly perSecond: number;
}

/** Names at the start of a MissLoad's file that servers are warmed up with: engines that translate while they run have done so by then. */
export const warmingMisses = 40_000;

/** Asks those, fast. */
export async function warmUpMisses(input: RoundInput, file: string): Promise<void> {
  await warmUp(input, file, 50);
}

/** Asks as many, as fast, one at a time: what a server does when a single query wakes it is compiled by itself. */
export async function warmUpHits(input: RoundInput, file: string): Promise<void> {
  await warmUp(input, file, 1);
}

async function warmUp(input: RoundInput, file: string, clients: number): Promise<void> {
  const perSecond = 5000;
  const seconds = warmingMisses / perSecond;
  await askHurried(input, { file, perSecond, seconds, most: warmingMisses, clients, from: "127.1.0.1" });
}

/** Names that were never asked before, so many a second. */
export async function measureMisses(input: RoundInput, load: MissLoad): Promise<Round> {
  await input.upstream.take();
  const { report, cpuMicros } = await askHurried(input, {
    file: load.file,
    perSecond: load.perSecond,
    seconds: input.seconds,
    most: load.perSecond * input.seconds,
    offset: warmingMisses + input.round * load.perSecond * input.seconds,
    clients: 50,
    from: "127.1.0.1",
  });
  const { flows } = await input.upstream.take();
  return {
    ...(input.server === undefined ? {} : { cpuMicros: cpuMicros / report.answered, flows }),
    ...timesOf(report),
    lostPercent: lostPercent(report),
  };
}

/** Lookups of many pods: as many as can be done, then so many a second. */
export async function measurePods(input: RoundInput, load: { file: string; perSecond: number }): Promise<Round> {
  const clients = { file: load.file, clients: 200, from: "127.1.0.1", offset: input.round * 9973 };
  const all = { ...clients, window: 100, seconds: input.seconds };
  // What has expired since the round before is asked again first.
  await askHurried(input, all);
  await input.upstream.take();
  const full = await askHurried(input, all);
  const asked = await input.upstream.take();
  // Over some lives of what lives shortest, or the moment at which it was filled would decide. What is not counted may be short.
  const seconds = (input.round === 0 ? 1 : 5) * input.seconds;
  const steady = await askHurried(input, { ...clients, perSecond: load.perSecond, seconds });
  const { udp, tcp, flows } = await input.upstream.take();
  return {
    ...(input.server === undefined ? {} : { cpuMicros: full.cpuMicros / full.report.lookups }),
    perSecond: full.report.lookups / full.report.seconds,
    ...(input.server === undefined ? {} : { steadyCpuMicros: steady.cpuMicros / steady.report.lookups }),
    ...timesOf(steady.report),
    upstreamPerLookup: (asked.udp + asked.tcp) / full.report.lookups,
    steadyUpstreamPerLookup: (udp + tcp) / steady.report.lookups,
    ...(input.server === undefined ? {} : { flows }),
    lostPercent: (100 * steady.report.lostLookups) / (steady.report.lookups + steady.report.lostLookups),
  };
}

/** Hits now and then. */
export async function measureRest(input: RoundInput, load: { file: string; perSecond: number }): Promise<Round> {
  const { report, cpuMicros } = await askHurried(input, {
    file: load.file,
    perSecond: load.perSecond,
    seconds: 2 * input.seconds,
    clients: 1,
  });
  return { steadyCpuMicros: cpuMicros / report.answered, ...timesOf(report) };
}

/** A pod that floods: `file` is asked so many times a second by one address. */
export interface FloodLoad {
  readonly hits: string;
  readonly file: string;
  readonly perSecond: number;
}

/** What others wait for their hits, first alone, then beside one pod's flood. */
export async function measureFlood(input: RoundInput, load: FloodLoad): Promise<Round> {
  const others = { file: load.hits, perSecond: 1000, seconds: input.seconds, clients: 20, from: "127.1.1.1" };
  const quiet = await askHurried(input, others);
  const port = input.server?.port ?? input.upstream.port;
  // From the flood's first packet on: on a busy machine the server would lie behind by the time that the others ask.
  input.server?.hurry(true);
  const flood = runLoad(input.tools, {
    file: load.file,
    port,
    perSecond: load.perSecond,
    seconds: input.seconds + 0.4,
    clients: 4,
    from: "127.1.9.1",
    timeoutMs: 500,
    offset: input.round * load.perSecond * (input.seconds + 1),
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const beside = await askHurried(input, others);
  await flood;
  return {
    quietP99: quiet.report.p99,
    ...timesOf(beside.report),
    timesQuiet: beside.report.p99 / quiet.report.p99,
    lostPercent: lostPercent(beside.report),
  };
}

/** Server and load ahead of the machine's other work, and what the server took. */
async function askHurried(
  { tools, upstream, server }: RoundInput,
  load: Omit<Load, "port">,
): Promise<{ report: LoadReport; cpuMicros: number }> {
  server?.hurry(true);
  try {
    const before = server?.cpuMicros() ?? 0;
    const report = await runLoad(tools, { ...load, port: server?.port ?? upstream.port, isHurried: true });
    return { report, cpuMicros: (server?.cpuMicros() ?? 0) - before };
  } finally {
    server?.hurry(false);
  }
}

function timesOf({ p50, p99, p999 }: LoadReport): Round {
  return { p50, p99, p999 };
}

function lostPercent({ asked, answered }: LoadReport): number {
  return (100 * (asked - answered)) / asked;
}
