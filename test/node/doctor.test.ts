/*
 * `nodens doctor` on a node without a nodens: real pods, kube-dns, kube-proxy's rules and connection tracking, and troubles planted one at a time.
 */
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import type { Finding } from "../../src/doctor/finding.ts";
import {
  bedAddress,
  type BedHost,
  bedTools,
  createNodeBed,
  type NodeBed,
  type NodeBedOptions,
} from "../support/node/node-bed.ts";
import { nodeLocalRules } from "../support/node/node-local-rules.ts";
import { lookUpInPod, writeResolvConf } from "../support/node/pod-lookups.ts";
import { compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const tools = [...bedTools, "unshare", "mount", "gcc", "musl-gcc", "setpriv"];
const timeout = 120_000;

/** With its final dot: one lookup, A and AAAA. */
const name = "web.default.svc.cluster.local.";
const program = join(projectFolder, "src", "nodens.mjs");

async function bedWith(options: Partial<NodeBedOptions> = {}): Promise<NodeBed> {
  const bed = await createNodeBed({ proxy: "iptables", podCount: 2, ...options });
  onTestFinished(() => bed.close());
  return bed;
}

/** Without the DNS servers of other tests, which run on the same machine. */
const alone = ["unshare", "--pid", "--fork", "--mount-proc"] as const;

/** The findings of the doctor in the node's network namespace, about a name that kube-dns of the bed has. */
async function doctorOn(
  bed: NodeBed,
  flags: readonly string[],
  startedBy: readonly string[] = alone,
): Promise<Finding[]> {
  const doctor = [program, "doctor", "--json", "--name", name, ...flags];
  const [first = "", ...rest] = [...startedBy, process.execPath, ...doctor];
  const { code, stdout, stderr } = await bed.node.run(first, rest);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Finding[];
}

/** Loads rules of nft. */
async function load({ run }: BedHost, rules: string): Promise<void> {
  expect(await run("nft", ["-f", "-"], rules)).toMatchObject({ code: 0, stderr: "" });
}

/** What looks the name up in a pod with musl, which asks again after 2.5 s. */
async function createLookUp(): Promise<(pod: BedHost, times?: number) => Promise<unknown>> {
  const client = await compileClient("getaddrinfo", "musl-gcc");
  const resolvConf = writeResolvConf(bedAddress.service);
  onTestFinished(() => {
    client.remove();
    resolvConf.remove();
  });
  return (pod, times = 1) =>
    lookUpInPod(
      pod,
      client.path,
      resolvConf,
      Array.from({ length: times }, () => name),
    );
}

const of = (findings: readonly Finding[], check: string) => findings.filter((finding) => finding.check === check);

describeWith(tools, "nodens doctor", () => {
  describeWith(tools, "--watch, while one of two pods loses replies", () => {
    const places = [
      {
        where: "on the node",
        host: (bed: NodeBed) => bed.node,
        rules: (pod: BedHost) => dropFirst("forward", `ip daddr ${pod.address} udp sport 53`),
        why: /^no reply had come back/,
      },
      {
        where: "in the pod's own namespace",
        host: (bed: NodeBed) => bed.pods[0] as BedHost,
        rules: () => dropFirst("input", "udp sport 53"),
        why: /^a reply had passed the node's link to the pod/,
      },
    ];

    test.each(places)("$where: names that pod, how long, and where", { timeout }, async ({ host, rules, why }) => {
      const bed = await bedWith();
      const [waiting, well] = bed.pods as [BedHost, BedHost];
      await load(host(bed), rules(waiting));
      const lookUp = await createLookUp();
      const watching = doctorOn(bed, ["--watch", "15s", "--server", bedAddress.service]);
      // The program takes a moment to begin.
      await untilWatched(bed);
      await Promise.all([lookUp(waiting), lookUp(well, 5)]);
      const findings = await watching;
      const waits = of(findings, "wire-waits");
      expect(waits.map(({ state, found, why: said }) => ({ state, found, said }))).toEqual([
        {
          state: "bad",
          found: expect.stringMatching(
            new RegExp(
              `^${waiting.address} asked again .*, after 2\\.[4-9] s for web\\.default\\.svc\\.cluster\\.local A`,
            ),
          ) as string,
          said: expect.stringMatching(why) as string,
        },
      ]);
      expect(JSON.stringify(findings)).not.toContain(well.address);
      expect(of(findings, "wire")).toMatchObject([
        {
          state: "ok",
          found: expect.stringMatching(/^2 pods asked 1[2-9] questions in \d+ s over \d+ entries/) as string,
        },
      ]);
      expect(of(findings, "wire-copies")).toEqual([]);
    });
  });

  test("--watch without NET_RAW says that it is missing, and goes on with the rest", { timeout }, async () => {
    const bed = await bedWith({ podCount: 1 });
    const without = [...alone, "setpriv", "--bounding-set", "-net_raw"];
    const findings = await doctorOn(bed, ["--watch", "1s", "--server", bedAddress.service], without);
    expect(of(findings, "wire")).toMatchObject([
      { state: "unknown", found: expect.stringContaining("NET_RAW is missing") as string },
    ]);
    expect(of(findings, "server-udp")).toMatchObject([
      { found: expect.stringContaining("20 of 20 answered") as string },
    ]);
  });

  test.each(["iptables", "nftables"] as const)(
    "finds kube-dns by kube-proxy's %s, asks it, and finds nothing wrong",
    { timeout },
    async (proxy) => {
      const bed = await bedWith({ proxy, podCount: 1 });
      await (
        await createLookUp()
      )(bed.pods[0] as BedHost);
      const findings = await doctorOn(bed, ["--watch", "1s"]);
      expect(of(findings, "server-denial").map(({ found }) => found.split(" ")[0])).toContain(
        `${bedAddress.service}:53`,
      );
      expect(of(findings, "kube-proxy")).toMatchObject([
        { state: "ok", found: expect.stringMatching(new RegExp(`^mode ${proxy}: attach.mode intercept`)) as string },
      ]);
      expect(of(findings, "ports").map(({ found }) => found)).toContainEqual(
        expect.stringMatching(new RegExp(`^\\d+ entries to ${bedAddress.service}:53`)),
      );
      expect(findings.filter(({ state, check }) => state === "bad" && !check.startsWith("server"))).toEqual([]);
    },
  );

  test("finds what NodeLocal DNSCache left, and whose rules redirect", { timeout }, async () => {
    const bed = await bedWith({ podCount: 1 });
    const { node } = bed;
    const rules = nodeLocalRules("-A", [bedAddress.own]);
    expect(await node.run("iptables-restore", ["--noflush"], rules)).toMatchObject({ code: 0 });
    await load(
      node,
      "table inet mesh { chain c { type nat hook prerouting priority -150; udp dport 53 redirect to :15053; }; }\n",
    );
    const findings = await doctorOn(bed, ["--watch", "1s", "--server", bedAddress.service]);
    expect(of(findings, "node-local-dns")).toMatchObject([
      { state: "bad", found: expect.stringContaining(`nobody listens on port 53 of ${bedAddress.own}`) as string },
    ]);
    expect(of(findings, "other-rules")).toMatchObject([
      { state: "warn", found: expect.stringContaining("table inet mesh redirects packets for port 53") as string },
    ]);
  });

  test("--netns looks up from a pod's own namespace, and tells a pod that has no DNS", { timeout }, async () => {
    const bed = await bedWith();
    const [pod, cutOff] = bed.pods as [BedHost, BedHost];
    await load(cutOff, "table ip deny { chain c { type filter hook output priority 0; udp dport 53 drop; }; }\n");
    const resolvConf = writeResolvConf(bedAddress.service);
    onTestFinished(() => resolvConf.remove());
    const script = 'mount --bind "$0" /etc/resolv.conf && echo begun && exec sleep 60';
    const stateFrom = async ({ start }: BedHost) => {
      const program = start("unshare", ["--mount", "sh", "-c", script, resolvConf.path]);
      await once(program.stdout as Readable, "data");
      const findings = await doctorOn(bed, ["--netns", String(program.pid), "--watch", "1s"], []);
      return of(findings, "from-pod").map(({ state }) => state);
    };
    expect([await stateFrom(pod), await stateFrom(cutOff)]).toEqual([["ok"], ["bad"]]);
  });

  test("--npd is one line and a code, as node-problem-detector wants them", { timeout }, async () => {
    const bed = await bedWith({ podCount: 1 });
    const [first, ...rest] = alone;
    const plugin = ({ run }: BedHost, server: string) =>
      run(first, [...rest, process.execPath, program, "doctor", "--npd", "--name", name, "--server", server]);
    const silent = await plugin(bed.node, `${bedAddress.node}:1`);
    expect(silent).toMatchObject({ code: 1, stderr: "" });
    expect(silent.stdout).toMatch(/^server-udp: [ -~]{1,68}\n$/);
    const well = await plugin(bed.node, bedAddress.service);
    expect([well.code, well.stdout]).toEqual([0, "DNS works on this node\n"]);
  });
});

/** Drops the first two packets that match: the replies for A and AAAA. */
function dropFirst(hook: string, match: string): string {
  return `table ip lose { chain c { type filter hook ${hook} priority 10; ${match} quota until 260 bytes drop; }; }\n`;
}

/** Waits until somebody has a packet socket in the node's network namespace. */
async function untilWatched(bed: NodeBed): Promise<void> {
  await expect
    .poll(async () => (await bed.node.run("cat", ["/proc/net/packet"])).stdout.trim().split("\n").length, {
      timeout: 30_000,
    })
    .toBeGreaterThan(1);
}
