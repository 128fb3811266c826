/*
 * The real program with the settings, the environment and the probes that the manifests give its container, in a network of its own.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { variantOf, type Variant } from "../support/manifests/manifests-variants.ts";
import { containerOf, dataOf, type Probe } from "../support/manifests/manifests.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const run = promisify(execFile);
const timeLimit = { timeout: 90_000 };

const tools = ["root", "unshare", "ip", "nft", "dig", "curl", ...renderers];

describeWith(tools, "on a node with kube-dns at 10.96.0.10", () => {
  test.each([
    ["host-ip", "10.1.2.3", 53],
    ["link-local", "169.254.20.10", 53],
    ["service", "10.1.2.3", 5353],
    ["cilium-local-redirect", "10.1.2.3", 5353],
  ])(
    "%s: the probes find it started, ready and alive, and pods get answers",
    timeLimit,
    async (name, address, port) => {
      const folder = ownFolder();
      const { startupProbe, readinessProbe, livenessProbe } = containerOf(variantOf(name).kustomize());
      const stdout = await onOwnNode(variantOf(name), folder, "kube-dns", [
        ...[startupProbe, readinessProbe, livenessProbe].map((probe) => until(commandOf(probe, folder))),
        `dig +short +time=1 @${address} -p ${port} kubernetes.default.svc.cluster.local`,
      ]);
      expect(stdout).toBe("10.96.0.1\n");
    },
  );
});

describeWith(tools, "on a node without kube-dns", () => {
  test.each([["host-ip"], ["link-local"], ["service"]])(
    "%s: the probes find it alive but not ready, so that it waits for kube-dns and is not restarted",
    timeLimit,
    async (name) => {
      const folder = ownFolder();
      const { startupProbe, readinessProbe, livenessProbe } = containerOf(variantOf(name).kustomize());
      const stdout = await onOwnNode(variantOf(name), folder, "nobody", [
        until(commandOf(startupProbe, folder)),
        `${commandOf(livenessProbe, folder)} && echo alive`,
        `${commandOf(readinessProbe, folder)} || echo not ready`,
      ]);
      expect(stdout).toBe("alive\nnot ready\n");
    },
  );
});

describeWith(["sh", ...renderers], "the liveness probe", () => {
  const { livenessProbe } = containerOf(variantOf("host-ip").kustomize());

  test.each([
    ["now", 0, 0],
    ["a few seconds ago", 5, 0],
    ["too long ago", 20, 1],
  ])("nodens answered %s", async (_, secondsAgo, code) => {
    const folder = ownFolder();
    const file = join(folder, "alive");
    writeFileSync(file, "");
    const moment = Date.now() / 1000 - secondsAgo;
    utimesSync(file, moment, moment);
    expect(await exitCodeOf(commandOf(livenessProbe, folder))).toBe(code);
  });

  test("nodens never answered", async () => {
    expect(await exitCodeOf(commandOf(livenessProbe, ownFolder()))).not.toBe(0);
  });
});

function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nodens-rendered-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The embedded cluster DNS, which needs nobody outside. */
const kubeDnsSettings = `
listen: { addresses: ["10.96.0.10:53"] }
admin: { address: "10.96.0.10:9253" }
upstream: { embeddedOutside: built-in }
`;

/**
 * Starts kube-dns, or nobody in its place, and nodens as a variant's container, in a network of their own; then runs lines of
 * shell, and returns what they print. Their failure, or time, ends everything.
 */
async function onOwnNode(
  variant: Variant,
  folder: string,
  upstream: "kube-dns" | "nobody",
  lines: readonly string[],
): Promise<string> {
  const settings = dataOf(variant.kustomize(), "nodens")["nodens.yaml"] ?? "";
  writeFileSync(join(folder, "nodens.yaml"), inFolder(settings, folder));
  writeFileSync(join(folder, "kube-dns.yaml"), kubeDnsSettings);
  const serve = quote([join(projectFolder, "node_modules/.bin/node"), join(projectFolder, "src/nodens.mjs"), "serve"]);
  const start = (name: string): string => `${serve} --config ${folder}/${name}.yaml >${folder}/${name}.log 2>&1 &`;
  const script = [
    "set -e",
    "ip link set lo up",
    "ip address add 10.96.0.10/32 dev lo",
    "ip address add 10.1.2.3/32 dev lo",
    ...(upstream === "kube-dns" ? [start("kube-dns")] : []),
    "export HOST_IP=10.1.2.3 NODE_NAME=n1 KUBE_DNS_IP=10.96.0.10 CLUSTER_DOMAIN=cluster.local",
    start("nodens"),
    ...lines,
  ].join("\n");
  // The first process of a PID namespace takes all others with it.
  const own = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script];
  const { stdout } = await run("unshare", own, { timeout: timeLimit.timeout - 10_000, killSignal: "SIGKILL" });
  return stdout;
}

function until(command: string): string {
  return `until ${command}; do sleep 0.1; done`;
}

/** What kubelet would do, as shell: the command, or a request to the pod's address. */
function commandOf({ exec, httpGet }: Probe, folder: string): string {
  if (exec !== undefined) return inFolder(quote(exec.command), folder);
  return quote(["curl", "-sf", "-o", "/dev/null", `http://10.1.2.3:${httpGet?.port}${httpGet?.path}`]);
}

function inFolder(text: string, folder: string): string {
  return text.replaceAll("/run/nodens", folder);
}

function quote(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(" ");
}

async function exitCodeOf(command: string): Promise<number> {
  return run("sh", ["-c", command]).then(
    () => 0,
    ({ code }: { code: number }) => code,
  );
}
