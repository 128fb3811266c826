/*
 * Our tables are read by other people's nft: kube-proxy in nftables mode reads every table of the node at each sync, with the nft
 * of its own image, and so does whoever types `nft list tables`. What one release makes, the other must list.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InterceptTarget, interceptTableText, sourcesText } from "../../src/attach/intercept-table.ts";
import type { Tracking } from "../../src/attach/pod-switches.ts";
import { ownAddressTableText } from "../../src/attach/own-address-table.ts";
import { fullOwnAddressOptions } from "../support/node/own-address-options.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const run = promisify(execFile);
const downloadTimeoutMs = 300_000;

/** The nft of Debian's releases: the first is that of many nodes and of kube-proxy's images, the second that of our image. */
const versions = { bookworm: "1.0.6", trixie: "1.1.3" } as const;
const releases = ["bookworm", "trixie"] as const;
const pairs = releases.flatMap((maker) => releases.map((reader) => [maker, reader] as const));

const targets: readonly InterceptTarget[] = [
  { virtualAddress: "10.96.0.10", host: "169.254.20.10", port: 10_053, probePort: 10_052 },
  { virtualAddress: "fd96::a", host: "fd00:20::10", port: 10_053, probePort: 10_052 },
];

describeWith(["CI=true", "root", "apt-get", "dpkg-deb", "unshare"], "tables of nodens", () => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nodens-nft-"));
    const script = join(projectFolder, "scripts", "fetch-debian-program.sh");
    for (const release of releases) await run(script, [folder, release, "nftables", "usr/sbin/nft"]);
  }, downloadTimeoutMs);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const nft = (release: string) => join(folder, release, "nft");

  /** Runs a shell script with `input` in a network namespace of its own, and then lists all that is there with `reader`. */
  async function listedAfter(script: string, input: string, reader: string): Promise<string> {
    const list = ["tables", "sets", "ruleset"].map((what) => `${nft(reader)} list ${what}`).join("\n");
    const running = run("unshare", ["--net", "bash", "-ec", `trap 'exec 3>&-; wait' EXIT\n${script}\n${list}`]);
    running.child.stdin?.end(input);
    return (await running).stdout;
  }

  test.each(releases)("nft of %s is the version that these tests are about", async (release) => {
    const { stdout } = await run(nft(release), ["--version"]);
    expect(stdout).toContain(`nftables v${versions[release]} `);
  });

  test("in the form that is harmful, with `type` in place of `typeof`, crash an nft that is older than what made them", async () => {
    const set = (declaration: string) => `table inet nodens { set pods4 { ${declaration}; flags dynamic; }; }\n`;
    const list = (declaration: string, reader: string) =>
      listedAfter(`${nft("trixie")} -f -`, set(declaration), reader);
    await expect(list("type ipv4_addr", "bookworm")).rejects.toMatchObject({ code: 128 + constants.signals.SIGSEGV });
    expect(await list("type ipv4_addr", "trixie")).toContain("set pods4");
    expect(await list("typeof ip saddr", "bookworm")).toContain("set pods4");
  });

  test.each(pairs)("the interception: made by nft of %s, listed by nft of %s", async (maker, reader) => {
    const allowed = ["10.0.0.0", "fd00::"].map((address) => ({ address, prefixLength: 8 }));
    const text = (tracking: Tracking) =>
      interceptTableText({ table: `nodens_${tracking}`, targets, tracking, countsTracked: true });
    const pods = ["few4", "known4", "waiting4", "tracked4", "fallen4"];
    // An interactive nft owns what it makes, so it has to run while the other one reads.
    const lines = [
      text("never"),
      text("always"),
      text("auto"),
      sourcesText("nodens_auto", { allowed, excepted: [] }),
      "add element inet nodens_auto alive4 { 10.96.0.10 }; add element inet nodens_auto alive6 { fd96::a }",
      ...pods.map((set) => `add element inet nodens_auto ${set} { 10.244.1.10 }`),
      // As packets leave it, with a counter of its own.
      "add element inet nodens_auto left4 { 10.244.1.10 counter packets 3 bytes 180 }",
      "add table inet whole",
    ];
    const script = `
      exec 3> >(exec ${nft(maker)} -i >/dev/null); cat >&3
      until ${nft(maker)} list tables | grep -q whole; do kill -0 $!; sleep 0.02; done`;
    const stdout = await listedAfter(script, `${lines.join("\n")}\n`, reader);
    for (const tracking of ["never", "always", "auto"]) expect(stdout).toContain(`table inet nodens_${tracking}`);
    expect(stdout).toContain("10.0.0.0/8");
    expect(stdout).toContain("10.244.1.10");
  });

  test.each(pairs)("the table of own addresses: made by nft of %s, listed by nft of %s", async (maker, reader) => {
    const text = ownAddressTableText(fullOwnAddressOptions);
    const stdout = await listedAfter(`${nft(maker)} -f -`, text, reader);
    expect(stdout).toContain("table inet nodens");
  });
});
