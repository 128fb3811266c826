/* What the doctor finds: each trouble planted on a node that is well, and nothing claimed of what cannot be seen. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { examine } from "../../../src/doctor/examine.ts";
import type { Finding } from "../../../src/doctor/finding.ts";
import { readSeen } from "../../../src/doctor/read-seen.ts";
import { pluginOutput, printFindings } from "../../../src/doctor/print-findings.ts";
import type { WireReport, WireWait } from "../../../src/doctor/wire-view.ts";
import { projectFolder } from "../../support/program/run-nodens.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

type Files = Readonly<Record<string, string>>;

const conntrackHead =
  "entries  searched found new invalid ignore delete insert insert_failed drop early_drop icmp_error search_restart";
const conntrackLine = (insertFailed: number, drop: number, earlyDrop: number) =>
  `${conntrackHead}\n00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 ${[insertFailed, drop, earlyDrop].map((value) => value.toString(16).padStart(8, "0")).join(" ")} 00000000 00000000\n`;
const snmp = (drops: number) => `Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 1 2 3 4 ${drops}\n`;
const cpu = (waited: number) => `usage_usec 1\nnr_periods 100\nnr_throttled ${waited}\n`;

/** A list of UDP sockets without peers, as the kernel prints it on this machine: address and port in hexadecimal digits, by inode. */
const sockets = (...rows: readonly (readonly [string, number])[]) =>
  [
    "  sl  local_address rem_address   st",
    ...rows.map(([local, inode]) => `  1: ${local} 00000000:0000 07 0:0 00:0 0 0 0 ${inode} 2 0 0`),
  ].join("\n");
const resolved = ["3500007F:0035", 1] as const;
const nodeLocal = ["0A14FEA9:0035", 2] as const;
const everyAddress = ["00000000:0035", 3] as const;

const wellFiles: Files = {
  "/proc/net/udp": sockets(["00000000:0044", 9]),
  "/proc/net/stat/nf_conntrack": conntrackLine(0, 0, 0),
  "/proc/sys/net/netfilter/nf_conntrack_count": "1000\n",
  "/proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
  "/proc/net/snmp": snmp(7),
  "/sys/fs/cgroup/cpu.stat": cpu(3),
  "/etc/resolv.conf": "nameserver 192.0.2.1\n",
};

const wellNat = `*nat
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp --dport 53 -j KUBE-SVC-TCOU7JCQXEZGVUNU
-A KUBE-SVC-TCOU7JCQXEZGVUNU -j KUBE-SEP-X
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
COMMIT
`;

/** An entry of a lookup, whose source is left as it is, as conntrack prints it. */
const conntrackEntry = (client: string, server: string, pod = "10.244.1.5") =>
  `udp      17 29 src=${client} dst=${server} sport=40001 dport=53 src=${pod} dst=${client} sport=53 dport=40001 [ASSURED] mark=0 use=1\n`;

/** A running nodens that is well. */
const wellSeen = {
  mode: "intercept",
  isReady: true,
  isFailOpen: false,
  queriesPerSecond: 40,
  waits: { last15Minutes: 0, recent: [] as object[] },
  upstream: [{ server: "127.0.0.1:1" }],
  clients: [{ client: "10.0.0.7", namespace: "shop", perSecond: 40, wasteShare: 0.1 }],
};
const wellMetrics = "nodens_attached 1\n";

/** What copies of packets show of pods that are well. */
const wellWire: WireReport = {
  problem: undefined,
  seconds: 60,
  queries: 400,
  pods: 3,
  savedQueries: 380,
  conntrackEntries: 200,
  unanswered: 0,
  droppedCopies: 0,
  waited: 0,
  waits: [],
};
const wait = (client: string, first = "waiting", dropped = ""): WireWait => ({
  client,
  name: "web.default.svc.cluster.local",
  type: "A",
  afterMs: 5004,
  first,
  dropped,
});

interface Trouble {
  readonly files?: Files;
  /** What files say at the second look, where they say something else. */
  readonly later?: Files;
  /** What iptables-save and nft say; undefined where they may not look. */
  readonly nat?: string | undefined;
  readonly nft?: string | undefined;
  /** The Services that nft lists. */
  readonly services?: string;
  /** The programs of sockets, by inode. */
  readonly servers?: readonly [];
  readonly programs?: Readonly<Record<string, string>>;
  /** Programs that are not here. */
  readonly missing?: readonly string[];
  /** How long the two looks are apart. */
  readonly watchMs?: number;
  readonly metricsLater?: string;
  readonly conntrackList?: string;
  readonly kernelRelease?: string;
  readonly interfaces?: readonly string[];
  readonly seen?: object | "none";
  readonly metrics?: string;
  /** DNS servers that run on the node. */
  readonly processes?: readonly { readonly pid: string; readonly program: string; readonly networkNamespace: string }[];
  /** What copies of packets show, where it differs from what is well. */
  readonly wire?: Partial<WireReport>;
  readonly progress?: string[];
  readonly pod?: { readonly code: number; readonly stdout?: string; readonly stderr?: string };
}

