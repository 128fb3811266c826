import { expect, test } from "vitest";
import { readStandingPorts } from "../../../src/attach/standing-ports.ts";

const replies = `table inet nodens_0a1b2c3d {
	chain replies {
		type filter hook postrouting priority 200; policy accept;
		th sport != { 10053, 10054 } accept
		ip saddr 169.254.20.10 udp sport 10053 ip daddr 169.254.20.10 udp sport set 10052 accept
		ip saddr 169.254.20.10 udp sport 10053 udp sport set 53 ip saddr set 10.96.0.10 accept
		ip saddr 169.254.20.10 tcp sport 10053 tcp sport set 53 ip saddr set 10.96.0.10 accept
		ip6 saddr fd00:20::10 udp sport 10054 udp sport set 53 ip6 saddr set fd96::a accept
	}
}
`;

function answer(lines: Readonly<Record<string, string>>) {
  return (program: string, args: readonly string[]) => {
    const stdout = lines[[program, ...args].join(" ")];
    return Promise.resolve({ code: stdout === undefined ? 1 : 0, stdout: stdout ?? "", stderr: "" });
  };
}

test("ports are read from the tables of interceptions, and from no other", async () => {
  const run = answer({
    "nft list tables inet": "table inet nodens\ntable inet nodens_0a1b2c3d\ntable inet filter\n",
    "nft list chain inet nodens_0a1b2c3d replies": replies,
  });
  expect(await readStandingPorts(run)).toEqual([
    { virtualAddress: "10.96.0.10", port: 10_053 },
    { virtualAddress: "fd96::a", port: 10_054 },
  ]);
});

test.each([
  ["nft fails", {}],
  ["a table ends while it is read", { "nft list tables inet": "table inet nodens_0a1b2c3d\n" }],
])("there are none where %s", async (_, lines) => {
  expect(await readStandingPorts(answer(lines))).toEqual([]);
});
