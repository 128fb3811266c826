import { createSocket } from "node:dgram";
import { describe, expect, onTestFinished, test } from "vitest";
import { exchange, type ExchangeLimits, type ExchangeResult } from "../../../src/upstream/exchange.ts";
import { createServer, type Server, type ServerLimits } from "../../../src/upstream/server.ts";
import { createServerCounters } from "../../../src/upstream/server-counters.ts";
import type { Transport } from "../../../src/upstream/transport.ts";
import { createFakeClock, type FakeClock } from "../../support/program/fake-clock.ts";
import { a, Flags, readMessage, replyTo, u16 } from "../../support/messages/messages.ts";
import {
  type ReceivedQuery,
  type Script,
  type ScriptedUpstream,
  until,
} from "../../support/servers/scripted-upstream.ts";
import {
  addressIn,
  answerAll,
  answerNothing,
  closedPort,
  holdQueries,
  questionFor,
  serverLimits,
  startServer,
} from "./flow-parts.ts";

const exchangeLimits: ExchangeLimits = { maxSends: 3, deadlineMs: 5000, retransmitMs: { udp: 800, tcp: 800 } };

const neverProbed = { failuresUntilDown: 3, probeIntervalMs: 3_600_000, maxBackoffMs: 3_600_000 };

/** Servers at these ports, in order of preference, asked under one fake clock. */
function setUp(ports: readonly number[], limits: Partial<ServerLimits> = {}) {
  const clock = createFakeClock();
  const servers = ports.map((port) =>
    createServer({
      address: { host: "127.0.0.1", port },
      transport: "udp",
      probeQuestion: questionFor("probe.test"),
      // No probes among the sends that are counted here.
      limits: { ...serverLimits, health: neverProbed, ...limits },
      clock,
      counters: createServerCounters(),
      onHealthChange: () => {},
    }),
  );
  onTestFinished(() => {
    for (const server of servers) server.close();
  });
  return { clock, servers, ask };

  function ask(name: string, transport: Transport, more: Partial<ExchangeLimits> = {}): Asked {
    let result: ExchangeResult | undefined;
    void exchange(questionFor(name), servers, transport, { ...exchangeLimits, ...more }, clock).then((outcome) => {
      result = outcome;
    });
    return {
      isDone: () => result !== undefined,
      failure: () => (result !== undefined && "failure" in result ? result.failure : undefined),
      address: () => addressIn(result !== undefined && "reply" in result ? result.reply.packet : undefined),
      rcode: () => (result !== undefined && "reply" in result ? result.reply.rcode : undefined),
      flags: () => (result !== undefined && "reply" in result ? result.reply.flags : 0),
    };
  }
}

interface Asked {
  isDone(): boolean;
  failure(): string | undefined;
  address(): string;
  rcode(): number | undefined;
  flags(): number;
}

function answerWith(address: string): Script {
  return ({ bytes, name }) => replyTo(bytes, { answers: [a(name, address)] });
}

function refuseWith(rcode: number): Script {
  return ({ bytes }) => replyTo(bytes, { rcode });
}

/** Waits for the end of an exchange while time passes, so that every timer may play its part. */
async function untilDone(clock: FakeClock, asked: Asked, stepMs = 50): Promise<void> {
  await until("the exchange has ended", async () => {
    if (!asked.isDone()) await clock.advance(stepMs);
    return asked.isDone();
  });
}

async function untilReceived(server: ScriptedUpstream, count: number): Promise<void> {
  await until(`${count} queries have arrived`, () => server.received.length >= count);
}

function totalSends(servers: readonly Server[]): number {
  return servers.reduce((sum, { counters }) => sum + counters.sends.udp + counters.sends.tcp, 0);
}

const transports: readonly Transport[] = ["udp", "tcp"];
const SERVFAIL = 2;
const REFUSED = 5;
const FORMERR = 1;