/** The findings on a node that is well but for the trouble. */
async function findingsOf(trouble: Trouble): Promise<Finding[]> {
  const clock = createFakeClock();
  let isLater = false;
  const readFile = (path: string) =>
    (isLater ? trouble.later?.[path] : undefined) ?? trouble.files?.[path] ?? wellFiles[path];
  const rules = { nat: wellNat, nft: "", ...trouble };
  const outputs: Readonly<Record<string, string | undefined>> = {
    "iptables-save": rules.nat,
    "ip6tables-save": "",
    "nft -s": rules.nft,
    "nft list": trouble.services ?? "",
    "conntrack -L": trouble.conntrackList ?? "",
  };
  return examine({
    node: {
      readFile,
      run: async (program) => {
        if (program === "nsenter")
          return {
            code: trouble.pod?.code ?? 0,
            stdout: trouble.pod?.stdout ?? "10.96.0.1\n",
            stderr: trouble.pod?.stderr ?? "",
          };
        return { code: 127, stdout: "", stderr: "" };
      },
      async eachLine(program, [first = ""], take) {
        const output = trouble.missing?.includes(program) ? undefined : outputs[`${program} ${first}`.trim()];
        for (const line of output?.split("\n") ?? []) take(line);
        return { code: output === undefined ? 1 : 0, stderr: "" };
      },
      eachFileLine(path, take) {
        const text = readFile(path);
        for (const line of text?.split("\n") ?? []) take(line);
        return text !== undefined;
      },
      ownNetworkNamespace: "net:[1]",
      processesCalled: () => [...(trouble.processes ?? [])],
      socketOwners: (inodes) => new Map(Object.entries(trouble.programs ?? {}).filter(([inode]) => inodes.has(inode))),
      kernelRelease: trouble.kernelRelease ?? "6.12.1",
      interfaces: trouble.interfaces ?? ["lo", "eth0"],
    },
    // Closed: what servers say is tried elsewhere.
    servers: trouble.servers ?? [{ host: "127.0.0.1", port: 1 }],
    name: "kubernetes.default.svc.cluster.local",
    watchMs: trouble.watchMs ?? 1000,
    async askPage(path) {
      if (trouble.seen === "none") return undefined;
      const metrics = (isLater ? trouble.metricsLater : undefined) ?? trouble.metrics ?? wellMetrics;
      return path === "/metrics" ? metrics : JSON.stringify(trouble.seen ?? wellSeen);
    },
    readSeen,
    zone: "cluster.local",
    watchWire:
      trouble.wire === undefined ? undefined : () => ({ report: () => ({ ...wellWire, ...trouble.wire }), close() {} }),
    onProgress: (line) => void trouble.progress?.push(line),
    where: "127.0.0.1:9253",
    pid: trouble.pod === undefined ? undefined : "77",
    self: ["node", "nodens.mjs"],
    clock,
    async pause(delayMs) {
      isLater = true;
      await clock.advance(delayMs);
    },
  });
}

/** What nft prints of kube-proxy's iptables, with a last rule. */
const nftOfIptables = (last: string) =>
  [
    "table ip nat {",
    "chain KUBE-SERVICES {",
    "meta l4proto udp ip daddr 127.0.0.3  udp dport 53 counter jump KUBE-SVC-X",
    "}",
    "chain KUBE-POSTROUTING {",
    "counter masquerade fully-random",
    `counter ${last}`,
    "}",
    "}",
    "",
  ].join("\n");

const coredns = { pid: "77", program: "coredns", networkNamespace: "net:[2]" } as const;

/** What iptables-save prints of NodeLocal DNSCache. */
const untracked = "-A PREROUTING -d 169.254.20.10/32 -p udp -m udp --dport 53 -j NOTRACK\n";

const isAboutServer = ({ check }: Finding) => check.startsWith("server");

/** What is not well, as "check state", without what the closed server brings. */
async function troublesOf(trouble: Trouble): Promise<string[]> {
  const findings = await findingsOf(trouble);
  return findings
    .filter((finding) => finding.state !== "ok" && !isAboutServer(finding))
    .map(({ check, state }) => `${check} ${state}`);
}

