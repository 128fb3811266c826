/*
 * How nodens starts, or does not; how it takes over new settings; how it ends.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { findFreePort } from "../support/servers/free-port.ts";
import { a, Flags, replyTo } from "../support/messages/messages.ts";
import { ask, askRaw, startNodensAndUpstream, transports } from "../support/program/nodens-and-upstream.ts";
import { buildQuery, readMessage, Type } from "../support/messages/messages.ts";
import { describeWith, findCommand } from "../support/program/requirements.ts";
import {
  type EndedNodens,
  projectFolder,
  type RunningNodens,
  runNodens,
  runToEnd,
} from "../support/program/run-nodens.ts";
import { type Script, startScriptedUpstream, until } from "../support/servers/scripted-upstream.ts";

const answerWith =
  (address: string): Script =>
  ({ bytes }) =>
    replyTo(bytes, { answers: [a("@12", address, 0)] });

describe("nodens does not start, and says why in one line,", () => {
  test.each([
    ["over TCP", "tcp"],
    ["over UDP", "udp"],
  ])("when another program has its address %s", async (_name, protocol) => {
    const address = `127.0.0.1:${await occupiedPort(protocol)}`;
    const ended = await runToEnd(["serve", "--embedded", "--listen", address, "--admin", "127.0.0.1:0"]);
    expectOneLine(ended, 69);
    expect(ended.stderr).toBe(
      `nodens: cannot listen on ${address} (${protocol}): the address is in use by another program\n`,
    );
  });

  test("when another program has its second address", async () => {
    const [free, occupied] = [await findFreePort(), await occupiedPort("tcp")];
    const listen = [free, occupied].flatMap((port) => ["--listen", `127.0.0.1:${port}`]);
    const ended = await runToEnd(["serve", "--embedded", ...listen, "--admin", "127.0.0.1:0"]);
    expectOneLine(ended, 69);
    expect(ended.stderr).toContain(`:${occupied} (tcp)`);
    // Nothing stays open: the first address can be had again.
    const server = createServer().listen(free, "127.0.0.1");
    await once(server, "listening");
    server.close();
  });

  test("when the machine has no such address", async () => {
    const ended = await runToEnd(["serve", "--embedded", "--listen", "192.0.2.1:5353", "--admin", "127.0.0.1:0"]);
    expectOneLine(ended, 71);
    expect(ended.stderr).toContain("this machine has no such address");
  });

  test.each([
    ["is missing", "missing.yaml", /missing\.yaml/],
    ["is a folder", ".", /./],
  ])("when its settings file %s", async (_name, name, expected) => {
    const path = join(temporaryFolder(), name);
    const ended = await runToEnd(["serve", "--config", path]);
    expectOneLine(ended, 78);
    expect(ended.stderr).toMatch(expected);
  });

  test("when settings are wrong: every one of them, with file, line and column", async () => {
    const path = join(temporaryFolder(), "nodens.yaml");
    writeFileSync(path, "upstream:\n  maxSends: 7\n  servers: [10.0.0.1:53, nonsense]\ncach:\n  prefetch: maybe\n");
    const ended = await runToEnd(["serve", "--config", path]);
    expect([ended.code, ended.stdout]).toEqual([78, ""]);
    const lines = ended.stderr.trim().split("\n");
    expect(lines).toEqual([
      expect.stringMatching(new RegExp(`^${path}:2:13: upstream\\.maxSends is 7; allowed: `)),
      expect.stringMatching(new RegExp(`^${path}:3:26: upstream\\.servers\\[1\\] `)),
      expect.stringMatching(new RegExp(`^${path}:4:1: cach.*cache`)),
    ]);
  });

  test.each([
    ["is empty", ""],
    ["was truncated before its servers", "listen:\n  addresses: [127.0.0.1:0]\n"],
    ["has no servers", "upstream: { servers: [] }\n"],
  ])("when its settings file %s, however nodens is started", async (_name, text) => {
    const path = join(temporaryFolder(), "nodens.yaml");
    writeFileSync(path, text);
    for (const flags of [[], ["--embedded"]]) {
      const ended = await runToEnd(["serve", "--config", path, "--admin", "127.0.0.1:0", ...flags]);
      expectOneLine(ended, 78);
      expect(ended.stderr).toContain("upstream.servers is empty: nodens would have nobody to ask; ");
    }
  });

  test("without a server and without a word about the embedded cluster DNS", async () => {
    const ended = await runToEnd(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    expectOneLine(ended, 78);
    expect(ended.stderr).toMatch(/^nodens: upstream\.servers is empty: .*--embedded/);
  });

  test("when Node.js is too old", async () => {
    const older = findOlderNode();
    const ended = await (older === undefined ? runPretendingNode20() : runWith(older));
    expectOneLine(ended, 78);
    expect(ended.stderr).toMatch(/^nodens needs Node\.js 26 or newer; this is v\d+\.\d+\.\d+\.\n$/);
  });
});

const needsOwnNetwork = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8")) <= 53;

describeWith(["root", "setpriv", ...(needsOwnNetwork ? ["unshare", "ip"] : [])], "without permission", () => {
  test("for port 53 nodens does not start, and says what is missing", async () => {
    const nodens = [process.execPath, join(projectFolder, "src", "nodens.mjs"), "serve"];
    const flags = ["--embedded", "--listen", "127.0.0.1:53", "--admin", "127.0.0.1:0"];
    const command = ["setpriv", "--bounding-set=-net_bind_service", ...nodens, ...flags];
    const inNetwork = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", ...command];
    const [program = "", ...args] = needsOwnNetwork ? inNetwork : command;
    const ended = await runWith(program, args);
    expectOneLine(ended, 77);
    expect(ended.stderr).toMatch(/^nodens: cannot listen on 127\.0\.0\.1:53 \(udp\): no permission; /);
  });
});

test("with an upstream that cannot be reached nodens serves, says so in one line, and is ready when it can", async () => {
  const port = await findFreePort();
  const nodens = await runNodens({ flags: ["--upstream", `127.0.0.1:${port}`], waitUntilReady: false });
  onTestFinished(async () => void (await nodens.stop()));
  await until("readiness says why", async () =>
    /the cluster's zone has not been answered/.test(await readiness(nodens)),
  );
  expect((await ask("udp", nodens.port, "early.example")).rcode).toBe(2);
  await until("it is in the log", () => nodens.logs().length > 0);
  // Long enough for it to have tried again.
  await delay(1200);
  expect(nodens.logs().map(({ level, msg }) => [level, msg])).toEqual([
    ["warn", expect.stringContaining("the cluster's zone is not answered")],
  ]);
  expect(nodens.process.exitCode).toBeNull();

  const upstream = await startScriptedUpstream(answerWith("192.0.2.1"), port);
  onTestFinished(() => upstream.close());
  await until("nodens is ready", async () => (await fetch(`${nodens.adminUrl}/readyz`)).ok, 20_000);
  await until("the question is asked", async () => (await ask("udp", nodens.port, "early.example")).rcode === 0);
});

test("with an address for operators that another program has, nodens serves, says so, and opens it when it can", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const address = `127.0.0.1:${port}`;
  const nodens = await runNodens({ settings: { admin: { address } }, waitUntilReady: false });
  onTestFinished(async () => void (await nodens.stop()));
  expect(nodens.stdout()).toContain("metrics     not yet, the log says why");
  expect((await ask("udp", nodens.port, "kubernetes.default.svc.cluster.local")).answers).toHaveLength(1);
  await until("it is in the log", () => nodens.logs().some(({ kind }) => kind === "admin"));
  expect(nodens.logs().filter(({ kind }) => kind === "admin")).toMatchObject([
    { level: "warn", msg: expect.stringContaining(`cannot listen on ${address} (tcp): the address is in use`) },
  ]);
  server.close();
  const isOk = ({ ok }: Response) => ok;
  await until("it is open", () => fetch(`http://${address}/readyz`).then(isOk, () => false), 20_000);
  const metrics = await (await fetch(`http://${address}/metrics`)).text();
  expect(metrics).toMatch(/^nodens_setup_errors_total\{kind="admin"\} 1$/m);
});

describe("the end", () => {
  test.each([["SIGTERM"], ["SIGINT"]] as const)("%s ends nodens with 0", async (signal) => {
    const { nodens } = await startPair();
    expect(await endOf(nodens, signal)).toBe(0);
    await expectNothingOpen(nodens);
  });

  test.each([["SIGTERM"], ["SIGINT"]] as const)(
    "%s ends a nodens with 0 that still waits for the first thing it needs",
    async (signal) => {
      const child = await startHanging([]);
      const ended = once(child, "exit");
      child.kill(signal);
      expect(await ended).toEqual([0, null]);
    },
  );

  describeWith(["root", "unshare"], "as the first process of a container", () => {
    test("SIGTERM ends what is starting too", async () => {
      const child = await startHanging(["unshare", "--pid", "--fork", "--kill-child"]);
      const [first] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ");
      const ended = once(child, "exit");
      process.kill(Number(first), "SIGTERM");
      expect(await ended).toEqual([0, null]);
    });
  });

  test("SIGHUP while nodens starts does not end it", async () => {
    const child = await startHanging([]);
    child.kill("SIGHUP");
    await delay(200);
    expect(child.exitCode ?? child.signalCode).toBeNull();
  });

  test("what hangs at the end does not keep nodens beyond the time that the pod is given", async () => {
    const pair = await startPair({ shutdown: { gracePeriodSeconds: 3 }, upstream: { deadlineMs: 30_000 } });
    const name = pair.name(() => new Promise<never>(() => {}));
    void ask("udp", pair.nodens.port, name).catch(() => {});
    await until("it was asked", () => pair.asked(name).length > 0);
    const startedAt = performance.now();
    expect(await endOf(pair.nodens, "SIGTERM")).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });

  describeWith(["npm"], "through npm start", () => {
    test.each([
      ["SIGTERM to npm", "SIGTERM", false],
      ["SIGINT to npm", "SIGINT", false],
      ["Ctrl-C in a terminal, which goes to both and is passed on by npm as well,", "SIGINT", true],
    ] as const)("%s ends both with 0", async (_name, signal, goesToBoth) => {
      const upstream = await startScriptedUpstream(answerWith("192.0.2.1"), await findFreePort());
      onTestFinished(() => upstream.close());
      const path = join(temporaryFolder(), "nodens.yaml");
      writeFileSync(path, "shutdown:\n  drainMs: 0\n");
      const addresses = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", upstream.address];
      const npm = spawn("npm", ["start", "--", "--config", path, ...addresses], {
        cwd: projectFolder,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, NODE_OPTIONS: "" },
      });
      onTestFinished(() => killGroup(npm));
      let stdout = "";
      npm.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
      await until("nodens says where it listens", () => stdout.includes("/metrics"));
      // Flags are passed through.
      expect(stdout).toContain(upstream.address);
      const port = Number(/listening\s+\S+:(\d+)/.exec(stdout)?.[1]);
      expect((await ask("udp", port, "npm.example")).answers).toHaveLength(1);
      const ended = once(npm, "exit");
      process.kill(goesToBoth ? -(npm.pid ?? 0) : (npm.pid ?? 0), signal);
      expect(await ended).toEqual([0, null]);
      expect(await askRaw("udp", port, buildQuery("npm.example", Type.A), 300)).toBeUndefined();
    });
  });

  test("after SIGTERM nodens is not ready but goes on answering; a second signal ends it at once", async () => {
    const pair = await startPair({ shutdown: { drainMs: 60_000, gracePeriodSeconds: 120 } });
    const { nodens } = pair;
    nodens.process.kill("SIGTERM");
    await until("it is not ready", async () => /draining/.test(await readiness(nodens)));
    for (const transport of transports) {
      expect((await ask(transport, nodens.port, pair.name(answerWith("192.0.2.1")))).answers).toHaveLength(1);
    }
    // Signals that come together are one, as a terminal and npm send it.
    nodens.process.kill("SIGTERM");
    await delay(1100);
    expect(nodens.process.exitCode).toBeNull();
    expect(await endOf(nodens, "SIGTERM")).toBe(0);
  });

  test.each(transports)("what was asked before it over %s is answered", async (transport) => {
    const pair = await startPair();
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const names = Array.from({ length: 10 }, () =>
      pair.name(async (query) => {
        await gate;
        return answerWith("192.0.2.1")(query);
      }),
    );
    const replies = names.map((name) => ask(transport, pair.nodens.port, name));
    await until("all were asked", () => names.every((name) => pair.asked(name).length > 0));
    const code = endOf(pair.nodens, "SIGTERM");
    await until("it is ending", () => pair.nodens.logs().some(({ msg }) => msg === "ending"));
    open();
    for (const { answers } of await Promise.all(replies)) expect(answers).toHaveLength(1);
    expect(await code).toBe(0);
  });
});

describe("new settings", () => {
  test.each([
    ["empty", ""],
    ["blank", " \n\n"],
    ["of comments", "# nothing\n"],
    ["without servers", "upstream: { servers: [] }\n"],
    ["for trying nodens", "upstream: { embedded: true }\n"],
  ])(
    "of a file that is now %s are refused: names keep coming from the servers that there were",
    async (_name, text) => {
      const pair = await startPair();
      const { nodens } = pair;
      const name = pair.name(answerWith("192.0.2.7"), "default.svc.cluster.local");
      writeFileSync(nodens.settingsFile, text);
      await until("they are refused", () => refusals(nodens).length > 0);
      expect(refusals(nodens)[0]).toMatchObject({
        problems: [expect.stringMatching(/upstream\.servers is empty|holds no settings any more/)],
      });
      expect((await ask("udp", nodens.port, name)).answers).toHaveLength(1);
      expect((await nodens.metric("nodens_config_last_reload_successful")).get("")).toBe(0);
      expect(pair.asked(name)).toHaveLength(1);
    },
  );

  test("are taken over at SIGHUP when they are good, and not when they are bad", async () => {
    // Whatever is still open of the old upstream must not keep nodens from ending for as long.
    const pair = await startPair({ upstream: { deadlineMs: 30_000 } });
    const { nodens } = pair;
    const name = pair.name(answerWith("192.0.2.1"));
    const other = await startScriptedUpstream(answerWith("192.0.2.2"), await findFreePort());
    onTestFinished(() => other.close());
    const good = readFileSync(nodens.settingsFile, "utf8");
    expect(await lastOctet(nodens, name)).toBe(1);

    writeFileSync(nodens.settingsFile, "upstream:\n  maxSends: 9\n  servers: [192.0.2.1]\n");
    nodens.process.kill("SIGHUP");
    await until("the bad ones are refused", () => refusals(nodens).some(({ trigger }) => trigger === "SIGHUP"));
    const problem = `${nodens.settingsFile}:2:13: upstream.maxSends is 9`;
    expect(refusals(nodens)[0]).toMatchObject({ level: "error", problems: [expect.stringContaining(problem)] });
    await until(
      "they are counted",
      async () => ((await nodens.metric("nodens_config_reload_failures_total")).get("") ?? 0) > 0,
    );
    expect((await nodens.metric("nodens_config_last_reload_successful")).get("")).toBe(0);
    expect(await lastOctet(nodens, name)).toBe(1);
    expect((await fetch(`${nodens.adminUrl}/readyz`)).status).toBe(200);

    writeFileSync(nodens.settingsFile, good.replaceAll(pair.upstream.address, other.address));
    nodens.process.kill("SIGHUP");
    await until("the good ones are in force", async () => (await lastOctet(nodens, name)) === 2);
    await until(
      "they are counted",
      async () => (await nodens.metric("nodens_config_last_reload_successful")).get("") === 1,
    );
    expect((await nodens.metric("nodens_config_reloads_total")).get("")).toBeGreaterThan(0);
    expect(await endOf(nodens, "SIGTERM")).toBe(0);
  });

  test("are taken over when a ConfigMap volume is swapped, good or bad", async () => {
    const [first, second] = await Promise.all(
      ["192.0.2.1", "192.0.2.2"].map(async (address) =>
        startScriptedUpstream(answerWith(address), await findFreePort()),
      ),
    );
    onTestFinished(async () => void (await Promise.all([first?.close(), second?.close()])));
    const volume = temporaryFolder();
    const base = {
      listen: { addresses: ["127.0.0.1:0"] },
      admin: { address: "127.0.0.1:0" },
      shutdown: { drainMs: 0 },
    };
    swap(volume, JSON.stringify({ ...base, upstream: { servers: [first?.address] } }));
    symlinkSync("..data/nodens.yaml", join(volume, "nodens.yaml"));
    const nodens = await runNodens({ flags: ["--config", join(volume, "nodens.yaml")] });
    onTestFinished(async () => void (await nodens.stop()));
    expect(await lastOctet(nodens, "swapped.example")).toBe(1);

    swap(volume, "upstream: [\n");
    await until("the bad ones are refused", () => refusals(nodens).length > 0);
    expect(refusals(nodens)[0]).toMatchObject({ problems: [expect.stringMatching(/nodens\.yaml:\d+:\d+: /)] });
    expect(await lastOctet(nodens, "swapped.example")).toBe(1);

    swap(volume, JSON.stringify({ ...base, upstream: { servers: [second?.address] } }));
    await until("the good ones are in force", async () => (await lastOctet(nodens, "swapped.example")) === 2);
    // One change is one reload.
    expect((await nodens.metric("nodens_config_reload_failures_total")).get("")).toBe(1);
    expect((await nodens.metric("nodens_config_reloads_total")).get("")).toBe(1);
  });
});

describe("commands", () => {
  test("check prints the settings that a good file leads to, and refuses a bad one", async () => {
    const path = join(temporaryFolder(), "nodens.yaml");
    writeFileSync(path, "cache:\n  staleSeconds: 7\nupstream:\n  servers: [192.0.2.1]\n");
    const good = await runToEnd(["check", path]);
    expect([good.code, good.stderr]).toEqual([0, ""]);
    expect(good.stdout).toMatch(/staleSeconds: 7\b/);
    // What it prints is a settings file.
    writeFileSync(path, good.stdout);
    expect(await runToEnd(["check", path])).toEqual(good);
    writeFileSync(path, "cache:\n  staleSeconds: soon\nupstream:\n  servers: [192.0.2.1]\n");
    const bad = await runToEnd(["check", path]);
    expectOneLine(bad, 78);
    expect(bad.stderr).toContain(`${path}:2:17: cache.staleSeconds`);
  });

  test("version and help end with 0, what is unknown with 64", async () => {
    const [version, help, helpOfServe, unknown] = await Promise.all(
      [["version"], ["help"], ["help", "serve"], ["sevre"]].map((args) => runToEnd(args)),
    );
    expect([version?.code, version?.stdout]).toEqual([0, expect.stringMatching(/^nodens \d+\.\d+\.\d+.*Node\.js v26/)]);
    expect([help?.code, help?.stdout]).toEqual([0, expect.stringContaining("Exit codes:")]);
    expect([helpOfServe?.code, helpOfServe?.stdout]).toEqual([0, expect.stringContaining("--upstream")]);
    expectOneLine(unknown as EndedNodens, 64);
    expect(unknown?.stderr).toContain("serve");
  });

  test("query asks a nodens that runs, and says when nobody answers", async () => {
    const pair = await startPair();
    const name = pair.name(({ bytes, protocol }) =>
      replyTo(bytes, protocol === "udp" ? { flags: Flags.TC } : { answers: [a("@12", "192.0.2.53", 60)] }),
    );
    const server = `127.0.0.1:${pair.nodens.port}`;
    const asked = await runToEnd(["query", name, "--server", server]);
    expect([asked.code, asked.stderr]).toEqual([0, ""]);
    expect(asked.stdout).toContain("192.0.2.53");
    expect((await runToEnd(["query", name, "--server", server, "--short", "--tcp"])).stdout).toBe("192.0.2.53\n");
    const lost = await runToEnd([
      "query",
      name,
      "--server",
      `127.0.0.1:${await findFreePort()}`,
      "--timeout-ms",
      "500",
    ]);
    expectOneLine(lost, 69);
  });
});

async function startPair(settings: Record<string, unknown> = {}) {
  const pair = await startNodensAndUpstream({ settings });
  onTestFinished(() => pair.stop());
  return pair;
}

/** A nodens whose start hangs, in the first program of the node that it runs. `wrapper` is a command that runs another one. */
async function startHanging(wrapper: readonly string[]): Promise<ChildProcess> {
  const folder = temporaryFolder();
  const ip = join(folder, "ip");
  writeFileSync(ip, `#!/bin/sh\necho $$ >${folder}/asked\nexec sleep 60\n`, { mode: 0o755 });
  writeFileSync(join(folder, "nodens.yaml"), "attach: { mode: link-local }\nupstream: { servers: [192.0.2.1] }\n");
  const flags = ["--config", join(folder, "nodens.yaml"), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const nodens = [process.execPath, join(projectFolder, "src", "nodens.mjs"), "serve", ...flags];
  const [program = "", ...args] = [...wrapper, ...nodens];
  const child = spawn(program, args, {
    stdio: "ignore",
    detached: true,
    env: { ...process.env, NODE_OPTIONS: "", PATH: `${folder}:${process.env["PATH"]}` },
  });
  // With what it started, which outlives it.
  onTestFinished(() => killGroup(child));
  await until("it has asked for the node's addresses", () => existsSync(join(folder, "asked")));
  return child;
}

/** The exit code that a signal leads to. */
async function endOf(nodens: RunningNodens, signal: NodeJS.Signals): Promise<number | null> {
  const ended = once(nodens.process, "exit");
  nodens.process.kill(signal);
  return ((await ended) as [number | null])[0];
}

function killGroup({ pid }: ChildProcess): void {
  try {
    process.kill(-(pid ?? 0), "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

/** Nothing on standard output, and one line that is not JSON. */
function expectOneLine(ended: EndedNodens, code: number): void {
  expect([ended.code, ended.stdout]).toEqual([code, ""]);
  expect(ended.stderr).toMatch(/^[^{\n][^\n]*\n$/);
}

async function expectNothingOpen(nodens: RunningNodens): Promise<void> {
  expect(await askRaw("udp", nodens.port, buildQuery("closed.example", Type.A), 200)).toBeUndefined();
  await expect(fetch(`${nodens.adminUrl}/healthz`)).rejects.toThrow("fetch failed");
}

/** A port of 127.0.0.1 that is taken until the end of the test, over one protocol alone. */
async function occupiedPort(protocol: string): Promise<number> {
  const port = await findFreePort();
  if (protocol === "tcp") {
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
  } else {
    const socket = createSocket("udp4").bind(port, "127.0.0.1");
    await once(socket, "listening");
    onTestFinished(() => void socket.close());
  }
  return port;
}

async function readiness(nodens: RunningNodens): Promise<string> {
  return (await fetch(`${nodens.adminUrl}/readyz`)).text();
}

function refusals(nodens: RunningNodens): Record<string, unknown>[] {
  return nodens.logs().filter(({ msg }) => String(msg).includes("new settings refused"));
}

/** The last octet of the address that a name has: which upstream answers. */
async function lastOctet(nodens: RunningNodens, name: string): Promise<number | undefined> {
  const reply = await askRaw("udp", nodens.port, buildQuery(name, Type.A), 10_000);
  return reply === undefined ? undefined : readMessage(reply).answers[0]?.data.at(-1);
}

/** Swaps the content of a volume in one step, as kubelet does. */
function swap(volume: string, settings: string): void {
  const version = `..version${readdirSync(volume).length}`;
  mkdirSync(join(volume, version));
  writeFileSync(join(volume, version, "nodens.yaml"), settings);
  symlinkSync(version, join(volume, "..data_tmp"));
  renameSync(join(volume, "..data_tmp"), join(volume, "..data"));
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nodens-start-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A Node.js on PATH that is too old, if there is one. */
function findOlderNode(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const programs = folders.map((folder) => join(folder, "node")).filter((path) => findCommand(path) !== undefined);
  return programs.find((path) => {
    const major = /^v(\d+)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1];
    return Number(major) < 26;
  });
}

/** The same Node.js, which says that it is another. */
function runPretendingNode20(): Promise<EndedNodens> {
  const preload = `
    Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.0.0" } });
    Object.defineProperty(process, "version", { value: "v20.0.0" });`;
  return runToEnd(["serve"], { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}` });
}

/** Runs a program, by default nodens' entry with nothing to do but start. */
async function runWith(
  program: string,
  args: readonly string[] = [join(projectFolder, "src", "nodens.mjs"), "serve", "--listen", "127.0.0.1:0"],
): Promise<EndedNodens> {
  const child: ChildProcess = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}
