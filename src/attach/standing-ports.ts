/*
 * Which ports another nodens on the node gives to Service addresses now, as in an update. Two processes share a port, and replies from
 * it get one address: so an address keeps its port, and another address takes none that is in use.
 */
import type { RunProgram } from "./run-program.ts";

/** A port and the Service address that it stands for. */
export interface StandingPort {
  readonly virtualAddress: string;
  readonly port: number;
}

/** Reads them from the tables of interceptions that are there. Empty when nft fails: then there is no other either. */
export async function readStandingPorts(run: RunProgram): Promise<StandingPort[]> {
  const tables = await run("nft", ["list", "tables", "inet"]);
  if (tables.code !== 0) return [];
  const standing: StandingPort[] = [];
  for (const [, table = ""] of tables.stdout.matchAll(/^table inet (nodens_\w+)$/gm)) {
    const { code, stdout } = await run("nft", ["list", "chain", "inet", table, "replies"]);
    if (code !== 0) continue;
    for (const [, port = "", virtualAddress = ""] of stdout.matchAll(
      /udp sport (\d+) udp sport set 53 ip6? saddr set (\S+)/g,
    )) {
      standing.push({ virtualAddress, port: Number(port) });
    }
  }
  return standing;
}
