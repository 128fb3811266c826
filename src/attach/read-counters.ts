/*
 * The named counters of a table, as nft prints them.
 */
import type { RunProgram } from "./run-program.ts";

interface ListedCounters {
  readonly nftables: readonly { readonly counter?: { readonly name: string; readonly packets: number } }[];
}

/** Packets by counter; undefined when nft fails. Throws when it prints something other than counters. */
export async function readCounters(table: string, run: RunProgram): Promise<ReadonlyMap<string, number> | undefined> {
  const { code, stdout } = await run("nft", ["--json", "list", "counters", "table", "inet", table]);
  if (code !== 0) return undefined;
  const { nftables } = JSON.parse(stdout) as ListedCounters;
  return new Map(nftables.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])));
}
