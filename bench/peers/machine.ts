/*
 * What figures depend on: the machine and the versions of everything that was measured.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpus, release, type as systemType } from "node:os";
import { corednsVersion } from "../../test/support/node/coredns-on-node.ts";
import { findCommand } from "../../test/support/program/requirements.ts";
import { projectFolder } from "../../test/support/program/run-nodens.ts";
import type { Machine } from "./results.ts";
import type { Tools } from "./tools.ts";

/** How each server tells its version, and where it stands in what it says. */
const tellers: Readonly<Record<string, readonly [command: string, args: readonly string[], pattern: RegExp]>> = {
  unbound: ["unbound", ["-V"], /Version (\S+)/],
  dnsdist: ["dnsdist", ["--version"], /dnsdist (\S+)/],
  dnsmasq: ["dnsmasq", ["--version"], /version (\S+)/],
  BIND: ["named", ["-V"], /BIND ([\d.]+)/],
};

/** Describes it. */
export function describeMachine(tools: Tools): Machine {
  const found = Object.entries(tellers).flatMap(([name, [command, args, pattern]]) => {
    const path = findCommand(command);
    if (path === undefined) return [];
    const { stdout, stderr } = spawnSync(path, args, { encoding: "utf8" });
    return [[name, pattern.exec(stdout + stderr)?.[1] ?? "unknown"]];
  });
  const coredns = tools.coredns === undefined ? [] : [["CoreDNS", corednsVersion]];
  const versions = Object.fromEntries([["Node.js", process.versions.node], ...found, ...coredns]) as Record<
    string,
    string
  >;
  const [first] = cpus();
  // "Linux 6.18.44": what follows a dash names who built it.
  const kernel = `${systemType()} ${release().split("-")[0]}`;
  return { kernel, processor: first?.model ?? "unknown", processors: cpus().length, versions };
}

/** The commit, with a word where the working tree differs. */
export function describeRevision(): string {
  const git = (...args: readonly string[]) =>
    execFileSync("git", args, { cwd: projectFolder, encoding: "utf8" }).trim();
  const isChanged = git("status", "--porcelain", "--", "src", "package-lock.json") !== "";
  return `${git("rev-parse", "--short", "HEAD")}${isChanged ? ", changed" : ""}`;
}
