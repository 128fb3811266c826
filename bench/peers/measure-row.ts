/*
 * Measures one row: starts what it needs, asks all series in turns, forwards in one round and backwards in the next, and ends what it
 * started. The first round warms up and is not counted.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  fillCache,
  measureFlood,
  measureHits,
  measureMisses,
  measurePods,
  measureRest,
  type RoundInput,
  warmingMisses,
  warmUpHits,
  warmUpMisses,
} from "./measure.ts";
import { measureMemory } from "./measure-memory.ts";
import { type NameSet, writeAll, writeDraws, writePodLookups } from "./questions.ts";
import type { Round } from "./results.ts";
import type { Row, RowWay, Series } from "./rows.ts";
import { startUpstream } from "./run-load.ts";
import type { ServerName } from "./servers.ts";
import { type RunningServer, startServer, whyAbsent } from "./start-server.ts";
import type { Tools } from "./tools.ts";

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  /** Of one part of a round. */
  readonly seconds: number;
}

/** What came of a row. */
export interface Measured {
  readonly rounds: Record<string, Round[]>;
  readonly absent: readonly string[];
}

/** Measures it. `folder` keeps questions from one row to the next. */
export async function measureRow(
  row: Row,
  { tools, folder, effort }: { tools: Tools; folder: string; effort: Effort },
  progress: (text: string) => void,
): Promise<Measured> {
  const names = [...new Set(row.series.map(({ server }) => server))];
  const reasons = new Map<string, string>();
  for (const name of names) {
    const reason = name === "straight" ? undefined : whyAbsent(name, tools);
    if (reason !== undefined) reasons.set(name, reason);
  }
  const series = row.series.filter(({ server }) => !reasons.has(server));
  const own = mkdtempSync(join(folder, "row-"));
  const upstream = await startUpstream(tools, row.upstreamPauseMs);
  const running = new Map<ServerName, RunningServer>();
  const rounds: Record<string, Round[]> = Object.fromEntries(series.map(({ label }) => [label, []]));
  const count = Math.min(effort.rounds, row.mostRounds ?? effort.rounds);
  /** All series, forwards in one round and backwards in the next. Round 0 is not counted. */
  const takeTurns = async (first: number, measureOne: (each: Series, round: number) => Promise<Round>) => {
    for (let round = first; round <= count; round += 1) {
      for (const each of round % 2 === 0 ? series : series.toReversed()) {
        progress(`round ${round} of ${count}, ${each.label}`);
        const measured = await measureOne(each, round);
        if (round > 0) rounds[each.label]?.push(measured);
      }
    }
  };
  try {
    const { way, entries, denialSeconds } = row;
    const place = { tools, folder: own, upstreamPort: upstream.port, entries, denialSeconds };
    if (way.kind === "memory") {
      const questions = memoryQuestions(folder);
      // Each round starts its servers anew, so none has to warm up.
      await takeTurns(1, ({ server }) => measureMemory(server, place, questions));
      return { rounds, absent: [...reasons.values()] };
    }
    for (const name of names) {
      if (name === "straight" || reasons.has(name)) continue;
      progress(`starts ${name}`);
      running.set(name, await startServer(name, place));
    }
    const inputFor = ({ server }: Series, round: number): RoundInput => ({
      tools,
      upstream,
      server: server === "straight" ? undefined : running.get(server),
      seconds: effort.seconds,
      round,
    });
    for (const each of series) {
      progress(`fills ${each.label}`);
      await prepare(way, each, inputFor(each, 0), { folder, rounds: count });
    }
    await takeTurns(0, (each, round) => measureOnce(way, each, inputFor(each, round), { folder, rounds: count }));
    return { rounds, absent: [...reasons.values()] };
  } finally {
    for (const server of running.values()) await server.stop();
    await upstream.close();
    rmSync(own, { recursive: true, force: true });
  }
}

/** How a row asks servers that run from its beginning to its end. */
type LastingWay = Exclude<RowWay, { kind: "memory" }>;

async function prepare(
  way: LastingWay,
  { names: set }: Series,
  input: RoundInput,
  { folder, rounds }: { folder: string; rounds: number },
): Promise<void> {
  if (way.kind === "misses") return warmUpMisses(input, allOf(missesOf(way, input, rounds), folder));
  if (way.kind === "rest") return warmUpHits(input, drawsOf(set ?? anyNames, folder));
  if (set === undefined || way.kind === "pods") return;
  await fillCache(input, hitLoad({ ...anyHits, ...(way.kind === "hits" ? way : {}) }, set, folder), sizeOf(set));
}

async function measureOnce(
  way: LastingWay,
  { names = anyNames }: Series,
  input: RoundInput,
  { folder, rounds }: { folder: string; rounds: number },
): Promise<Round> {
  if (way.kind === "hits") return measureHits(input, hitLoad(way, names, folder));
  const { perSecond } = way;
  if (way.kind === "rest") return measureRest(input, { file: drawsOf(names, folder), perSecond });
  if (way.kind === "pods") return measurePods(input, { file: podLookups(folder), perSecond });
  if (way.kind === "misses")
    return measureMisses(input, { file: allOf(missesOf(way, input, rounds), folder), perSecond });
  const hits = drawsOf(names, folder);
  // Names beyond those that the others ask.
  const flood = way.isUnique ? allOf({ kind: "unasked", count: countOf(way, input, rounds) }, folder) : hits;
  return measureFlood(input, { hits, file: flood, perSecond });
}

/** A name for each query of all rounds, and of what comes before. */
function missesOf(way: LastingWay & { kind: "misses" }, input: RoundInput, rounds: number): NameSet {
  return { kind: way.names, count: warmingMisses + countOf(way, input, rounds) };
}

function countOf({ perSecond }: LastingWay, { seconds }: RoundInput, rounds: number): number {
  return Math.ceil(perSecond * (seconds + 1) * (rounds + 1));
}

const anyNames: NameSet = { kind: "outside", count: 1000 };
const anyHits = { kind: "hits", mode: "udp", window: 100, clients: 10, perSecond: 1000 } as const;

function hitLoad(way: LastingWay & { kind: "hits" }, set: NameSet, folder: string) {
  return { ...way, all: allOf(set, folder), draws: drawsOf(set, folder) };
}

function sizeOf(set: NameSet): number {
  return set.count * (set.bothTypes === true ? 2 : 1);
}

function allOf(set: NameSet, folder: string): string {
  return made(join(folder, `all-${nameOf(set)}`), (file) => writeAll(file, set));
}

function drawsOf(set: NameSet, folder: string): string {
  return made(join(folder, `draws-${nameOf(set)}`), (file) => writeDraws(file, set));
}

/** A thousand names in both types, and more than fit into the default budgets: seven of ten exist. */
function memoryQuestions(folder: string) {
  const thousand = { kind: "outside", count: 1000, bothTypes: true } as const;
  const fill = [{ kind: "unasked", count: 280_000 } as const, { kind: "absent", count: 120_000 } as const];
  return {
    hits: drawsOf(thousand, folder),
    fill: fill.map((set) => ({ file: allOf(set, folder), count: set.count })),
  };
}

function podLookups(folder: string): string {
  return made(join(folder, "pods"), writePodLookups);
}

function made(file: string, write: (file: string) => void): string {
  if (!existsSync(file)) write(file);
  return file;
}

function nameOf({ kind, count, hasEdns, bothTypes }: NameSet): string {
  return [kind, count, hasEdns === true ? "edns" : "plain", bothTypes === true ? "both" : "a"].join("-");
}
