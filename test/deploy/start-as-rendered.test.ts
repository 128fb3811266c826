/*
 * The real program with the settings, the environment and the probes that the manifests give its container, in a network of its own.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { formatServerAddress } from "../../src/runtime/server-address.ts";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { variantOf } from "../support/manifests/manifests-variants.ts";
import { containerOf, dataOf, type KubernetesObject, type Probe, renderChart } from "../support/manifests/manifests.ts";
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
      const stdout = await onOwnNode(variantOf(name).kustomize(), folder, "kube-dns", [
        ...[startupProbe, readinessProbe, livenessProbe].map((probe) => until(commandOf(probe, folder))),
        `dig +short +time=1 @${address} -p ${port} kubernetes.default.svc.cluster.local`,
      ]);
      expect(stdout).toBe("10.96.0.1\n");
    },
  );
});

describeWith(tools, "an ordinary start", () => {
  test.each([["host-ip"], ["link-local"]])("%s: leaves no failed probe behind", timeLimit, async (name) => {
    const folder = ownFolder();
    const { startupProbe, readinessProbe } = containerOf(variantOf(name).kustomize());
    const stdout = await onOwnNode(variantOf(name).kustomize(), folder, "kube-dns", [
      // Before that a busy machine may take longer than the probe waits.
      until(`test -e ${folder}/alive`),
      `${commandOf(startupProbe, folder)} && ${commandOf(readinessProbe, folder)} && echo started and ready`,
    ]);
    expect(stdout).toBe("started and ready\n");
  });
});

describeWith(tools, "host-ip", () => {
  test("keeps port 53 of the node's address out of connection tracking", timeLimit, async () => {
    const folder = ownFolder();
    const probe = until(commandOf(containerOf(variantOf("host-ip").kustomize()).readinessProbe, folder));
    const listing = `nft list chain inet nodens prerouting | grep -c 'daddr ${ipv4Node.host} .*@alive4 notrack accept'`;
    const stdout = await onOwnNode(variantOf("host-ip").kustomize(), folder, "kube-dns", [probe, listing]);
    expect(stdout).toBe("1\n");
  });
});

describeWith(tools, "on a node without kube-dns", () => {
  test.each([["host-ip"], ["link-local"], ["service"]])(
    "%s: the probes find it alive but not ready, so that it waits for kube-dns and is not restarted",
    timeLimit,
    async (name) => {
      const folder = ownFolder();
      const { startupProbe, readinessProbe, livenessProbe } = containerOf(variantOf(name).kustomize());
      const stdout = await onOwnNode(variantOf(name).kustomize(), folder, "nobody", [
        until(commandOf(startupProbe, folder)),
        `${commandOf(livenessProbe, folder)} && echo alive`,
        `${commandOf(readinessProbe, folder)} || echo not ready`,
      ]);
      expect(stdout).toBe("alive\nnot ready\n");
    },
  );
});

describeWith(tools, "on a node with IPv6 only, kube-dns at fd96::a", () => {
  test.each([
    ["host-ip", "fd00:1::7", 53],
    ["link-local", "fd00:20::10", 53],
    ["intercept", "fd00:20::10", 53],
    ["service", "fd00:1::7", 5353],
  ])(
    "%s: with the Service's address and one of nodens's own, pods get answers",
    timeLimit,
    async (mode, address, port) => {
      const folder = ownFolder();
      const settings = address === "fd00:20::10" ? { attach: { addresses: [address] } } : {};
      const objects = renderChart({ mode, clusterDNS: { serviceIP: "fd96::a" }, settings });
      const probe = until(commandOf(containerOf(objects).readinessProbe, folder, ipv6Node));
      const question = `dig +short +time=1 @${address} -p ${port} kubernetes.default.svc.cluster.local`;
      expect(await onOwnNode(objects, folder, "kube-dns", [probe, question], ipv6Node)).toBe("10.96.0.1\n");
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

describeWith(["sh", ...renderers], "the startup probe, when nodens is not ready in time", () => {
  const { startupProbe } = containerOf(variantOf("host-ip").kustomize());

  test.each([
    ["holds one that is alive for started", true, true],
    ["does not hold one for started that never came to run", false, false],
  ])("%s", timeLimit, async (_, isAlive, isStarted) => {
    const folder = ownFolder();
    const touching = `while sleep 1; do ${isAlive ? `touch ${folder}/alive` : ":"}; done & ${commandOf(startupProbe, folder)}; code=$?; kill $!; exit $code`;
    expect((await exitCodeOf(touching)) === 0).toBe(isStarted);
  });
});

function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nodens-rendered-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Addresses of a node, which are its pods' too, and of kube-dns. */
interface NodeAddresses {
  readonly host: string;
  readonly kubeDns: string;
}

const ipv4Node: NodeAddresses = { host: "10.1.2.3", kubeDns: "10.96.0.10" };
const ipv6Node: NodeAddresses = { host: "fd00:1::7", kubeDns: "fd96::a" };

/** The embedded cluster DNS, which needs nobody outside. */
function kubeDnsSettings({ kubeDns }: NodeAddresses): string {
  return JSON.stringify({
    listen: { addresses: [formatServerAddress({ host: kubeDns, port: 53 })] },
    admin: { address: formatServerAddress({ host: kubeDns, port: 9253 }) },
    upstream: { embedded: true, embeddedOutside: "built-in" },
  });
}

/**
 * Starts kube-dns, or nobody in its place, and nodens as the manifests' container, in a network of their own; then runs lines of
 * shell, and returns what they print. Their failure, or time, ends everything.
 */
async function onOwnNode(
  objects: readonly KubernetesObject[],
  folder: string,
  upstream: "kube-dns" | "nobody",
  lines: readonly string[],
  node = ipv4Node,
): Promise<string> {
  const settings = dataOf(objects, "nodens")["nodens.yaml"] ?? "";
  writeFileSync(join(folder, "nodens.yaml"), inFolder(settings, folder));
  writeFileSync(join(folder, "kube-dns.yaml"), kubeDnsSettings(node));
  const serve = quote([join(projectFolder, "node_modules/.bin/node"), join(projectFolder, "src/nodens.mjs"), "serve"]);
  const start = (name: string): string => `${serve} --config ${folder}/${name}.yaml >${folder}/${name}.log 2>&1 &`;
  const script = [
    "set -e",
    "ip link set lo up",
    ...[node.kubeDns, node.host].map((address) => `ip address add ${address} dev lo nodad`),
    ...(upstream === "kube-dns" ? [start("kube-dns")] : []),
    `export HOST_IP=${node.host} POD_IP=${node.host} NODE_NAME=n1`,
    `export KUBE_DNS_IP=${node.kubeDns} CLUSTER_DOMAIN=cluster.local`,
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
function commandOf({ exec, httpGet }: Probe, folder: string, { host } = ipv4Node): string {
  if (exec !== undefined) return inFolder(quote(exec.command), folder);
  const pod = formatServerAddress({ host, port: httpGet?.port ?? 0 });
  return quote(["curl", "-sf", "-g", "-o", "/dev/null", `http://${pod}${httpGet?.path}`]);
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
