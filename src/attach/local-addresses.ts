/*
 * nodens's own addresses on `lo`. They survive nodens: an address without a listener refuses queries at once, while a missing
 * address makes clients wait for their time-out.
 */
import { isIPv6 } from "node:net";
import type { RunProgram } from "./run-program.ts";
import { problemOfProgram, type SetupProblem } from "./setup-problem.ts";

/** The label that marks an IPv4 address as ours. The kernel has no labels for IPv6. */
const label = "lo:nodens";

/** An address on some interface, as `ip -json address show` has it. */
interface LocalAddress {
  readonly interfaceName: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly label: string | undefined;
}

/**
 * Adds those of `addresses` that no interface has. NodeLocal DNSCache's interface does not count: an address on it goes away with
 * it, and pods' queries would wait until the next check. Returns what went wrong, and what looks wrong.
 */
export async function ensureAddresses(addresses: readonly string[], run: RunProgram): Promise<SetupProblem[]> {
  const listed = await run("ip", ["-json", "address", "show"]);
  if (listed.code !== 0) return [problemOfProgram("address", "ip", "list the addresses of this node", listed)];
  const present = readAddresses(listed.stdout);
  const problems: SetupProblem[] = [];
  for (const address of addresses) {
    const found = present.filter((local) => local.address === address);
    const lasting = found.filter(({ interfaceName }) => interfaceName !== nodeLocalInterface);
    if (lasting.length === 0) problems.push(...(await addAddress(address, run)));
    // On any other interface it is the node's own address, which nodens may answer on as well; with one exception.
    const taken = found.find(({ interfaceName }) => interfaceName === nodeLocalInterface);
    if (taken !== undefined) problems.push(takenByNodeLocal(taken));
  }
  return problems;
}

/** Removes those of `addresses` from `lo` that are ours. Returns what was removed, and what went wrong. */
export async function removeAddresses(
  addresses: readonly string[],
  run: RunProgram,
): Promise<{ removed: string[]; problems: SetupProblem[] }> {
  const listed = await run("ip", ["-json", "address", "show", "dev", "lo"]);
  if (listed.code !== 0) {
    return { removed: [], problems: [problemOfProgram("address", "ip", "list the addresses of lo", listed)] };
  }
  const ours = readAddresses(listed.stdout).filter((local) => isOurs(local, addresses));
  const removed: string[] = [];
  const problems: SetupProblem[] = [];
  for (const { address, prefixLength } of ours) {
    const result = await run("ip", ["address", "del", `${address}/${prefixLength}`, "dev", "lo"]);
    if (result.code === 0) removed.push(address);
    else problems.push(problemOfProgram("address", "ip", `remove ${address} from lo`, result));
  }
  return { removed, problems };
}

/** An IPv4 address by its label, whatever the settings say now; an IPv6 address only by the settings. */
function isOurs(local: LocalAddress, addresses: readonly string[]): boolean {
  if (local.label === label) return true;
  return isIPv6(local.address) && local.prefixLength === 128 && addresses.includes(local.address);
}

async function addAddress(address: string, run: RunProgram): Promise<SetupProblem[]> {
  // Scope host: nothing else on the node takes it as its source. No duplicate address detection on lo, which would delay binding.
  const extra = isIPv6(address) ? ["nodad"] : ["label", label];
  const prefix = `${address}/${isIPv6(address) ? 128 : 32}`;
  const result = await run("ip", ["address", "add", prefix, "dev", "lo", "scope", "host", ...extra]);
  // Another nodens that started at the same moment was faster.
  if (result.code === 0 || /File exists|already assigned/.test(result.stderr)) return [];
  return [problemOfProgram("address", "ip", `add ${address} to lo`, result)];
}

function takenByNodeLocal({ address, interfaceName }: LocalAddress): SetupProblem {
  const message = `${address} is on the interface ${interfaceName}, so NodeLocal DNSCache is or was here: remove it and its interface, or it will answer some of the queries`;
  return { kind: "address", message };
}

/** The interface that NodeLocal DNSCache makes, and leaves behind when it is killed. */
const nodeLocalInterface = "nodelocaldns";

interface ListedInterface {
  readonly ifname?: string;
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number; readonly label?: string }[];
}

function readAddresses(json: string): LocalAddress[] {
  // Some versions print nothing at all when there is nothing to list.
  const interfaces = JSON.parse(json.trim() || "[]") as readonly ListedInterface[];
  return interfaces.flatMap(({ ifname = "", addr_info: addresses = [] }) =>
    addresses.map(({ local = "", prefixlen = 0, label: itsLabel }) => ({
      interfaceName: ifname,
      address: local,
      prefixLength: prefixlen,
      label: itsLabel,
    })),
  );
}
