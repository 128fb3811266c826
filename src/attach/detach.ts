/*
 * Removes what nodens leaves on a node when it ends: its addresses and the table that keeps them untracked.
 */
import { removeAddresses } from "./local-addresses.ts";
import type { RunProgram } from "./run-program.ts";
import { problemOfProgram, type SetupProblem } from "./setup-problem.ts";
import { ownAddressTable } from "./own-address-table.ts";

/** What was removed, in words, and what could not be. */
export interface Detached {
  readonly removed: readonly string[];
  readonly problems: readonly SetupProblem[];
}

/**
 * Removes the table, then the addresses: the other way round, packets to an address that is gone would leave the node untracked.
 * `addresses` are those of the settings; an IPv4 address that nodens added is found without them. Tables for interception need
 * nothing: they end with their process.
 */
export async function detach(addresses: readonly string[], run: RunProgram): Promise<Detached> {
  const removed: string[] = [];
  const problems: SetupProblem[] = [];
  const deleted = await run("nft", ["delete", "table", "inet", ownAddressTable]);
  if (deleted.code === 0) removed.push(`nftables table inet ${ownAddressTable}`);
  else if (!/No such file or directory/.test(deleted.stderr)) {
    problems.push(problemOfProgram("nft", "nft", `delete the table ${ownAddressTable}`, deleted));
  }
  const outcome = await removeAddresses(addresses, run);
  removed.push(...outcome.removed.map((address) => `address ${address} on lo`));
  return { removed, problems: [...problems, ...outcome.problems] };
}
