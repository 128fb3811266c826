/*
 * The arena against a model that is a plain map: a million random stores and evictions.
 */
import { describe, expect, test } from "vitest";
import { type Arena, createArena } from "../../../src/cache/arena.ts";
import { chunkOf, createEntryRows, type EntryRows, Word, wordAt } from "../../../src/cache/entry-rows.ts";
import { createChance } from "../../../src/seen/chance.ts";

const mebibyte = 2 ** 20;

interface Place {
  readonly octets: Uint8Array;
  readonly start: number;
}

function placeOf(rows: EntryRows, arena: Arena, row: number): Place {
  const words = rows.words[chunkOf(row)] as Int32Array;
  const [page, start] = [words[wordAt(row) + Word.page] as number, words[wordAt(row) + Word.offset] as number];
  return { octets: arena.pages[page] as Uint8Array, start };
}

/** What is stored under a number: octets that follow from it. */
function fill(source: Uint8Array, serial: number, sizeBytes: number): void {
  for (let at = 0; at < sizeBytes; at += 1) source[at] = serial + at;
}

function holds({ octets, start }: Place, serial: number, sizeBytes: number): boolean {
  if (start + sizeBytes > octets.length) return false;
  for (let at = 0; at < sizeBytes; at += 1) if (octets[start + at] !== ((serial + at) & 0xff)) return false;
  return true;
}

interface Kept {
  readonly row: number;
  readonly serial: number;
  readonly sizeBytes: number;
}

interface RunResult {
  /** How many stored octets were not what the model has. */
  wrong: number;
  mostWastedBytes: number;
  mostBytes: number;
  readonly arena: Arena;
}

type SizeOf = (below: (limit: number) => number) => number;
type VictimOf = (keptCount: number, below: (limit: number) => number) => number;

/** Stores entries as long as the budget has room, and otherwise evicts one first: the one that `victimOf` chooses in the order of age. */
function run(operations: number, budgetBytes: number, sizeOf: SizeOf, victimOf: VictimOf): RunResult {
  const { below } = createChance(1);
  const rows = createEntryRows();
  let handedOut: (Place & Pick<Kept, "serial" | "sizeBytes">) | undefined;
  const arena = createArena(budgetBytes, rows, (octets) => handedOut?.octets === octets);
  const model = new Map<number, Kept>();
  // In the order of age, with gaps where something was evicted.
  const order: number[] = [];
  const result: RunResult = { wrong: 0, mostWastedBytes: 0, mostBytes: 0, arena };
  const source = new Uint8Array(70_000);
  let storedBytes = 0;

  function evict(serial: number): void {
    const { row, sizeBytes } = model.get(serial) as Kept;
    if (!holds(placeOf(rows, arena, row), serial, sizeBytes)) result.wrong += 1;
    model.delete(serial);
    storedBytes -= sizeBytes;
    arena.drop(row, sizeBytes);
    rows.release(row);
  }

  for (let serial = 0; serial < operations; serial += 1) {
    const sizeBytes = sizeOf(below);
    while (storedBytes + sizeBytes > budgetBytes) {
      const index = victimOf(order.length, below);
      evict(order[index] as number);
      order[index] = order.at(-1) as number;
      order.pop();
    }
    fill(source, serial, sizeBytes);
    const row = rows.take();
    arena.add(row, source, 0, sizeBytes);
    model.set(serial, { row, serial, sizeBytes });
    order.push(serial);
    storedBytes += sizeBytes;
    const usage = arena.usage();
    result.mostWastedBytes = Math.max(result.mostWastedBytes, usage.wastedBytes);
    result.mostBytes = Math.max(result.mostBytes, usage.sizeBytes);
    // A hand-out stays as it is until the next one, whatever is stored and evicted in between.
    if (below(1000) > 0) continue;
    if (handedOut !== undefined && !holds(handedOut, handedOut.serial, handedOut.sizeBytes)) result.wrong += 1;
    const shown = model.get(order[below(order.length)] as number) as Kept;
    handedOut = { ...placeOf(rows, arena, shown.row), serial: shown.serial, sizeBytes: shown.sizeBytes };
  }
  for (const serial of model.keys()) evict(serial);
  return result;
}

const small: SizeOf = (below) => 40 + below(300);
/** Mostly small, some as large as a TCP reply. */
const mixed: SizeOf = (below) => (below(50) > 0 ? 40 + below(300) : below(66_000));
/** Each just too large for a page to hold them without a rest. */
const awkward: SizeOf = () => 8180;

const anyone: VictimOf = (count, below) => below(count);
const someOfTheOldest: VictimOf = (count, below) => Math.min(below(1 + (count >> 4)), count - 1);

describe("a million random stores and evictions", () => {
  test.each<[string, number, SizeOf, VictimOf, number]>([
    ["a small budget, anyone evicted", mebibyte, small, anyone, 130_000],
    ["the default budget for answers, anyone evicted", 32 * mebibyte, small, anyone, 400_000],
    ["the default budget for denials, mostly the oldest evicted", 8 * mebibyte, small, someOfTheOldest, 400_000],
    ["large ones between small ones", 8 * mebibyte, mixed, anyone, 50_000],
    ["ones that fit badly", 8 * mebibyte, awkward, anyone, 20_000],
  ])("%s: everything is what was stored, and a tenth is wasted at most", (_, budget, sizeOf, victimOf, operations) => {
    const { wrong, mostWastedBytes, mostBytes, arena } = run(operations, budget, sizeOf, victimOf);
    expect(wrong).toBe(0);
    expect(mostWastedBytes).toBeLessThanOrEqual(budget / 10);
    // Each entry has a header of 6 octets.
    expect(mostBytes).toBeLessThanOrEqual(1.1 * budget + (6 * budget) / 40);
    // All were evicted: what is left is the page that the next one goes to, and two spare ones.
    expect(arena.usage().sizeBytes).toBeLessThanOrEqual(3 * 256 * 1024);
  });
});
