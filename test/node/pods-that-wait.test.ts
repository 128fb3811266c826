/*
 * Real resolvers in a pod whose packets are lost: the pod is named, with how long it waited and on which way the packet was lost. What a client
 * does not show is not claimed of it.
 */
import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { Finding } from "../../src/doctor/finding.ts";
import { bedAddress, type BedHost, bedTools, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { type NodensOnNode, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { lookUpInPod, writeResolvConf } from "../support/node/pod-lookups.ts";
import { compileClient } from "../support/program/compile-client.ts";
import { describeWith, missingRequirements } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const tools = [...bedTools, "dig", "gcc", "musl-gcc"];

/** With its final dot: one lookup, A and AAAA. */
const name = "web.default.svc.cluster.local.";
const nameOctets = 31;

/** What comes after both first replies passes. */
const firstRepliesDropped = `table inet lossy { chain c { type filter hook prerouting priority filter;
  ip saddr ${bedAddress.own} udp sport 53 limit rate 1/hour burst 2 packets drop
}\n}\n`;

/** The type stands behind UDP's header, the message's and the name. The second such query passes. */
const firstQueryDropped = (type: number) => `table inet lossy { chain c { type filter hook prerouting priority -400;
  udp dport 53 @th,${(8 + 12 + nameOctets) * 8},16 ${type} quota until 80 bytes drop
}\n}\n`;

const resolvers = [
  { compiler: "musl-gcc", after: "2.5s", fromMs: 2400, toMs: 2800 },
  { compiler: "gcc", after: "5s", fromMs: 4900, toMs: 5400 },
] as const;

/** Clients other than a libc alone, and what shows when their first replies are lost. */
interface OtherClient {
  readonly client: string;
  readonly needs: readonly string[];
  /** Makes it in a folder. Returns its command, to which names are added. */
  make(folder: string): Promise<string[]>;
  /** Starts what it asks in the pod. Without it, it asks nodens. */
  startStub?(pod: BedHost, folder: string): Promise<string>;
  /** So many lookups before. */
  readonly habit: number;
  readonly after: string;
  readonly leastMs: number;
}

const others: readonly OtherClient[] = [
  {
    client: "Go, which takes another port and ID",
    needs: ["go"],
    async make(folder: string) {
      const path = join(folder, "lookup");
      const env = { ...process.env, CGO_ENABLED: "0", GO111MODULE: "off" };
      await run("go", ["build", "-o", path, join(clientsFolder, "lookup.go")], { env });
      return [path];
    },
    // Enough to be recognised.
    habit: 20,
    after: "5s",
    leastMs: 4900,
  },
  {
    client: "c-ares as Node.js has it, which takes another port",
    needs: [],
    make: async () => [process.execPath, join(clientsFolder, "c-ares.mjs")],
    habit: 3,
    after: "other",
    leastMs: 1900,
  },
  {
    client: "Java, which asks libc",
    needs: ["javac"],
    async make(folder: string) {
      await run("javac", ["-d", folder, join(clientsFolder, "Lookup.java")]);
      return ["java", "-cp", folder, "Lookup"];
    },
    habit: 1,
    after: "5s",
    leastMs: 4900,
  },
  {
    client: "c-ares as Debian 12 has it, which keeps port and ID",
    needs: ["/usr/include/ares.h"],
    make: (folder) => moveClient(folder, "c-ares-library", ["-lcares"]),
    habit: 1,
    after: "5s",
    leastMs: 4900,
  },
  {
    client: "systemd-resolved, which keeps port and ID",
    needs: ["apt-get", "dpkg-deb", "setpriv"],
    async make(folder: string) {
      const fetched = [folder, "bookworm", "systemd-resolved", "lib/systemd/systemd-resolved"];
      await run(join(projectFolder, "scripts", "fetch-debian-program.sh"), fetched);
      // It runs as another user.
      chmodSync(folder, 0o755);
      return moveClient(folder, "getaddrinfo");
    },
    async startStub(pod, folder) {
      const script = join(clientsFolder, "systemd-resolved.sh");
      pod.start("unshare", ["--mount", "sh", script, join(folder, "bookworm", "systemd-resolved"), bedAddress.own]);
      const ask = () => pod.run("dig", ["+short", "+tries=1", "+time=1", `@${resolvedAddress}`, name]);
      await expect.poll(async () => (await ask()).stdout, { timeout: 10_000 }).toContain("10.96.0.7");
      return resolvedAddress;
    },
    habit: 1,
    after: "5s",
    leastMs: 4900,
  },
];

/** Where systemd-resolved listens. */
const resolvedAddress = "127.0.0.53";

const run = promisify(execFile);
const clientsFolder = join(projectFolder, "test", "fixtures", "clients");

interface Scene {
  readonly bed: NodeBed;
  readonly pod: BedHost;
  readonly nodens: NodensOnNode;
  /** What `nodens top --once --json` prints. */
  top(): Promise<{ waits: { recent: Record<string, unknown>[] }; sentence?: { readonly text: string } }>;
}

interface SceneOptions {
  readonly mode?: "link-local" | "intercept";
  readonly settings?: Record<string, Record<string, unknown>>;
}

async function createScene({ mode = "link-local", settings = {} }: SceneOptions = {}): Promise<Scene> {
  const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
  onTestFinished(() => bed.close());
  const [pod] = bed.pods as [BedHost];
  const nodens = await startNodensOnNode(bed, { mode, settings });
  async function top() {
    const program = join(projectFolder, "src", "nodens.mjs");
    const { stdout } = await bed.node.run(process.execPath, [program, "top", "--once", "--json"]);
    return JSON.parse(stdout) as Awaited<ReturnType<Scene["top"]>>;
  }
  return { bed, pod, nodens, top };
}

/** Compiles a client in C into a folder. */
async function moveClient(folder: string, client: string, libraries: readonly string[] = []): Promise<string[]> {
  const { path, remove } = await compileClient(client, "gcc", libraries);
  copyFileSync(path, join(folder, client));
  remove();
  return [join(folder, client)];
}

async function createLookup(pod: BedHost, compiler: "gcc" | "musl-gcc") {
  const client = await compileClient("getaddrinfo", compiler);
  onTestFinished(() => client.remove());
  return createLookupWith(pod, [client.path]);
}

/** Lookups with a command, to which the names are added. */
function createLookupWith(
  pod: BedHost,
  [program = "", ...first]: readonly string[],
  resolvConf = writeResolvConf(bedAddress.own),
) {
  onTestFinished(() => resolvConf.remove());
  return (times: number) =>
    lookUpInPod(pod, program, resolvConf, [...first, ...Array.from({ length: times }, () => name)]);
}

async function lose({ run }: BedHost, rules: string): Promise<void> {
  expect(await run("nft", ["-f", "-"], rules)).toMatchObject({ code: 0, stderr: "" });
}

describeWith(tools, "a pod that waits", () => {
  test.each(resolvers)(
    "with $compiler's resolver, whose replies are lost: seen after $after as answered",
    async ({ compiler, after, fromMs, toMs }) => {
      const { pod, nodens, top } = await createScene();
      const lookUp = await createLookup(pod, compiler);
      await lookUp(1);
      await lose(pod, firstRepliesDropped);
      expect(await lookUp(1)).toEqual(["ok 10.96.0.7"]);
      expect(
        await nodens.metric("nodens_client_repeats_total", `after="${after}",first="answered"`),
      ).toBeGreaterThanOrEqual(1);
      const [wait] = (await top()).waits.recent;
      expect(wait).toMatchObject({
        client: pod.address,
        name: name.slice(0, -1),
        first: "answered",
        meaning: expect.stringContaining("lost on the way to the pod") as string,
      });
      // Nothing of this pod's own is to blame.
      expect(JSON.stringify(wait?.["moved"])).not.toContain("pod_");
      expect(wait?.["afterMs"]).toBeGreaterThanOrEqual(fromMs);
      expect(wait?.["afterMs"]).toBeLessThanOrEqual(toMs);
    },
  );

  for (const { client, needs, make, startStub, habit, after, leastMs } of others) {
    const missing = missingRequirements(needs);
    test.skipIf(missing.length > 0)(
      `with ${client}, whose replies are lost: seen after ${after} as answered`,
      // Go compiles its own library first.
      { meta: missing.length > 0 ? { missing } : {}, timeout: 180_000 },
      async () => {
        const folder = mkdtempSync(join(tmpdir(), "nodens-client-"));
        onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
        const command = await make(folder);
        const { pod, nodens, top } = await createScene();
        const nameserver = (await startStub?.(pod, folder)) ?? bedAddress.own;
        const lookUp = createLookupWith(pod, command, writeResolvConf(nameserver));
        await lookUp(habit);
        await lose(pod, firstRepliesDropped);
        expect(await lookUp(1)).toEqual(["ok 10.96.0.7"]);
        const labels = `after="${after}",first="answered"`;
        // Whether Go goes on asking every five seconds shows five seconds later.
        const timeout = 10_000;
        await expect
          .poll(() => nodens.metric("nodens_client_repeats_total", labels), { timeout, interval: 250 })
          .toBeGreaterThanOrEqual(1);
        const [wait] = (await top()).waits.recent;
        expect(wait).toMatchObject({ client: pod.address, name: name.slice(0, -1), first: "answered" });
        expect(wait?.["afterMs"]).toBeGreaterThanOrEqual(leastMs);
      },
    );
  }

  test.each(resolvers)(
    "with $compiler's resolver, one of whose queries is lost: seen after $after as lost on the way in",
    async ({ compiler, after }) => {
      const { bed, pod, nodens, top } = await createScene();
      const lookUp = await createLookup(pod, compiler);
      await lookUp(8);
      await lose(bed.node, firstQueryDropped(28));
      expect(await lookUp(1)).toEqual(["ok 10.96.0.7"]);
      // That its twin does not follow shows a second later.
      await expect
        .poll(() => nodens.metric("nodens_client_repeats_total", `after="${after}",first="unseen"`), { timeout: 5000 })
        .toBeGreaterThanOrEqual(1);
      const { recent } = (await top()).waits;
      expect(recent.map(({ first, client }) => ({ first, client }))).toContainEqual({
        first: "unseen",
        client: pod.address,
      });
    },
  );

  const troubles = [
    {
      mode: "intercept",
      // Without: pods whose untracked replies are dropped are tracked first.
      settings: { attach: { notrack: true } },
      label: "pod_left_to_kube_dns",
      nameserver: bedAddress.service,
      port: 10_053,
      result: "ok 10.96.0.7",
    },
    {
      mode: "link-local",
      settings: {},
      label: "pod_replies_dropped",
      nameserver: bedAddress.own,
      port: 53,
      result: "error EAI_AGAIN",
    },
  ] as const;

  test.each(troubles)(
    "in mode $mode, for which no replies leave the node: the wait is told with $label, of this pod alone",
    { timeout: 60_000 },
    async ({ mode, settings, label, nameserver, port, result }) => {
      const { bed, pod, nodens, top } = await createScene({ mode, settings });
      const client = await compileClient("getaddrinfo", "gcc");
      onTestFinished(() => client.remove());
      const lookUp = createLookupWith(pod, [client.path], writeResolvConf(nameserver, [], "timeout:1 attempts:5"));
      await lookUp(3);
      const rule = `ip daddr ${pod.address} udp sport ${port} drop`;
      await lose(bed.node, `table inet foreign { chain c { type filter hook output priority filter; ${rule}\n}\n}\n`);
      expect(await lookUp(1)).toEqual([result]);
      const labels = 'after="1s",first="answered"';
      expect(await nodens.metric("nodens_client_repeats_total", labels)).toBeGreaterThanOrEqual(1);
      const told = async () => {
        const { waits, sentence } = await top();
        return { of: waits.recent[0]?.["client"], moved: JSON.stringify(waits.recent[0]?.["moved"]), sentence };
      };
      await expect.poll(told, { timeout: 5000, interval: 250 }).toMatchObject({
        of: pod.address,
        moved: expect.stringContaining(label) as string,
      });
      const { stdout } = await bed.node.run("curl", ["-sf", "http://127.0.0.1:9253/"]);
      expect(stdout).toContain(label);
    },
  );

  test.each(troubles)(
    "in mode $mode, for which no replies leave the node: doctor --watch, which reads the wire, names $label as well",
    { timeout: 90_000 },
    async ({ mode, settings, label, nameserver, port }) => {
      const { bed, pod } = await createScene({ mode, settings });
      const client = await compileClient("getaddrinfo", "gcc");
      onTestFinished(() => client.remove());
      const lookUp = createLookupWith(pod, [client.path], writeResolvConf(nameserver, [], "timeout:1 attempts:5"));
      await lookUp(3);
      const program = join(projectFolder, "src", "nodens.mjs");
      const doctor = bed.node.run(process.execPath, [program, "doctor", "--json", "--watch", "15s"]);
      await expect
        .poll(async () => (await bed.node.run("cat", ["/proc/net/packet"])).stdout.trim().split("\n").length, {
          timeout: 30_000,
        })
        .toBeGreaterThan(1);
      const rule = `ip daddr ${pod.address} udp sport ${port} drop`;
      await lose(bed.node, `table inet foreign { chain c { type filter hook output priority filter; ${rule}\n}\n}\n`);
      await lookUp(1);
      const { stdout } = await doctor;
      const waits = (JSON.parse(stdout) as Finding[]).filter(({ check }) => check === "wire-waits");
      expect(waits).toMatchObject([
        { state: "bad", found: expect.stringMatching(`^${pod.address} asked again`) as string },
      ]);
      expect(JSON.stringify(waits)).toContain(label);
    },
  );

  test("is not claimed of dig, which asks for A alone, when its query is lost", async () => {
    const { bed, pod, top } = await createScene();
    const ask = () => pod.run("dig", ["+short", "+tries=2", "+time=1", `@${bedAddress.own}`, name]);
    for (let turn = 0; turn < 8; turn += 1) await ask();
    await lose(bed.node, firstQueryDropped(1));
    expect((await ask()).stdout).toContain("10.96.0.7");
    expect((await top()).waits.recent).toEqual([]);
  });
});
