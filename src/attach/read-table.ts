/*
 * What the kernel counted in a table, and what is in its sets, as nft prints them. The table is listed as a whole: asked for its counters
 * alone, nft before 1.1 reads every rule of the node, for seconds where there are many Services.
 */
import type { RunProgram } from "./run-program.ts";

/** The contents of a table. */
export interface ReadTable {
  /** Packets by the name of a counter. */
  readonly packets: ReadonlyMap<string, number>;
  /** How many elements a set has, by its name. */
  readonly elements: ReadonlyMap<string, number>;
}

interface Listed {
  readonly nftables: readonly {
    readonly counter?: { readonly name: string; readonly packets: number };
    readonly set?: { readonly name: string; readonly elem?: readonly unknown[] };
  }[];
}

/** Undefined when nft fails. Throws when it prints something other than a table. */
export async function readTable(table: string, run: RunProgram): Promise<ReadTable | undefined> {
  const { code, stdout } = await run("nft", ["--json", "list", "table", "inet", table]);
  if (code !== 0) return undefined;
  const { nftables } = JSON.parse(stdout) as Listed;
  return {
    packets: new Map(
      nftables.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])),
    ),
    elements: new Map(nftables.flatMap(({ set }) => (set === undefined ? [] : [[set.name, set.elem?.length ?? 0]]))),
  };
}
