/*
 * What nodens says of itself, and what that rests on: ready is what cluster names are answered with, and nodens's own questions are
 * nobody's traffic.
 */
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { a, replyTo } from "../support/messages/messages.ts";
import { metricSum } from "../support/program/metric-sums.ts";
import { ask } from "../support/program/nodens-and-upstream.ts";
import { type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
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

test("nodens asks itself every second, while upstream is dead too, and no metric of clients knows of it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nodens-probes-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const upstream = await startScriptedUpstream(answering);
  const settings = { upstream: { servers: [upstream.address] }, probes: { directory: folder } };
  const nodens = await start(settings);
  await until("it is ready", async () => (await fetch(`${nodens.adminUrl}/readyz`)).ok);
  await upstream.close();
  const alive = join(folder, "alive");
  await until("it has answered itself", () => existsSync(alive));
  const before = statSync(alive).mtimeMs;
  await until("it answers itself on", () => statSync(alive).mtimeMs >= before + 2000);
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

test("a second nodens on the address that hangs keeps the first from being ready, and one that answers does not", async () => {
  const settings = {
    listen: { addresses: [`127.0.0.1:${await findFreePort()}`] },
    upstream: { servers: [await startUpstream(answering)] },
  };
  const isReady = async (nodens: RunningNodens) => (await fetch(`${nodens.adminUrl}/readyz`)).ok;
  const first = await start(settings);
  await until("the first is ready", () => isReady(first));
  first.process.kill("SIGSTOP");
  onTestFinished(() => void first.process.kill("SIGCONT"));
  const second = await start(settings);
  await until("it says what is wrong", async () =>
    /^.*\d+ of 16 queries .* does another nodens hang/s.test(await (await fetch(`${second.adminUrl}/readyz`)).text()),
  );
  first.process.kill("SIGCONT");
  await until("the second is ready", () => isReady(second));
  expect(await isReady(first)).toBe(true);
});

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
