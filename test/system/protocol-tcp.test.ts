/*
 * TCP towards clients: rows T of the protocol checklist.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { openTcp, type TcpClient } from "../support/messages/ask.ts";
import { a, buildQuery, concat, readMessage, replyTo, txt, Type, u16 } from "../support/messages/messages.ts";
import {
  ask, type NodensAndUpstream, startNodensAndUpstream, zoneByUpstreamTransport,
} from "../support/program/nodens-and-upstream.ts"; // prettier-ignore
import { residentBytes } from "../support/program/process-memory.ts";
import { type Script, until } from "../support/servers/scripted-upstream.ts";

vi.setConfig({ maxConcurrency: 10 });

let pair: NodensAndUpstream;
let port: number;

const idleTimeoutMs = 1000;

beforeAll(async () => {
  pair = await startNodensAndUpstream({ settings: { listen: { tcp: { idleTimeoutMs } } } });
  ({ port } = pair.nodens);
});
afterAll(() => pair.stop());

const answer: Script = ({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1", 600)] });

test.each(Object.entries(zoneByUpstreamTransport))(
  "T1: of 25 pipelined questions, answered by an upstream over %s, the slow first one holds up no other",
  async (_transport, zone) => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const names = Array.from({ length: 25 }, (_, index) =>
      pair.name(async (query) => {
        if (index === 0) await gate;
        return answer(query);
      }, zone),
    );
    const client = await openClient();
    client.socket.write(concat(names.map((name, id) => framed(buildQuery(name, Type.A, { id })))));
    const others = (await client.read(24)).map((reply) => readMessage(reply).id);
    expect(others.toSorted((one, two) => one - two)).toEqual(Array.from({ length: 24 }, (_, index) => index + 1));
    open();
    expect((await client.read(1)).map((reply) => readMessage(reply).id)).toEqual([0]);
  },
);

test("T2: a length and a question that come octet by octet", async () => {
  const client = await openClient();
  for (const name of [pair.name(answer), pair.name(answer)]) {
    const frame = framed(buildQuery(name, Type.A));
    for (const part of [frame.slice(0, 1), frame.slice(1, 2), frame.slice(2)]) {
      client.socket.write(part);
      // A segment of its own.
      await delay(5);
    }
    expect(await client.read(1)).toHaveLength(1);
  }
});

test("T2: two questions in one segment, and one and a half", async () => {
  const names = Array.from({ length: 4 }, () => pair.name(answer));
  const [first, second, third, fourth] = names.map((name, id) => framed(buildQuery(name, Type.A, { id })));
  const client = await openClient();
  client.socket.write(concat([first as Uint8Array, second as Uint8Array]));
  expect((await client.read(2)).map(idOf).toSorted()).toEqual([0, 1]);
  client.socket.write(concat([third as Uint8Array, (fourth as Uint8Array).slice(0, 7)]));
  expect((await client.read(1)).map(idOf)).toEqual([2]);
  client.socket.write((fourth as Uint8Array).slice(7));
  expect((await client.read(1)).map(idOf)).toEqual([3]);
});

test("T3: empty frames are ignored or end the connection, and nothing spins", async () => {
  const client = await openClient();
  client.socket.write(new Uint8Array(2000));
  const name = pair.name(answer);
  client.socket.write(framed(buildQuery(name, Type.A)));
  expect((await client.read(1)).length === 1 || client.isEnded()).toBe(true);
  const before = cpuTimeMs();
  await delay(300);
  expect(cpuTimeMs() - before).toBeLessThan(250);
});

describe.concurrent("T4: a connection without a question is closed within the idle limit, whatever octets arrive:", () => {
  const longQuery = framed(buildQuery(`${"a".repeat(60)}.${"b".repeat(60)}.example`, Type.A));
  test.each([
    ["nothing", () => new Uint8Array(0)],
    ["a question, octet by octet", (turn: number) => longQuery.slice(turn, turn + 1)],
    ["empty frames", () => new Uint8Array(2)],
    ["frames too short for a message", () => Uint8Array.of(0, 1, 0)],
    ["messages that say they are replies", () => framed(buildQuery("t4.example", Type.A, { flags: 0x8000 }))],
    ["a frame that was announced as a large one", (turn: number) => (turn === 0 ? u16(65_535) : Uint8Array.of(0))],
  ])("%s", async (_name, octets) => {
    const client = await openTcp(port);
    // Slower than the limit allows, faster than it takes: far more of them could come than do.
    for (let turn = 0; turn < 100 && !client.isEnded(); turn += 1) {
      client.socket.write(octets(turn));
      await delay(idleTimeoutMs / 10);
    }
    const isEnded = client.isEnded();
    client.socket.destroy();
    expect(isEnded).toBe(true);
  });

  test("but one that goes on asking stays", async ({ onTestFinished }) => {
    const client = await openTcp(port);
    onTestFinished(() => void client.socket.destroy());
    const question = framed(buildQuery(pair.name(answer), Type.A));
    const endsAt = performance.now() + 2.5 * idleTimeoutMs;
    while (performance.now() < endsAt) {
      client.socket.write(question);
      expect(await client.read(1)).toHaveLength(1);
      await delay(idleTimeoutMs / 10);
    }
    expect(client.isEnded()).toBe(false);
  });

  test("and one that waits for its answer stays", async ({ onTestFinished }) => {
    const name = pair.name(async (query) => {
      await delay(2.5 * idleTimeoutMs);
      return answer(query);
    });
    const client = await openTcp(port);
    onTestFinished(() => void client.socket.destroy());
    client.socket.write(framed(buildQuery(name, Type.A)));
    expect(await client.read(1, 10_000)).toHaveLength(1);
  });
});

describe("T5: a client that asks 10,000 times and never reads", () => {
  test("large answers: is closed as an idle one, and memory stays flat", async () => {
    const records = Array.from({ length: 230 }, () => txt("@12", "x".repeat(250), 600));
    const name = pair.name(({ bytes, protocol }) =>
      replyTo(bytes, protocol === "udp" ? { flags: 0x0200 } : { answers: records }),
    );
    await ask("tcp", port, name, Type.TXT);
    const before = residentBytes(pair.nodens.process.pid);
    const accepted = await metric("nodens_tcp_connections_accepted_total");
    for (let times = 1; times <= 5; times += 1) {
      const client = await openDeaf();
      client.write(concat(Array.from({ length: 10_000 }, () => framed(buildQuery(name, Type.TXT)))));
    }
    await until("all have asked", async () => (await metric("nodens_tcp_connections_accepted_total")) === accepted + 5);
    await until("they are closed", async () => (await metric("nodens_tcp_connections_open")) === 0);
    // Together the answers would have 3 GB.
    expect(residentBytes(pair.nodens.process.pid) - before).toBeLessThan(96 * 1024 * 1024);
  });

  test("small answers: is closed as an idle one, and others are served meanwhile", async () => {
    const name = pair.name(answer);
    await ask("tcp", port, name);
    const client = await openDeaf();
    client.write(concat(Array.from({ length: 10_000 }, () => framed(buildQuery(name, Type.A)))));
    expect((await ask("tcp", port, name)).answers).toHaveLength(1);
    expect((await ask("udp", port, name)).answers).toHaveLength(1);
    await until("it is closed", async () => (await metric("nodens_tcp_connections_open")) === 0);
  });
});

const idleCount = Math.min(10_000, descriptorLimit() - 200);
test(`T6: beside ${idleCount} idle connections, all that this machine's limit of descriptors allows up to 10,000, UDP and new connections are served`, async () => {
  const crowded = await startNodensAndUpstream({
    settings: {
      listen: { tcp: { maxConnections: idleCount, maxConnectionsPerClient: idleCount, idleTimeoutMs: 600_000 } },
    },
  });
  onTestFinished(() => crowded.stop());
  const name = crowded.name(answer);
  const idle: Socket[] = [];
  // No port stays occupied after a reset.
  onTestFinished(() => idle.forEach((socket) => socket.resetAndDestroy()));
  while (idle.length < idleCount) {
    const batch = Array.from({ length: Math.min(200, idleCount - idle.length) }, () =>
      connect(crowded.nodens.port, "127.0.0.1"),
    );
    await Promise.all(batch.map((socket) => once(socket, "connect")));
    // Who has not asked yet may be accepted later than others.
    for (const socket of batch) socket.write(framed(buildQuery(name, Type.A)));
    idle.push(...batch);
  }
  const open = async () => (await crowded.nodens.metric("nodens_tcp_connections_open")).get("");
  await until("all are open", async () => (await open()) === idleCount);
  for (let times = 0; times < 20; times += 1) {
    expect((await ask("udp", crowded.nodens.port, name)).answers).toHaveLength(1);
  }
  const endings = idle.slice(0, 20).map((socket) =>
    once(
      socket.resume().on("error", () => {}),
      "close",
    ),
  );
  for (let times = 0; times < 20; times += 1) {
    const client = await openTcp(crowded.nodens.port);
    onTestFinished(() => void client.socket.resetAndDestroy());
    client.socket.write(framed(buildQuery(name, Type.A)));
    expect(await client.read(1)).toHaveLength(1);
  }
  // The oldest went, as many as came, and no others.
  await Promise.all(endings);
  expect(idle.filter((socket) => socket.destroyed)).toHaveLength(20);
  expect((await crowded.nodens.metric("nodens_tcp_connections_evicted_total")).get("")).toBe(20);
});

test("T7: one connection asks 30,000 times", async () => {
  const name = pair.name(answer);
  const client = await openClient();
  for (let sent = 0; sent < 30_000; sent += 1000) {
    const batch = Array.from({ length: 1000 }, (_, index) => framed(buildQuery(name, Type.A, { id: sent + index })));
    client.socket.write(concat(batch));
    const replies = await client.read(1000, 10_000);
    expect(replies.map(idOf).toSorted((one, two) => one - two)).toEqual(
      Array.from({ length: 1000 }, (_, index) => sent + index),
    );
  }
});

test("T8: a question with FIN right behind it is answered, on the miss and on the hit", async () => {
  const name = pair.name(async (query) => {
    await delay(50);
    return answer(query);
  });
  for (const kind of ["miss", "hit"]) {
    const client = await openClient();
    client.socket.end(concat([framed(buildQuery(name, Type.A)), framed(buildQuery(name, Type.A))]));
    expect(await client.read(2), kind).toHaveLength(2);
    await until("the other half is closed too", () => client.isEnded());
  }
});

test("T9: clients that reset with questions in flight do no harm", async () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const slow = pair.name(async (query) => {
    await gate;
    return answer(query);
  });
  const known = pair.name(answer);
  await ask("tcp", port, known);
  const clients = await Promise.all(Array.from({ length: 50 }, openClient));
  for (const { socket } of clients)
    socket.write(concat([slow, known, slow].map((name) => framed(buildQuery(name, Type.A)))));
  await until("all wait", async () => (await metric("nodens_waiters")) === 100);
  for (const { socket } of clients) socket.resetAndDestroy();
  open();
  await until("none waits", async () => (await metric("nodens_waiters")) === 0);
  expect((await ask("tcp", port, slow)).answers).toHaveLength(1);
  expect(pair.nodens.process.exitCode).toBeNull();
});

async function openClient(): Promise<TcpClient> {
  const client = await openTcp(port);
  onTestFinished(() => void client.socket.destroy());
  return client;
}

/** A client whose octets pile up in the kernel. */
async function openDeaf(): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" }).pause();
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

function framed(message: Uint8Array): Uint8Array {
  return concat([u16(message.length), message]);
}

function idOf(reply: Uint8Array): number {
  return readMessage(reply).id;
}

async function metric(name: string): Promise<number> {
  return (await pair.nodens.metric(name)).get("") ?? 0;
}

/** What the kernel has counted for the process, in hundredths of a second as every Linux reports them. */
function cpuTimeMs(): number {
  const stat = readFileSync(`/proc/${pair.nodens.process.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function descriptorLimit(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 1024);
}
