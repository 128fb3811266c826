/*
 * Measures one benchmark of one revision, in a process of its own, and prints the numbers as JSON. Before anything is measured all
 * cases have run in turns for a while: what is compiled then is code that has seen all of them, as it has in life.
 *
 *     measure-bench.ts FOLDER BENCH CPU_TIME_MS      FOLDER is the bench/hot of the revision; needs --expose-gc
 */
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import { pathToFileURL } from "node:url";
import { do_not_optimize, gc, measure } from "mitata/src/lib.mjs";
import type { HotCall, HotCases } from "./hot-bench.ts";
import { createInputs } from "./inputs.ts";

/** What one case costs per call. */
export interface HotCost {
  readonly nanoseconds: number;
  /** Allocated in V8's heap, and outside of it by arrays. */
  readonly heapBytes: number;
  readonly arrayBytes: number;
}

/** What the process prints: the cost of each case, or why there is none. */
export type HotReport = { readonly costs: Readonly<Record<string, HotCost>> } | { readonly missing: string };

const warmUpTurns = 20_000;

/** Calls whose allocation is counted by V8, which counts in steps of 256 KiB: enough that a step is a byte or two per call. */
const heapTurns = 150_000;

/** Calls between two looks at the memory of arrays: so few that no collection comes between. */
const arrayTurns = 512;
const arrayLooks = 5;

const [folder = "", bench = "", cpuTimeMs = "200"] = process.argv.slice(2);
console.log(JSON.stringify(await report()));

async function report(): Promise<HotReport> {
  try {
    const { cases } = (await import(pathToFileURL(join(folder, `${bench}.ts`)).href)) as { cases: HotCases };
    const calls = Object.entries(await cases(createInputs()));
    for (let turn = 0; turn < warmUpTurns; turn += 1) for (const [, call] of calls) do_not_optimize(call(turn));
    const costs: Record<string, HotCost> = {};
    for (const [name, call] of calls) costs[name] = { ...(await timeOf(call)), ...allocationOf(call) };
    return { costs };
  } catch (error) {
    return { missing: (error as Error).message.split("\n")[0] ?? "" };
  }
}

async function timeOf(call: HotCall): Promise<{ nanoseconds: number }> {
  let turn = 0;
  const once = () => {
    do_not_optimize(call(turn));
    turn += 1;
  };
  const { p50 } = await measure(once, { min_cpu_time: Number(cpuTimeMs) * 1e6 });
  return { nanoseconds: p50 };
}

/** Bytes per call. What was collected meanwhile counts too: V8 counts what it ever gave away, and arrays are seen at their highest. */
function allocationOf(call: HotCall): { heapBytes: number; arrayBytes: number } {
  gc();
  const heapBefore = getHeapStatistics().total_allocated_bytes;
  repeat(call, heapTurns);
  const heapBytes = (getHeapStatistics().total_allocated_bytes - heapBefore) / heapTurns;
  const arrays = Array.from({ length: arrayLooks }, () => {
    gc();
    const before = process.memoryUsage().arrayBuffers;
    repeat(call, arrayTurns);
    return process.memoryUsage().arrayBuffers - before;
  });
  return { heapBytes, arrayBytes: Math.max(0, ...arrays) / arrayTurns };
}

function repeat(call: HotCall, turns: number): void {
  for (let turn = 0; turn < turns; turn += 1) do_not_optimize(call(turn));
}
