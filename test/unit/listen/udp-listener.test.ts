import { createSocket } from "node:dgram";
import { once } from "node:events";
import { constants } from "node:os";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { maxUdpReplyRoomBytes } from "../../../src/listen/answer-query.ts";
import { canListenInBatches } from "../../../src/listen/batch-listener.ts";
import { type BatchChoice, listenUdp } from "../../../src/listen/udp-listener.ts";
import { createSendBatch } from "../../../src/runtime/datagram-batch.ts";
import { libc, type Libc, SocketConstant } from "../../../src/runtime/libc.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";
import { listen as listenGroup } from "../../../src/settings/listen-settings.ts";
import { settingNotes } from "../../../src/settings/setting-kinds.ts";
import { askUdp } from "../../support/messages/ask.ts";
import { findFreePort } from "../../support/servers/free-port.ts";
import { buildQuery, readMessage, Type } from "../../support/messages/messages.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import { addressAnswer, createFront } from "./front-parts.ts";
import { describeWith } from "../../support/program/requirements.ts";

const choices = ["auto", "off"] as const;

/** A listener on a free port, which is closed when the test ends. "hit.test" is in its cache. */
async function listen(batch: BatchChoice, host = "127.0.0.1") {
  const parts = createFront();
  parts.resolver.cached.set("hit.test", addressAnswer("hit.test", parts.clock.nowMs()));
  const listener = await listenUdp({ host, port: 0 }, parts.front, batch);
  onTestFinished(() => listener.close());
  return { ...parts, listener, port: listener.address.port };
}

function query(name: string, id = 1): Uint8Array {
  return buildQuery(name, Type.A, { id });
}

/** A connected client: it takes replies only from the address and port that it asks. */
async function openClient(port: number) {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  const replies: string[] = [];
  socket.on("message", (bytes) => {
    const { id, answers } = readMessage(bytes);
    replies.push(`${id} ${answers[0]?.name}`);
  });
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  return { socket, replies };
}

