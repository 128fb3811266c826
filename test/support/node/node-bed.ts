/*
 * A node of a cluster in network namespaces of its own: pods on it, two kube-dns pods elsewhere, and kube-proxy's rules for the
 * kube-dns Service between them.
 *
 *     pod1 ─┐ veth               ┌─ dns1 10.245.1.2
 *     pod2 ─┼──── node ──────────┤                     the Service: 10.96.0.10 and fd96::a, port 53
 *     …    ─┘  172.20.0.10       └─ dns2 10.245.2.2
 */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { type ProxyStyle, proxyRules } from "./node-bed-proxy.ts";
import { projectFolder } from "../program/run-nodens.ts";
import { until } from "../servers/scripted-upstream.ts";

const runFile = promisify(execFile);

/** What a suite on a bed needs (requirements.ts): making the bed, and asking nodens and connection tracking. Minutes, so in CI alone. */
export const bedTools = ["CI=true", "root", "ip", "nft", "iptables-restore", "conntrack", "curl"] as const;

/** Addresses that are the same in every bed: each has namespaces of its own. */
export const bedAddress = {
  node: "172.20.0.10",
  node6: "fd72::10",
  service: "10.96.0.10",
  service6: "fd96::a",
  own: "169.254.20.10",
  own6: "fd00:20::10",
} as const;

/** What a program printed, once it has ended. */
interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A place where programs can be run. */
export interface BedHost {
  /** The name of its network namespace. */
  readonly namespace: string;
  /** Its IPv4 address, and for a pod and kube-dns the IPv6 address too. */
  readonly address: string;
  readonly address6: string;
  /** Runs a program to its end. Rejects only when it cannot be started. */
  run(program: string, args: readonly string[], input?: string): Promise<Output>;
  /** Starts a program, whose own process id the child has; with a channel for messages on request. It is killed with the bed. */
  start(program: string, args: readonly string[], env?: Record<string, string>, hasChannel?: boolean): ChildProcess;
}

/** A node with what is around it. */
export interface NodeBed {
  readonly node: BedHost;
  readonly pods: readonly BedHost[];
  readonly kubeDns: readonly BedHost[];
  /** Loads the rules of kube-proxy again, as it does itself after somebody has changed them. */
  restoreProxy(): Promise<void>;
  /** Kills what was started and removes everything. The end of this process does the same, if nobody did before. */
  close(): Promise<void>;
}

/** What bed. */
export interface NodeBedOptions {
  readonly proxy: ProxyStyle;
  readonly podCount: number;
  /** The TTL of the cluster's names; 30 unless said otherwise. */
  readonly ttlSeconds?: number;
}

