/*
 * The nftables table that keeps questions to our own addresses, and the replies, out of connection tracking: each would be one
 * more entry in a table that is full just when DNS is busy. It leaves other traffic alone and may stay when nodens ends.
 */
import { isIPv6 } from "node:net";
import { readCounters } from "./read-counters.ts";
import { notStarted, type RunProgram } from "./run-program.ts";
import { problemOfProgram, type SetupProblem } from "./setup-problem.ts";

/** The counter of packets to us that were tracked all the same. */
export const trackedCounter = "tracked";

/** The table's name. One table for all families; a second nodens on the node shares it. */
export const untrackedTable = "nodens";

/**
 * The text that puts the table in place, whatever was there, in one transaction: packets meet the old rules or the new ones.
 *
 *     prerouting   pods' questions, and replies to processes of the node itself, which cross lo
 *     output       replies to pods, and questions of processes of the node itself
 *     arrivals     behind all other rules: what was tracked although nothing should be
 *
 * Just before iptables' raw table: a rule there may give packets a zone, and then nothing keeps them out of tracking. With
 * `countsTracked` false nothing looks at the state of packets: looking would start connection tracking on a node that has none.
 */
export function untrackedTableText(addresses: readonly string[], countsTracked: boolean): string {
  const packets = (side: "d" | "s", address: string) =>
    `${isIPv6(address) ? "ip6" : "ip"} ${side}addr ${address} meta l4proto { tcp, udp } th ${side}port 53`;
  const rules = addresses.flatMap((address) => [
    `${packets("d", address)} notrack`,
    `${packets("s", address)} notrack`,
  ]);
  const chain = (hook: string) => `chain ${hook} {
    type filter hook ${hook} priority raw - 10; policy accept;
    ${rules.join("\n    ")}
  }`;
  const arrivals = addresses.map(
    (address) => `${packets("d", address)} ct state != untracked counter name ${trackedCounter}`,
  );
  const counting = `
  counter ${trackedCounter} {
  }
  chain arrivals {
    type filter hook input priority filter + 300; policy accept;
    ${arrivals.join("\n    ")}
  }`;
  return `${removalText}table inet ${untrackedTable} {
  comment "nodens: its own DNS traffic is not tracked"
  ${chain("prerouting")}
  ${chain("output")}${countsTracked ? counting : ""}
}
`;
}

/** Keeps the table as it should be. */
export interface UntrackedTable {
  /** Puts the table in place if it is not as it was left. `wasChanged` says that somebody had changed or removed it, and it is back. */
  verify(): Promise<{ wasChanged: boolean; problem: SetupProblem | undefined }>;
  /** How many packets to us were tracked since the last call; 0 where nothing counts them. */
  countTracked(): Promise<number>;
}

/** Keeps the table for `addresses`; with `isWanted` false, makes sure that there is no such table. */
export function keepUntrackedTable(
  addresses: readonly string[],
  run: RunProgram,
  isWanted: boolean,
  countsTracked: boolean,
): UntrackedTable {
  // The table as nft prints it: comparing with that is the only sure way to see a change. "" means no table.
  let asLeft: string | undefined;
  let counted = 0;

  async function put(): Promise<SetupProblem | undefined> {
    const text = isWanted ? untrackedTableText(addresses, countsTracked) : removalText;
    const result = await run("nft", ["-f", "-"], text);
    // Without nft there is nothing to remove either.
    const isDone = result.code === 0 || (!isWanted && result.code === notStarted);
    const doing = `${isWanted ? "add" : "remove"} the table ${untrackedTable}`;
    if (!isDone) return problemOfProgram("nft", "nft", doing, result);
    asLeft = await listing();
    counted = 0;
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
      const problem = await put();
      // Reported once it is back, not at every try.
      return { wasChanged: wasChanged && problem === undefined, problem };
    },
    async countTracked() {
      if (!isWanted || !countsTracked) return 0;
      const counters = await readCounters(untrackedTable, run);
      const now = counters?.get(trackedCounter) ?? counted;
      const more = now - counted;
      counted = now;
      return more;
    },
  };
}

/** Adding first makes deleting safe: a table that is not there cannot be deleted. */
const removalText = `table inet ${untrackedTable}\ndelete table inet ${untrackedTable}\n`;
