import { constants } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { canListenInBatches } from "../../../src/listen/batch-listener.ts";
import { listenTcp, type TcpListenLimits } from "../../../src/listen/tcp-listener.ts";
import { libc, type Libc, SocketConstant as k } from "../../../src/runtime/libc.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";
import { openTcp, type TcpClient } from "../../support/messages/ask.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import { addressAnswer, createFront, tcpListenLimits } from "./front-parts.ts";
import { frame, isServed } from "./tcp-queries.ts";

// What a TCP listener does whatever its sockets are is in tcp-connection.test.ts and tcp-listener.test.ts.
describe.skipIf(!canListenInBatches())("connections that the C library reads and writes", () => {
  const calls = libc as Libc;

  /** A listener on a free port, with "hit.test" in its cache. */
  async function listen(limits: Partial<TcpListenLimits> = {}) {
    const parts = createFront();
    parts.resolver.cached.set("hit.test", addressAnswer("hit.test", parts.clock.nowMs()));
    const address = { host: "127.0.0.1", port: 0 };
    const listener = await listenTcp(address, parts.front, { ...tcpListenLimits, ...limits }, "auto");
    onTestFinished(() => listener.close());
    return { ...parts, listener, counters: listener.counters, open: () => openTo(listener.address.port) };
  }

  async function openTo(port: number): Promise<TcpClient> {
    const client = await openTcp(port);
    onTestFinished(() => void client.socket.destroy());
    return client;
  }

  /** A client that is connected within the same turn of the event loop. */
  function connectNow(port: number) {
    const fd = calls.socket(k.AF_INET, k.SOCK_STREAM | k.SOCK_NONBLOCK | k.SOCK_CLOEXEC, 0);
    onTestFinished(() => void calls.close(fd));
    const name = socketAddress({ host: "127.0.0.1", port });
    calls.connect(fd, name, name.length);
    const room = Buffer.alloc(1000);
    return {
      send: (octets: Uint8Array) => calls.send(fd, octets, octets.length, 0),
      /** How much has come; 0 if the other side has ended, -1 if nothing has come. */
      receive: () => calls.recv(fd, room, room.length, 0),
    };
  }

  /** From now on so many connections cannot be accepted. */
  function failToAccept(times: number, errno: number): void {
    const { accept4, lastErrno } = calls;
    let left = times;
    let isOwn = false;
    const spies = [
      vi.spyOn(calls, "accept4").mockImplementation((...given) => {
        isOwn = left > 0;
        left -= 1;
        return isOwn ? -1 : accept4(...given);
      }),
      vi.spyOn(calls, "lastErrno").mockImplementation(() => (isOwn ? errno : lastErrno())),
    ];
    onTestFinished(() => spies.forEach((spy) => spy.mockRestore()));
  }

  test("give one back when there are no descriptors for another", async () => {
    const { open, counters } = await listen();
    const first = await open();
    expect(await isServed(first)).toBe(true);
    failToAccept(1, constants.errno.EMFILE);
    const second = await open();
    expect(await isServed(second)).toBe(true);
    await until("the first is closed", () => first.isEnded());
    expect([counters.openConnections, counters.evictedConnections]).toStrictEqual([1, 1]);
  });

  test("wait when there are no descriptors, and none to give back", async () => {
    const { open, clock } = await listen();
    failToAccept(2, constants.errno.EMFILE);
    const client = await open();
    client.socket.write(frame("hit.test"));
    const tries = () => vi.mocked(calls.accept4).mock.calls.length;
    await until("it is told", () => tries() === 1);
    await clock.advance(99);
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    expect(tries()).toBe(1);
    await clock.advance(1);
    await until("it is told again", () => tries() === 2);
    await clock.advance(100);
    expect(await client.read(1)).toHaveLength(1);
  });

  test("are accepted though the one before is gone already", async () => {
    const { open } = await listen();
    failToAccept(1, constants.errno.ECONNABORTED);
    expect(await isServed(await open())).toBe(true);
  });

  test("are not closed by what happened to another that had the same descriptor", async () => {
    const { listener, open, counters, resolver } = await listen({ maxConnections: 1, maxPipelined: 1 });
    const gone = await open();
    // It is not read while its query waits, so that its reset is all there is to tell.
    gone.socket.write(frame("slow.test"));
    await until("the resolver is asked", () => resolver.waiting.length === 1);
    // Within one turn: the second takes the place of the first, and the third gets its descriptor.
    const second = connectNow(listener.address.port);
    second.send(frame("hit.test").subarray(0, 1));
    const third = connectNow(listener.address.port);
    third.send(frame("hit.test"));
    gone.socket.resetAndDestroy();
    await until("the third is served", () => third.receive() > 0);
    expect(second.receive()).toBe(0);
    expect([counters.openConnections, counters.evictedConnections]).toStrictEqual([1, 2]);
  });

  test("are accepted with their first query, and not before one that asks sooner", async () => {
    const { listener, counters } = await listen();
    const silent = connectNow(listener.address.port);
    const client = connectNow(listener.address.port);
    client.send(frame("hit.test"));
    await until("the client is served", () => client.receive() > 0);
    expect([listener.takenCount(), counters.openConnections]).toStrictEqual([1, 1]);
    silent.send(frame("hit.test"));
    await until("the other is served as well", () => silent.receive() > 0);
  });

  test("are accepted without one where the kernel does not wait for it", async () => {
    const { setsockopt } = calls;
    const spy = vi
      .spyOn(calls, "setsockopt")
      .mockImplementation((...given) => (given[2] === k.TCP_DEFER_ACCEPT ? -1 : setsockopt(...given)));
    onTestFinished(() => spy.mockRestore());
    const { listener } = await listen();
    const silent = connectNow(listener.address.port);
    const client = connectNow(listener.address.port);
    client.send(frame("hit.test"));
    await until("the client is served", () => client.receive() > 0);
    expect(listener.takenCount()).toBe(2);
    silent.send(frame("hit.test"));
    await until("the other is served as well", () => silent.receive() > 0);
  });

  test("that have said nothing when the listener ends are reset as soon as they ask", async () => {
    const { listener } = await listen();
    const client = connectNow(listener.address.port);
    listener.drain();
    client.send(frame("hit.test"));
    expect([client.receive(), calls.lastErrno()]).toStrictEqual([-1, constants.errno.ECONNRESET]);
  });

  test("that wait in the kernel when the listener drains are accepted, and their queries are answered", async () => {
    const { listener } = await listen();
    const client = connectNow(listener.address.port);
    client.send(frame("hit.test"));
    listener.drain();
    expect(client.receive()).toBeGreaterThan(0);
    expect(client.receive()).toBe(0);
  });

  test("are closed when the kernel has no room to watch them", async () => {
    const { open, counters } = await listen();
    const spy = vi.spyOn(calls, "epoll_ctl").mockReturnValueOnce(-1);
    onTestFinished(() => spy.mockRestore());
    const client = await open();
    client.socket.write(frame("hit.test"));
    await until("it is closed", () => client.isEnded());
    expect(counters.openConnections).toBe(0);
    expect(await isServed(await open())).toBe(true);
  });

  test("whose client resets them are closed though they are not read", async () => {
    const { open, counters, resolver } = await listen({ maxPipelined: 1 });
    const client = await open();
    client.socket.write(frame("slow.test"));
    await until("the resolver is asked", () => resolver.waiting.length === 1);
    client.socket.resetAndDestroy();
    await until("it is closed", () => counters.openConnections === 0);
    resolver.answer("slow.test");
  });
});
