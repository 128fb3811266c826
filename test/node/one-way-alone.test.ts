/*
 * Each address and family stands for itself: what is wrong with one leaves the others as they are. And what the node's firewall forbids
 * nodens to say is told.
 */
import { expect, onTestFinished, test } from "vitest";
import { type BedHost, bedAddress, createNodeBed } from "../support/node/node-bed.ts";
import { startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = ["CI=true", "root", "ip", "nft", "iptables-restore", "conntrack", "curl", "dig"];
const name = "web.default.svc.cluster.local";
const bothFamilies = {
  attach: { mode: "intercept", addresses: [bedAddress.own, bedAddress.own6] },
  upstream: { servers: [bedAddress.service, bedAddress.service6] },
};

async function createBed() {
  const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
  onTestFinished(() => bed.close());
  const [pod] = bed.pods as [BedHost];
  const ask = async (server: string) =>
    (await pod.run("dig", ["+short", "+tries=1", "+time=2", `@${server}`, name])).stdout;
  return { bed, ask };
}

describeWith(tools, "attach.mode intercept", () => {
  test("beside a DNS server on port 53 of every IPv4 address, it intercepts, and says what it has not", async () => {
    const { bed, ask } = await createBed();
    const bind = "require('node:dgram').createSocket('udp4').bind(53, '0.0.0.0')";
    bed.node.start(process.execPath, ["-e", bind]);
    await until("port 53 is taken", async () =>
      (await bed.node.run("ss", ["-lun", "sport = :53"])).stdout.includes(":53"),
    );
    const nodens = await startNodensOnNode(bed, { mode: "intercept", settings: bothFamilies });
    expect(await ask(bedAddress.service)).toBe("10.96.0.7\n");
    expect(await ask(bedAddress.service6)).toBe("10.96.0.7\n");
    expect(await nodens.metric("nodens_intercepted_addresses")).toBe(2);
    expect(await nodens.metric("nodens_attached")).toBe(1);
    expect(nodens.output()).toMatch(/"kind":"listen".*169\.254\.20\.10:53/);
  });

  test("on a node without IPv6 it is ready and intercepts IPv4", async () => {
    const { bed, ask } = await createBed();
    await bed.node.run("sysctl", ["-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.lo.disable_ipv6=1"]);
    const nodens = await startNodensOnNode(bed, { mode: "intercept", settings: bothFamilies });
    expect(await ask(bedAddress.service)).toBe("10.96.0.7\n");
    expect(await nodens.metric("nodens_intercepted_addresses")).toBe(1);
    expect(await nodens.metric("nodens_attached")).toBe(1);
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

describeWith(tools, "attach.mode link-local", () => {
  test("a firewall that forbids untracked replies is told in log and metric", async () => {
    const { bed, ask } = await createBed();
    // A node tracks connections long before nodens comes.
    await ask(bedAddress.service);
    const nodens = await startNodensOnNode(bed, { mode: "link-local" });
    const rule = 'oifname "pod1" ct state != established drop';
    const text = `table inet foreign { chain c { type filter hook output priority filter; ${rule}\n }\n }\n`;
    await bed.node.run("nft", ["-f", "-"], text);
    expect(await ask(bedAddress.own)).not.toContain("10.96.0.7");
    await until("it says so", () => nodens.output().includes("the kernel refuses to send replies"), 7000);
    expect(await nodens.metric("nodens_unsent_replies_total", '"forbidden"')).toBeGreaterThan(0);
  });
});
