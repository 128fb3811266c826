/*
 * The image, built from the Dockerfile as it is on a stand-in for its base, and the program in it run from the unpacked files as
 * Kubernetes runs it: a user without capabilities but one, no new privileges, files that cannot be written.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const run = promisify(execFile);
const tools = [
  "CI=true",
  "root",
  "buildah",
  "debootstrap",
  "unshare",
  "setpriv",
  "capsh",
  "getcap",
  "dig",
  "npm",
  "apt-get",
];
const snapshotFlag = "--snapshot-blob=/usr/lib/nodens/nodens.blob";
const buildTimeoutMs = 600_000;

interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
  readonly StopSignal: string;
}

describeWith(tools, "the image", () => {
  let storage: string;
  let root: string;
  let config: ImageConfig;
  let sizeBytes: number;

  const buildah = (...args: string[]) =>
    run("buildah", [
      "--root",
      join(storage, "root"),
      "--runroot",
      join(storage, "run"),
      "--storage-driver",
      "vfs",
      ...args,
    ]);

  beforeAll(async () => {
    storage = mkdtempSync(join(tmpdir(), "nodens-image-"));
    await run(join(projectFolder, "scripts", "build-test-base.sh"), [storage], { maxBuffer: 2 ** 26 });
    await run(join(projectFolder, "scripts", "build-image.sh"), [storage, "nodens:test"], { maxBuffer: 2 ** 26 });
    const { stdout } = await buildah("inspect", "--type", "image", "nodens:test");
    ({ config } = (JSON.parse(stdout) as { Docker: { config: ImageConfig } }).Docker);
    const container = (await buildah("from", "--pull=never", "nodens:test")).stdout.trim();
    root = (await buildah("mount", container)).stdout.trim();
    sizeBytes = Number((await run("du", ["-sb", root])).stdout.split("\t")[0]);
  }, buildTimeoutMs);
  afterAll(() => rmSync(storage, { recursive: true, force: true }));

  test("is one layer of less than 215 MiB", async () => {
    const { stdout } = await buildah("inspect", "--type", "image", "nodens:test");
    const { rootfs } = (JSON.parse(stdout) as { OCIv1: { rootfs: { diff_ids: string[] } } }).OCIv1;
    expect(rootfs.diff_ids).toHaveLength(1);
    expect(sizeBytes).toBeLessThan(215 * 1024 ** 2);
  });

  test("runs as a user of its own, with V8's flags in the command and none in the environment", () => {
    expect(config.User).toBe("65532:65532");
    expect(config.Entrypoint).toEqual(["node", snapshotFlag, ...v8Flags(), "/usr/lib/nodens/nodens.mjs"]);
    expect(config.Cmd).toEqual(["serve", "--config", "/etc/nodens/nodens.yaml"]);
    expect(config.Env.filter((line) => line.startsWith("NODE_OPTIONS"))).toEqual([]);
    expect(config.StopSignal).toBe("SIGTERM");
    expect(config.Healthcheck.Test[1]).toContain("/run/nodens/alive");
  });

  test("says what it is", () => {
    const { version } = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8")) as { version: string };
    expect(config.Labels).toMatchObject({
      "org.opencontainers.image.title": "nodens",
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.licenses": "Apache-2.0",
      "org.opencontainers.image.revision": expect.stringMatching(/^[0-9a-f]+$|^unknown$/) as string,
      "org.opencontainers.image.created": expect.stringMatching(/^\d{4}-/) as string,
    });
  });

  test("has the program as one bundle, and nothing of npm", async () => {
    expect(existsSync(join(root, "usr/lib/nodens/nodens.mjs"))).toBe(true);
    const { stdout } = await run("find", [
      root,
      "-xdev",
      "(",
      "-name",
      "node_modules",
      "-o",
      "-name",
      "npm*",
      "-o",
      "-name",
      "*.ts",
      ")",
    ]);
    expect(stdout).toBe("");
  });

  test("has nft and ip, and a Node.js that may open port 53 and nothing else", async () => {
    for (const [program, flag] of [
      ["nft", "--version"],
      ["ip", "-Version"],
    ] as const) {
      await expect(run("chroot", [root, program, flag])).resolves.toBeDefined();
    }
    const { stdout } = await run("getcap", [join(root, "usr/local/bin/node")]);
    expect(stdout.trim()).toMatch(/node cap_net_bind_service=ep$/);
    const setuid = await run("find", [root, "-xdev", "-type", "f", "-perm", "/6000"]);
    expect(setuid.stdout).toBe("");
  });

  test.each([
    ["version", /^nodens \d/],
    ["help", /serve[^]*query[^]*explain[^]*detach/],
    ["explain www.example.com", /www\.example\.com/],
    ["check /etc/nodens/nodens.yaml", /directory: \/run\/nodens/],
  ])("runs `nodens %s`", async (command, printed) => {
    const { stdout } = await run("unshare", inImage(command.split(" "), ""));
    expect(stdout).toMatch(printed);
  });

  test("has its program on the PATH, for whoever looks into a container", async () => {
    const { stdout } = await run("unshare", inNamespaces("nodens version"));
    expect(stdout).toMatch(/^nodens \d/);
  });

  test("begins with the snapshot that was built in", async () => {
    const { stdout } = await run(
      "unshare",
      inImage(["version"], "mv /usr/lib/nodens/nodens.mjs /usr/lib/nodens/gone;"),
    );
    expect(stdout).toMatch(/^nodens \d/);
  });

  test("serves on port 53 as its user, is healthy, answers, and ends with 0", async () => {
    const name = "kubernetes.default.svc.cluster.local";
    const health = config.Healthcheck.Test[1] ?? "false";
    // The network namespace ends with its last process.
    const script = [
      "ip link set lo up",
      `(exec ${inUserOf("serve --config /etc/nodens/nodens.yaml")}) & pid=$!`,
      "for _ in $(seq 100); do test -e /run/nodens/ready && break; sleep 0.1; done",
      health,
      `${inUserOf(`query ${name} --server 127.0.0.1:53 --short`)}`,
      `${inUserOf(`query ${name} --server 127.0.0.1:53 --short --tcp`)}`,
      "grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/$pid/status",
      "kill $pid; wait $pid; echo ended with $?; test -e /run/nodens/ready || echo not ready",
    ].join("\n");
    const { stdout } = await run("unshare", inNamespaces(`set -e\n${script}`), { timeout: 60_000 });
    expect(stdout.match(/^10\.96\.0\.1$/gm)).toHaveLength(2);
    expect(stdout).toMatch(/^Uid:\s+65532/m);
    expect(stdout).toMatch(/^CapEff:\s+0000000000000400$/m);
    expect(stdout).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(stdout).toContain("ended with 0\nnot ready\n");
  });

  test("attaches with NET_ADMIN as root", async () => {
    const settings = join(root, "etc/nodens/attach.yaml");
    onTestFinished(() => rmSync(settings, { force: true }));
    writeFileSync(
      settings,
      JSON.stringify({
        listen: { addresses: [] },
        attach: { mode: "link-local" },
        upstream: { embedded: true },
        probes: { directory: "/run/nodens" },
        search: { resolvConf: "" },
        shutdown: { drainMs: 0 },
      }),
    );
    const serve = `exec setpriv --bounding-set=-all,+net_admin,+net_bind_service --no-new-privs ${program()} serve --config /etc/nodens/attach.yaml`;
    const script = [
      "ip link set lo up",
      `(${serve}) & pid=$!`,
      "for _ in $(seq 100); do test -e /run/nodens/ready && break; sleep 0.1; done",
      "nft list table inet nodens",
      "ip -oneline address show dev lo",
      "kill $pid; wait $pid",
      `${program()} detach`,
    ].join("\n");
    const { stdout } = await run("unshare", inNamespaces(`set -e\n${script}`), { timeout: 60_000 });
    expect(stdout).toContain("169.254.20.10");
    expect(stdout).toContain("notrack");
    expect(stdout).toContain("removed address 169.254.20.10 on lo");
  });

  function program(): string {
    return ["/usr/local/bin/node", snapshotFlag, ...v8Flags(), "/usr/lib/nodens/nodens.mjs"].join(" ");
  }

  /**
   * As a container runtime starts it: the user, one capability that may be had, and no way to more. Not an ambient capability, which
   * would do the work of the file's.
   */
  function inUserOf(command: string): string {
    const others = allCapabilities().filter((name) => name !== "cap_net_bind_service");
    const capability = `--drop=${others.join()} --keep=1 --groups= --gid=65532 --uid=65532 --caps=cap_net_bind_service=ep`;
    const [node, ...args] = program().split(" ");
    return `capsh ${capability} --no-new-privs --shell=${node} -- ${args.join(" ")} ${command}`;
  }

  function inImage(command: readonly string[], before: string): string[] {
    return inNamespaces(`${before} ${inUserOf(command.join(" "))}`);
  }

  /** A network without anything, and the image's files as the root, which cannot be written except /run/nodens. */
  function inNamespaces(script: string): string[] {
    const prepare = [
      `mount --rbind /proc ${root}/proc`,
      `mount --rbind /dev ${root}/dev`,
      `mount --bind ${root} ${root}`,
      `mount --rbind /proc ${root}/proc`,
      `mount --rbind /dev ${root}/dev`,
      `mount -o remount,bind,ro ${root}`,
      `mount -t tmpfs -o mode=0777 tmpfs ${root}/run/nodens`,
    ].join(" && ");
    const environment = config.Env.map((line) => `export '${line}'`).join("; ");
    return [
      "--net",
      "--mount",
      "sh",
      "-c",
      `${prepare} && exec chroot ${root} sh -c "$0"`,
      `${environment}; ${script}`,
    ];
  }

  function v8Flags(): string[] {
    const dockerfile = readFileSync(join(projectFolder, "Dockerfile"), "utf8");
    return /^ARG V8_FLAGS="(.*)"$/m.exec(dockerfile)?.[1]?.split(" ") ?? [];
  }
});

/** As capsh names them: the running kernel's. */
function allCapabilities(): string[] {
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
  const mask = (2n ** BigInt(last + 1) - 1n).toString(16);
  const [, names = ""] = execFileSync("capsh", [`--decode=${mask}`], { encoding: "utf8" }).split("=");
  return names.trim().split(",");
}
