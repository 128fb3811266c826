/*
 * How pods reach nodens on a node, in every mode and beside both of kube-proxy's: who answers, from which address, and what the
 * node's connection tracking has to remember.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { bedAddress, bedTools, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { type AttachMode, type NodensOnNode, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { lookUpInPod, writeResolvConf } from "../support/node/pod-lookups.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = [...bedTools, "dig", "unshare", "mount", "gcc", "musl-gcc"];
const web = "web.default.svc.cluster.local";

interface Row {
  readonly mode: AttachMode;
  readonly proxy: "iptables" | "nftables";
  readonly notrack?: boolean;
  /** Capabilities that nodens must do without. */
  readonly without?: readonly string[];
  /** Instead of addresses of our own on lo. */
  readonly addresses?: readonly string[];
  /** The addresses that pods ask. */
  readonly asked: readonly string[];
}

const rows: readonly Row[] = [
  { mode: "host-ip", proxy: "iptables", asked: [bedAddress.node] },
  { mode: "host-ip", proxy: "nftables", without: ["net_admin"], asked: [bedAddress.node] },
  { mode: "link-local", proxy: "iptables", asked: [bedAddress.own, bedAddress.own6] },
  { mode: "link-local", proxy: "nftables", addresses: [bedAddress.node], asked: [bedAddress.node] },
  ...(["iptables", "nftables"] as const).map((proxy): Row => ({
    mode: "intercept",
    proxy,
    asked: [bedAddress.service, bedAddress.service6, bedAddress.own, bedAddress.own6],
  })),
  {
    mode: "intercept",
    proxy: "iptables",
    notrack: false,
    asked: [bedAddress.service, bedAddress.service6, bedAddress.own],
  },
];

const ownAddresses = [bedAddress.own, bedAddress.own6];

for (const { mode, proxy, notrack = true, without = [], addresses = ownAddresses, asked } of rows) {
  const name = [
    `attach.mode ${mode}`,
    ...(notrack ? [] : ["attach.notrack false"]),
    ...without.map((capability) => `without ${capability}`),
    ...(addresses === ownAddresses ? [] : [`attach.addresses ${addresses.join(", ")}`]),
    `kube-proxy with ${proxy}`,
  ].join(", ");
  describeWith(tools, name, () => {
    let bed: NodeBed;
    let nodens: NodensOnNode;
    const clients: CompiledClient[] = [];

    beforeAll(async () => {
      bed = await createNodeBed({ proxy, podCount: 2 });
      nodens = await startNodensOnNode(bed, {
        mode,
        without,
        settings: {
          attach: { mode, notrack, addresses },
          upstream: { servers: [bedAddress.service, bedAddress.service6] },
        },
      });
      clients.push(await compileClient("getaddrinfo", "gcc"), await compileClient("getaddrinfo", "musl-gcc"));
    });
    afterAll(async () => {
      for (const client of clients) client.remove();
      await nodens?.stop();
      await bed?.close();
    });

    describe.each(asked)("a pod that asks %s", (address) => {
      test.each(["+notcp", "+tcp"])(
        "gets its reply from there (dig %s), and it comes from nodens",
        async (transport) => {
          const before = await answeredToPods();
          const { stdout } = await pod(0).run("dig", [transport, "+tries=1", "+time=3", `@${address}`, web]);
          expect(stdout).toMatch(/IN\s+A\s+10\.96\.0\.7\n/);
          expect(stdout).toContain(`SERVER: ${address}#53`);
          // The page of metrics is up to 100 ms old.
          await until("nodens counts it", async () => (await answeredToPods()) > before);
        },
      );

      test.each([
        ["glibc", 0],
        ["musl", 1],
      ])("resolves with getaddrinfo of %s", async (_, index) => {
        const resolvConf = writeResolvConf(address);
        try {
          const found = await lookUpInPod(pod(index), client(index), resolvConf, ["web", "www.example.com", "absent"]);
          expect(found.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
            "ok 10.96.0.7",
            expect.stringMatching(/^ok /),
            "error EAI_NONAME",
          ]);
        } finally {
          resolvConf.remove();
        }
      });
    });

    if (mode === "intercept") {
      test("a pod that asks the port for intercepted packets itself gets nothing: it is closed", async () => {
        const { stdout } = await pod(0).run("dig", ["+tries=1", "+time=1", "-p", "10053", `@${bedAddress.own}`, web]);
        expect(stdout).toContain("no servers could be reached");
      });

      test("the node's own processes are not intercepted: they ask kube-dns", async () => {
        const before = await answeredToPods();
        const { stdout } = await bed.node.run("dig", ["+short", "+tries=1", "+time=3", `@${bedAddress.service}`, web]);
        expect(stdout).toBe("10.96.0.7\n");
        await pod(0).run("dig", ["+short", "+tries=1", `@${bedAddress.service}`, web]);
        await until("nodens counts that of the pod", async () => (await answeredToPods()) > before);
        expect(await answeredToPods()).toBe(before + 1);
      });
    }

    if (without.length === 0 && notrack) {
      test("no conntrack entry is made for what pods and nodens say to each other", async () => {
        for (const address of asked) {
          for (const transport of ["+notcp", "+tcp"]) {
            await pod(0).run("dig", [transport, "+tries=1", "+time=3", `@${address}`, web]);
          }
        }
        expect(await trackedFlowsOfPods()).toEqual([]);
      });
    } else {
      test(`what pods ask is tracked (${notrack ? "nodens may not keep it out" : "as wanted"}), but nothing of it is translated`, async () => {
        const { stdout: before } = await pod(0).run("dig", ["+tries=1", "+time=3", `@${asked[0]}`, web]);
        expect(before).toContain("NOERROR");
        const flows = await trackedFlowsOfPods();
        expect(flows.length).toBeGreaterThan(0);
        for (const flow of flows) expect(flow).not.toMatch(/src=10\.245\./);
      });
    }

    test("what nodens asks itself, on the way of pods' queries too, is counted as nobody's: pods ask for addresses only", async () => {
      expect(await requests(/type="(?!(?:A|AAAA)")/)).toBe(0);
    });

    test("says that all is in place", async () => {
      expect(await nodens.metric("nodens_attached")).toBe(1);
      expect(await nodens.metric("nodens_failopen")).toBe(0);
      expect(nodens.output()).not.toMatch(/"level":"(?:warn|error)"/);
    });

    function pod(index: number) {
      const found = bed.pods[index];
      if (found === undefined) throw new Error(`there is no pod ${index}`);
      return found;
    }

    function client(index: number): string {
      return clients[index]?.path ?? "";
    }

    function answeredToPods(): Promise<number> {
      return requests(/type="(?:A|AAAA)"/);
    }

    async function requests(ofType: RegExp): Promise<number> {
      const { stdout } = await bed.node.run("curl", ["-sf", "http://127.0.0.1:9253/metrics"]);
      return stdout
        .split("\n")
        .filter((line) => line.startsWith("coredns_dns_requests_total") && ofType.test(line))
        .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    }

    async function trackedFlowsOfPods(): Promise<string[]> {
      const lists = await Promise.all(
        ["ipv4", "ipv6"].map((family) => bed.node.run("conntrack", ["-L", "-f", family])),
      );
      const podAddresses = bed.pods.flatMap(({ address, address6 }) => [`src=${address} `, `src=${address6} `]);
      return lists
        .flatMap(({ stdout }) => stdout.split("\n"))
        .filter((line) => podAddresses.some((source) => line.includes(source)));
    }
  });
}
