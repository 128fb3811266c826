/*
 * What can happen to nodens on a node, as data: each fault in each way that pods have of reaching it. One more is a row here.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { ownAddressTable } from "../../../src/attach/own-address-table.ts";
import { until } from "../servers/scripted-upstream.ts";
import { childrenOf } from "../program/process-children.ts";
import { createMemoryGroup } from "./control-groups.ts";
import { bedAddress, type BedHost, type NodeBed, patienceMs } from "./node-bed.ts";
import type { ProxyStyle } from "./node-bed-proxy.ts";
import {
  type AttachMode,
  interceptTables,
  type NodensOnNode,
  settingsForBothFamilies,
  startNodensOnNode,
} from "./nodens-on-node.ts";

/** How pods reach nodens, at an address of each family. */
export interface PodWay {
  readonly mode: AttachMode;
  readonly proxy: ProxyStyle;
  readonly asked: readonly string[];
}

/** What pods ask in each mode, of each family. */
export const addressesAsked = {
  "host-ip": [bedAddress.node, bedAddress.node6],
  "link-local": [bedAddress.own, bedAddress.own6],
  intercept: [bedAddress.service, bedAddress.service6],
} as const;

const way = (mode: keyof typeof addressesAsked, proxy: ProxyStyle): PodWay => ({
  mode,
  proxy,
  asked: addressesAsked[mode],
});

/** Every mode beside each kube-proxy with which it might fare differently. */
export const podWays: readonly PodWay[] = [
  way("intercept", "iptables"),
  way("intercept", "nftables"),
  way("link-local", "iptables"),
  way("link-local", "nftables"),
  way("host-ip", "iptables"),
];

/** Every mode once. */
const modesOnce: readonly PodWay[] = [
  way("intercept", "iptables"),
  way("link-local", "nftables"),
  way("host-ip", "iptables"),
];

/** Where nodens has an address of its own on the node. */
const withOwnAddress = modesOnce.filter(({ mode }) => mode !== "host-ip");

/** A nodens to which something happens. */
export interface TroubledNode {
  readonly bed: NodeBed;
  readonly nodens: NodensOnNode;
  readonly way: PodWay;
  /** Called at the end of the test. */
  onEnd(clean: () => void): void;
}

/** Something that happens to nodens. */
export interface NodensFault {
  readonly title: string;
  readonly ways: readonly PodWay[];
  /** Who answers pods when it has happened. */
  readonly leaves: "nodens" | "kube-dns";
  /** How long pods may be without an answer; as long as the kernel's switch takes unless said otherwise. */
  readonly budgetMs?: number;
  /** How many lookups may get a reply from another address before the right one; none unless it is given. */
  readonly mostMisdirected?: number;
  /** Lets it happen, while pods look up. */
  strike(node: TroubledNode): Promise<void>;
}

/** Where nothing is to be noticed: a client asks again after a quarter of a second. */
const atOnceMs = 1000;

/** All of them. */
export const nodensFaults: readonly NodensFault[] = [
  { title: "killed with SIGKILL", ways: podWays, leaves: "kube-dns", strike: kill },
  {
    title: "stopped with SIGSTOP, and continued",
    ways: modesOnce,
    leaves: "nodens",
    async strike({ nodens, bed, way: { asked: servers } }) {
      nodens.process.kill("SIGSTOP");
      await pause(4000);
      expect(await areAnswered(bed, servers)).toBe(true);
      nodens.process.kill("SIGCONT");
    },
  },
  { title: "killed by the kernel for want of memory", ways: modesOnce, leaves: "kube-dns", strike: exhaustMemory },
  {
    title: "ended at once by a second SIGTERM",
    ways: modesOnce,
    leaves: "kube-dns",
    async strike({ nodens }) {
      nodens.process.kill("SIGTERM");
      nodens.process.kill("SIGTERM");
      await nodens.stop();
    },
  },
  {
    title: "ended with SIGTERM and not started again, as after an uninstall",
    ways: modesOnce,
    leaves: "kube-dns",
    async strike({ nodens }) {
      expect(await nodens.stop()).toBe(0);
    },
  },
  { title: "crashing before it is ready, again and again", ways: modesOnce, leaves: "kube-dns", strike: crashAgain },
  {
    title: "with its tables deleted by a stranger",
    ways: modesOnce,
    leaves: "nodens",
    budgetMs: atOnceMs,
    // It is deleted twice, and a reply that is on its way just then may leave as nodens sent it: seen once, the cause is concluded.
    mostMisdirected: 2,
    async strike({ bed, way: { mode } }) {
      // The kernel keeps that of the interception for its owner.
      for (const table of await interceptTables(bed)) {
        const { stderr } = await bed.node.run("nft", ["delete", "table", "inet", table]);
        expect(stderr).toContain("Operation not permitted");
      }
      expect(await interceptTables(bed)).toHaveLength(mode === "intercept" ? 1 : 0);
      // The first time a look of its start may be due.
      for (let time = 0; time < 2; time += 1) {
        expect((await bed.node.run("nft", ["delete", "table", "inet", ownAddressTable])).code).toBe(0);
        await untilTableIsBack(bed);
      }
    },
  },
  {
    title: "with all rules of the node flushed",
    ways: modesOnce,
    leaves: "nodens",
    async strike({ bed }) {
      const before = await interceptTables(bed);
      expect((await bed.node.run("nft", ["flush", "ruleset"])).code).toBe(0);
      await bed.restoreProxy();
      expect(await interceptTables(bed)).toEqual(before);
      await untilTableIsBack(bed);
    },
  },
  {
    title: "with its addresses taken from lo",
    ways: withOwnAddress,
    leaves: "nodens",
    budgetMs: atOnceMs,
    async strike({ bed, nodens }) {
      await removeOwnAddresses(bed);
      await until("it says so", () => nodens.output().includes("took an address of nodens off this node"));
    },
  },
  {
    title: "with its addresses taken from lo when it is dead",
    ways: withOwnAddress,
    leaves: "kube-dns",
    async strike(node) {
      await kill(node);
      await removeOwnAddresses(node.bed);
    },
  },
];

