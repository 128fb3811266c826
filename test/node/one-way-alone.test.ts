/*
 * Each address and family stands for itself: what is wrong with one leaves the others as they are. And what the node's firewall forbids
 * nodens to say is told.
 */
import { expect, onTestFinished, test } from "vitest";
import { bedAddress, type BedHost, bedTools, createNodeBed } from "../support/node/node-bed.ts";
import { type NodensOnNode, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = [...bedTools, "dig"];
const name = "web.default.svc.cluster.local";
const bothFamilies = {
  attach: { mode: "intercept", addresses: [bedAddress.own, bedAddress.own6] },
  upstream: { servers: [bedAddress.service, bedAddress.service6] },
};

async function createBed() {
  const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
  onTestFinished(() => bed.close());
  const [pod] = bed.pods as [BedHost];
  const ask = async (server: string, transport: "udp" | "tcp" = "udp") => {
    const question = [transport === "tcp" ? "+tcp" : "+notcp", `@${server}`, name];
    return (await pod.run("dig", ["+short", "+tries=1", "+time=5", ...question])).stdout;
  };
  return { bed, ask };
}

describeWith(tools, "attach.mode intercept", () => {
  test("beside a DNS server on port 53 of every IPv4 address, it intercepts, and says what it has not", async () => {
    const { bed, ask } = await createBed();
    // It answers nobody, so that no answer is its own.
    const bind = `
      require("node:dgram").createSocket("udp4").bind(53, "0.0.0.0");
      require("node:net").createServer().listen(53, "0.0.0.0");`;
    bed.node.start(process.execPath, ["-e", bind]);
    await until("port 53 is taken over UDP and TCP", async () => {
      const listening = await Promise.all(["-lun", "-ltn"].map((kind) => bed.node.run("ss", [kind, "sport = :53"])));
      return listening.every(({ stdout }) => stdout.includes("0.0.0.0:53"));
    });
    const nodens = await startNodensOnNode(bed, { mode: "intercept", settings: bothFamilies });
    await expectAnsweredHere(nodens, ask, [bedAddress.service, bedAddress.service6]);
    expect(await nodens.metric("nodens_intercepted_addresses")).toBe(2);
    expect(nodens.isReady()).toBe(true);
    expect(await nodens.metric("nodens_attached")).toBe(1);
    expect(nodens.output()).toMatch(/"kind":"listen".*169\.254\.20\.10:53/);
  });

  test("on a node without IPv6 it is ready and intercepts IPv4", async () => {
    const { bed, ask } = await createBed();
    await bed.node.run("sysctl", ["-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.lo.disable_ipv6=1"]);
    const nodens = await startNodensOnNode(bed, { mode: "intercept", settings: bothFamilies });
    await expectAnsweredHere(nodens, ask, [bedAddress.service]);
    expect(await nodens.metric("nodens_intercepted_addresses")).toBe(1);
    expect(await nodens.metric("nodens_attached")).toBe(1);
    expect(await nodens.metric("nodens_ready")).toBe(1);
    expect(nodens.isReady()).toBe(true);
  });

  test("with a firewall against one family only that family asks kube-dns", async () => {
    const { bed, ask } = await createBed();
    const rule = "ip6 daddr fd00:20::10 udp dport 10053 drop";
    const text = `table inet foreign { chain c { type filter hook input priority filter; ${rule}\n }\n }\n`;
    await bed.node.run("nft", ["-f", "-"], text);
    const settings = { ...bothFamilies, shutdown: { drainMs: 0 } };
    const nodens = await startNodensOnNode(bed, { mode: "intercept", settings, waitUntilAttached: false });
    await until("one is intercepted", async () => (await nodens.metric("nodens_intercepted_addresses")) === 1);
    expect(await ask(bedAddress.service)).toBe("10.96.0.7\n");
    expect(await ask(bedAddress.service6)).toBe("10.96.0.7\n");
    await until("it names the other", () => nodens.output().includes("of pods' questions to fd96::a"));
  });
});

/** Over UDP and TCP the answer comes, and nodens counts the question as one that it was asked. */
async function expectAnsweredHere(
  nodens: NodensOnNode,
  ask: (server: string, transport: "udp" | "tcp") => Promise<string>,
  servers: readonly string[],
): Promise<void> {
  for (const server of servers) {
    for (const transport of ["udp", "tcp"] as const) {
      const family = server.includes(":") ? 2 : 1;
      const label = `proto="${transport}",family="${family}",type="A"`;
      const count = () => nodens.metricSum("coredns_dns_requests_total", label);
      const before = await count();
      expect(await ask(server, transport)).toBe("10.96.0.7\n");
      await until(`the question to ${server} over ${transport} is counted`, async () => (await count()) > before);
    }
  }
}

/** Rules that a node may have against two of three pods, and what they stop. */
const againstTwoPods = [
  { packets: "questions", hook: "input", rule: 'iifname { "pod1", "pod2" } th dport 53 drop' },
  { packets: "replies", hook: "output", rule: 'oifname { "pod1", "pod2" } ct state != established drop' },
  { packets: "replies", hook: "postrouting", rule: 'oifname { "pod1", "pod2" } th sport 53 drop' },
];

describeWith(tools, "a firewall that drops what pods ask or are told", () => {
  test.concurrent.for(["link-local", "host-ip"] as const)(
    "is told within seconds, over UDP and TCP, and its end too, wherever it drops: %s",
    { timeout: 180_000 },
    async (mode, { expect: expectHere, onTestFinished: onFinished }) => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 3 });
      onFinished(() => bed.close());
      const answer = "10.96.0.7\n";
      const asked = mode === "host-ip" ? bedAddress.node : bedAddress.own;
      // Of a try that took longer than a second dig tells before the answer.
      const isAnswered = async (pod: BedHost, transport = "+notcp") =>
        (await pod.run("dig", ["+short", transport, "+tries=3", "+time=1", `@${asked}`, name])).stdout.endsWith(answer);
      const [overUdp, overTcp, other] = bed.pods as [BedHost, BedHost, BedHost];
      const askAll = () => Promise.all([isAnswered(overUdp), isAnswered(overTcp, "+tcp"), isAnswered(other)]);
      // A node tracks connections long before nodens comes.
      await other.run("dig", ["+short", `@${bedAddress.service}`, name]);
      const nodens = await startNodensOnNode(bed, { mode });
      expectHere(await askAll()).toEqual([true, true, true]);
      for (const { packets, hook, rule } of againstTwoPods) {
        const chain = `chain c { type filter hook ${hook} priority filter; meta l4proto { tcp, udp } ${rule}\n }`;
        await bed.node.run("nft", ["-f", "-"], `table inet foreign { ${chain}\n }\n`);
        const blocked = () => nodens.metric("nodens_blocked_pods", `"${packets}"`);
        // What passed in the last two seconds is no longer evidence.
        const isTold = async () => {
          expectHere(await askAll()).toEqual([false, false, true]);
          return (await blocked()) === 2;
        };
        await until(`it says so of ${packets} dropped in ${hook}`, isTold, 30_000);
        const words = packets === "questions" ? "questions of some pods" : "replies to some pods";
        expectHere(nodens.output().split(`no longer: ${words}`).at(-1)).toContain(words);
        expectHere(await nodens.metric("nodens_attached")).toBe(1);
        await bed.node.run("nft", ["delete", "table", "inet", "foreign"]);
        expectHere(await askAll()).toEqual([true, true, true]);
        await until("it is over", async () => (await blocked()) === 0, 20_000);
        expectHere(nodens.output()).toContain(`no longer: ${words}`);
      }
    },
  );
});

describeWith([...tools, "setpriv"], "a firewall that forbids untracked replies", () => {
  test("is told in log and metric without NET_ADMIN too, as far as UDP goes", async () => {
    const { bed, ask } = await createBed();
    // A node tracks connections long before nodens comes.
    await ask(bedAddress.service);
    const nodens = await startNodensOnNode(bed, { mode: "host-ip", without: ["net_admin"] });
    const rule = 'oifname "pod1" udp sport 53 drop';
    const text = `table inet foreign { chain c { type filter hook output priority filter; ${rule}\n }\n }\n`;
    await bed.node.run("nft", ["-f", "-"], text);
    expect(await ask(bedAddress.node)).not.toContain("10.96.0.7");
    await until("it says so", () => nodens.output().includes("the kernel refuses to send replies"), 7000);
    expect(await nodens.metric("nodens_unsent_replies_total", '"forbidden"')).toBeGreaterThan(0);
  });
});
