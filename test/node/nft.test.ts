/*
 * What nodens says to nft, said to a real one, in a network namespace that has nothing else.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import {
  type InterceptTarget,
  interceptTableText,
  sourcesText,
  withdrawText,
} from "../../src/attach/intercept-table.ts";
import { ownAddressTableText } from "../../src/attach/own-address-table.ts";
import { fullOwnAddressOptions } from "../support/node/own-address-options.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const run = promisify(execFile);

const four: InterceptTarget = { virtualAddress: "10.96.0.10", host: "169.254.20.10", port: 10_053, probePort: 10_052 };
const second: InterceptTarget = { ...four, virtualAddress: "10.96.0.11", port: 10_054, probePort: 10_051 };
const six: InterceptTarget = { ...four, virtualAddress: "fd96::a", host: "fd00:20::10" };
const allowed = ["10.0.0.0", "fd00::"].map((address) => ({ address, prefixLength: 8 }));

describeWith(["root", "nft", "unshare"], "a real nft", () => {
  /** Runs a shell script in a namespace of its own. */
  async function inNamespace(script: string): Promise<string> {
    const { stdout } = await run("unshare", ["--net", "sh", "-ec", script]);
    return stdout;
  }

  test.each([
    ["IPv4", [four], "never"],
    ["IPv6", [six], "never"],
    ["both, and two Services", [four, second, six], "auto"],
    ["both, with tracking", [four, six], "always"],
  ] as const)("takes the table for %s, its sources and its withdrawal", async (_, targets, tracking) => {
    const sources = sourcesText("nodens_1", { allowed, excepted: [{ address: "10.9.0.9", prefixLength: 32 }] });
    // On one standard input, as the session has it: the table belongs to that nft.
    const lines = [
      interceptTableText({ table: "nodens_1", targets, tracking, countsTracked: true }),
      sources,
      sources,
      "list table inet nodens_1",
      withdrawText("nodens_1", targets),
    ];
    const stdout = await inNamespace(`nft -i <<'LINES'\n${lines.join("\n")}\nLINES\nnft list tables`);
    expect(stdout).toContain("flags owner");
    expect(stdout).toMatch(
      /elements = \{ 10\.0\.0\.0\/8 \}[^]*elements = \{ 10\.9\.0\.9 \}[^]*elements = \{ fd00::\/8 \}/,
    );
    for (const { virtualAddress } of targets) expect(stdout).toContain(`saddr set ${virtualAddress} update @alive`);
    // Gone with its process.
    expect(stdout.trimEnd().endsWith("}")).toBe(true);
  });

  test("takes the table of own addresses as often as it is put, and prints the same each time", async () => {
    const text = ownAddressTableText(fullOwnAddressOptions);
    const removal = "table inet nodens\ndelete table inet nodens\n";
    const put = `nft -f - <<'TEXT'\n${removal}${text}TEXT\nnft list ruleset\n`;
    const stdout = await inNamespace(`${put}echo again\n${put}`);
    const [first, again] = stdout.split("again\n");
    expect(first).toBe(again);
    expect(first?.match(/notrack/g)).toHaveLength(16);
  });

  test("changes what the kernel says of its rules, and packets do not; elements are told with their packets", async () => {
    const module = join(projectFolder, "src", "runtime", "netfilter.ts");
    const look = `"${process.execPath}" --input-type=module -e 'import { netfilter } from "${module}";
      console.log(JSON.stringify([netfilter.generation(), netfilter.elements("t", "s")]))'`;
    const noted = "ip daddr 127.0.0.1 udp dport 9 update @s { ip saddr . meta l4proto counter }";
    const stdout = await inNamespace(`ip link set lo up
      nft -f - <<'TEXT'
table inet t {
  set s { typeof ip saddr . meta l4proto; flags dynamic,timeout; timeout 1m; }
  chain c { type filter hook output priority 0; ${noted}; }
}
TEXT
      ${look}
      bash -c 'for i in 1 2 3; do echo >/dev/udp/127.0.0.1/9; done'
      ${look}
      nft add rule inet t c accept
      ${look}`);
    const [before, during, after] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as [number, unknown]);
    const element = { key: "7f00000111000000", packets: 3, expiresInMs: expect.closeTo(60_000, -4) as number };
    expect(before?.[1]).toEqual([]);
    expect(during).toEqual([before?.[0], [element]]);
    expect(after).toEqual([(before?.[0] ?? 0) + 1, [element]]);
  });

  test("answers a session's commands one by one, and its tables end with it, however it ends", async () => {
    const program = join(projectFolder, "test", "support", "node", "nft-session-program.ts");
    const { stdout } = await run("unshare", ["--net", process.execPath, program]);
    const { complaints, whileOpen, deleting, after, beforeKill, onKill, afterKill } = JSON.parse(stdout) as {
      complaints: (string | null)[];
      whileOpen: string;
      deleting: string;
      after: string;
      beforeKill: string | null;
      onKill: string;
      afterKill: string;
    };
    expect(complaints).toHaveLength(50);
    for (const [index, complaint] of complaints.entries()) {
      if (index % 3 === 0) expect(complaint).toBeNull();
      if (index % 3 === 1)
        expect(complaint).toMatch(
          /^Error: Could not process rule: No such file or directory\ndelete chain inet t absent/,
        );
      if (index % 3 === 2) expect(complaint).toMatch(new RegExp(`^Error: syntax error, [^]*nonsense${index}`));
    }
    expect(whileOpen).toBe("table ip other\ntable inet t\n");
    expect(deleting).toContain("Operation not permitted");
    expect(after).toBe("table ip other\n");
    expect([beforeKill, onKill, afterKill]).toEqual([null, "nft has ended", "table ip other\n"]);
  });
});