describe.each(choices)("a UDP listener with batches %s", (batch) => {
  test("reports its port", async () => {
    const { listener } = await listen(batch);
    expect(listener.address.host).toBe("127.0.0.1");
    expect(listener.address.port).toBeGreaterThan(0);
    expect([listener.protocol, listener.counters.protocol]).toStrictEqual(["udp", "udp"]);
    expect(listener.counters.address).toStrictEqual(listener.address);
  });

  test("answers a hit at once", async () => {
    const { port } = await listen(batch);
    const reply = readMessage((await askUdp(port, query("HIT.test", 77))) as Uint8Array);
    expect([reply.id, reply.questions[0]?.name, reply.answers[0]?.data.join(".")]).toStrictEqual([
      77,
      "HIT.test",
      "10.0.0.1",
    ]);
  });

  test("answers a miss when the resolver does, and hits in between", async () => {
    const { port, resolver } = await listen(batch);
    const { socket, replies } = await openClient(port);
    socket.send(query("miss.test", 1));
    await until("the resolver is asked", () => resolver.waiting.length === 1);
    socket.send(query("hit.test", 2));
    await until("the hit is answered", () => replies.length === 1);
    resolver.answer("miss.test");
    await until("the miss is answered", () => replies.length === 2);
    expect(replies).toStrictEqual(["2 hit.test", "1 miss.test"]);
  });

  test("answers a burst, each query with its own answer", async () => {
    const { port, resolver } = await listen(batch);
    resolver.answerAtOnce();
    const { socket, replies } = await openClient(port);
    for (let id = 0; id < 100; id += 1) socket.send(query(`q${id}.test`, id));
    await until("all are answered", () => replies.length === 100);
    expect(replies.toSorted()).toStrictEqual(Array.from({ length: 100 }, (_, id) => `${id} q${id}.test`).toSorted());
  });

  test("answers misses that are resolved at the same moment, each with its own answer", async () => {
    const { port, resolver } = await listen(batch);
    const { socket, replies } = await openClient(port);
    for (const [id, name] of ["a.test", "b.test", "c.test"].entries()) socket.send(query(name, id));
    await until("the resolver is asked", () => resolver.waiting.length === 3);
    for (const name of ["a.test", "b.test", "c.test"]) resolver.answer(name);
    await until("all are answered", () => replies.length === 3);
    expect(replies).toStrictEqual(["0 a.test", "1 b.test", "2 c.test"]);
  });

  test("answers from the address that was asked", async () => {
    const { port } = await listen(batch, "127.0.0.2");
    expect(await askUdp(port, query("hit.test"), 3000, "127.0.0.2")).toBeDefined();
  });

  test("leaves packets that must get no reply unanswered, and goes on", async () => {
    const { port, listener } = await listen(batch);
    const { socket, replies } = await openClient(port);
    socket.send(new Uint8Array(0));
    socket.send(new Uint8Array(11));
    socket.send(query("hit.test", 3));
    await until("the query is answered", () => replies.length === 1);
    expect(listener.counters.drops.malformed).toBe(2);
  });

  test("is not disturbed by a client that has gone before its answer", async () => {
    const { port, resolver } = await listen(batch);
    const gone = createSocket("udp4");
    gone.connect(port, "127.0.0.1");
    await once(gone, "connect");
    gone.send(query("miss.test"));
    await until("the resolver is asked", () => resolver.waiting.length === 1);
    gone.close();
    resolver.answer("miss.test");
    expect(await askUdp(port, query("hit.test"))).toBeDefined();
  });

  test("drops a datagram longer than any query, and goes on", async () => {
    const { port, listener } = await listen(batch);
    const { socket } = await openClient(port);
    socket.send(new Uint8Array(9000));
    expect(await askUdp(port, query("hit.test"))).toBeDefined();
    expect(listener.counters.drops.malformed).toBe(1);
  });

  test("answers, while it drains, what it has received, and nothing new", async () => {
    const { port, resolver, listener } = await listen(batch);
    const { socket, replies } = await openClient(port);
    socket.send(query("miss.test", 1));
    await until("the resolver is asked", () => resolver.waiting.length === 1);
    listener.drain();
    socket.send(query("hit.test", 2));
    resolver.answer("miss.test");
    await until("the miss is answered", () => replies.length === 1);
    // The hit was received before the next query of another client, and would be answered by then.
    expect(await askUdp(port, query("hit.test"), 200)).toBeUndefined();
    expect(replies).toStrictEqual(["1 miss.test"]);
  });

  test("gives its port back when it is closed, and what waits gets no reply", async () => {
    const { port, resolver, listener } = await listen(batch);
    const { socket } = await openClient(port);
    socket.on("error", () => {});
    socket.send(query("miss.test", 1));
    await until("the resolver is asked", () => resolver.waiting.length === 1);
    await Promise.all([listener.close(), listener.close()]);
    resolver.answer("miss.test");
    const again = createSocket("udp4");
    onTestFinished(() => void again.close());
    again.bind(port, "127.0.0.1");
    await once(again, "listening");
    expect(again.address().port).toBe(port);
  });

  test("shares a given port with another listener, and leaves to it whatever comes after leaving", async () => {
    const { front } = createFront();
    const address = { host: "127.0.0.1", port: await findFreePort() };
    const leaving = await listenUdp(address, front, batch);
    onTestFinished(() => leaving.close());
    const { front: other, resolver, clock } = createFront();
    resolver.cached.set("hit.test", addressAnswer("hit.test", clock.nowMs()));
    const staying = await listenUdp(address, other, batch);
    onTestFinished(() => staying.close());
    expect([leaving.isShared, staying.isShared]).toStrictEqual([false, true]);
    leaving.leave();
    for (let count = 0; count < 20; count += 1) expect(await askUdp(address.port, query("hit.test"))).toBeDefined();
    expect([leaving.takenCount(), staying.takenCount()]).toStrictEqual([0, 20]);
  });

  test("rejects with the system's error when the address is taken", async () => {
    const { port, front } = await listen(batch);
    await expect(listenUdp({ host: "127.0.0.1", port }, front, batch)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

describe.skipIf(!canListenInBatches())("a UDP listener with batches", () => {
  test("waits while the kernel has no room, then sends what waited and sleeps until the next query", async () => {
    const kernel = libc as Libc;
    const { port, resolver } = await listen("auto");
    const { socket, replies } = await openClient(port);
    for (const [id, name] of ["a.test", "b.test"].entries()) socket.send(query(name, id));
    await until("the resolver is asked", () => resolver.waiting.length === 2);
    const refusing = vi.spyOn(kernel, "sendmsg").mockReturnValue(-1);
    vi.spyOn(kernel, "lastErrno").mockReturnValue(constants.errno.EAGAIN);
    onTestFinished(() => void vi.restoreAllMocks());
    resolver.answer("a.test");
    await until("it was refused", () => refusing.mock.calls.length > 0);
    vi.restoreAllMocks();
    // The socket can be written, and what sends now is the second answer, not the event of that.
    resolver.answer("b.test");
    await until("both are answered", () => replies.length === 2);
    expect(replies).toStrictEqual(["0 a.test", "1 b.test"]);
    const taking = vi.spyOn(kernel, "recvmmsg");
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(taking).not.toHaveBeenCalled();
    socket.send(query("hit.test", 2));
    await until("the next is answered", () => replies.length === 3);
  });

  test.each([
    ["too long", 2000, 1],
    ["not too long", 1800, 0],
  ])("that has not run for %s answers accordingly what came meanwhile", async (_name, stopMs, late) => {
    const { port, clock, listener } = await listen("auto");
    const { socket, replies } = await openClient(port);
    // Nothing is read before the next turn of the event loop, and by then time has passed.
    socket.send(query("hit.test", 1));
    void clock.advance(stopMs);
    clock.wallMs = () => Date.now() + stopMs;
    await until("it is taken", () => listener.takenCount() === 1);
    socket.send(query("hit.test", 2));
    await until("the next is answered", () => replies.includes("2 hit.test"));
    expect([listener.counters.drops.late, replies.length]).toStrictEqual([late, 2 - late]);
  });

  test("that was not stopped answers, however the wall clock is set", async () => {
    const { port, clock, listener } = await listen("auto");
    const { socket, replies } = await openClient(port);
    socket.send(query("hit.test", 1));
    void clock.advance(600);
    clock.wallMs = () => Date.now() + 3_600_000;
    await until("it is answered", () => replies.length === 1);
    expect(listener.counters.drops.late).toBe(0);
  });

  test("that has long had nothing to do answers what comes then", async () => {
    const { port, clock, listener } = await listen("auto");
    await clock.advance(60_000);
    expect(await askUdp(port, query("hit.test"))).toBeDefined();
    expect(listener.counters.drops.late).toBe(0);
  });
});

test("the room for a reply over UDP is what the settings allow at most", () => {
  expect(settingNotes.get(listenGroup.unwrap().shape.maxUdpReplyBytes)?.limits?.max).toBe(maxUdpReplyRoomBytes);
});

describeWith(["root"], "a UDP listener", () => {
  test.each(choices)("with batches %s is not disturbed by a forged packet from port 0", async (batch) => {
    const { port, resolver } = await listen(batch);
    sendFrom(0, port, query("hit.test"));
    sendFrom(0, port, query("miss.test"));
    expect(await askUdp(port, query("hit.test"))).toBeDefined();
    expect(resolver.waiting).toStrictEqual([]);
  });
});

/** Sends a packet with whatever source port, through a raw socket; the checksum may be left out over IPv4 (RFC 768). */
function sendFrom(sourcePort: number, port: number, octets: Uint8Array): void {
  if (libc === undefined) throw new Error("no FFI");
  const fd = libc.socket(SocketConstant.AF_INET, 3, 17);
  const { octets: slots, addresses, setSize, send } = createSendBatch(libc, 16, 512);
  const [packet, address] = [Buffer.alloc(8 + octets.length), socketAddress({ host: "127.0.0.1", port: 0 })];
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(port, 2);
  packet.writeUInt16BE(packet.length, 4);
  packet.set(octets, 8);
  slots[0]?.set(packet);
  addresses[0]?.set(address);
  setSize(0, packet.length);
  expect(send(fd, 0, 1)).toBe(1);
  libc.close(fd);
}

describeWith(["::1"], "a UDP listener on ::1", () => {
  test.each(choices)("answers with batches %s", async (batch) => {
    const { port } = await listen(batch, "::1");
    expect(await askUdp(port, query("hit.test"), 3000, "::1")).toBeDefined();
  });

  test.each(choices)("with batches %s does not take the IPv4 port: that of 127.0.0.1 stays free", async (batch) => {
    const { port, front } = await listen(batch, "::1");
    const other = await listenUdp({ host: "127.0.0.1", port }, front, batch);
    await other.close();
  });
});
