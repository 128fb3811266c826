import { expect, onTestFinished, test } from "vitest";
import { checkServer } from "../../../src/doctor/check-server.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { a, readMessage, replyTo } from "../../support/messages/messages.ts";
import { type Script, startScriptedUpstream } from "../../support/servers/scripted-upstream.ts";

const name = "kubernetes.default.svc.cluster.local";

const well: Script = (query) =>
  query.name === name ? replyTo(query.bytes, { answers: [a(name, "10.96.0.1")] }) : replyTo(query.bytes, { rcode: 3 });

/** A busy machine may answer late. */
const isSlowOnly = (found: string) => found.includes(": 5 of 5 answered, ");

async function statesWith(script: Script): Promise<string[]> {
  return (await findingsWith(script))
    .filter(({ state, found }) => state !== "ok" && !isSlowOnly(found))
    .map(({ check, state, found }) => `${check} ${state}: ${found}`);
}

async function findingsWith(script: Script) {
  const server = await startScriptedUpstream(script);
  onTestFinished(() => server.close());
  return checkServer({ server: { host: "127.0.0.1", port: server.port }, name, clock: systemClock, times: 5 });
}

test("of a server that is well, all is well, over both transports", async () => {
  expect(await statesWith(well)).toEqual([]);
});

test("a server that does not know the name is told so, for its times are not those of a Service", async () => {
  const findings = await findingsWith((query) => replyTo(query.bytes, { rcode: 3 }));
  const told = findings.filter(({ found }) => found.includes(`${name} does not exist there`)).map(({ check }) => check);
  expect(told).toEqual(["server-udp", "server-tcp"]);
});

test("a server that makes up addresses is bad", async () => {
  const [said, ...others] = await statesWith((query) =>
    replyTo(query.bytes, { answers: [a(query.name, "192.0.2.1")] }),
  );
  expect([said, others]).toEqual([
    expect.stringMatching(/^server-denial bad: .* answers NOERROR to a name that does not exist/),
    [],
  ]);
});

test("a server that does not take large EDNS is told with the size", async () => {
  const [said, ...others] = await statesWith((query) => {
    const isLarge = readMessage(query.bytes).opts[0]?.udpSize === 4096;
    return isLarge ? replyTo(query.bytes, { rcode: 1 }) : well(query);
  });
  expect([said, others]).toEqual([
    expect.stringMatching(/^server-edns warn: .* does not take EDNS at 4096 \(FORMERR\)/),
    [],
  ]);
});

test("a transport that does not work is told from a server that is gone", async () => {
  const server = await startScriptedUpstream(well);
  const { port } = server;
  await server.close();
  const findings = await checkServer({ server: { host: "127.0.0.1", port }, name, clock: systemClock, times: 5 });
  expect(findings.map(({ check, state, why }) => [check, state, why])).toEqual([
    ["server-udp", "bad", "nobody answers there"],
    ["server-tcp", "bad", "nobody answers there"],
  ]);
});
