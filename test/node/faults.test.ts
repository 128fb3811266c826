/*
 * What pods notice while nodens intercepts their questions and something happens to it: a pod looks a name up a hundred times a
 * second, as resolvers do (a new socket each, sent again when nothing comes), and no time without an answer may be longer than
 * the kernel's switch back to kube-dns takes.
 */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type CompiledClient, compileClient } from "../support/compile-client.ts";
import { bedAddress, createNodeBed, type NodeBed } from "../support/node-bed.ts";
import { interceptingTables, type NodensOnNode, startNodensOnNode } from "../support/nodens-on-node.ts";
import { describeWith } from "../support/requirements.ts";
import { until } from "../support/scripted-upstream.ts";
import { childrenOf } from "../support/process-children.ts";

const tools = ["root", "ip", "nft", "iptables-restore", "conntrack", "curl", "gcc"];
const name = "web.default.svc.cluster.local";

/** The switch takes two seconds; the rest is for a machine that is busy. */
const longestGapMs = 2500;

/** What the client saw. */
interface Seen {
  readonly started: number;
  readonly answered: number;
  readonly failed: number;
  readonly longestGapMs: number;
}

describeWith(tools, "attach.mode intercept", () => {
  let bed: NodeBed;
  let client: CompiledClient;
  let nodens: NodensOnNode;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client.remove());
  beforeEach(async () => {
    bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
    nodens = await startNodensOnNode(bed, { mode: "intercept" });
  });
  afterEach(() => bed.close());

  /** Looks up for `seconds` from the first pod, 100 times a second, five seconds' patience each. */
  function lookUp(seconds: number): Promise<Seen> {
    return runClient(["100", `${seconds}`, "250", "20"]);
  }

  async function runClient(rate: readonly string[]): Promise<Seen> {
    const [pod] = bed.pods;
    if (pod === undefined) throw new Error("the bed has no pod");
    const { stdout, stderr } = await pod.run(client.path, [bedAddress.service, "53", name, ...rate]);
    if (stdout === "") throw new Error(`the client failed: ${stderr}`);
    return JSON.parse(stdout) as Seen;
  }

  function expectNoHole({ started, answered, failed, longestGapMs: gapMs }: Seen): void {
    expect(started).toBeGreaterThan(0);
    expect({ answered, failed }).toEqual({ answered: started, failed: 0 });
    expect(gapMs).toBeLessThan(longestGapMs);
  }

  /** Lookups go on for a moment, then `happen`, and they go on. */
  async function during(seconds: number, happen: () => Promise<void> | void): Promise<Seen> {
    const happening = pause(1000).then(happen);
    const [seen] = await Promise.all([lookUp(seconds), happening]);
    return seen;
  }

  test("killed with SIGKILL, pods ask kube-dns", async () => {
    expectNoHole(await during(5, () => void nodens.process.kill("SIGKILL")));
    expect(await tables()).toEqual([]);
    expect(await straightFlows()).toBeGreaterThan(0);
  });

  test("stopped with SIGSTOP, pods ask kube-dns; continued, it intercepts again", async () => {
    const seen = await during(8, async () => {
      nodens.process.kill("SIGSTOP");
      await pause(4000);
      expect(await interceptingTables(bed)).toBe(0);
      nodens.process.kill("SIGCONT");
    });
    expectNoHole(seen);
    await until("it intercepts again", async () => (await interceptingTables(bed)) === 1);
  });

  test("killed for want of memory together with nft, as a memory cgroup does it, pods ask kube-dns", async () => {
    const seen = await during(5, async () => {
      const members = [nodens.process.pid ?? 0, ...childrenOf(nodens.process.pid ?? 0)];
      const group = memoryGroup(members);
      if (group === undefined) for (const pid of members) process.kill(pid, "SIGKILL");
      else await group.exhaust();
    });
    expectNoHole(seen);
    expect(await tables()).toEqual([]);
  });

  test("its table cannot be removed by a stranger, nor by one who flushes everything", async () => {
    const [table = ""] = await tables();
    const seen = await during(4, async () => {
      const { code, stderr } = await bed.node.run("nft", ["delete", "table", "inet", table]);
      expect(code).not.toBe(0);
      expect(stderr).toContain("Operation not permitted");
      await bed.node.run("nft", ["delete", "table", "inet", "nodens"]);
    });
    expectNoHole(seen);
    expect(await tables()).toEqual([table]);
  });

  test("with its nft process killed, pods ask kube-dns, and it makes a new table", async () => {
    const [table = ""] = await tables();
    const seen = await during(6, () => {
      for (const pid of childrenOf(nodens.process.pid ?? 0)) process.kill(pid, "SIGKILL");
    });
    expectNoHole(seen);
    await until("it intercepts again", async () => (await interceptingTables(bed)) === 1);
    // Of its own, so it cannot be mixed up with the old one, whose name it has.
    expect(await tables()).toEqual([table]);
    expect(nodens.output()).toContain("nft has ended");
    await until("the metric tells", async () => (await nodens.metric("nodens_setup_errors_total", '"nft"')) === 1);
  });

  test("ended and started again, as without a surge, no lookup waits", async () => {
    const seen = await during(7, async () => {
      expect(await nodens.stop()).toBe(0);
      expect(await tables()).toEqual([]);
      nodens = await startNodensOnNode(bed, { mode: "intercept" });
    });
    expectNoHole(seen);
    expect(seen.longestGapMs).toBeLessThan(1000);
  });

  test("ended by a second SIGTERM at once, pods ask kube-dns", async () => {
    const seen = await during(4, () => {
      nodens.process.kill("SIGTERM");
      nodens.process.kill("SIGTERM");
    });
    expectNoHole(seen);
  });

  describe("with rules of others", () => {
    test.each([
      [
        "that leave the Service untracked, as NodeLocal DNSCache does, in front",
        "raw - 20",
        "ip daddr 10.96.0.10 notrack",
      ],
      ["that accept DNS in front", "raw - 20", "udp dport 53 accept"],
      ["that leave the Service untracked, behind", "raw + 1", "ip daddr 10.96.0.10 notrack"],
    ])("%s, it goes on intercepting", async (_, priority, rule) => {
      const seen = await during(4, () => addForeign(`type filter hook prerouting priority ${priority}`, rule));
      expectNoHole(seen);
      expect(await interceptingTables(bed)).toBe(1);
    });

    test("that give packets a conntrack zone in front, it goes on intercepting and says that they are tracked", async () => {
      await nodens.stop();
      await addForeign("type filter hook prerouting priority raw - 30", 'iifname "pod1" ct zone set 1');
      nodens = await startNodensOnNode(bed, { mode: "intercept" });
      expectNoHole(await lookUp(6));
      expect(await interceptingTables(bed)).toBe(1);
      expect(nodens.output()).toMatch(/"kind":"path".*rewritten packets of pods are tracked in spite/);
    });

    test("that drop what is rewritten, pods ask kube-dns, and the log says why", async () => {
      const seen = await during(6, () => addForeign("type filter hook input priority filter", "udp dport 10053 drop"));
      expectNoHole(seen);
      expect(await interceptingTables(bed)).toBe(0);
      expect(await nodens.metric("nodens_failopen")).toBe(1);
      expect(nodens.output()).toMatch(/"kind":"path".*(?:are not answered|were lost)/);
    });

    test("that are taken away again, it intercepts again", async () => {
      await addForeign("type filter hook input priority filter", "udp dport 10053 drop");
      await until("it says that it fails open", () => nodens.output().includes("are not answered"));
      expect(await interceptingTables(bed)).toBe(0);
      await bed.node.run("nft", ["delete", "table", "inet", "foreign"]);
      await until("it intercepts again", async () => (await interceptingTables(bed)) === 1);
      expect(nodens.output()).toContain("no longer: test packets");
    });

    test("that drop only what comes from pods, it stops after its first look, and the log counts what was lost", async () => {
      await nodens.stop();
      await addForeign("type filter hook input priority filter", 'iifname "pod1" udp dport 10053 drop');
      nodens = await startNodensOnNode(bed, { mode: "intercept" });
      const seen = await lookUp(8);
      expect(seen.failed).toBe(0);
      expect(await interceptingTables(bed)).toBe(0);
      expect(nodens.output()).toMatch(/\d+ of \d+ packets of pods were lost between/);
    });
  });

  test(
    "a second nodens takes over at 1,000 lookups a second, and not one datagram is lost",
    { timeout: 60_000 },
    async () => {
      // One attempt each: a lost datagram is a failed lookup.
      const [{ started, answered, failed }] = await Promise.all([runClient(["1000", "8", "5000", "1"]), replace()]);
      expect({ started, answered, failed }).toEqual({ started: 8000, answered: 8000, failed: 0 });
      expect(await tables()).toHaveLength(1);
      expect(await straightFlows()).toBe(0);

      async function replace(): Promise<void> {
        await pause(1000);
        await startNodensOnNode(bed, { mode: "intercept" });
        await until("both intercept", async () => (await interceptingTables(bed)) === 2);
        await pause(500);
        expect(await nodens.stop()).toBe(0);
      }
    },
  );

  test("a crash loop never intercepts: the table comes only after an answer", async () => {
    await nodens.stop();
    for (let round = 0; round < 3; round += 1) {
      const doomed = await startNodensOnNode(bed, { mode: "intercept", waitUntilAttached: false });
      doomed.process.kill("SIGKILL");
      await doomed.stop();
    }
    const seen = await lookUp(1);
    expectNoHole(seen);
    expect(await tables()).toEqual([]);
  });

  async function addForeign(hook: string, rule: string): Promise<void> {
    const text = `table inet foreign { chain c { ${hook}; policy accept; ${rule}\n }\n }\n`;
    const { code, stderr } = await bed.node.run("nft", ["-f", "-"], text);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  }

  async function tables(): Promise<string[]> {
    const { stdout } = await bed.node.run("nft", ["list", "tables", "inet"]);
    return [...stdout.matchAll(/nodens_[0-9a-f]+/g)].map(([table]) => table);
  }

  /** Entries for questions of pods to the Service: they went to kube-dns. */
  async function straightFlows(): Promise<number> {
    const { stdout } = await bed.node.run("conntrack", ["-L"]);
    return stdout.split("\n").filter((line) => line.includes("src=10.244.") && line.includes("dport=53")).length;
  }
});