describe("on a node", () => {
  test("that is well, nothing else is said", async () => {
    expect(await troublesOf({})).toEqual([]);
  });

  const troubles: Readonly<Record<string, readonly [Trouble, string]>> = {
    "an old kernel": [{ kernelRelease: "5.4.0-150-generic" }, "kernel warn"],
    "a kernel without owned tables, which intercept needs": [{ kernelRelease: "5.10.0" }, "kernel bad"],
    "a kernel whose queues race, and a policy agent that queues": [
      {
        kernelRelease: "6.8.0",
        nft: "table inet policies {\n\tchain c {\n\t\tct state new queue flags bypass to 100\n",
      },
      "kernel warn",
    ],
    "the same agent by iptables": [
      { kernelRelease: "6.8.0", nat: `${wellNat}-A FORWARD -j NFQUEUE --queue-num 100\n` },
      "kernel warn",
    ],
    "Calico's eBPF": [{ nat: "", interfaces: ["lo", "cali1", "bpfin.cali"] }, "kube-proxy warn"],
    "counters of tracking for root only": [{ files: { "/proc/net/stat/nf_conntrack": "" } }, "conntrack unknown"],
    "a NodeLocal DNSCache beside nodens": [
      { files: { "/proc/net/udp": sockets(nodeLocal) }, programs: { 2: "node-cache" } },
      "node-local-dns warn",
    ],
    "the rules of a NodeLocal DNSCache that is gone": [{ nat: wellNat + untracked }, "node-local-dns bad"],
    "the interface of a NodeLocal DNSCache that is gone": [
      { interfaces: ["lo", "nodelocaldns"] },
      "node-local-dns bad",
    ],
    "a program that has port 53 of every address": [
      { files: { "/proc/net/udp": sockets(everyAddress) }, programs: { 3: "dnsmasq" } },
      "other-caches warn",
    ],
    "others' rules that redirect DNS, by nft": [
      { nft: "table inet mesh {\n\tchain c {\n\t\tudp dport 53 redirect to :15053\n" },
      "other-rules warn",
    ],
    "others' rules that drop DNS, by iptables": [
      { nat: `${wellNat}-A FORWARD -p udp -m udp --dport 53 -j DROP\n` },
      "other-rules warn",
    ],
    "a nearly full connection table": [
      { files: { "/proc/sys/net/netfilter/nf_conntrack_count": "210000" } },
      "conntrack-fill warn",
    ],
    "a full connection table": [
      { files: { "/proc/sys/net/netfilter/nf_conntrack_count": "262144" } },
      "conntrack-fill bad",
    ],
    "dropped packets": [{ later: { "/proc/net/stat/nf_conntrack": conntrackLine(2, 2, 0) } }, "conntrack-drops bad"],
    "refused entries": [{ later: { "/proc/net/stat/nf_conntrack": conntrackLine(2, 0, 0) } }, "conntrack-drops warn"],
    "entries thrown out": [{ later: { "/proc/net/stat/nf_conntrack": conntrackLine(0, 0, 1) } }, "conntrack-drops bad"],
    "full receive queues": [{ later: { "/proc/net/snmp": snmp(9) } }, "receive-drops bad"],
    "a full receive queue in CoreDNS's pod": [
      {
        processes: [coredns],
        files: { "/proc/77/net/snmp": snmp(1) },
        later: { "/proc/77/net/snmp": snmp(4) },
      },
      "receive-drops bad",
    ],
    "too little CPU for CoreDNS": [
      {
        processes: [coredns],
        files: { "/proc/77/cgroup": "0::/kubepods/pod1\n", "/sys/fs/cgroup/kubepods/pod1/cpu.stat": cpu(1) },
        later: { "/sys/fs/cgroup/kubepods/pod1/cpu.stat": cpu(3) },
      },
      "cpu-throttling warn",
    ],
    "too little CPU for CoreDNS in control groups of the first version": [
      {
        processes: [coredns],
        files: { "/proc/77/cgroup": "4:cpu,cpuacct:/pod1\n0::/\n", "/sys/fs/cgroup/cpu,cpuacct/pod1/cpu.stat": cpu(1) },
        later: { "/sys/fs/cgroup/cpu,cpuacct/pod1/cpu.stat": cpu(3) },
      },
      "cpu-throttling warn",
    ],
    "too little CPU": [{ later: { "/sys/fs/cgroup/cpu.stat": cpu(4) } }, "cpu-throttling warn"],
    "MASQUERADE with ports in order": [{ nat: wellNat.replace(" --random-fully", "") }, "masquerade warn"],
    "masquerade with ports in order": [{ nft: "table ip plugin {\n  masquerade\n}" }, "masquerade warn"],
    "Cilium without kube-proxy": [{ nat: "", interfaces: ["lo", "cilium_host"] }, "kube-proxy warn"],
    "many entries of lookups": [
      { conntrackList: conntrackEntry("10.0.0.7", "10.96.0.10").repeat(10_000) },
      "ports warn",
    ],
    "a suffix of the node's own": [
      { files: { "/etc/resolv.conf": "search corp.example\nnameserver 192.0.2.1\n" } },
      "search-list warn",
    ],
    "fail-open": [{ seen: { ...wellSeen, isFailOpen: true } }, "nodens-attached bad"],
    "a nodens that is not ready": [{ seen: { ...wellSeen, isReady: false } }, "nodens-attached bad"],
    "a nodens that lacks rules": [{ metrics: "nodens_attached 0\n" }, "nodens-attached bad"],
    "pods that get no replies": [
      {
        metrics: `${wellMetrics}nodens_intercept_packets_total{outcome="intercepted"} 9\nnodens_intercept_pods{state="fallen"} 1\n`,
      },
      "nodens-pods warn",
    ],
    "pods that waited": [
      {
        seen: {
          ...wellSeen,
          waits: { last15Minutes: 1, recent: [{ client: "10.0.0.7", name: "a", afterMs: 5000, meaning: "lost" }] },
        },
      },
      "waits bad",
    ],
    "MASQUERADE with ports in order, where only nft is here": [
      { missing: ["iptables-save"], nft: nftOfIptables("masquerade") },
      "masquerade warn",
    ],
    "the rules of a NodeLocal DNSCache that is gone, where only nft is here": [
      {
        missing: ["iptables-save"],
        nft: `${nftOfIptables("return")}table ip raw {\n\tchain PREROUTING {\n\t\tip daddr 169.254.20.10 udp dport 53 counter notrack\n`,
      },
      "node-local-dns bad",
    ],
    "others' rules in iptables, where only nft is here": [
      {
        missing: ["iptables-save"],
        nft: `${nftOfIptables("return")}table ip nat {\n\tchain PREROUTING {\n\t\tudp dport 53 counter redirect to :15053\n`,
      },
      "other-rules warn",
    ],
    "a client that asks in vain": [
      { seen: { ...wellSeen, clients: [{ client: "10.0.0.7", namespace: "", perSecond: 40, wasteShare: 0.75 }] } },
      "search-waste warn",
    ],
    "a pod that waited on the wire": [
      { wire: { waited: 1, unanswered: 1, waits: [wait("10.0.0.7")] } },
      "wire-waits bad",
    ],
    "questions without replies": [{ wire: { unanswered: 3 } }, "wire-replies warn"],
    "replies that do not pass here": [{ wire: { unanswered: 399 } }, "wire-replies unknown"],
    "copies that found no room": [{ wire: { droppedCopies: 9 } }, "wire-copies unknown"],
    "no right to copies": [{ wire: { problem: "the capability NET_RAW is missing" } }, "wire unknown"],
    "a pod without DNS": [{ pod: { code: 69, stderr: "nodens: no reply" } }, "from-pod bad"],
    "a pod that cannot be entered": [{ pod: { code: 1, stderr: "nsenter: not permitted" } }, "from-pod unknown"],
  };

  test.each(Object.entries(troubles))("with %s, that is said and nothing else", async (_, [trouble, said]) => {
    expect(await troublesOf(trouble)).toEqual([said]);
  });

  const kinds: Readonly<Record<string, readonly [Trouble, string, string]>> = {
    "systemd-resolved": [
      { files: { "/proc/net/udp": sockets(resolved) }, programs: { 1: "systemd-resolve" } },
      "other-caches",
      "also here: systemd-resolve on 127.0.0.53",
    ],
    "a NodeLocal DNSCache that answers, and no nodens": [
      {
        seen: "none",
        nat: wellNat + untracked,
        files: { "/proc/net/udp": sockets(nodeLocal) },
        programs: { 2: "node-cache" },
      },
      "node-local-dns",
      "NodeLocal DNSCache: NOTRACK rules for 169.254.20.10, it answers on 169.254.20.10",
    ],
    "nodens's own socket": [
      { files: { "/proc/net/udp": sockets(nodeLocal) }, programs: { 2: "nodens" } },
      "other-caches",
      "nobody else listens on port 53 of this node",
    ],
    "rules that only let DNS pass": [
      { nft: "table ip node_local_dns {\n\tchain c {\n\t\tip daddr 169.254.20.10 udp dport 53 notrack\n" },
      "other-rules",
      "also for port 53: table ip node_local_dns",
    ],
    "an older kernel that has no trouble by that": [
      { kernelRelease: "5.10.0", seen: { ...wellSeen, mode: "link-local" } },
      "kernel",
      "Linux 5.10.0; attach.mode intercept needs 5.12; before 6.12 packets race where a rule has NFQUEUE, which none has here",
    ],
    "kube-proxy on a kernel without owned tables": [
      { kernelRelease: "5.10.0", seen: { ...wellSeen, mode: "link-local" } },
      "kube-proxy",
      "mode iptables: attach.mode link-local and host-ip fit (intercept from Linux 5.12 on)",
    ],
    "kube-proxy's nftables": [
      { nat: "", nft: "table ip kube-proxy {\n" },
      "kube-proxy",
      "mode nftables: attach.mode intercept, link-local and host-ip fit",
    ],
    "kube-proxy's IPVS": [
      { nat: "", files: { "/proc/net/ip_vs": "IP Virtual Server\nUDP  0A60000A:0035 rr \n" } },
      "kube-proxy",
      "mode ipvs: attach.mode intercept, link-local and host-ip fit",
    ],
  };

  test.each(Object.entries(kinds))("%s: is told, and is not a trouble", async (_, [trouble, check, found]) => {
    expect(await troublesOf(trouble)).toEqual([]);
    expect(await findingsOf(trouble)).toContainEqual(expect.objectContaining({ check, found }));
  });

  test("what was taken, answered and left is told by its growth, where nodens has read the counts twice", async () => {
    const counts = (taken: number, answered: number, left: number) =>
      [
        wellMetrics,
        `{outcome="intercepted"} ${taken}`,
        `{outcome="answered"} ${answered}`,
        `{outcome="fell_back"} ${left}`,
      ].join("\nnodens_intercept_packets_total");
    const trouble = { metrics: counts(1000, 990, 5), metricsLater: counts(1300, 1280, 6) };
    expect(await findingsOf({ ...trouble, watchMs: 60_000 })).toContainEqual(
      expect.objectContaining({
        check: "nodens-pods",
        found:
          "300 questions of pods taken, 290 replies left for them, 1 questions left to kube-dns in 60 s; 0 pods ask kube-dns now",
      }),
    );
    expect(await findingsOf(trouble)).toContainEqual(
      expect.objectContaining({ check: "nodens-pods", found: expect.stringContaining("since it started") as string }),
    );
  });

  test("each network namespace is counted once, however many DNS servers are in it", async () => {
    const processes = [{ ...coredns, pid: "76", networkNamespace: "net:[1]" }, coredns, { ...coredns, pid: "78" }];
    const paths = ["/proc/net/snmp", ...processes.map(({ pid }) => `/proc/${pid}/net/snmp`)];
    const all = (drops: number) => Object.fromEntries(paths.map((path) => [path, snmp(drops)]));
    const findings = await findingsOf({ processes, files: all(1), later: all(3) });
    expect(findings.find(({ check }) => check === "receive-drops")?.found).toBe(
      "datagrams dropped from full receive queues in 1 s: this network namespace +2, coredns (process 77) +2",
    );
  });

  test("each trouble says why it matters, what to do, and where that is explained", async () => {
    const found = (await Promise.all(Object.values(troubles).map(([trouble]) => findingsOf(trouble)))).flat();
    const isTrouble = ({ state }: Finding) => state === "bad" || state === "warn";
    const mute = found
      .filter(isTrouble)
      .filter(({ why, cure = [], link }) => why === undefined || cure.length === 0 || link === undefined);
    expect(mute).toEqual([]);
  });

  test("counters that grew before are no news", async () => {
    expect(await troublesOf({ files: { "/proc/net/stat/nf_conntrack": conntrackLine(99, 99, 99) } })).toEqual([]);
  });
});