/** Makes a bed, kube-dns included. Close it at the end; what a failed start leaves is removed by itself. */
export async function createNodeBed({ proxy, podCount, ttlSeconds }: NodeBedOptions): Promise<NodeBed> {
  const prefix = `nb${randomBytes(3).toString("hex")}`;
  const children = new Set<ChildProcess>();
  const node = host("node", bedAddress.node, bedAddress.node6);
  const pods = Array.from({ length: podCount }, (_, index) =>
    host(`pod${index + 1}`, `10.244.1.${index + 10}`, `fd44::${(index + 16).toString(16)}`),
  );
  const kubeDns = [1, 2].map((index) => host(`dns${index}`, `10.245.${index}.2`, `fd45:${index}::2`));
  const all = [node, ...pods, ...kubeDns];

  function host(name: string, address: string, address6: string): BedHost {
    const namespace = `${prefix}-${name}`;
    const inside = (program: string, args: readonly string[]) => ["netns", "exec", namespace, program, ...args];
    return {
      namespace,
      address,
      address6,
      run: (program, args, input) => runProgram("ip", inside(program, args), input),
      start(program, args, env = {}, hasChannel = false) {
        const stdio = ["pipe" as const, "pipe" as const, "pipe" as const, ...(hasChannel ? ["ipc" as const] : [])];
        const child = spawn("ip", inside(program, args), { env: { ...process.env, ...env }, stdio });
        children.add(child);
        child.once("exit", () => children.delete(child));
        return child;
      },
    };
  }

  const removal = all.map(({ namespace }) => `netns del ${namespace}\n`).join("");

  /** Only what cannot wait: for an interrupt, or a test runner that gives up. */
  function removeAtExit(): void {
    for (const child of children) child.kill("SIGKILL");
    spawnSync("ip", ["-force", "-batch", "-"], { input: removal });
  }

  async function close(): Promise<void> {
    for (const child of children) child.kill("SIGKILL");
    try {
      await until("all programs of the bed have ended", () => children.size === 0);
    } finally {
      await runProgram("ip", ["-force", "-batch", "-"], removal);
      process.off("exit", removeAtExit);
    }
  }

  async function restoreProxy(): Promise<void> {
    const { program, args, text } = proxyRules(proxy, kubeDns, bedAddress);
    await expectOk(node.run(program, args, text), `load the rules of kube-proxy (${proxy})`);
  }

  process.once("exit", removeAtExit);
  try {
    await batch(undefined, [
      ...all.map(({ namespace }) => `netns add ${namespace}`),
      ...[...pods, ...kubeDns].map(({ namespace }) => {
        const name = namespace.slice(prefix.length + 1);
        return `link add ${name} netns ${node.namespace} type veth peer name eth0 netns ${namespace}`;
      }),
    ]);
    await batch(node, nodeLinks(pods, kubeDns, prefix));
    await Promise.all(pods.map((pod) => batch(pod, podLinks(pod))));
    await Promise.all(kubeDns.map((dns, index) => batch(dns, kubeDnsLinks(dns, index + 1))));
    await expectOk(node.run("sysctl", ["-qw", ...nodeSysctls]), "set sysctls");
    await restoreProxy();
    await Promise.all(kubeDns.map((dns) => startKubeDns(dns, dns, ttlSeconds)));
    return { node, pods, kubeDns, restoreProxy, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Entries that tracking forgets soon by default live longer here, so that a slow machine counts as many as a fast one. */
const nodeSysctls = [
  "net.ipv4.ip_forward=1",
  "net.ipv6.conf.all.forwarding=1",
  ...["udp_timeout", "udp_timeout_stream", "tcp_timeout_close", "tcp_timeout_last_ack", "tcp_timeout_time_wait"].map(
    (name) => `net.netfilter.nf_conntrack_${name}=300`,
  ),
];

/** Like a CNI plugin that gives each pod a link of its own, with the node as its gateway. */
function nodeLinks(pods: readonly BedHost[], kubeDns: readonly BedHost[], prefix: string): string[] {
  return [
    "link set lo up",
    `addr add ${bedAddress.node}/32 dev lo`,
    `addr add ${bedAddress.node6}/128 dev lo nodad`,
    ...pods.flatMap(({ namespace, address, address6 }) => {
      const link = namespace.slice(prefix.length + 1);
      return [
        `addr add 10.244.1.1/32 dev ${link}`,
        `addr add fd44::1/128 dev ${link} nodad`,
        `link set ${link} up`,
        `route add ${address}/32 dev ${link}`,
        `route add ${address6}/128 dev ${link}`,
      ];
    }),
    ...kubeDns.flatMap((_, index) => [
      `addr add 10.245.${index + 1}.1/24 dev dns${index + 1}`,
      `addr add fd45:${index + 1}::1/64 dev dns${index + 1} nodad`,
      `link set dns${index + 1} up`,
    ]),
    // A Service address must have a way before it is translated.
    "route add default via 10.245.1.2",
    "route add ::/0 via fd45:1::2",
  ];
}

function podLinks({ address, address6 }: BedHost): string[] {
  return [
    "link set lo up",
    `addr add ${address}/32 dev eth0`,
    `addr add ${address6}/128 dev eth0 nodad`,
    "link set eth0 up",
    "route add 10.244.1.1/32 dev eth0",
    "route add default via 10.244.1.1 dev eth0",
    "route add fd44::1/128 dev eth0",
    "route add ::/0 via fd44::1 dev eth0",
  ];
}

function kubeDnsLinks({ address, address6 }: BedHost, index: number): string[] {
  return [
    "link set lo up",
    `addr add ${address}/24 dev eth0`,
    `addr add ${address6}/64 dev eth0 nodad`,
    "link set eth0 up",
    `route add default via 10.245.${index}.1`,
    `route add ::/0 via fd45:${index}::1`,
  ];
}

/** For programs that start on a machine that does other things too. */
export const patienceMs = 60_000;

/** Starts a kube-dns in `dns` on these addresses of it, and resolves when it listens. */
export async function startKubeDns(
  dns: BedHost,
  { address, address6 }: Pick<BedHost, "address" | "address6">,
  ttlSeconds = 30,
): Promise<void> {
  const program = join(projectFolder, "test", "support", "node", "kube-dns-program.ts");
  const env = { KUBE_DNS_TTL_SECONDS: String(ttlSeconds) };
  const child = dns.start(process.execPath, [program, address, address6], env);
  let output = "";
  child.stdout?.on("data", (text) => (output += String(text)));
  child.stderr?.on("data", (text) => (output += String(text)));
  await until(
    "kube-dns listens",
    () => {
      if (child.exitCode !== null) throw new Error(`kube-dns ended with ${child.exitCode}: ${output}`);
      return output.includes("listening");
    },
    patienceMs,
  );
}

async function batch(where: BedHost | undefined, lines: readonly string[]): Promise<void> {
  const text = `${lines.join("\n")}\n`;
  const args = where === undefined ? ["-batch", "-"] : ["-n", where.namespace, "-batch", "-"];
  await expectOk(runProgram("ip", args, text), "set up the namespaces");
}

async function expectOk(running: Promise<Output>, what: string): Promise<void> {
  const { code, stderr } = await running;
  if (code !== 0) throw new Error(`cannot ${what}: ${stderr}`);
}

async function runProgram(program: string, args: readonly string[], input?: string): Promise<Output> {
  const running = runFile(program, args, { maxBuffer: 64 * 1024 * 1024 });
  // It may end without reading.
  running.child.stdin?.on("error", () => {});
  running.child.stdin?.end(input);
  try {
    return { code: 0, ...(await running) };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code: unknown; stdout?: string; stderr?: string };
    if (typeof code !== "number") throw error;
    return { code, stdout, stderr };
  }
}
