/*
 * What it costs to keep the interception up on a node with many Services, whose rules every command of nft reads: CPU and memory of
 * nodens and of its nft while nobody asks anything. Needs root: the node is a network namespace.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createNodeBed, type NodeBed } from "../../test/support/node/node-bed.ts";
import { startNodensOnNode } from "../../test/support/node/nodens-on-node.ts";
import { childrenOf } from "../../test/support/program/process-children.ts";
import { missingRequirements } from "../../test/support/program/requirements.ts";

const usage = `npm run bench:heartbeat -- [flags]

  --services N,N     how many Services kube-proxy in nftables mode has rules for (default 0,1000,10000,20000)
  --changes N        how many times a second somebody else changes a rule of the node (default 0)
  --seconds N        how long to look (default 60: with one look at what the kernel counted)
  --json FILE        also writes the numbers
  --help             shows this
`;

interface Row {
  readonly services: number;
  /** CPU of nodens, of its nft, and of the nft commands that ended meanwhile, in percent of a processor. */
  readonly nodensPercent: number;
  readonly nftPercent: number;
  readonly commandsPercent: number;
  /** Resident memory of the nft that owns the table. */
  readonly nftMiB: number;
}

/** Of /proc/PID/stat (proc(5)): ticks of its own in user and kernel mode, and of children that have ended. */
interface CpuTicks {
  readonly own: number;
  readonly ended: number;
}

const ticksPerSecond = 100;
/** Starting costs more than keeping up. */
const settleMs = 5000;

process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
process.exitCode = await main();

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const options = { services: text, changes: text, seconds: text, json: text, help: { type: "boolean" } } as const;
  const { values } = parseArgs({ options });
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  const missing = missingRequirements(["root", "ip", "nft", "curl"]);
  if (missing.length > 0) {
    console.error(`bench:heartbeat needs ${missing.join(", ")}`);
    return 1;
  }
  const rows: Row[] = [];
  console.log("services   nodens %   nft %   nft commands %   nft MiB");
  for (const services of (values.services ?? "0,1000,10000,20000").split(",").map(Number)) {
    const row = await measure(services, Number(values.changes ?? 0), Number(values.seconds ?? 60));
    rows.push(row);
    const { nodensPercent, nftPercent, commandsPercent, nftMiB } = row;
    const numbers = [nodensPercent, nftPercent, commandsPercent, nftMiB].map((number) => number.toFixed(2));
    console.log([services, ...numbers].map((cell) => String(cell).padStart(8)).join("   "));
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, undefined, 2)}\n`);
  return 0;
}

async function measure(services: number, changesPerSecond: number, seconds: number): Promise<Row> {
  const bed = await createNodeBed({ proxy: "nftables", podCount: 1 });
  try {
    await addServices(bed, services);
    const nodens = await startNodensOnNode(bed, { mode: "intercept" });
    if (changesPerSecond > 0) await changeRules(bed, 1000 / changesPerSecond);
    await pause(settleMs);
    const pid = nodens.process.pid ?? 0;
    const [nft = 0] = childrenOf(pid);
    const before = { nodens: cpuTicks(pid), nft: cpuTicks(nft) };
    await pause(seconds * 1000);
    const after = { nodens: cpuTicks(pid), nft: cpuTicks(nft) };
    const percent = (ticks: number) => (ticks / ticksPerSecond / seconds) * 100;
    return {
      services,
      nodensPercent: percent(after.nodens.own - before.nodens.own),
      nftPercent: percent(after.nft.own - before.nft.own),
      commandsPercent: percent(after.nodens.ended - before.nodens.ended),
      nftMiB: residentMiB(nft),
    };
  } finally {
    await bed.close();
  }
}

/** Chains and map elements as kube-proxy has them for each Service with one port and two endpoints. */
async function addServices({ node }: NodeBed, count: number): Promise<void> {
  if (count === 0) return;
  const numbers = Array.from({ length: count }, (_, index) => index);
  const address = (index: number) => `10.${97 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const chains = numbers.map(
    (
      index,
    ) => `  chain endpoint-${index}-1 { ip saddr 10.245.1.9 jump to-masquerade; meta l4proto tcp dnat to 10.245.1.9:80; }
  chain endpoint-${index}-2 { ip saddr 10.245.2.9 jump to-masquerade; meta l4proto tcp dnat to 10.245.2.9:80; }
  chain service-${index} {
    ip daddr ${address(index)} tcp dport 80 ip saddr != 10.244.0.0/16 jump to-masquerade
    numgen random mod 2 vmap { 0 : goto endpoint-${index}-1, 1 : goto endpoint-${index}-2 }
  }`,
  );
  const elements = numbers.map((index) => `${address(index)} . tcp . 80 : goto service-${index}`);
  const text = `table ip many {
  chain to-masquerade { meta mark set meta mark or 0x4000; }
${chains.join("\n")}
  map services { type ipv4_addr . inet_proto . inet_service : verdict; elements = { ${elements.join(", ")} }; }
  chain nat-prerouting { type nat hook prerouting priority dstnat; ip daddr . meta l4proto . th dport vmap @services; }
}
`;
  const { code, stderr } = await node.run("nft", ["-f", "-"], text);
  if (code !== 0) throw new Error(`cannot add ${count} Services: ${stderr.slice(0, 500)}`);
}

/** As kube-proxy does when endpoints come and go: an element is put into a map of its table and taken out, until the bed is closed. */
async function changeRules({ node }: NodeBed, everyMs: number): Promise<void> {
  const table = "add table ip changing; add set ip changing endpoints { type ipv4_addr; }";
  const { code, stderr } = await node.run("nft", ["-f", "-"], table);
  if (code !== 0) throw new Error(`cannot add a table that changes: ${stderr}`);
  const change = "element ip changing endpoints { 10.245.1.9 }";
  const loop = `while true; do nft "add ${change}"; sleep ${everyMs / 1000}; nft "delete ${change}"; sleep ${everyMs / 1000}; done`;
  node.start("sh", ["-c", loop]);
}

function cpuTicks(pid: number): CpuTicks {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Behind the name, which may have spaces, the first field is the third.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const field = (number: number) => fields[number - 3] ?? 0;
  return { own: field(14) + field(15), ended: field(16) + field(17) };
}

function residentMiB(pid: number): number {
  const [, kilobytes = "0"] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1024;
}
