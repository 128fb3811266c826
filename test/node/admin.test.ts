/*
 * What the admin server tells, and whom, where it has the node's address, as in the manifests.
 */
import { expect, onTestFinished, test } from "vitest";
import { bedAddress, type BedHost, bedTools, createNodeBed } from "../support/node/node-bed.ts";
import { startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";

describeWith(bedTools, "with the node's address as admin.address", () => {
  test(
    "pods get metrics and health, and the machine itself, on loopback, all the rest",
    { timeout: 60_000 },
    async () => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
      onTestFinished(() => bed.close());
      const [pod] = bed.pods as [BedHost];
      await startNodensOnNode(bed, { mode: "link-local", settings: { admin: { address: `${bedAddress.node}:9253` } } });
      const statusOf = async (host: BedHost, address: string, page: string) => {
        const args = [
          "-s",
          "--max-time",
          "5",
          "-o",
          "/dev/null",
          "-w",
          "%{http_code}",
          `http://${address}:9253${page}`,
        ];
        return (await host.run("curl", args)).stdout;
      };
      expect(await statusOf(pod, bedAddress.node, "/metrics")).toBe("200");
      expect(await statusOf(pod, bedAddress.node, "/readyz")).toBe("200");
      expect(await statusOf(pod, bedAddress.node, "/seen")).toBe("403");
      expect(await statusOf(bed.node, bedAddress.node, "/seen")).toBe("403");
      expect(await statusOf(bed.node, "127.0.0.1", "/seen")).toBe("200");
      expect(await statusOf(bed.node, "127.0.0.1", "/explain?name=www.example.com")).toBe("200");
    },
  );
});
