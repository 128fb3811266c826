/*
 * What pods notice while nodens intercepts their questions and something happens to it: no time without an answer may be longer
 * than the kernel's switch back to kube-dns takes. Each test has a node of its own, and most of its time is waiting.
 */
import { accessSync, constants, existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, test, type TestContext } from "vitest";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { type BedHost, bedAddress, createNodeBed, type NodeBed, startKubeDns } from "../support/node/node-bed.ts";
import { blackhole } from "../support/node/kube-dns-faults.ts";
import type { ProxyStyle } from "../support/node/node-bed-proxy.ts";
import { interceptingTables, interceptTables, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { childrenOf } from "../support/program/process-children.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";
import { straightFlows } from "../support/node/straight-flows.ts";
import { expectNoHole, type WatchedLookups, watchLookups } from "../support/node/watch-lookups.ts";

const tools = ["CI=true", "root", "ip", "nft", "iptables-restore", "conntrack", "curl", "gcc"];
const memoryGroups = "/sys/fs/cgroup/memory";
const timeout = 90_000;

type OnFinished = TestContext["onTestFinished"];

describeWith(tools, "attach.mode intercept", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  async function start(onTestFinished: OnFinished, proxy: ProxyStyle = "iptables") {
    const bed = await createNodeBed({ proxy, podCount: 2 });
    onTestFinished(() => bed.close());
    return { bed, nodens: await startNodensOnNode(bed, { mode: "intercept" }) };
  }

  function during(bed: NodeBed, happen: () => unknown): Promise<WatchedLookups> {
    return watchLookups(bed, client.path, happen);
  }

  test.concurrent.for(["iptables", "nftables"] as const)(
    "killed with SIGKILL, pods ask kube-dns (kube-proxy with %s)",
    { timeout },
    async (proxy, { expect, onTestFinished }) => {
      const { bed, nodens } = await start(onTestFinished, proxy);
      expectNoHole(await during(bed, () => nodens.process.kill("SIGKILL")));
      expect(await interceptTables(bed)).toEqual([]);
      expect((await straightFlows(bed)).length).toBeGreaterThan(0);
    },
  );

  test.concurrent.for(["iptables", "nftables"] as const)(
    "stopped with SIGSTOP, pods ask kube-dns; continued, it intercepts again (kube-proxy with %s)",
    { timeout },
    async (proxy, { expect, onTestFinished }) => {
      const { bed, nodens } = await start(onTestFinished, proxy);
      const seen = await during(bed, async () => {
        nodens.process.kill("SIGSTOP");
        await pause(4000);
        expect(await interceptingTables(bed)).toBe(0);
        nodens.process.kill("SIGCONT");
      });
      expectNoHole(seen);
      await until("it intercepts again", async () => (await interceptingTables(bed)) === 1);
    },
  );

  const outOfMemory = isWritable(memoryGroups)
    ? "killed by the kernel because its memory cgroup is full, with nft in it"
    : "killed together with nft, as for want of memory (this machine has no memory cgroup of version 1 to fill)";
  test.concurrent(`${outOfMemory}, pods ask kube-dns`, { timeout }, async ({ expect, onTestFinished }) => {
    const { bed, nodens } = await start(onTestFinished);
    const pid = nodens.process.pid ?? 0;
    const members = [pid, ...childrenOf(pid)];
    expect(members).toHaveLength(2);
    const seen = await during(bed, async () => {
      if (isWritable(memoryGroups)) return exhaustMemory(members, onTestFinished);
      for (const member of members) process.kill(member, "SIGKILL");
    });
    expectNoHole(seen);
    expect(nodens.process.signalCode).toBe("SIGKILL");
    expect(await interceptTables(bed)).toEqual([]);
  });

  test.concurrent(
    "its table cannot be deleted by a stranger, and stays when one flushes everything",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed } = await start(onTestFinished);
      const [table = ""] = await interceptTables(bed);
      const seen = await during(bed, async () => {
        const { code, stderr } = await bed.node.run("nft", ["delete", "table", "inet", table]);
        expect(code).not.toBe(0);
        expect(stderr).toContain("Operation not permitted");
        expect((await bed.node.run("nft", ["flush", "ruleset"])).code).toBe(0);
        await bed.restoreProxy();
      });
      expectNoHole(seen);
      expect(await interceptTables(bed)).toEqual([table]);
      expect(await interceptingTables(bed)).toBe(1);
    },
  );

  test.concurrent(
    "with its nft process killed, pods ask kube-dns, and it makes the table anew",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, nodens } = await start(onTestFinished);
      const tables = await interceptTables(bed);
      const seen = await during(bed, () => {
        for (const pid of childrenOf(nodens.process.pid ?? 0)) process.kill(pid, "SIGKILL");
      });
      expectNoHole(seen);
      await until("it intercepts again", async () => (await interceptingTables(bed)) === 1);
      expect(await interceptTables(bed)).toEqual(tables);
      expect(nodens.output()).toContain("nft has ended");
      await until("the metric tells", async () => (await nodens.metric("nodens_setup_errors_total", '"nft"')) === 1);
    },
  );

  test.concurrent(
    "with its address taken from lo, it puts it back at once",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, nodens } = await start(onTestFinished);
      const seen = await during(bed, async () => {
        const remove = ["address", "del", `${bedAddress.own}/32`, "dev", "lo"];
        expect((await bed.node.run("ip", remove)).code).toBe(0);
      });
      expectNoHole(seen);
      expect(seen.udp.longestGapMs).toBeLessThan(1000 + seen.control.longestGapMs);
      expect(nodens.output()).toContain("took an address of nodens off this node");
    },
  );

  test.concurrent(
    "with servers of its own that fall silent, pods ask the Service, and come back with the servers",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
      onTestFinished(() => bed.close());
      const [dns] = bed.kubeDns as [BedHost];
      const other = { address: "10.245.1.77", address6: "fd45:1::77" };
      await dns.run("ip", ["addr", "add", `${other.address}/24`, "dev", "eth0"]);
      await dns.run("ip", ["addr", "add", `${other.address6}/64`, "dev", "eth0", "nodad"]);
      await startKubeDns(dns, other);
      const attach = { mode: "intercept", virtualAddresses: [bedAddress.service] };
      const settings = { attach, upstream: { servers: [other.address] } };
      const nodens = await startNodensOnNode(bed, { mode: "intercept", settings });
      // Somebody has to ask for it to be noticed.
      await during(bed, async () => {
        await blackhole(bed, dns, other.address);
        await until("it gives way", async () => (await interceptingTables(bed)) === 0);
      });
      expectNoHole(await during(bed, () => {}));
      expect(await nodens.metric("nodens_failopen")).toBe(1);
      for (const host of [dns, bed.node]) await host.run("nft", ["flush", "ruleset"]);
      await bed.restoreProxy();
      await until("it intercepts again", async () => (await interceptingTables(bed)) === 1, 30_000);
    },
  );

  test.concurrent("ended by a second SIGTERM at once, pods ask kube-dns", { timeout }, async ({ onTestFinished }) => {
    const { bed, nodens } = await start(onTestFinished);
    const seen = await during(bed, () => {
      nodens.process.kill("SIGTERM");
      nodens.process.kill("SIGTERM");
    });
    expectNoHole(seen);
  });

  test.concurrent(
    "crashing again and again before it is ready, pods ask kube-dns all the time",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, nodens } = await start(onTestFinished);
      const seen = await during(bed, async () => {
        nodens.process.kill("SIGKILL");
        await nodens.stop();
        for (let round = 0; round < 3; round += 1) {
          // Without an upstream it never becomes ready.
          const doomed = await startNodensOnNode(bed, {
            mode: "intercept",
            settings: {
              attach: { mode: "intercept", virtualAddresses: [bedAddress.service] },
              upstream: { servers: ["10.245.1.99"] },
            },
            waitUntilAttached: false,
          });
          await until("it listens", () => doomed.output().includes("listening"));
          await pause(1000);
          expect(await interceptingTables(bed)).toBe(0);
          doomed.process.kill("SIGKILL");
          await doomed.stop();
        }
      });
      expectNoHole(seen);
      expect(await interceptTables(bed)).toEqual([]);
    },
  );
});

/**
 * Puts the processes in a memory cgroup of their own that has room for next to nothing. What they had before does not count, so
 * the next pages that they touch are too many. Resolves when the kernel has killed the first.
 */
async function exhaustMemory(members: readonly number[], onTestFinished: OnFinished): Promise<void> {
  const folder = `${memoryGroups}/nodens-test-${process.pid}-${members[0]}`;
  mkdirSync(folder);
  onTestFinished(() => rmdirSync(folder));
  for (const pid of members) writeFileSync(`${folder}/cgroup.procs`, `${pid}`);
  writeFileSync(`${folder}/memory.limit_in_bytes`, "1M");
  await until("the kernel has killed nodens", () => !existsSync(`/proc/${members[0]}`), 30_000);
}

/** Whether a cgroup can be made there: a file system that is mounted read-only says no to root too. */
function isWritable(folder: string): boolean {
  try {
    accessSync(`${folder}/memory.limit_in_bytes`, constants.F_OK);
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