describe("what was seen on the wire", () => {
  async function wireFindings(trouble: Trouble): Promise<Finding[]> {
    return (await findingsOf(trouble)).filter(({ check }) => check.startsWith("wire"));
  }

  const container = (usedMiB: number, cachedMiB = 0): Files => ({
    "/sys/fs/cgroup/memory.max": `${128 * 1024 * 1024}\n`,
    "/sys/fs/cgroup/memory.current": `${usedMiB * 1024 * 1024}\n`,
    "/sys/fs/cgroup/memory.stat": `anon 1\ninactive_file ${cachedMiB * 1024 * 1024}\n`,
  });

  test.each([
    ["no limit", { "/sys/fs/cgroup/memory.max": "max\n", "/sys/fs/cgroup/memory.current": "1\n" }, "ok"],
    ["room below the limit", container(60), "ok"],
    ["room once the kernel gives up what it has read of files", container(90, 40), "ok"],
    ["too little room for what serves and for watching", container(90), "unknown"],
    [
      "too little by the first version of control groups",
      {
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes": "94371840\n",
      },
      "unknown",
    ],
  ])("is watched only where memory allows: with %s", async (_, files, state) => {
    expect(await wireFindings({ wire: {}, files })).toMatchObject([{ check: "wire", state }]);
  });

  test("is told with what nodens would have spared, but where one runs", async () => {
    const [would] = await wireFindings({ wire: {}, seen: "none" });
    expect(would?.found).toBe(
      "3 pods asked 400 questions in 60 s over 200 entries of connection tracking; nodens would have spared kube-dns 380 of them (95 %), and all but a handful of entries",
    );
    const [does] = await wireFindings({ wire: {} });
    expect(does?.found).toBe("3 pods asked 400 questions in 60 s over 200 entries of connection tracking");
  });

  test("names each pod that waited, how often, how long, for what, and where the packet was lost", async () => {
    const waits = [wait("10.0.0.7"), wait("10.0.0.7"), wait("10.0.0.8", "answered")];
    const findings = await wireFindings({ wire: { waited: 3, waits } });
    expect(findings.filter(({ state }) => state === "bad").map(({ found, why }) => [found, why])).toEqual([
      [
        "10.0.0.7 asked again 2 times, after 5.0 s for web.default.svc.cluster.local A",
        expect.stringMatching(/^no reply had come back/),
      ],
      [
        "10.0.0.8 asked again once, after 5.0 s for web.default.svc.cluster.local A",
        expect.stringMatching(/^a reply had passed the node's link to the pod/),
      ],
    ]);
  });

  test("has connection tracking for a cause where that dropped in the same second", async () => {
    const [bad] = await wireFindings({ wire: { waited: 1, waits: [wait("10.0.0.7", "waiting", "insert_failed +2")] } });
    expect(bad?.why).toContain("in the same second connection tracking dropped packets: insert_failed +2");
    expect(bad?.link).toBe("why-timeouts.md#1-the-race");
  });

  test("has for a cause what the running nodens knows of that pod, of packets that were lost on the node", async () => {
    const meaning = "a firewall rule or network policy of the node drops what the pod asks";
    const trouble = { client: "10.0.0.7", label: "pod_questions_dropped", meaning, by: 4, secondsAgo: 2 };
    const waits = [wait("10.0.0.7"), wait("10.0.0.7", "answered"), wait("10.0.0.8")];
    const findings = await wireFindings({ wire: { waited: 3, waits }, seen: { ...wellSeen, troubles: [trouble] } });
    const bad = findings.filter(({ state }) => state === "bad");
    expect(bad.map(({ why, link }) => [why?.includes(meaning), link])).toEqual([
      [true, "runbook.md#nodenspodswait"],
      [false, "why-timeouts.md#one-minute-in-a-pod"],
      [false, "why-timeouts.md#one-minute-in-a-pod"],
    ]);
    expect(bad[0]?.why).toMatch(/^no reply had come back.*\(pod_questions_dropped \+4\)$/);
  });

  test("names eight pods and counts the others", async () => {
    const waits = Array.from({ length: 11 }, (_, index) => wait(`10.0.0.${index}`));
    const bad = (await wireFindings({ wire: { waited: 11, waits } })).filter(({ state }) => state === "bad");
    expect(bad).toHaveLength(9);
    expect(bad.at(-1)?.found).toBe("3 more pods waited");
  });

  test("is told a few times on the way", async () => {
    const progress: string[] = [];
    await findingsOf({ wire: { waited: 2 }, watchMs: 60_000, progress });
    expect(progress).toHaveLength(6);
    expect(progress[0]).toBe("60 s of 60 s: 400 questions of 3 pods, 2 asked again");
  });

  test("is not looked for in another network namespace than the node's", async () => {
    const [first] = await wireFindings({ nat: "", wire: { queries: 0 } });
    expect(first).toMatchObject({ state: "unknown", found: expect.stringContaining("not in the node's") as string });
  });
});

describe("ports in use", () => {
  const second = wellNat.replace("kube-dns:dns", "kube-dns-upstream:dns").replace("10.96.0.10", "10.96.0.11");

  async function portsFound(trouble: Trouble): Promise<string[]> {
    const findings = await findingsOf(trouble);
    return findings.filter(({ check }) => check === "ports").map(({ state, found }) => `${state}: ${found}`);
  }

  test("are told for each address of kube-dns, idle ones too, by who shares them", async () => {
    const conntrackList = [
      conntrackEntry("10.0.0.7", "10.96.0.10").repeat(3),
      conntrackEntry("10.0.0.8", "10.96.0.10").repeat(9),
      conntrackEntry("10.0.0.8", "10.96.0.10", "10.244.1.6").repeat(2),
      conntrackEntry("10.0.0.7", "192.0.2.53").repeat(5),
    ].join("");
    const said = await portsFound({ nat: wellNat + second, conntrackList });
    expect(said).toEqual([
      "ok: 14 entries to 10.96.0.10:53; most from 10.0.0.8 to 10.244.1.5: 9 of some 28232 ports",
      "ok: no entries of lookups to 10.96.0.11:53",
      "ok: no entries of lookups to 127.0.0.1:53",
    ]);
  });

  test("are plenty where many pods of their own addresses ask, and scarce where one address asks as often", async () => {
    const entriesOf = (client: (index: number) => string) =>
      Array.from({ length: 30 }, (_, index) => conntrackEntry(client(index), "10.96.0.10").repeat(1000)).join("");
    const [apart] = await portsFound({ conntrackList: entriesOf((index) => `10.0.0.${index}`) });
    expect(apart).toMatch(/^ok: 30000 entries/);
    const [together] = await portsFound({ conntrackList: entriesOf(() => "192.0.2.4") });
    expect(together).toMatch(/^bad: 30000 entries/);
  });

  test("are counted from the kernel's list where conntrack is not here", async () => {
    const udp = conntrackEntry("10.0.0.7", "10.96.0.10").repeat(3);
    const list = `${udp}${udp.replaceAll("udp      17", "tcp      6")}`.replaceAll(/^/gm, "ipv4     2 ");
    const missing = ["conntrack"];
    const [first] = await portsFound({ missing, files: { "/proc/net/nf_conntrack": list } });
    expect(first).toMatch(/^ok: 3 entries to 10\.96\.0\.10:53/);
    expect(await portsFound({ missing })).toEqual([expect.stringMatching(/^unknown: neither conntrack/)]);
  });

  test("at another server are told where they are scarce", async () => {
    const conntrackList = conntrackEntry("10.0.0.7", "192.0.2.53").repeat(10_000);
    const [first] = await portsFound({ conntrackList });
    expect(first).toMatch(/^warn: 10000 entries to 192\.0\.2\.53:53/);
  });

  test("of IPv6 are counted where kube-dns has an address of it", async () => {
    const nat = wellNat.replace("10.96.0.10/32", "fd00:96::a/128");
    const conntrackList = conntrackEntry("fd00::7", "fd00:96::a", "fd00::53");
    expect(await portsFound({ nat, conntrackList })).toContainEqual(
      expect.stringMatching(/^ok: \d+ entries to \[fd00:96::a\]:53; most from fd00::7 to fd00::53/),
    );
  });
});

test("without any CPU limit nobody is held back", async () => {
  const findings = await findingsOf({ files: { "/sys/fs/cgroup/cpu.stat": "usage_usec 1\n" } });
  expect(findings.find(({ check }) => check === "cpu-throttling")).toMatchObject({
    state: "ok",
    found: "no CPU limit on this process or on a DNS server that is seen here",
  });
});

describe("who is asked without --server", () => {
  async function asked(trouble: Trouble): Promise<string[]> {
    const findings = await findingsOf({ ...trouble, servers: [] });
    return findings.filter(({ check }) => check === "server-tcp").map(({ found }) => found.split(" ")[0] ?? "");
  }

  test("is each upstream of the nodens that runs", async () => {
    const seen = {
      ...wellSeen,
      upstream: [{ server: "127.0.0.1:1" }, { server: "127.0.0.1:2" }, { server: "127.0.0.1:1" }],
    };
    expect(await asked({ nat: "", seen })).toEqual(["127.0.0.1:1", "127.0.0.1:2"]);
  });

  const loopback = wellNat.replace("10.96.0.10", "127.0.0.3");
  const addresses: Readonly<Record<string, Trouble>> = {
    iptables: { nat: loopback },
    nftables: {
      nat: "",
      nft: "table ip kube-proxy {\n",
      services:
        "elements = { 127.0.0.4 . udp . 53 : goto service-A-shop/dns/udp/dns,\n 127.0.0.3 . udp . 53 : goto service-B-kube-system/kube-dns/udp/dns }",
    },
    IPVS: {
      nat: "",
      files: { "/proc/net/ip_vs": "IP Virtual Server\nUDP  7F000003:0035 rr \nTCP  7F000004:0050 rr \n" },
    },
  };
  test.each(Object.entries(addresses))("is kube-dns, as the rules of %s name it", async (_, trouble) => {
    expect(await asked({ ...trouble, seen: "none" })).toEqual(["127.0.0.3:53"]);
  });
});

test("where the name has no address for a pod, that is said in the place of one", async () => {
  const files = { "/proc/77/root/etc/resolv.conf": "nameserver 192.0.2.53\n" };
  const findings = await findingsOf({ pod: { code: 0, stdout: "" }, files });
  expect(findings.find(({ check }) => check === "from-pod")?.found).toMatch(
    /: it has no address of \S+: give a name .* --name$/,
  );
});

test("a pod is asked to look up at its own nameserver", async () => {
  const files = { "/proc/77/root/etc/resolv.conf": "search a\nnameserver 192.0.2.53\n" };
  const findings = await findingsOf({ pod: { code: 0 }, files });
  expect(findings.find(({ check }) => check === "from-pod")?.found).toMatch(/^192\.0\.2\.53 answers/);
  const unknown = await findingsOf({ pod: { code: 0 }, nat: "", servers: [], seen: "none" });
  expect(unknown.find(({ check }) => check === "from-pod")).toMatchObject({ state: "unknown" });
});

test("in another network namespace than the node's, nothing is said of the node", async () => {
  expect(await troublesOf({ nat: "" })).toEqual([
    "conntrack unknown",
    "ports unknown",
    "rules unknown",
    "other-rules unknown",
  ]);
});

test("without the right to read rules, that is said", async () => {
  const findings = await findingsOf({ nat: undefined, nft: undefined });
  const unknown = findings.filter(({ state }) => state === "unknown");
  expect(unknown.map(({ check, found }) => [check, found])).toContainEqual([
    "rules",
    expect.stringContaining("NET_ADMIN is missing"),
  ]);
});

test("what is explained elsewhere is there", () => {
  const folder = join(projectFolder, "src", "doctor");
  const links = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), "utf8").matchAll(/link(?::| =) "([^"]+)"/g)].map(([, link = ""]) => link),
  );
  expect(links.length).toBeGreaterThan(20);
  expect(links.filter((link) => !exists(link))).toEqual([]);
});