describeWith(tools, "attach.mode link-local", () => {
  test("killed with SIGKILL the address refuses at once, and a new nodens adopts address and rules", async () => {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
    onTestFinished(() => bed.close());
    // A node tracks connections long before nodens comes.
    await bed.pods[0]?.run("dig", ["+tries=1", `@${bedAddress.service}`, name]);
    const first = await startNodensOnNode(bed, { mode: "link-local" });
    const rules = await listing();
    first.process.kill("SIGKILL");
    await first.stop();
    const refused = await bed.pods[0]?.run("dig", ["+tries=1", "+time=5", `@${bedAddress.own}`, name]);
    expect(refused?.stdout).toContain("connection refused");
    expect(await listing()).toBe(rules);
    await startNodensOnNode(bed, { mode: "link-local" });
    expect(await listing()).toBe(rules);
    const { stdout } = await bed.node.run("ip", ["-4", "-oneline", "address", "show", "dev", "lo"]);
    expect(stdout.match(/169\.254\.20\.10/g)).toHaveLength(1);

    async function listing(): Promise<string> {
      return (await bed.node.run("nft", ["list", "table", "inet", "nodens"])).stdout;
    }
  });

  test("`nodens detach` removes address and table, and nothing else", async () => {
    const bed = await createNodeBed({ proxy: "nftables", podCount: 1 });
    onTestFinished(() => bed.close());
    const nodens = await startNodensOnNode(bed, { mode: "link-local" });
    await nodens.stop();
    const program = new URL("../../src/nodens.mjs", import.meta.url).pathname;
    const { code, stdout } = await bed.node.run(process.execPath, [program, "detach"]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "removed nftables table inet nodens\nremoved address 169.254.20.10 on lo\n",
    });
    const { stdout: left } = await bed.node.run("nft", ["list", "tables"]);
    expect(left).toBe("table ip kube-proxy\ntable ip6 kube-proxy\n");
    const { stdout: addresses } = await bed.node.run("ip", ["-oneline", "address", "show", "dev", "lo"]);
    expect(addresses).toContain(bedAddress.node);
    expect(addresses).not.toContain(bedAddress.own);
  });
});

