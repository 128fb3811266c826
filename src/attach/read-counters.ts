/*
 * What the kernel counted in a table, as nft prints it.
 */
import type { RunProgram } from "./run-program.ts";

interface Listed {
  readonly nftables: readonly {
    readonly counter?: { readonly name: string; readonly packets: number };
    readonly set?: { readonly elem?: readonly unknown[] };
  }[];
}

/** Packets by named counter; undefined when nft fails. Throws when it prints something other than counters. */
export async function readCounters(table: string, run: RunProgram): Promise<ReadonlyMap<string, number> | undefined> {
  const listed = await list(["counters", "table", "inet", table], run);
  if (listed === undefined) return undefined;
  return new Map(listed.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])));
}

/** How many elements these sets have together; a set that cannot be listed counts as empty. */
export async function countElements(table: string, sets: readonly string[], run: RunProgram): Promise<number> {
  let count = 0;
  for (const name of sets) {
    const listed = await list(["set", "inet", table, name], run);
    count += (listed ?? []).reduce((sum, { set }) => sum + (set?.elem?.length ?? 0), 0);
  }
  return count;
}

async function list(what: readonly string[], run: RunProgram): Promise<Listed["nftables"] | undefined> {
  const { code, stdout } = await run("nft", ["--json", "list", ...what]);
  return code === 0 ? (JSON.parse(stdout) as Listed).nftables : undefined;
}