describe.each(transports)("over %s", (transport) => {
  test("the first server is asked, and its answer is the result", async () => {
    const [first, second] = [await startServer(answerWith("10.0.0.1")), await startServer(answerAll)];
    const { servers, ask, clock } = setUp([first.port, second.port]);
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.1");
    expect(totalSends(servers)).toBe(1);
    expect(second.received).toHaveLength(0);
    await clock.advance(60_000);
    expect(totalSends(servers)).toBe(1);
  });

  test("without an answer it is sent again after 800 ms, from another flow", async () => {
    const server = await startServer(answerNothing);
    const { ask, clock } = setUp([server.port]);
    const asked = ask("a.test", transport);
    await untilReceived(server, 1);
    await clock.advance(799);
    server.answerWith(answerAll);
    expect(server.received).toHaveLength(1);
    await clock.advance(1);
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.1");
    const [first, second] = server.received;
    expect(second?.port).not.toBe(first?.port);
  });

  test("a silent server is left for the next after 800 ms", async () => {
    const [silent, other] = [await startServer(answerNothing), await startServer(answerWith("10.0.0.2"))];
    const { ask, clock } = setUp([silent.port, other.port]);
    const asked = ask("a.test", transport);
    await untilReceived(silent, 1);
    await clock.advance(800);
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.2");
    expect(silent.received).toHaveLength(1);
  });

  test("a server that refuses is left for the next at once", async () => {
    const other = await startServer(answerWith("10.0.0.2"));
    const { servers, ask, clock } = setUp([await closedPort(), other.port]);
    const startedAtMs = clock.nowMs();
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.2");
    expect(clock.nowMs()).toBe(startedAtMs);
    expect(servers[0]?.health.isUp()).toBe(false);
  });

  test("a server that is down is not asked while another is up", async () => {
    const other = await startServer(answerAll);
    const { servers, ask } = setUp([await closedPort(), other.port]);
    const asked = ["a.test", "b.test", "c.test"];
    for (const name of asked) {
      const each = ask(name, transport);
      await until(`${name} is answered`, each.isDone);
    }
    expect(servers[0]?.counters.sends[transport]).toBe(1);
    expect(other.received.map(({ name }) => name)).toStrictEqual(asked);
  });

  test("a server that is down is asked all the same when none is up", async () => {
    const server = await startServer(answerAll);
    const { servers, ask, clock } = setUp([server.port]);
    for (let count = 0; count < 3; count += 1) servers[0]?.noteTimeout("udp", clock.nowMs());
    expect(servers[0]?.health.isUp()).toBe(false);
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.1");
    expect(servers[0]?.health.isUp()).toBe(true);
  });

  test("the only server, refusing, is asked again after pauses and no more than three times", async () => {
    const { servers, ask, clock } = setUp([await closedPort()]);
    const asked = ask("a.test", transport);
    await until("the first is lost", () => servers[0]?.counters.losses.refused === 1);
    expect(totalSends(servers)).toBe(1);
    await untilDone(clock, asked, 150);
    expect(asked.failure()).toBe("refused");
    expect(totalSends(servers)).toBe(3);
  });

  test("a refusal is given a second opinion, by another server if there is one", async () => {
    const [first, second] = [await startServer(refuseWith(SERVFAIL)), await startServer(answerWith("10.0.0.2"))];
    const { ask } = setUp([first.port, second.port]);
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.2");
  });

  test.each([SERVFAIL, REFUSED])("rcode %i stands when the second opinion is the same", async (rcode) => {
    const server = await startServer(refuseWith(rcode));
    const { servers, ask } = setUp([server.port]);
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.rcode()).toBe(rcode);
    expect(totalSends(servers)).toBe(2);
  });

  test("a refusal is better than nothing when there is no second opinion", async () => {
    const [first, second] = [await startServer(refuseWith(SERVFAIL)), await startServer(answerNothing)];
    const { servers, ask, clock } = setUp([first.port, second.port]);
    const asked = ask("a.test", transport);
    await untilReceived(second, 1);
    await untilDone(clock, asked);
    expect(asked.rcode()).toBe(SERVFAIL);
    expect(totalSends(servers)).toBeLessThanOrEqual(3);
  });

  test.each([
    ["NXDOMAIN", 3],
    ["NOTIMP", 4],
  ])("%s is an answer, and no reason to ask again", async (_name, rcode) => {
    const server = await startServer(refuseWith(rcode));
    const { servers, ask } = setUp([server.port]);
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.rcode()).toBe(rcode);
    expect(totalSends(servers)).toBe(1);
  });

  test("FORMERR without OPT is asked once more without EDNS, of the same server", async () => {
    const server = await startServer((query) =>
      readMessage(query.bytes).opts.length > 0 ? refuseWith(FORMERR)(query) : answerAll(query),
    );
    const other = await startServer(answerAll);
    const { ask } = setUp([server.port, other.port]);
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.1");
    expect(server.received.map(({ bytes }) => readMessage(bytes).counts[3])).toStrictEqual([1, 0]);
    expect(readMessage(server.received[1]?.bytes as Uint8Array).trailingBytes).toBe(0);
    expect(other.received).toHaveLength(0);
  });

  test("FORMERR to a query without EDNS stands", async () => {
    const server = await startServer(refuseWith(FORMERR));
    const { servers, ask } = setUp([server.port]);
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.rcode()).toBe(FORMERR);
    expect(totalSends(servers)).toBe(2);
  });

  test("FORMERR with OPT comes from a server that knows EDNS, and stands", async () => {
    const server = await startServer(({ bytes }) => replyTo(bytes, { rcode: FORMERR, opt: {} }));
    const { servers, ask } = setUp([server.port]);
    const asked = ask("a.test", transport);
    await until("it is answered", asked.isDone);
    expect(asked.rcode()).toBe(FORMERR);
    expect(totalSends(servers)).toBe(1);
  });

  test("a server that knows no EDNS and fails is relayed as failing", async () => {
    const server = await startServer((query) =>
      refuseWith(readMessage(query.bytes).opts.length > 0 ? FORMERR : SERVFAIL)(query),
    );
    const { ask, clock } = setUp([server.port]);
    const asked = ask("a.test", transport);
    await untilDone(clock, asked);
    expect(asked.rcode()).toBe(SERVFAIL);
  });

  test("silence ends at the deadline, after three sends", async () => {
    const server = await startServer(answerNothing);
    const { servers, ask, clock } = setUp([server.port]);
    const asked = ask("a.test", transport);
    await untilReceived(server, 1);
    await clock.advance(800);
    await untilReceived(server, 2);
    await clock.advance(1600);
    await untilReceived(server, 3);
    await clock.advance(2599);
    expect(asked.isDone()).toBe(false);
    await clock.advance(1);
    expect(asked.failure()).toBe("timeout");
    await clock.advance(60_000);
    expect(server.received).toHaveLength(3);
    expect(totalSends(servers)).toBe(3);
  });

  test("nothing of it is left when it has ended", async () => {
    const server = await startServer(answerNothing);
    const { servers, ask, clock } = setUp([server.port]);
    const asked = ask("a.test", transport, { deadlineMs: 1000 });
    await untilReceived(server, 1);
    await clock.advance(1000);
    expect(asked.failure()).toBe("timeout");
    for (const each of servers) each.close();
    expect(clock.pendingTimers()).toBe(0);
  });

  test("a server that is closed ends it as stopped", async () => {
    const server = await startServer(answerNothing);
    const { servers, ask } = setUp([server.port]);
    const asked = ask("a.test", transport);
    await untilReceived(server, 1);
    servers[0]?.close();
    await until("it has ended", asked.isDone);
    expect(asked.failure()).toBe("stopped");
    const later = ask("b.test", transport);
    await until("it has ended", later.isDone);
    expect(later.failure()).toBe("stopped");
  });
});