describeWith([...tools, "setpriv"], "without NET_ADMIN", () => {
  test.each(["link-local", "intercept"] as const)(
    "attach.mode %s says what is missing, and serves where it can",
    async (mode) => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
      onTestFinished(() => bed.close());
      // A user without capabilities, on a port that anybody may have.
      const nodens = await startNodensOnNode(bed, {
        mode,
        settings: { listen: { addresses: [`${bedAddress.node}:5353`] } },
        waitUntilAttached: false,
        without: ["net_admin"],
      });
      await until("it says so", () => nodens.output().includes("NET_ADMIN"));
      const { stdout } = await (bed.pods[0] as (typeof bed.pods)[0]).run("dig", [
        ...["+short", "+tries=2", "+time=3", "-p", "5353", `@${bedAddress.node}`, name],
      ]);
      expect(stdout).toBe("10.96.0.7\n");
      expect(await nodens.metric("nodens_attached")).toBe(0);
      expect(await nodens.metric("nodens_setup_errors_total", '"permission"')).toBeGreaterThan(0);
    },
  );
});

/** A memory cgroup with the processes in it; undefined where this machine has none that can be written. */
function memoryGroup(members: readonly number[]): { exhaust(): Promise<void> } | undefined {
  const folder = `/sys/fs/cgroup/memory/nodens-test-${process.pid}-${members[0]}`;
  try {
    mkdirSync(folder);
    onTestFinished(() => {
      if (existsSync(folder)) rmdirSync(folder);
    });
    for (const pid of members) writeFileSync(`${folder}/cgroup.procs`, `${pid}`);
    return {
      async exhaust() {
        // What a process has before it comes in does not count: the next few pages that it touches are too many.
        writeFileSync(`${folder}/memory.limit_in_bytes`, "1M");
        await until("the kernel has killed nodens", () => !existsSync(`/proc/${members[0]}`));
      },
    };
  } catch {
    return undefined;
  }
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
