/*
 * Faults of the kube-dns servers of a bed. None of them ends before the bed does.
 */
import { execFileSync } from "node:child_process";
import { bedAddress, type BedHost, type NodeBed, startKubeDns } from "./node-bed.ts";
import { proxyRules, type ProxyStyle } from "./node-bed-proxy.ts";

/** The process of `dns` hangs; its kernel goes on accepting connections and datagrams. */
export function silence(dns: BedHost): void {
  const pids = execFileSync("ip", ["netns", "pids", dns.namespace], { encoding: "utf8" });
  for (const pid of pids.split("\n").filter((line) => line !== "")) process.kill(Number(pid), "SIGSTOP");
}

/** Nothing that is sent to `address` of `dns` arrives any more, and nothing comes from there. */
export function blackhole(bed: NodeBed, dns: BedHost, address = dns.address): Promise<void> {
  return dropBothWays(bed, dns, "blackhole", `ip daddr ${address}`, `ip saddr ${address}`);
}

/** So many of a hundred packets are lost on the way to `dns`, and as many on the way back. */
export async function losePackets(bed: NodeBed, dns: BedHost, ofHundred: number): Promise<void> {
  const chance = `numgen random mod 100 < ${ofHundred}`;
  await dropBothWays(bed, dns, "loss", `ip daddr ${dns.address} ${chance}`, `ip saddr ${dns.address} ${chance}`);
}

/**
 * Starts a new pod that is to follow `dns`, and resolves with what replaces it then: the old pod is gone, and kube-proxy's rules name
 * the new one, while what connection tracking knows of the old one stays.
 */
export async function prepareReplacement(bed: NodeBed, dns: BedHost, proxy: ProxyStyle): Promise<() => Promise<void>> {
  const fresh = { address: dns.address.replace(/\.2$/, ".3"), address6: dns.address6.replace(/::2$/, "::3") };
  await load(dns, "ip", ["address", "add", `${fresh.address}/24`, "dev", "eth0"]);
  await load(dns, "ip", ["address", "add", `${fresh.address6}/64`, "dev", "eth0", "nodad"]);
  await startKubeDns(dns, fresh);
  const endpoints = bed.kubeDns.map((each) => (each === dns ? fresh : each));
  const { program, args, text } = proxyRules(proxy, endpoints, bedAddress);
  return async () => {
    await blackhole(bed, dns);
    await load(bed.node, program, args, text);
  };
}

/** Where packets come in on either side: whoever sends must not be told that they were dropped. */
async function dropBothWays(bed: NodeBed, dns: BedHost, name: string, there: string, back: string): Promise<void> {
  const table = (rule: string) =>
    `table ip ${name}_${dns.address.replaceAll(".", "_")} { chain c { type filter hook prerouting priority raw - 50; ${rule} drop; }; }\n`;
  await load(dns, "nft", ["-f", "-"], table(there));
  await load(bed.node, "nft", ["-f", "-"], table(back));
}

async function load(host: BedHost, program: string, args: readonly string[], text?: string): Promise<void> {
  const { code, stderr } = await host.run(program, args, text);
  if (code !== 0) throw new Error(`${program} in ${host.namespace}: ${stderr}`);
}
