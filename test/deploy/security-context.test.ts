/*
 * Whether node can do its work as the manifests lock it up. A container runtime applies capabilities to a container's process as
 * capsh does here: it empties the bounding set down to what is added, gives the process what is added as permitted, changes the
 * user, forbids new privileges, and executes the program.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { renderers, runTool } from "../support/manifests/manifests-tools.ts";
import { variants } from "../support/manifests/manifests-variants.ts";
import { containerOf, type SecurityContext } from "../support/manifests/manifests.ts";
import { describeWith, findCommand } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

describeWith(["root", "capsh", "setcap", "unshare", "nft", "ip", ...renderers], "a locked up node", () => {
  let folder = "";
  let node = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "nodens-capabilities-"));
    chmodSync(folder, 0o755);
    node = join(folder, "node");
    copyFileSync(join(projectFolder, "node_modules/node/bin/node"), node);
    chmodSync(node, 0o755);
    // As the image has it.
    runTool("setcap", ["cap_net_bind_service=+ep", node]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(variants)(
    "$name: starts, opens port 53, and changes the network only where its mode does",
    ({ kustomize, isNetworkAdmin }) => {
      const context = containerOf(kustomize()).securityContext;
      expect(execute(context)).toEqual({
        uid: context.runAsUser,
        noNewPrivileges: true,
        effective: maskOf(context.capabilities.add),
        udp: "open",
        tcp: "open",
        nft: isNetworkAdmin ? "done" : "refused",
      });
    },
  );

  test("does not start where NET_BIND_SERVICE is not added, not even to open no port", () => {
    expect(run(contextOf(), node, ["-e", ""]).stderr).toMatch(/execve .* failed/);
  });

  test("may not open port 53 when a shell is started before it", () => {
    const { stdout } = run(contextOf("NET_BIND_SERVICE"), "/bin/sh", ["-c", `exec ${node} -e '${script}'`]);
    expect(JSON.parse(stdout)).toMatchObject({ udp: "EACCES", tcp: "EACCES", effective: 0 });
  });

  function execute(context: SecurityContext): unknown {
    const { stdout, stderr } = run(context, node, ["-e", script]);
    return stdout === "" ? stderr : (JSON.parse(stdout) as unknown);
  }
});

/** What the process can do, as JSON: in a network of its own, where loopback is up. */
const script = `
const { readFileSync } = require("node:fs");
const { spawnSync } = require("node:child_process");
const status = readFileSync("/proc/self/status", "utf8");
const field = (name) => Number("0x" + status.match(new RegExp(name + ":\\\\s*(\\\\S+)"))[1]);
const udp = new Promise((resolve) => {
  const socket = require("node:dgram").createSocket("udp4");
  socket.on("error", ({ code }) => resolve(code)).bind(53, "127.0.0.1", () => { socket.close(); resolve("open"); });
});
const tcp = new Promise((resolve) => {
  const server = require("node:net").createServer();
  server.on("error", ({ code }) => resolve(code)).listen(53, "127.0.0.1", () => { server.close(); resolve("open"); });
});
const nft = spawnSync("nft", ["add table ip nodens_test"]).status === 0 ? "done" : "refused";
Promise.all([udp, tcp]).then(([udp, tcp]) => console.log(JSON.stringify({
  uid: process.getuid(), noNewPrivileges: field("NoNewPrivs") === 1, effective: field("CapEff"), udp, tcp, nft,
})));
`.replaceAll("'", '"');

const numbers: Readonly<Record<string, number>> = { NET_BIND_SERVICE: 10, NET_ADMIN: 12, NET_RAW: 13 };

function maskOf(capabilities: readonly string[]): number {
  return capabilities.reduce((mask, name) => mask + 2 ** (numbers[name] ?? Number.NaN), 0);
}

function contextOf(...add: string[]): SecurityContext {
  const user = { runAsUser: 65_532, runAsGroup: 65_532, runAsNonRoot: true };
  return {
    ...user,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"], add },
  };
}

/** Runs a program as a container's first process, with the capabilities that the context adds and no others. */
function run(context: SecurityContext, program: string, args: readonly string[]): { stdout: string; stderr: string } {
  const added = context.capabilities.add.map((name) => `cap_${name.toLowerCase()}`);
  const dropped = allCapabilities().filter((name) => !added.includes(name));
  const capsh = [
    "capsh",
    `--drop=${dropped.join()}`,
    "--keep=1",
    `--gid=${context.runAsGroup}`,
    "--groups=",
    `--uid=${context.runAsUser}`,
    `--caps=${added.join()}${added.length === 0 ? "=" : "=ep"}`,
    "--no-new-privs",
    `--shell=${program}`,
    "--",
  ];
  const upAndRun = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", ...capsh, ...args];
  return spawnSync(findCommand("unshare") ?? "", ["--net", ...upAndRun], { encoding: "utf8" });
}

/** As capsh names them: the running kernel's. */
function allCapabilities(): string[] {
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
  const mask = (2n ** BigInt(last + 1) - 1n).toString(16);
  const [, names = ""] = runTool("capsh", [`--decode=${mask}`]).split("=");
  return names.trim().split(",");
}
