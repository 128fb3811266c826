/*
 * An upstream that leads back to nodens: row L of the protocol checklist.
 */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { findFreePort } from "../support/servers/free-port.ts";
import { a, replyTo, Type } from "../support/messages/messages.ts";
import { ask, askRaw, startNodensAndUpstream, transports } from "../support/program/nodens-and-upstream.ts";
import { startRelay } from "../support/servers/relay.ts";
import { runNodens, runToEnd } from "../support/program/run-nodens.ts";
import { startScriptedUpstream, until } from "../support/servers/scripted-upstream.ts";

test.concurrent("L1: an upstream that is nodens itself is found: metric, readiness, a bound on what is sent, and the way back", async ({ onTestFinished }) => {
  const startedAt = performance.now();
  const port = await findFreePort();
  const relay = await startRelay(port);
  onTestFinished(() => relay.close());
  const nodens = await runNodens({
    settings: { listen: { addresses: [`127.0.0.1:${port}`] } },
    flags: ["--upstream", relay.address],
    waitUntilReady: false,
  });
  onTestFinished(async () => void (await nodens.stop()));

  // From the first moment on clients ask, also before it is known.
  const early = Array.from({ length: 50 }, (_, index) => ask("udp", port, `early${index}.example`));
  await until("the loop is found", async () => (await nodens.metric("nodens_loop_detected")).get("") === 1);
  const readiness = await fetch(`${nodens.adminUrl}/readyz`);
  expect([readiness.status, await readiness.text()]).toEqual([503, expect.stringMatching(/leads back/)]);
  expect((await fetch(`${nodens.adminUrl}/healthz`)).status).toBe(200);
  await until("the log says so", () => nodens.logs().some(({ level, msg }) => level === "error" && /leads back/.test(String(msg))));
  for (const { rcode } of await Promise.all(early)) expect(rcode).toBe(2);

  // Once it is known nothing of a client's is sent any more.
  const before = relay.count();
  for (const transport of transports) {
    for (let index = 0; index < 50; index += 1) {
      const { rcode, opts } = await ask(transport, port, `${transport}${index}.example`, 1, { opt: {} });
      // "No reachable authority".
      expect([rcode, opts[0]?.options[0]?.data]).toEqual([2, Uint8Array.of(0, 22)]);
    }
  }
  await delay(1000);
  // Only the probes that tell when it is over: a round in ten seconds, for each route three sends at most, over flows to be opened first.
  expect(relay.count() - before).toBeLessThan(40);
  expect(relay.count("udp") + relay.count("tcp")).toBe(0);
  const seconds = (performance.now() - startedAt) / 1000;
  expect(relay.count() / seconds).toBeLessThanOrEqual(1000);

  const upstream = await startScriptedUpstream(
    ({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1")] }),
    await findFreePort(),
  );
  onTestFinished(() => upstream.close());
  relay.leadTo(upstream.port);
  await until("it is ready", async () => (await fetch(`${nodens.adminUrl}/readyz`)).ok, 25_000);
  expect((await nodens.metric("nodens_loop_detected")).get("")).toBe(0);
  expect((await ask("udp", port, "back.example")).answers).toHaveLength(1);
}, 60_000); // prettier-ignore

test.concurrent("L1: a way back through outside names alone is found too", async ({ onTestFinished }) => {
  const port = await findFreePort();
  const relay = await startRelay(port);
  onTestFinished(() => relay.close());
  const upstream = await startScriptedUpstream(({ bytes }) => replyTo(bytes, { rcode: 2 }), await findFreePort());
  onTestFinished(() => upstream.close());
  const nodens = await runNodens({
    settings: {
      listen: { addresses: [`127.0.0.1:${port}`] },
      upstream: { servers: [upstream.address], outsideServers: [relay.address] },
    },
    waitUntilReady: false,
  });
  onTestFinished(async () => void (await nodens.stop()));
  await until("the loop is found", async () => (await nodens.metric("nodens_loop_detected")).get("") === 1);
  expect((await fetch(`${nodens.adminUrl}/readyz`)).status).toBe(503);
});

test.concurrent("L1: a loop that closes later multiplies nothing, and is found when the server seems down", async ({
  onTestFinished,
}) => {
  const port = await findFreePort();
  const upstreamPort = await findFreePort();
  const relay = await startRelay(upstreamPort);
  onTestFinished(() => relay.close());
  const upstream = await startScriptedUpstream(({ bytes }) => replyTo(bytes, {}), upstreamPort);
  onTestFinished(() => upstream.close());
  const nodens = await runNodens({
    settings: {
      listen: { addresses: [`127.0.0.1:${port}`] },
      upstream: {
        servers: [relay.address],
        deadlineMs: 1000,
        udp: { retransmitMs: 200 },
        tcp: { queryTimeoutMs: 200, connectTimeoutMs: 200 },
      },
    },
  });
  onTestFinished(async () => void (await nodens.stop()));
  relay.leadTo(port);
  const before = relay.count();
  const replies = await Promise.all(Array.from({ length: 20 }, (_, index) => ask("udp", port, `late${index}.example`)));
  expect(replies.map(({ rcode }) => rcode)).toEqual(replies.map(() => 2));
  // Three sends and three replies each.
  expect(relay.count("late")).toBeLessThanOrEqual(20 * 6);
  // And nodens's own questions on flows that owe answers and on new ones: how many depends on how long the failure takes.
  expect(relay.count() - before).toBeLessThan(20 * 6 + 120);
  await until("the loop is found", async () => (await nodens.metric("nodens_loop_detected")).get("") === 1);
  expect((await fetch(`${nodens.adminUrl}/readyz`)).status).toBe(503);
});

test.concurrent("L1: a probe that somebody else saw and asks again is no loop", async ({ onTestFinished }) => {
  const pair = await startNodensAndUpstream();
  onTestFinished(() => pair.stop());
  const probes = () => pair.upstream.probes.filter(({ type }) => type === Type.HINFO);
  await until("the probes have come", () => probes().length >= 2);
  for (const { bytes } of probes()) {
    // Dropped, or answered somehow.
    await askRaw("udp", pair.nodens.port, bytes, 100);
  }
  const name = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1")] }));
  expect((await ask("udp", pair.nodens.port, name)).answers).toHaveLength(1);
  expect((await pair.nodens.metric("nodens_loop_detected")).get("")).toBe(0);
});

test.concurrent("L1: an upstream that is one of our own addresses is refused at the start", async () => {
  const port = await findFreePort();
  const address = `127.0.0.1:${port}`;
  const ended = await runToEnd(["serve", "--listen", address, "--upstream", address, "--admin", "127.0.0.1:0"]);
  expect([ended.code, ended.stdout]).toEqual([78, ""]);
  expect(ended.stderr).toMatch(/^--upstream: upstream\.servers\[0\] .*where nodens itself listens.*loop\n$/);
});

test.concurrent("L1: without a loop nothing is found", async ({ onTestFinished }) => {
  const pair = await startNodensAndUpstream();
  onTestFinished(() => pair.stop());
  for (const transport of transports) {
    const name = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1")] }));
    expect((await ask(transport, pair.nodens.port, name)).answers).toHaveLength(1);
  }
  expect((await pair.nodens.metric("nodens_loop_detected")).get("")).toBe(0);
});
