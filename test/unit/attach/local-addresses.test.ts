import { describe, expect, test } from "vitest";
import { ensureAddresses, removeAddresses } from "../../../src/attach/local-addresses.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

const own = "169.254.20.10";
const own6 = "fd00:20::10";

/** How `ip` of different versions and kernels writes down that lo has nothing but loopback. */
const listings = [
  ["iproute2 6", '[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"label":"lo"}]}]\n'],
  ["iproute2 4, with empty objects for what it left out", '[{},{"ifname":"lo","addr_info":[{},{}]},{"addr_info":[]}]'],
  ["an interface without the list of addresses", '[{"ifname":"lo"}]'],
  ["no interface", "[]\n"],
  ["a version that prints nothing for nothing", "\n"],
] as const;

describe("adding", () => {
  test.each(listings)("adds what is missing in the listing of %s", async (_, stdout) => {
    const node = createFakeNode();
    node.failures.set("ip -json", { code: 0, stdout });
    expect(await ensureAddresses([own, own6], node.run)).toEqual([]);
    expect(node.runs.slice(1)).toEqual([
      `ip address add ${own}/32 dev lo scope host label lo:nodens`,
      `ip address add ${own6}/128 dev lo scope host nodad`,
    ]);
  });

  test("goes on with the next address when one cannot be added", async () => {
    const node = createFakeNode();
    node.failures.set(`ip address add ${own}`, { code: 2, stderr: "Error: Nexthop device is not up." });
    expect(await ensureAddresses([own, own6], node.run)).toEqual([
      { kind: "address", message: `cannot add ${own} to lo: ip says: Error: Nexthop device is not up.` },
    ]);
    expect(node.addresses.some(({ local }) => local === own6)).toBe(true);
  });

  test("adds nothing when it cannot see what is there", async () => {
    const node = createFakeNode();
    node.failures.set("ip -json", { code: 255, stderr: 'Option "-json" is unknown, try "ip -help".' });
    expect(await ensureAddresses([own], node.run)).toEqual([
      { kind: "address", message: expect.stringContaining('Option "-json" is unknown') },
    ]);
    expect(node.runs).toHaveLength(1);
  });

  test.each([
    "RTNETLINK answers: File exists",
    "Error: ipv4: Address already assigned.",
    "Error: ipv6: address already assigned.",
  ])("another nodens that was faster is no problem, whatever the kernel calls it: %s", async (stderr) => {
    const node = createFakeNode();
    node.failures.set("ip address add", { code: 2, stderr });
    expect(await ensureAddresses([own], node.run)).toEqual([]);
  });

  test("NodeLocal DNSCache that came later, and has the address a second time, is a problem too", async () => {
    const node = createFakeNode();
    node.addresses.push(
      { ifname: "lo", local: own, prefixlen: 32, label: "lo:nodens" },
      { ifname: "nodelocaldns", local: own, prefixlen: 32 },
    );
    expect(await ensureAddresses([own], node.run)).toEqual([
      { kind: "address", message: expect.stringContaining("is on the interface nodelocaldns") },
    ]);
  });

  test("an address that begins like another is not that one", async () => {
    const node = createFakeNode();
    node.addresses.push({ ifname: "eth0", local: "169.254.20.100", prefixlen: 32 });
    await ensureAddresses([own], node.run);
    expect(node.addresses.some(({ local }) => local === own)).toBe(true);
  });
});

describe("removing", () => {
  test("takes IPv4 addresses by their label, and IPv6 addresses by the settings", async () => {
    const node = createFakeNode();
    node.addresses.push(
      { ifname: "lo", local: "169.254.20.77", prefixlen: 32, label: "lo:nodens" },
      { ifname: "lo", local: own, prefixlen: 32, label: "lo" },
      { ifname: "lo", local: own6, prefixlen: 128 },
      { ifname: "lo", local: "fd00:20::11", prefixlen: 128 },
    );
    const { removed, problems } = await removeAddresses([own, own6], node.run);
    expect({ removed, problems }).toEqual({ removed: ["169.254.20.77", own6], problems: [] });
    expect(node.addresses.filter(({ ifname }) => ifname === "lo").map(({ local }) => local)).toEqual([
      "127.0.0.1",
      own,
      "fd00:20::11",
    ]);
  });

  test("leaves alone an IPv6 address that has a network behind it: nodens adds none of these", async () => {
    const node = createFakeNode();
    node.addresses.push({ ifname: "lo", local: own6, prefixlen: 64 });
    expect(await removeAddresses([own6], node.run)).toEqual({ removed: [], problems: [] });
  });

  test("goes on when one cannot be removed, and says which", async () => {
    const node = createFakeNode();
    for (const local of [own, "169.254.20.11"]) {
      node.addresses.push({ ifname: "lo", local, prefixlen: 32, label: "lo:nodens" });
    }
    node.failures.set(`ip address del ${own}/`, { code: 2, stderr: "Error: ipv4: Address not found." });
    const { removed, problems } = await removeAddresses([own], node.run);
    expect(removed).toEqual(["169.254.20.11"]);
    expect(problems).toEqual([
      { kind: "address", message: `cannot remove ${own} from lo: ip says: Error: ipv4: Address not found.` },
    ]);
  });
});
