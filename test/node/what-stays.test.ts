/*
 * What stays on the node when nodens ends, who takes it over, and how it is removed; and what nodens does
 * without the capability that its place on the node takes.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { bedAddress, type BedHost, bedTools, createNodeBed } from "../support/node/node-bed.ts";
import { expectedAnswer, lookUpAt } from "../support/node/nodens-faults.ts";
import { settingsForBothFamilies, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = [...bedTools, "dig"];
const name = "web.default.svc.cluster.local";
const program = new URL("../../src/nodens.mjs", import.meta.url).pathname;

describeWith(tools, "attach.mode link-local", () => {
  test("killed with SIGKILL, kube-dns answers at the address, and a new nodens adopts address and rules", async () => {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
    onTestFinished(() => bed.close());
    // A node tracks connections long before nodens comes.
    await bed.pods[0]?.run("dig", ["+tries=1", `@${bedAddress.service}`, name]);
    const nodens = await startNodensOnNode(bed, { mode: "link-local" });
    const rules = await listing();
    nodens.process.kill("SIGKILL");
    await nodens.stop();
    // The first question is refused, which is how the kernel knows.
    const first = await bed.pods[0]?.run("dig", ["+tries=1", "+time=5", `@${bedAddress.own}`, name]);
    expect(first?.stdout).toContain("connection refused");
    const second = await bed.pods[0]?.run("dig", ["+short", "+tries=1", "+time=5", `@${bedAddress.own}`, name]);
    expect(second?.stdout).toBe("10.96.0.7\n");
    expect(await listing()).toBe(rules);
    await startNodensOnNode(bed, { mode: "link-local" });
    expect(await listing()).toBe(rules);
    const { stdout } = await bed.node.run("ip", ["-4", "-oneline", "address", "show", "dev", "lo"]);
    expect(stdout.match(/169\.254\.20\.10/g)).toHaveLength(1);

    async function listing(): Promise<string> {
      return (await bed.node.run("nft", ["--terse", "--stateless", "list", "table", "inet", "nodens"])).stdout;
    }
  });
});

/** What `nodens detach` finds after each mode: in host-ip the address is the node's, and stays. */
const detached = [
  ["link-local", ["nftables table inet nodens", "address 169.254.20.10 on lo", "address fd00:20::10 on lo"]],
  ["intercept", ["nftables table inet nodens", "address 169.254.20.10 on lo", "address fd00:20::10 on lo"]],
  ["host-ip", ["nftables table inet nodens"]],
] as const;

describeWith(tools, "`nodens detach`", () => {
  test.each(detached)(
    "after attach.mode %s removes what nodens put on the node, and nothing else, and pods are answered by the Service",
    async (mode, removed) => {
      const bed = await createNodeBed({ proxy: "nftables", podCount: 1 });
      onTestFinished(() => bed.close());
      const before = await onNode();
      const settings = settingsForBothFamilies(mode);
      const nodens = await startNodensOnNode(bed, { mode, settings });
      expect(await onNode()).not.toEqual(before);
      await nodens.stop();
      const folder = mkdtempSync(join(tmpdir(), "nodens-detach-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const settingsFile = join(folder, "nodens.yaml");
      writeFileSync(settingsFile, JSON.stringify(settings));
      const detach = () => bed.node.run(process.execPath, [program, "detach", "--config", settingsFile]);
      const lines = removed.map((what) => `removed ${what}\n`).join("");
      expect(await detach()).toEqual({ code: 0, stdout: lines, stderr: "" });
      expect(await onNode()).toEqual(before);
      expect((await detach()).code).toBe(0);
      for (const service of [bedAddress.service, bedAddress.service6]) {
        expect(await lookUpAt(bed.pods[0] as BedHost, service)).toBe(expectedAnswer);
      }

      async function onNode(): Promise<string[]> {
        const tables = await bed.node.run("nft", ["list", "tables"]);
        const addresses = await bed.node.run("ip", ["-oneline", "address", "show", "dev", "lo"]);
        return [tables.stdout, addresses.stdout];
      }
    },
  );
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
