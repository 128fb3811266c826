import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { constants } from "node:os";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { openDescriptorTcp } from "../../../src/flows/descriptor-tcp.ts";
import { openDescriptorUdp } from "../../../src/flows/descriptor-udp.ts";
import type { FlowSocket, OpenSocket } from "../../../src/flows/flow-socket.ts";
import { canConnectSockets } from "../../../src/runtime/connected-socket.ts";
import { libc, type Libc } from "../../../src/runtime/libc.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import { startRawServer } from "./flow-parts.ts";

/** Opens a socket, which is closed when the test ends, and notes what it says. */
function open(openSocket: OpenSocket, port: number, host = "127.0.0.1", onMessage = (_socket: FlowSocket) => {}) {
  const received: string[] = [];
  const said: string[] = [];
  const socket = openSocket(
    { host, port },
    {
      onOpen: () => void said.push("open"),
      onMessage(message) {
        received.push(Buffer.from(message).toString());
        onMessage(socket);
      },
      onEnd: (reason) => void said.push(reason),
    },
  );
  onTestFinished(() => socket.close());
  return { socket, received, said };
}

/** A UDP server, which ends with the test. */
async function startDatagramServer(host = "127.0.0.1") {
  const peer = createSocket(host === "::1" ? "udp6" : "udp4");
  onTestFinished(() => void peer.close());
  peer.bind(0, host);
  await once(peer, "listening");
  return { peer, port: peer.address().port };
}

function send(socket: FlowSocket, text: string, failures: string[] = []): void {
  socket.send(Buffer.from(text), (reason) => void failures.push(reason));
}

/** Stands in for write(2) until the test ends: what `write` returns as a negative number is the error. */
function replaceWrite(write: (...args: Parameters<Libc["write"]>) => number): void {
  const calls = libc as Libc;
  const { lastErrno } = calls;
  let errno = 0;
  const spies = [
    vi.spyOn(calls, "write").mockImplementation((...args) => {
      const result = write(...args);
      errno = Math.max(0, -result);
      return Math.max(-1, result);
    }),
    vi.spyOn(calls, "lastErrno").mockImplementation(() => (errno === 0 ? lastErrno() : errno)),
  ];
  onTestFinished(() => spies.forEach((spy) => spy.mockRestore()));
}

describe.skipIf(!canConnectSockets())("a UDP socket through the C library", () => {
  test.each(["127.0.0.1", "::1"])("sends to its peer and receives from it (%s)", async (host) => {
    const { peer, port } = await startDatagramServer(host);
    peer.on("message", (message, from) => peer.send(`${message.toString()}!`, from.port, from.address));
    const { socket, received, said } = open(openDescriptorUdp, port, host);
    for (const text of ["one", "", "three"]) send(socket, text);
    await until("all have come back", () => received.length === 3);
    expect([received, said]).toStrictEqual([["one!", "!", "three!"], ["open"]]);
  });

  test("receives more than one call takes, each in memory of its own", async () => {
    const { peer, port } = await startDatagramServer();
    const { socket, received } = open(openDescriptorUdp, port);
    const arrival = once(peer, "message");
    send(socket, "hello");
    const [, from] = (await arrival) as [Buffer, RemoteInfo];
    const texts = Array.from({ length: 150 }, (_, index) => `${index} `.repeat(index));
    for (const text of texts) peer.send(text, from.port, from.address);
    await until("all have come", () => received.length === texts.length);
    expect(received).toStrictEqual(texts);
  });

  test("receives the longest datagram that IPv4 can carry, whatever was offered", async () => {
    const { peer, port } = await startDatagramServer();
    const { socket, received } = open(openDescriptorUdp, port);
    const longest = "x".repeat(65_507);
    peer.on("message", (_, from) => peer.send(longest, from.port, from.address));
    send(socket, "hello");
    await until("it has come", () => received.length === 1);
    expect(received).toStrictEqual([longest]);
  });

  test("keeps what the kernel has no room for, and sends it when the socket is writable", async () => {
    const { peer, port } = await startDatagramServer();
    const { write } = libc as Libc;
    let refusals = 3;
    replaceWrite((...args) => ((refusals -= 1) >= 0 ? -constants.errno.EAGAIN : write(...args)));
    const arrived: string[] = [];
    peer.on("message", (message) => void arrived.push(message.toString()));
    const { socket } = open(openDescriptorUdp, port);
    const failures: string[] = [];
    for (const text of ["one", "two"]) send(socket, text, failures);
    await until("both have arrived", () => arrived.length === 2);
    expect([arrived.toSorted(), failures]).toStrictEqual([["one", "two"], []]);
  });

  const refusals: [string, number, string[], string[]][] = [
    ["a firewall's refusal concerns its datagram", constants.errno.EPERM, ["unreachable"], ["open"]],
    ["a full buffer concerns its datagram", constants.errno.ENOBUFS, ["exhausted"], ["open"]],
    ["a closed port concerns the socket", constants.errno.ECONNREFUSED, [], ["open", "refused"]],
  ];
  test.each(refusals)("%s, and is not told before `send` has returned", async (_what, errno, expected, told) => {
    const { port } = await startDatagramServer();
    const { socket, said } = open(openDescriptorUdp, port);
    replaceWrite(() => -errno);
    vi.spyOn(libc as Libc, "lastError").mockImplementation((call) => {
      const [code = ""] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? [];
      return Object.assign(new Error(call), { code });
    });
    onTestFinished(() => void vi.restoreAllMocks());
    const failures: string[] = [];
    send(socket, "one", failures);
    expect(failures).toStrictEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect([failures, said]).toStrictEqual([expected, told]);
  });

  test("hears nothing once it is closed, also while it hands out what has come", async () => {
    const { peer, port } = await startDatagramServer();
    const { socket, received } = open(openDescriptorUdp, port, "127.0.0.1", (closing) => closing.close());
    peer.on("message", (_message, from) => {
      for (const text of ["one", "two"]) peer.send(text, from.port, from.address);
    });
    send(socket, "hello");
    await until("the first has come", () => received.length > 0);
    send(socket, "nothing");
    await new Promise((resolve) => setImmediate(resolve));
    expect(received).toStrictEqual(["one"]);
  });
});

describe.skipIf(!canConnectSockets())("a TCP connection through the C library", () => {
  test("writes the rest when the kernel has taken a part, in order", async () => {
    const { write } = libc as Libc;
    let calls = 0;
    replaceWrite((fd, octets, sizeBytes) => {
      calls += 1;
      if (calls % 2 === 0) return -constants.errno.EAGAIN;
      return write(fd, octets, Math.min(3, sizeBytes));
    });
    let arrived = "";
    const port = await startRawServer((socket) => socket.on("data", (chunk) => (arrived += chunk.toString("latin1"))));
    const { socket } = open(openDescriptorTcp, port);
    for (const text of ["one", "two", "three"]) send(socket, text);
    await until("all have arrived", () => arrived.length === 17);
    expect(arrived).toBe("\0\u0003one\0\u0003two\0\u0005three");
  });

  test("is kept open by what is only read, and says once that its peer has gone", async () => {
    const port = await startRawServer((socket) => socket.end("\0\u0002hi"));
    const { received, said } = open(openDescriptorTcp, port);
    await until("it has ended", () => said.length === 2);
    expect([received, said]).toStrictEqual([["hi"], ["open", "closed"]]);
  });

  test("reaches an address of IPv6 where nobody listens", async () => {
    const { said } = open(openDescriptorTcp, 1, "::1");
    await until("it has ended", () => said.length === 1);
    expect(said).toStrictEqual(["refused"]);
  });
});
