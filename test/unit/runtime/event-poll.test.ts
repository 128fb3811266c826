import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { hasBatchLayout } from "../../../src/runtime/datagram-batch.ts";
import { createEventPoll, PollEvent, type Ready } from "../../../src/runtime/event-poll.ts";
import { libc, type Libc } from "../../../src/runtime/libc.ts";
import { bindSharedSocket, type SharedSocket } from "../../../src/runtime/shared-socket.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import { canWatchDescriptors } from "../../../src/runtime/watch-descriptor.ts";

describe.skipIf(!canWatchDescriptors() || !hasBatchLayout)("many descriptors under watch", () => {
  const calls = libc as Libc;

  function poll(run: Ready) {
    const created = createEventPoll(run);
    onTestFinished(() => created.close());
    return created;
  }

  /** A bound UDP socket, and how to send it a datagram. */
  async function open() {
    const { fd, port } = bindSharedSocket("udp", { host: "127.0.0.1", port: 0 }) as SharedSocket;
    onTestFinished(() => void calls.close(fd));
    const client: Socket = createSocket("udp4");
    onTestFinished(() => void client.close());
    client.connect(port, "127.0.0.1");
    await once(client, "connect");
    const take = () => calls.recv(fd, Buffer.alloc(10), 10, 0);
    return { fd, take, send: () => new Promise<void>((resolve) => client.send("x", () => resolve())) };
  }

  test("are told with the tags that they were added with, all of one turn together", async () => {
    const sockets = [await open(), await open(), await open()];
    const told: [number, number, number][] = [];
    const { add } = poll((fd, events, tag) => {
      told.push([fd, events, tag]);
      sockets.find((socket) => socket.fd === fd)?.take();
    });
    for (const [index, { fd }] of sockets.entries()) expect(add(fd, PollEvent.readable, 0xfffffff0 + index)).toBe(true);
    for (const { send } of [sockets[2], sockets[0]] as typeof sockets) await send();
    await until("two are told", () => told.length === 2);
    expect(told.toSorted(([one], [other]) => one - other)).toStrictEqual([
      [sockets[0]?.fd, PollEvent.readable, 0xfffffff0],
      [sockets[2]?.fd, PollEvent.readable, 0xfffffff2],
    ]);
  });

  test("are told of what is waited for alone", async () => {
    const { fd, take, send } = await open();
    const told: number[] = [];
    const { add, change, remove } = poll((_, events) => {
      told.push(events);
      if (events === PollEvent.readable) take();
      else change(fd, PollEvent.readable, 1);
    });
    add(fd, PollEvent.writable, 1);
    await until("it can be written", () => told.length === 1);
    await send();
    await until("it can be read", () => told.length === 2);
    remove(fd);
    await send();
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    expect(told).toStrictEqual([PollEvent.writable, PollEvent.readable]);
  });

  test("are not told any more once it is closed, not even of the same turn", async () => {
    const sockets = [await open(), await open()];
    let told = 0;
    const created = createEventPoll(() => {
      told += 1;
      void created.close();
    });
    for (const { fd, send } of sockets) {
      await send();
      created.add(fd, PollEvent.readable, 1);
    }
    await until("one is told", () => told === 1);
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    expect(told).toBe(1);
  });

  test("cannot be added if they are none", () => {
    expect(poll(() => {}).add(-1, PollEvent.readable, 1)).toBe(false);
  });
});
