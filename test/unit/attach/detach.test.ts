import { describe, expect, test } from "vitest";
import { detach } from "../../../src/attach/detach.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

const own = "169.254.20.10";

/** A node as nodens leaves it. */
function leftNode() {
  const node = createFakeNode();
  node.untracked = "table inet nodens";
  node.addresses.push(
    { ifname: "lo", local: own, prefixlen: 32, label: "lo:nodens" },
    { ifname: "lo", local: "fd00:20::10", prefixlen: 128 },
  );
  return node;
}

describe("detaching", () => {
  test("takes away the table and both addresses, and nothing the second time", async () => {
    const node = leftNode();
    expect(await detach([own, "fd00:20::10"], node.run)).toEqual({
      removed: ["nftables table inet nodens", `address ${own} on lo`, "address fd00:20::10 on lo"],
      problems: [],
    });
    expect(await detach([own, "fd00:20::10"], node.run)).toEqual({ removed: [], problems: [] });
  });

  test("takes the addresses away where there is no nft, and says so", async () => {
    const node = leftNode();
    node.failures.set("nft", { code: 127, stderr: "spawn nft ENOENT" });
    const { removed, problems } = await detach([own], node.run);
    expect(removed).toEqual([`address ${own} on lo`]);
    expect(problems).toEqual([{ kind: "nft", message: expect.stringContaining("the program nft is not installed") }]);
  });

  test("takes the table away where there is no ip, and says so", async () => {
    const node = leftNode();
    node.failures.set("ip", { code: 127, stderr: "spawn ip ENOENT" });
    const { removed, problems } = await detach([own], node.run);
    expect(removed).toEqual(["nftables table inet nodens"]);
    expect(problems).toEqual([
      { kind: "address", message: expect.stringContaining("the program ip is not installed") },
    ]);
  });
});
