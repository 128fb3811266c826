import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createReceiveBatch, createSendBatch, hasBatchLayout } from "../../../src/runtime/datagram-batch.ts";
import { type EventLoop, eventLoop, libc, type Libc } from "../../../src/runtime/libc.ts";
import { bindSharedSocket, type SharedSocket } from "../../../src/runtime/shared-socket.ts";
import { hostOf, portOf, socketAddress } from "../../../src/runtime/socket-address.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import { canWatchDescriptors, Readiness, watchDescriptor } from "../../../src/runtime/watch-descriptor.ts";

describe.skipIf(!canWatchDescriptors() || !hasBatchLayout)("a descriptor under watch", () => {
  const real = libc as Libc;

  /** A bound UDP socket, and a client of it. */
  async function setUp() {
    const { fd, port } = bindSharedSocket("udp", { host: "127.0.0.1", port: 0 }) as SharedSocket;
    const client = createSocket("udp4");
    client.connect(port, "127.0.0.1");
    await once(client, "connect");
    onTestFinished(async () => {
      real.close(fd);
      await close(client);
    });
    return { fd, port, client };
  }

  test("tells when there is something to read, and one call takes all of it with senders and sizes", async () => {
    const { fd, client } = await setUp();
    const batch = createReceiveBatch(real, 16, 100);
    const seen: string[] = [];
    for (const text of ["one", "three", "x".repeat(101)]) await send(client, text);
    await new Promise<void>((resolve) => {
      const watch = watchDescriptor(fd, () => {
        const count = batch.receive(fd, false);
        for (let slot = 0; slot < count; slot += 1) {
          const from = batch.addresses[slot] ?? new Uint8Array(16);
          seen.push(`${hostOf(from)} ${portOf(from) === client.address().port} ${batch.sizeOf(slot)}`);
        }
        void watch.stop().then(resolve);
      });
    });
    expect(seen).toStrictEqual(["127.0.0.1 true 3", "127.0.0.1 true 5", "127.0.0.1 true -1"]);
  });

  test("tells when it can be written, if asked", async () => {
    const { fd } = await setUp();
    await new Promise<void>((resolve) => {
      const watch = watchDescriptor(fd, (readiness) => {
        expect(readiness).toBe(Readiness.writable);
        void watch.stop().then(resolve);
      });
      watch.waitFor(Readiness.writable);
    });
  });

  test("goes on after an error that a datagram has left", async () => {
    const { fd, port, client } = await setUp();
    const batch = createReceiveBatch(real, 16, 100);
    const counts: number[] = [];
    const watch = watchDescriptor(fd, () => void counts.push(batch.receive(fd, false)));
    onTestFinished(() => watch.stop());
    // A connected socket is told that its peer is gone.
    const peer = socketAddress({ host: "127.0.0.1", port: client.address().port });
    await close(client);
    real.connect(fd, peer, peer.length);
    const { addresses, setSize, send: sendBatch } = createSendBatch(real, 16, 100);
    addresses[0]?.set(peer);
    setSize(0, 1);
    sendBatch(fd, 0, 1);
    await until("the error is told", () => counts.length === 1);
    const next = createSocket("udp4");
    onTestFinished(() => void next.close());
    next.bind(portOf(peer), "127.0.0.1");
    await once(next, "listening");
    next.send("x", port, "127.0.0.1");
    await until("the next datagram is told", () => counts.length === 2);
    expect(counts).toStrictEqual([-1, 1]);
  });

  test("continues promises in the turn in which they were started", async () => {
    const { fd, client } = await setUp();
    const steps: string[] = [];
    await new Promise<void>((resolve) => {
      const watch = watchDescriptor(fd, () => {
        void Promise.resolve().then(() => steps.push("promise"));
        void watch.stop().then(() => {
          steps.push("stopped");
          resolve();
        });
      });
      void send(client, "x");
    });
    expect(steps).toStrictEqual(["promise", "stopped"]);
  });

  test("asks for nothing after a wake that has no promises", async () => {
    const { fd, client } = await setUp();
    const afterIo = vi.spyOn(systemClock, "afterIo");
    onTestFinished(() => afterIo.mockRestore());
    for (const hasPromises of [false, true]) {
      afterIo.mockClear();
      let calls = 0;
      const run = () => void (calls += Math.max(0, real.recv(fd, Buffer.alloc(100), 100, 0)));
      const watch = watchDescriptor(fd, run, { hasPromises });
      await send(client, "x");
      await until("it is told", () => calls === 1);
      expect(afterIo).toHaveBeenCalledTimes(hasPromises ? 1 : 0);
      await watch.stop();
    }
  });

  test("no longer has what libuv calls once it is stopped", async () => {
    const { fd } = await setUp();
    const release = vi.spyOn(eventLoop as EventLoop, "releaseCallback");
    onTestFinished(() => release.mockRestore());
    const watch = watchDescriptor(fd, () => {});
    expect(release).not.toHaveBeenCalled();
    await Promise.all([watch.stop(), watch.stop()]);
    expect(release).toHaveBeenCalledTimes(1);
  });

  test("is let go by stopping, and stopping twice does nothing more", async () => {
    const { fd, client } = await setUp();
    let calls = 0;
    const watch = watchDescriptor(fd, () => {
      calls += 1;
    });
    await watch.stop();
    await watch.stop();
    await send(client, "x");
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(0);
    // Free for another watch.
    await watchDescriptor(fd, () => {}).stop();
  });
});

const closed = new WeakSet<Socket>();

async function close(client: Socket): Promise<void> {
  if (closed.has(client)) return;
  closed.add(client);
  await new Promise<void>((resolve) => client.close(() => resolve()));
}

function send(client: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => client.send(text, (error) => (error === null ? resolve() : reject(error))));
}
