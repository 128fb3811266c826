/* The peers of the embedded cluster DNS in its tests: clients that send bytes, and a resolver that answers when it is told to. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { Packet } from "dns2";
import { onTestFinished } from "vitest";
import type { ServerAddress } from "../../../src/runtime/server-address.ts";

interface QueryShape {
  readonly id?: number;
  readonly type?: number;
  readonly class?: number;
  /** The size that an OPT offers; without it there is no OPT. */
  readonly ednsSize?: number;
  readonly ednsVersion?: number;
  readonly dnssecOk?: boolean;
}

/** A query with RD for a name given as dotted text or as labels, which may hold any octet. */
export function queryBytes(name: string | readonly string[], shape: QueryShape = {}): Buffer {
  const labels = typeof name === "string" ? name.split(".").filter((label) => label !== "") : name;
  const header = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, shape.ednsSize === undefined ? 0 : 1]);
  header.writeUInt16BE(shape.id ?? 0x1234, 0);
  const encoded = labels.flatMap((label) => [label.length, ...Buffer.from(label, "latin1")]);
  const typeAndClass = Buffer.alloc(4);
  typeAndClass.writeUInt16BE(shape.type ?? Packet.TYPE.A, 0);
  typeAndClass.writeUInt16BE(shape.class ?? Packet.CLASS.IN, 2);
  const option = Buffer.from([0, 0, 41, 0, 0, 0, shape.ednsVersion ?? 0, shape.dnssecOk === true ? 0x80 : 0, 0, 0, 0]);
  option.writeUInt16BE(shape.ednsSize ?? 0, 3);
  return Buffer.concat([
    header,
    Buffer.from([...encoded, 0]),
    typeAndClass,
    shape.ednsSize === undefined ? Buffer.alloc(0) : option,
  ]);
}

/** The octets of the question of a message that has one question without pointers. */
export function questionOf(message: Buffer): Buffer {
  let end = 12;
  while ((message[end] ?? 0) !== 0) end += 1 + (message[end] ?? 0);
  return message.subarray(12, end + 5);
}

/** Sends datagrams from one socket; `next` waits for the next reply. */
export async function openUdp(
  server: ServerAddress,
): Promise<{ send: (bytes: Buffer) => void; next: () => Promise<Buffer> }> {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  const replies = queueOf<Buffer>();
  socket.on("message", replies.push);
  socket.connect(server.port, server.host);
  await once(socket, "connect");
  return { send: (bytes) => socket.send(bytes), next: replies.next };
}

/** Asks one question over UDP. */
export async function askUdp(server: ServerAddress, bytes: Buffer): Promise<Buffer> {
  const client = await openUdp(server);
  client.send(bytes);
  return client.next();
}

interface TcpClient {
  readonly socket: Socket;
  readonly send: (...messages: Buffer[]) => void;
  readonly next: () => Promise<Buffer>;
  /** How many replies have come that nobody has taken. */
  readonly waiting: () => number;
  /** Resolves when the server has closed or reset the connection. */
  readonly ended: Promise<void>;
}

/** Opens a connection; `send` writes all messages in one segment. */
export async function openTcp(server: ServerAddress): Promise<TcpClient> {
  const socket = connect({ port: server.port, host: server.host, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  const replies = queueOf<Buffer>();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  socket.on("error", () => {});
  socket.once("end", () => end());
  socket.once("close", () => end());
  let received = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      replies.push(received.subarray(2, 2 + received.readUInt16BE(0)));
      received = received.subarray(2 + received.readUInt16BE(0));
    }
  });
  await once(socket, "connect");
  return {
    socket,
    send: (...messages) => void socket.write(Buffer.concat(messages.map(framed))),
    next: replies.next,
    waiting: replies.waiting,
    ended,
  };
}

/** A message with its length before it. */
export function framed(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([message.length >>> 8, message.length & 0xff]), message]);
}

interface HeldQuery {
  readonly query: Buffer;
  readonly answer: () => void;
}

interface StubResolver {
  readonly address: ServerAddress;
  /** Waits for the next question that is held, and returns what answers it. */
  readonly nextHeld: () => Promise<HeldQuery>;
}

/**
 * A resolver on UDP and TCP. It answers `. NS` at once with `probeRcode`, and holds everything else; an answer is the A record
 * 203.0.113.1, or SERVFAIL for names with "broken" in them. Names with "huge" in them get 60000 more octets, at once.
 */
export async function startStubResolver(probeRcode = 0): Promise<StubResolver> {
  const held = queueOf<HeldQuery>();
  const receive = (query: Buffer, reply: (bytes: Buffer) => void) => {
    if (query[12] === 0) reply(answerTo(query, probeRcode));
    else if (query.includes("huge")) reply(Buffer.concat([answerTo(query, 0), Buffer.alloc(60_000)]));
    else held.push({ query, answer: () => reply(answerTo(query, query.includes("broken") ? 2 : 0)) });
  };
  const tcp = createServer((socket) => {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) =>
      receive(Buffer.from(chunk.subarray(2)), (bytes) => socket.write(framed(bytes))),
    );
  });
  onTestFinished(() => void tcp.close());
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const bound = tcp.address();
  const port = bound !== null && typeof bound === "object" ? bound.port : 0;
  const udp = createSocket("udp4");
  onTestFinished(() => void udp.close());
  udp.on("message", (query, client) => receive(query, (bytes) => udp.send(bytes, client.port, client.address)));
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  return { address: { host: "127.0.0.1", port }, nextHeld: held.next };
}

function answerTo(query: Buffer, rcode: number): Buffer {
  const record = Buffer.from("c00c00010001000000070004cb007101", "hex");
  const hasRecord = rcode === 0 && query[12] !== 0;
  const question = Buffer.concat([query.subarray(0, 12), Buffer.from(questionOf(query))]);
  const reply = Buffer.concat([question, hasRecord ? record : Buffer.alloc(0)]);
  reply.writeUInt16BE(0x8180 | rcode, 2);
  reply.writeUInt16BE(hasRecord ? 1 : 0, 6);
  reply.writeUInt16BE(0, 10);
  return reply;
}

interface Queue<Item> {
  readonly push: (item: Item) => void;
  readonly next: () => Promise<Item>;
  readonly waiting: () => number;
}

function queueOf<Item>(): Queue<Item> {
  const items: Item[] = [];
  const takers: ((item: Item) => void)[] = [];
  return {
    push(item) {
      const taker = takers.shift();
      if (taker === undefined) items.push(item);
      else taker(item);
    },
    next() {
      const { promise, resolve } = Promise.withResolvers<Item>();
      const item = items.shift();
      if (item === undefined) takers.push(resolve);
      else resolve(item);
      return promise;
    },
    waiting: () => items.length,
  };
}