/** Whether a page below docs/ has that heading, as GitHub makes an anchor of it. */
function exists(link: string): boolean {
  const [file = "", anchor] = link.split("#");
  const page = readFileSync(join(projectFolder, "docs", file), "utf8");
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
  return anchor === undefined || headings.includes(anchor);
}

test("a server that says nothing is the worst of it, and comes first", async () => {
  const [first] = await findingsOf({});
  expect(first).toMatchObject({ check: "server-udp", state: "bad" });
});

test("what is printed has the number, the reason, what to do, and where to read on", () => {
  const finding: Finding = {
    check: "ports",
    state: "warn",
    found: "9 entries",
    why: "ports",
    cure: ["do"],
    link: "a.md",
  };
  expect(printFindings([finding, { check: "kernel", state: "ok", found: "Linux 6", link: "b.md" }])).toBe(
    [
      "WARN ports            9 entries",
      "                      ports",
      "                      → do",
      "                      see docs/a.md",
      "ok   kernel           Linux 6",
      "",
    ].join("\n"),
  );
});

const answered = { check: "server-udp", state: "ok", found: "20 of 20" } as const;

test.each([
  [[{ check: "kernel", state: "warn", found: "old" }, answered], "DNS works on this node", 0],
  [[{ check: "rules", state: "unknown", found: "no right" }, answered], "DNS works on this node", 0],
  [[{ check: "servers", state: "unknown", found: "no rule" }], "servers: no rule", 2],
  [[{ check: "from-pod", state: "bad", found: "caf\u00e9\nbar" }], "from-pod: caf??bar", 1],
  [[{ check: "server-udp", state: "bad", found: "x".repeat(200) }], `server-udp: ${"x".repeat(68)}`, 1],
] as const)(
  "as a plugin of node-problem-detector, %j is one line of at most 80 characters",
  (findings, line, exitCode) => {
    expect(pluginOutput(findings)).toEqual({ line, exitCode });
  },
);
