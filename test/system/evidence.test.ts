/*
 * What nodens says of itself, and what that rests on: ready is what cluster names are answered with, and nodens's own questions are
 * nobody's traffic.
 */
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { a, replyTo } from "../support/messages/messages.ts";
import { metricSum } from "../support/program/metric-sums.ts";
import { ask } from "../support/program/nodens-and-upstream.ts";
import { projectFolder, type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
import { findFreePort } from "../support/servers/free-port.ts";
import { type Script, startScriptedUpstream, until } from "../support/servers/scripted-upstream.ts";

const answering: Script = ({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1", 0)] });

describe("nodens serves, and is not ready, while the cluster's zone is answered", () => {
  test("by nobody, though the server for outside names answers", async () => {
    const outside = await startUpstream(answering);
    const silent = await startUpstream(() => undefined);
    const nodens = await start({ upstream: { servers: [silent], outsideServers: [outside] } });
    await expectNotReady(nodens);
    expect((await ask("udp", nodens.port, "early.example")).rcode).toBe(0);
  });

  test.each([
    ["REFUSED", 5],
    ["SERVFAIL", 2],
  ])("with %s", async (_name, rcode) => {
    const refusing = await startUpstream(({ bytes }) => replyTo(bytes, { rcode }));
    await expectNotReady(await start({ upstream: { servers: [refusing] } }));
  });
});

test("NXDOMAIN of a name in the zone is an answer of the zone", async () => {
  const denying = await startUpstream(({ bytes }) => replyTo(bytes, { rcode: 3 }));
  const nodens = await start({ upstream: { servers: [denying] } });
  await until("it is ready", async () => (await fetch(`${nodens.adminUrl}/readyz`)).ok);
});

test("with TCP closed at the cluster's server nodens is ready once UDP has answered, by which Services are found then", async () => {
  const server = createSocket("udp4");
  onTestFinished(() => void server.close());
  let answers = false;
  server.on("message", (bytes, { port, address }) => {
    if (answers) server.send(replyTo(bytes, { answers: [a("@12", "192.0.2.1", 0)] }), port, address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  const nodens = await start({ upstream: { servers: [`127.0.0.1:${server.address().port}`] } });
  await expectNotReady(nodens);
  answers = true;
  await until("it is ready", async () => (await fetch(`${nodens.adminUrl}/readyz`)).ok);
  expect((await ask("udp", nodens.port, "web.default.svc.cluster.local")).answers).toHaveLength(1);
});

test("nodens asks itself every second, while upstream is dead too, and no metric of clients knows of it", async () => {
  const upstream = await startScriptedUpstream(answering);
  const nodens = await start({ upstream: { servers: [upstream.address] } });
  await until("it is ready", async () => (await fetch(`${nodens.adminUrl}/readyz`)).ok);
  await upstream.close();
  await delay(3000);
  expect((await fetch(`${nodens.adminUrl}/readyz`)).status).toBe(200);
  for (const name of [
    "coredns_dns_requests_total",
    "coredns_dns_responses_total",
    "coredns_cache_requests_total",
    "nodens_answer_duration_seconds_count",
    "nodens_dropped_queries_total",
    "nodens_tcp_connections_accepted_total",
  ])
    expect([name, await metricSum(nodens, name)]).toEqual([name, 0]);
});

describe("a second nodens on the address that hangs", () => {
  test("keeps the first from becoming ready, and one that answers does not", async () => {
    const settings = await settingsOfTwo();
    const first = await start(settings);
    await until("the first is ready", () => isReady(first));
    hang(first);
    const second = await start(settings);
    await until("it says what is wrong", () => saysThatOneHangs(second));
    first.process.kill("SIGCONT");
    await until("the second is ready", () => isReady(second));
    await until("the first is ready again", () => isReady(first));
  });

  test("makes one that was ready no longer so, until it answers or is gone", async () => {
    const settings = await settingsOfTwo();
    const [first, second] = [await start(settings), await start(settings)];
    await until("both are ready", async () => (await isReady(first)) && (await isReady(second)));
    hang(second);
    await until("it says what is wrong", () => saysThatOneHangs(first), 30_000);
    expect((await first.metric("nodens_ready")).get("")).toBe(0);
    second.process.kill("SIGKILL");
    await until("it is ready again", () => isReady(first));
    expect(first.logs()).toContainEqual(
      expect.objectContaining({ level: "warn", msg: expect.stringContaining("another nodens hanging") }),
    );
  });
});

describe("the file `alive`, by which the probes of a pod decide to kill it, is touched every second", () => {
  test.each([
    ["has no permission to set up the node", "echo Operation not permitted >&2; exit 2"],
    ["still waits for a program of the node", "exec sleep 30"],
  ])("by a nodens without sockets that %s", async (_name, script) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "ip"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const settings = {
      listen: { addresses: [] },
      attach: { mode: "link-local" },
      admin: { address: "127.0.0.1:0" },
      upstream: { servers: ["127.0.0.1:1"] },
      probes: { directory: folder },
    };
    writeFileSync(join(folder, "nodens.yaml"), JSON.stringify(settings));
    const serve = [join(projectFolder, "src", "nodens.mjs"), "serve", "--config", join(folder, "nodens.yaml")];
    const env = { ...process.env, NODE_OPTIONS: "", PATH: `${folder}:${process.env["PATH"]}` };
    const child = spawn(process.execPath, serve, { stdio: "ignore", detached: true, env });
    onTestFinished(() => void process.kill(-(child.pid ?? 0), "SIGKILL"));
    const alive = join(folder, "alive");
    await until("it is there", () => existsSync(alive));
    const before = statSync(alive).mtimeMs;
    await until("it is touched", () => statSync(alive).mtimeMs >= before + 2000);
    expect(existsSync(join(folder, "ready"))).toBe(false);
  });

  test("and not by one whose event loop hangs", async () => {
    const folder = temporaryFolder();
    const upstream = await startUpstream(answering);
    const nodens = await start({ upstream: { servers: [upstream] }, probes: { directory: folder } });
    await until("it is ready", () => existsSync(join(folder, "ready")));
    hang(nodens);
    const before = statSync(join(folder, "alive")).mtimeMs;
    await delay(2500);
    expect(statSync(join(folder, "alive")).mtimeMs).toBe(before);
  });
});

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nodens-probes-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** For two that share an address. */
async function settingsOfTwo() {
  return {
    listen: { addresses: [`127.0.0.1:${await findFreePort()}`] },
    upstream: { servers: [await startUpstream(answering)] },
  };
}

async function isReady(nodens: RunningNodens): Promise<boolean> {
  return (await fetch(`${nodens.adminUrl}/readyz`)).ok;
}

async function saysThatOneHangs(nodens: RunningNodens): Promise<boolean> {
  const text = await (await fetch(`${nodens.adminUrl}/readyz`)).text();
  return /^.*\d+ of 16 queries .* another nodens hanging/s.test(text);
}

function hang(nodens: RunningNodens): void {
  nodens.process.kill("SIGSTOP");
  onTestFinished(() => void nodens.process.kill("SIGCONT"));
}

async function startUpstream(script: Script): Promise<string> {
  const upstream = await startScriptedUpstream(script, 0, { scriptsProbes: true });
  onTestFinished(() => upstream.close());
  return upstream.address;
}

async function start(settings: Record<string, unknown>): Promise<RunningNodens> {
  const nodens = await runNodens({ settings, waitUntilReady: false });
  onTestFinished(async () => void (await nodens.stop()));
  return nodens;
}

async function expectNotReady(nodens: RunningNodens): Promise<void> {
  const logged = () => nodens.logs().some(({ msg }) => /zone is not answered/.test(String(msg)));
  await until("the zone was asked for in vain", logged);
  const readyz = await fetch(`${nodens.adminUrl}/readyz`);
  expect([readyz.status, await readyz.text()]).toEqual([503, expect.stringMatching(/zone has not been answered yet/)]);
}