describe("over any transport", () => {
  test("without a server it ends as stopped", async () => {
    const { ask } = setUp([]);
    const asked = ask("a.test", "udp");
    await until("it has ended", asked.isDone);
    expect(asked.failure()).toBe("stopped");
  });

  test("an answer to the first send, after the second left, is as good, and ends the waiting for the second", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { ask, clock, servers } = setUp([server.port]);
    const asked = ask("a.test", "udp");
    await untilReceived(server, 1);
    await clock.advance(800);
    await untilReceived(server, 2);
    held.answer();
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.1");
    await clock.advance(60_000);
    expect(totalSends(servers)).toBe(2);
  });
});

describe("UDP gives way to TCP", () => {
  const truncatedOverUdp: Script = (query) =>
    query.protocol === "udp" ? replyTo(query.bytes, { flags: Flags.TC }) : answerAll(query);

  test("when the reply is truncated", async () => {
    const server = await startServer(truncatedOverUdp);
    const { ask } = setUp([server.port]);
    const asked = ask("a.test", "udp");
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.1");
    expect(server.received.map(({ protocol }) => protocol)).toStrictEqual(["udp", "tcp"]);
  });

  test("and the truncated reply is relayed when nobody listens on TCP", async () => {
    const port = await closedPort();
    const udp = createSocket("udp4");
    onTestFinished(() => void udp.close());
    udp.on("message", (query, peer) => udp.send(replyTo(query, { flags: Flags.TC }), peer.port, peer.address));
    await new Promise<void>((resolve) => udp.bind(port, "127.0.0.1", resolve));
    const { servers, ask, clock } = setUp([port]);
    const asked = ask("a.test", "udp");
    await until("TCP is refused", () => servers[0]?.counters.losses.refused === 1);
    await untilDone(clock, asked, 150);
    expect(asked.flags() & Flags.TC).toBe(Flags.TC);
    expect(totalSends(servers)).toBe(3);
  });

  test("and the truncated reply is relayed when TCP stays silent", async () => {
    const server = await startServer((query) =>
      query.protocol === "udp" ? replyTo(query.bytes, { flags: Flags.TC }) : undefined,
    );
    const { servers, ask, clock } = setUp([server.port]);
    const asked = ask("a.test", "udp");
    await untilReceived(server, 2);
    await untilDone(clock, asked);
    expect(asked.flags() & Flags.TC).toBe(Flags.TC);
    expect(totalSends(servers)).toBe(3);
  });

  test("truncated over TCP is what it is", async () => {
    const server = await startServer(({ bytes }) => replyTo(bytes, { flags: Flags.TC }));
    const { servers, ask } = setUp([server.port]);
    const asked = ask("a.test", "tcp");
    await until("it is answered", asked.isDone);
    expect(asked.flags() & Flags.TC).toBe(Flags.TC);
    expect(totalSends(servers)).toBe(1);
  });

  test("when its socket is being guessed at, for every question that waited on it", async () => {
    const server = await startServer(({ protocol, ...query }) => {
      if (protocol === "tcp") return answerAll({ protocol, ...query });
      if (query.name !== "b.test") return undefined;
      return Array.from({ length: 17 }, (_, index) => {
        const forged = replyTo(query.bytes, { answers: [a(query.name, "10.6.6.6")] });
        forged.set(u16(query.id ^ (index + 1)));
        return forged;
      });
    });
    const { ask } = setUp([server.port], {
      transports: { ...serverLimits.transports, udp: { ...serverLimits.transports.udp, maxFlows: 1 } },
    });
    const asked = ["a.test", "b.test"].map((name) => ask(name, "udp"));
    await until("both are answered", () => asked.every((each) => each.isDone()));
    expect(asked.map((each) => each.address())).toStrictEqual(["10.0.0.1", "10.0.0.1"]);
    const overTcp = server.received.filter(({ protocol }) => protocol === "tcp").map(({ name }) => name);
    expect(overTcp.toSorted()).toStrictEqual(["a.test", "b.test"]);
  });
});

