import { describe, expect, test } from "vitest";
import { detach } from "../../../src/commands/detach.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

async function run(prepare: (node: ReturnType<typeof createFakeNode>) => void) {
  const node = createFakeNode();
  prepare(node);
  let [output, errors] = ["", ""];
  const code = await detach(undefined, {
    env: {},
    run: node.run,
    write: (text) => (output += text),
    writeError: (text) => (errors += text),
  });
  return { node, code, output, errors };
}

describe("nodens detach", () => {
  test("removes the table first, then the addresses with nodens's label, whatever the settings say", async () => {
    const { node, code, output } = await run((fake) => {
      fake.untracked = "table";
      fake.addresses.push({ ifname: "lo", local: "169.254.20.99", prefixlen: 32, label: "lo:nodens" });
      fake.addresses.push({ ifname: "lo", local: "169.254.20.10", prefixlen: 32, label: "lo" });
    });
    expect({ code, output }).toEqual({
      code: 0,
      output: "removed nftables table inet nodens\nremoved address 169.254.20.99 on lo\n",
    });
    expect(node.addresses.map(({ local }) => local)).toEqual(["127.0.0.1", "10.0.0.7", "169.254.20.10"]);
    expect(node.runs.findIndex((line) => line.startsWith("nft"))).toBeLessThan(
      node.runs.findIndex((line) => line.startsWith("ip address del")),
    );
  });

  test("says so if there is nothing to remove", async () => {
    const { code, output } = await run(() => {});
    expect({ code, output }).toEqual({ code: 0, output: "there is nothing of nodens on this node\n" });
  });

  test("needs permission, and says which is missing", async () => {
    const { code, errors } = await run((node) => node.failures.set("nft", { stderr: "Operation not permitted" }));
    expect(code).toBe(77);
    expect(errors).toContain("NET_ADMIN");
  });

  test("ends with 71 if the system refuses something else", async () => {
    const { code, errors } = await run((node) => {
      node.addresses.push({ ifname: "lo", local: "169.254.20.10", prefixlen: 32, label: "lo:nodens" });
      node.failures.set("ip address del", { code: 2, stderr: "RTNETLINK answers: Cannot assign requested address" });
    });
    expect(code).toBe(71);
    expect(errors).toContain("cannot remove 169.254.20.10 from lo");
  });
});