/** What is answered, whoever does it. */
export const expectedAnswer = "10.96.0.7\n";

/** What a pod is answered at an address when it asks so often, without what dig says of attempts that failed. */
export async function lookUpAt(pod: BedHost, server: string, tries = 2): Promise<string> {
  const question = ["+short", `+tries=${tries}`, "+time=3", `@${server}`, "web.default.svc.cluster.local"];
  const { stdout } = await pod.run("dig", question);
  return stdout.replaceAll(/^;.*\n/gm, "");
}

/** Whether a pod is answered at each address. */
export async function areAnswered({ pods }: NodeBed, servers: readonly string[]): Promise<boolean> {
  const [pod] = pods as [BedHost];
  const answers = await Promise.all(servers.map((server) => lookUpAt(pod, server)));
  return answers.every((answer) => answer === expectedAnswer);
}

async function kill({ nodens }: TroubledNode): Promise<void> {
  nodens.process.kill("SIGKILL");
  await nodens.stop();
}

/** A mebibyte beyond what it has is soon used up. */
async function exhaustMemory({ nodens, onEnd }: TroubledNode): Promise<void> {
  const { pid = 0 } = nodens.process;
  const group = createMemoryGroup(2 ** 20);
  onEnd(() => group.remove());
  for (const member of [...childrenOf(pid), pid]) writeFileSync(join(group.folder, "cgroup.procs"), String(member));
  const isOver = () => nodens.process.exitCode !== null || nodens.process.signalCode !== null;
  await until("it takes more", async () => isOver() || (await nodens.metric("nodens_ready")) === -1, patienceMs);
  expect(nodens.process.signalCode).toBe("SIGKILL");
  // Perhaps together with a program that it had started.
  expect(group.killedCount()).toBeGreaterThan(0);
}

async function crashAgain(node: TroubledNode): Promise<void> {
  await kill(node);
  const { mode } = node.way;
  const settings = settingsForBothFamilies(mode);
  for (let round = 0; round < 2; round += 1) {
    const doomed = await startNodensOnNode(node.bed, {
      mode,
      // Without an upstream it never becomes ready.
      settings: {
        ...settings,
        attach: { ...settings["attach"], virtualAddresses: [bedAddress.service, bedAddress.service6] },
        upstream: { servers: ["10.245.1.99"] },
      },
      waitUntilAttached: false,
    });
    await until("it listens", () => doomed.output().includes("listening"), patienceMs);
    await pause(1000);
    doomed.process.kill("SIGKILL");
    await doomed.stop();
  }
}

async function removeOwnAddresses({ node }: NodeBed): Promise<void> {
  for (const prefix of [`${bedAddress.own}/32`, `${bedAddress.own6}/128`])
    expect((await node.run("ip", ["address", "del", prefix, "dev", "lo"])).code).toBe(0);
}

/** It looks every five seconds. */
async function untilTableIsBack({ node }: NodeBed): Promise<void> {
  const list = ["list", "table", "inet", ownAddressTable];
  await until("the table is back", async () => (await node.run("nft", list)).code === 0, 15_000);
}