describe("a lost connection", () => {
  test("costs no pause and no failure: all that waited is asked again at once on a new one", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { servers, ask, clock } = setUp([server.port]);
    const asked = ["a.test", "b.test", "c.test"].map((name) => ask(name, "tcp"));
    await untilReceived(server, 3);
    const [lost] = server.received;
    server.answerWith(answerAll);
    const atMs = clock.nowMs();
    lost?.connection?.resetAndDestroy();
    await until("all are answered", () => asked.every((each) => each.isDone()));
    expect(asked.map((each) => each.address())).toStrictEqual(["10.0.0.1", "10.0.0.1", "10.0.0.1"]);
    expect(clock.nowMs()).toBe(atMs);
    expect(totalSends(servers)).toBe(6);
    expect(servers[0]?.health.isUp()).toBe(true);
  });

  test("that went dead in the middle is given up after 800 ms, and its questions are asked again on a new one", async () => {
    const server = await startServer(answerAll);
    const { ask, clock } = setUp([server.port]);
    const first = ask("first.test", "tcp");
    await until("the first is answered", first.isDone);
    await clock.advance(1000);
    server.answerWith(answerNothing);
    const asked = ["a.test", "b.test"].map((name) => ask(name, "tcp"));
    await untilReceived(server, 3);
    const dead = server.received[1]?.connection;
    server.answerWith((query) => (query.connection === dead ? undefined : answerAll(query)));
    await clock.advance(800);
    await until("both are answered", () => asked.every((each) => each.isDone()));
    await until("the dead one is closed", () => dead !== undefined && !server.connections.has(dead));
    expect(server.connections.size).toBe(1);
  });
});

