import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { createHealthQuestion } from "../../../src/listen/health-question.ts";
import { type Answerer, askOwnSocket } from "../../../src/listen/self-query.ts";
import { openListeners } from "../../../src/listen/open-listeners.ts";
import { listenTcp } from "../../../src/listen/tcp-listener.ts";
import { listenUdp } from "../../../src/listen/udp-listener.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { nameBytes, replyTo, Type, u16 } from "../../support/messages/messages.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import { createFront, listenOptions, tcpListenLimits } from "./front-parts.ts";
import { describeWith } from "../../support/program/requirements.ts";

const health = createHealthQuestion(nameBytes("cluster.local"), "5e1f");

/** Asks, and reports who answered: "nobody yet" while nobody has. */
function ask(address: { host: string; port: number }) {
  const clock = createFakeClock();
  let answerer: Answerer | "nobody" | "nobody yet" = "nobody yet";
  void askOwnSocket(address, health, { protocol: "udp", timeoutMs: 1000 }, clock).then((first) => {
    answerer = first ?? "nobody";
  });
  return { clock, answerer: () => answerer };
}

/** Starts a server that does with a query what the test says. Resolves with its port. */
async function serve(answer: (query: Uint8Array, send: (reply: Uint8Array) => void) => void): Promise<number> {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  socket.on("message", (query, peer) => answer(query, (reply) => socket.send(reply, peer.port, peer.address)));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket.address().port;
}

async function listen(host: string) {
  const { front } = createFront();
  const listener = await listenUdp({ host, port: 0 }, front, "auto");
  onTestFinished(() => listener.close());
  return listener;
}

describe("nodens asking itself over TCP", () => {
  test("succeeds when the listener answers", async () => {
    const { front } = createFront();
    const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, front, tcpListenLimits, "auto");
    onTestFinished(() => listener.close());
    const own = createFakeClock();
    await expect(askOwnSocket(listener.address, health, { protocol: "tcp", timeoutMs: 1000 }, own)).resolves.toBe(
      "self",
    );
    expect(own.pendingTimers()).toBe(0);
  });

  test.each([
    ["nobody listens", undefined],
    ["the connection is closed without a reply", (socket: Socket) => socket.destroy()],
    ["the reply is not DNS", (socket: Socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ])("fails when %s", async (_, serve) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      serve?.(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    if (serve === undefined) {
      server.close();
      await once(server, "close");
    } else onTestFinished(() => void server.close());
    const options = { protocol: "tcp", timeoutMs: 1000 } as const;
    await expect(askOwnSocket({ host: "127.0.0.1", port }, health, options, createFakeClock())).resolves.toBe(
      undefined,
    );
  });
});

describe("nodens asking itself", () => {
  test("succeeds when the listener answers, and leaves no timer", async () => {
    const listener = await listen("127.0.0.1");
    const { clock, answerer } = ask(listener.address);
    await until("it is over", () => answerer() !== "nobody yet");
    expect(answerer()).toBe("self");
    expect(clock.pendingTimers()).toBe(0);
  });

  test.each(["udp", "tcp"] as const)("comes from the address that is asked, over %s", async (protocol) => {
    const { front } = createFront();
    const [udp, tcp] = await openListeners([{ host: "127.0.0.2", port: 0 }], front, listenOptions);
    for (const listener of [udp, tcp]) onTestFinished(() => listener?.close());
    const address = (protocol === "udp" ? udp : tcp)?.address ?? { host: "", port: 0 };
    // The kernel would have chosen 127.0.0.1, which is not answered as nodens itself.
    await expect(askOwnSocket(address, health, { protocol, timeoutMs: 1000 }, createFakeClock())).resolves.toBe("self");
  });

  test("succeeds with any rcode, and tells when another process answered", async () => {
    const port = await serve((query, send) => send(replyTo(query, { rcode: 2 })));
    const { answerer } = ask({ host: "127.0.0.1", port });
    await until("it is over", () => answerer() !== "nobody yet");
    expect(answerer()).toBe("other");
  });

  test("fails when nothing comes in time", async () => {
    let received = 0;
    const port = await serve(() => (received += 1));
    const { clock, answerer } = ask({ host: "127.0.0.1", port });
    await until("it was asked", () => received === 1);
    await clock.advance(999);
    expect(answerer()).toBe("nobody yet");
    await clock.advance(1);
    expect(answerer()).toBe("nobody");
  });

  test("fails at once when nobody listens", async () => {
    const listener = await listen("127.0.0.1");
    await listener.close();
    const { clock, answerer } = ask(listener.address);
    await until("it is over", () => answerer() !== "nobody yet");
    expect(answerer()).toBe("nobody");
    expect(clock.pendingTimers()).toBe(0);
  });

  test("fails at once, and harms nothing, when there is no route to the address", async () => {
    // The kernel does not let a socket connect to the broadcast address without SO_BROADCAST: nothing is sent.
    const { answerer } = ask({ host: "255.255.255.255", port: 53 });
    await until("it is over", () => answerer() !== "nobody yet", 2000);
    expect(answerer()).toBe("nobody");
  });

  test("may end before the socket is connected", async () => {
    const { clock, answerer } = ask({ host: "127.0.0.1", port: 53 });
    await clock.advance(1000);
    expect(answerer()).toBe("nobody");
  });

  const wrong: [string, (query: Uint8Array) => Uint8Array][] = [
    ["another ID", (query) => withOtherId(replyTo(query))],
    ["another question", (query) => replyTo(query, { questions: [{ name: "other.test", type: Type.A }] })],
    ["two octets", (query) => query.slice(0, 2)],
  ];
  test.each(wrong)("is not satisfied by a reply with %s", async (_what, reply) => {
    let received = 0;
    const port = await serve((query, send) => {
      send(reply(query));
      received += 1;
    });
    const { clock, answerer } = ask({ host: "127.0.0.1", port });
    await until("it was asked", () => received === 1);
    await until("the reply had its time", () => {
      received += 1;
      return received > 5;
    });
    expect(answerer()).toBe("nobody yet");
    await clock.advance(1000);
    expect(answerer()).toBe("nobody");
  });

  function withOtherId(reply: Uint8Array): Uint8Array {
    const id = ((reply[0] ?? 0) << 8) | (reply[1] ?? 0);
    reply.set(u16(id ^ 0x0100));
    return reply;
  }
});

describeWith(["::1"], "nodens asking itself on ::1", () => {
  test("succeeds when the listener answers", async () => {
    const listener = await listen("::1");
    const { answerer } = ask(listener.address);
    await until("it is over", () => answerer() !== "nobody yet");
    expect(answerer()).toBe("self");
  });
});
