/*
 * The nftables table that keeps questions to our own addresses, and the replies, out of connection tracking: each would be one
 * more entry in a table that is full just when DNS is busy. It does nothing to other traffic and may stay when nodens ends.
 */
import { isIPv6 } from "node:net";
import type { RunProgram } from "./run-program.ts";
import { problemOfProgram, type SetupProblem } from "./setup-problem.ts";

/** Its name. One table for all families; a second nodens on the node shares it. */
export const untrackedTable = "nodens";

/**
 * The text that puts the table in place, whatever was there, in one transaction: packets meet the old rules or the new ones.
 *
 *     prerouting raw   pods' questions, and replies to processes of the node itself, which cross lo
 *     output raw       replies to pods, and questions of processes of the node itself
 */
export function untrackedTableText(addresses: readonly string[]): string {
  const rules = addresses.flatMap((address) => {
    const family = isIPv6(address) ? "ip6" : "ip";
    return [
      `${family} daddr ${address} meta l4proto { tcp, udp } th dport 53 notrack`,
      `${family} saddr ${address} meta l4proto { tcp, udp } th sport 53 notrack`,
    ];
  });
  const chain = (hook: string) => `chain ${hook} {
    type filter hook ${hook} priority raw; policy accept;
    ${rules.join("\n    ")}
  }`;
  return `${removalText}table inet ${untrackedTable} {
  comment "nodens: its own DNS traffic is not tracked"
  ${chain("prerouting")}
  ${chain("output")}
}
`;
}

/** Keeps the table as it should be. */
export interface UntrackedTable {
  /** Puts it in place if it is not as it was left. `wasChanged` says whether somebody had changed or removed it meanwhile. */
  verify(): Promise<{ wasChanged: boolean; problem: SetupProblem | undefined }>;
}

/** A keeper for `addresses`; with `isWanted` false, one that sees to it that there is no such table. */
export function keepUntrackedTable(addresses: readonly string[], run: RunProgram, isWanted: boolean): UntrackedTable {
  // As nft prints what it was told: the only sure way to see a change is to compare with that. "" is no table.
  let asLeft: string | undefined;

  async function put(): Promise<SetupProblem | undefined> {
    const text = isWanted ? untrackedTableText(addresses) : removalText;
    const result = await run("nft", ["-f", "-"], text);
    if (result.code !== 0) return problemOfProgram("nft", "nft", `add the table ${untrackedTable}`, result);
    asLeft = await listing();
    return undefined;
  }

  async function listing(): Promise<string> {
    const { code, stdout } = await run("nft", ["--stateless", "list", "table", "inet", untrackedTable]);
    return code === 0 ? stdout : "";
  }

  return {
    async verify() {
      if (asLeft !== undefined && (await listing()) === asLeft) return { wasChanged: false, problem: undefined };
      const wasChanged = asLeft !== undefined;
      return { wasChanged, problem: await put() };
    },
  };
}

/** Adding first makes deleting safe: a table that is not there cannot be deleted. */
const removalText = `table inet ${untrackedTable}\ndelete table inet ${untrackedTable}\n`;