describe("P5: no fault makes it more than three sends or longer than the deadline", () => {
  const garbage = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  const onConnection = (
    act: (query: ReceivedQuery & { connection: NonNullable<ReceivedQuery["connection"]> }) => void,
  ) =>
    ((query) => {
      if (query.connection !== undefined) act({ ...query, connection: query.connection });
      return undefined;
    }) satisfies Script;
  const wrongId: Script = ({ bytes }) => {
    const reply = replyTo(bytes);
    reply[0] = (reply[0] ?? 0) ^ 0xff;
    return reply;
  };
  const faults: [string, Transport, Script][] = [
    ["silence", "udp", answerNothing],
    ["silence", "tcp", answerNothing],
    ["FIN at every query", "tcp", onConnection(({ connection }) => connection.end())],
    ["RST at every query", "tcp", onConnection(({ connection }) => connection.resetAndDestroy())],
    ["FIN behind the length", "tcp", onConnection(({ connection }) => connection.end(Uint8Array.of(0, 40)))],
    ["a frame without octets", "tcp", () => ({ raw: Uint8Array.of(0, 0) })],
    ["HTTP", "tcp", () => ({ raw: garbage })],
    ["HTTP, and FIN", "tcp", onConnection(({ connection }) => connection.end(garbage))],
    ["HTTP", "udp", () => garbage],
    ["wrong IDs", "udp", wrongId],
    ["wrong IDs", "tcp", wrongId],
    ["truncation over both", "udp", ({ bytes }) => replyTo(bytes, { flags: Flags.TC })],
    ["SERVFAIL", "udp", refuseWith(SERVFAIL)],
    ["SERVFAIL", "tcp", refuseWith(SERVFAIL)],
    ["FORMERR", "udp", refuseWith(FORMERR)],
  ];

  test.each(faults)("%s over %s", async (_fault, transport, script) => {
    const [first, second] = [await startServer(script), await startServer(script)];
    const { servers, ask, clock } = setUp([first.port, second.port]);
    const asked = ask("a.test", transport);
    const startedAtMs = clock.nowMs();
    await untilDone(clock, asked);
    expect(clock.nowMs() - startedAtMs).toBeLessThanOrEqual(exchangeLimits.deadlineMs);
    expect(asked.address()).toBe("");
    await clock.advance(20_000);
    expect(totalSends(servers)).toBeLessThanOrEqual(3);
    expect(first.received.length + second.received.length).toBeLessThanOrEqual(3);
  });

  test("more than three sends are not made either when the first two are lost at once", async () => {
    const server = await startServer((query) => {
      if (server.received.length < 3) query.connection?.resetAndDestroy();
      else return answerAll(query);
      return undefined;
    });
    const { servers, ask } = setUp([server.port]);
    const asked = ask("a.test", "tcp");
    await until("it is answered", asked.isDone);
    expect(asked.address()).toBe("10.0.0.1");
    expect(totalSends(servers)).toBe(3);
  });
});

describe("a server that is down", () => {
  test("is found up again by its probe", async () => {
    const server = await startServer(answerNothing);
    const { servers, ask, clock } = setUp([server.port], { health: serverLimits.health });
    const asked = ask("a.test", "udp", { maxSends: 1, deadlineMs: 500 });
    await untilReceived(server, 1);
    await untilDone(clock, asked);
    for (let count = 0; count < 3; count += 1) servers[0]?.noteTimeout("udp", clock.nowMs());
    expect(servers[0]?.health.isUp()).toBe(false);
    server.answerWith(answerAll);
    await until("a probe was answered", async () => {
      await clock.advance(50);
      return servers[0]?.health.isUp() === true;
    });
    expect(server.received.at(-1)?.name).toBe("probe.test");
  });

  test("keeps counting failed probes while it is silent", async () => {
    const server = await startServer(answerNothing);
    const { servers, clock } = setUp([server.port]);
    const probe = servers[0]?.probe();
    await untilReceived(server, 1);
    await clock.advance(1000);
    expect(await probe).toBe(false);
    expect(servers[0]?.counters.failedProbes).toBe(1);
  });
});

describe("numbers", () => {
  test("of a server say what was sent, lost and how long answers took, by rcode", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { servers, ask, clock } = setUp([server.port]);
    const asked = ask("a.test", "tcp");
    await untilReceived(server, 1);
    await clock.advance(30);
    held.answer();
    await until("it is answered", asked.isDone);
    const { counters } = servers[0] as Server;
    expect(counters.durations.get(0)?.sum).toBeCloseTo(0.03);
    expect([counters.sends.tcp, counters.openedFlows.tcp, counters.openFlows.tcp]).toStrictEqual([1, 1, 1]);
    expect(Object.values(counters.losses).every((count) => count === 0)).toBe(true);
  });
});
