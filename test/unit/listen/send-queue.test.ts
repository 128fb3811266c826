import { constants } from "node:os";
import { describe, expect, test } from "vitest";
import { createSendQueue } from "../../../src/listen/send-queue.ts";
import { libc, type Libc } from "../../../src/runtime/libc.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";
import { u16 } from "../../support/messages/messages.ts";

const { EAGAIN, ECONNREFUSED, ENOBUFS, EPERM } = constants.errno;
const everything = 64;
const ffi = libc === undefined ? undefined : await import("node:ffi");

/** A queue whose kernel takes as many replies as the script says for each call, or fails with the negative of an errno; at the end all. */
function setUp(real: Libc, script: number[]) {
  const sent: number[] = [];
  const counters = { unsent: { forbidden: 0, other: 0 } };
  let errno = 0;
  function take(header: bigint, count: number): number {
    const outcome = script.shift() ?? everything;
    errno = -outcome;
    if (outcome < 0) return -1;
    for (let at = 0; at < Math.min(outcome, count); at += 1) sent.push(numberIn(header, at));
    return Math.min(outcome, count);
  }
  const kernel: Libc = {
    ...real,
    sendmmsg: Object.assign((_fd: number, header: unknown, count: number) => take(header as bigint, count), {
      pointer: 0n,
    }),
    // Returns the size of what it has sent.
    sendmsg: Object.assign((_fd: number, header: unknown) => take(header as bigint, 1) * 100, { pointer: 0n }),
    lastErrno: () => errno,
  };
  const queue = createSendQueue(kernel, 1, 16, counters);
  const client = socketAddress({ host: "127.0.0.1", port: 40_000 });
  function put(...replies: number[]): void {
    for (const reply of replies) {
      queue.room().set(u16(reply));
      queue.add(2, client);
    }
  }
  return { queue, put, sent, counters };
}

/** The number in a reply that the kernel is given: the message of a mmsghdr is behind the first part of its msghdr. */
function numberIn(headers: bigint, at: number): number {
  if (ffi === undefined) return -1;
  const part = ffi.getUint64(headers, at * 64 + 16);
  const octets = ffi.getUint64(part, 0);
  return (ffi.getUint8(octets, 0) << 8) | ffi.getUint8(octets, 1);
}

describe.skipIf(libc === undefined)("the replies of one socket", () => {
  const real = libc as Libc;

  test("leave in one call", () => {
    const script = [everything, -EPERM];
    const { queue, put, sent } = setUp(real, script);
    put(1, 2, 3);
    expect(sent).toStrictEqual([]);
    queue.flush();
    expect([sent, script.length]).toStrictEqual([[1, 2, 3], 1]);
  });

  test("leave by themselves when there are as many as a call can send", () => {
    const { put, sent } = setUp(real, []);
    const replies = Array.from({ length: everything }, (_, index) => index);
    put(...replies);
    expect(sent).toStrictEqual(replies);
  });

  test("are sent once each when the kernel takes only some of them", () => {
    const { queue, put, sent, counters } = setUp(real, [2, 1]);
    put(1, 2, 3, 4, 5);
    queue.flush();
    expect([sent, sum(counters.unsent)]).toStrictEqual([[1, 2, 3, 4, 5], 0]);
  });

  test("wait while the kernel has no room, none of them lost", () => {
    const { queue, put, sent, counters } = setUp(real, [1, -EAGAIN, -EAGAIN]);
    put(1, 2, 3);
    queue.flush();
    expect([queue.isBlocked(), sent]).toStrictEqual([true, [1]]);
    queue.flush();
    expect([queue.isBlocked(), sent]).toStrictEqual([true, [1]]);
    queue.flush();
    expect([queue.isBlocked(), sent, sum(counters.unsent)]).toStrictEqual([false, [1, 2, 3], 0]);
  });

  test("wait, too, when they are more than a call can send, and leave in their order", () => {
    const { queue, put, sent, counters } = setUp(real, [10, -EAGAIN, 20, -EAGAIN]);
    const replies = Array.from({ length: 3 * everything }, (_, index) => index);
    put(...replies);
    queue.flush();
    expect([queue.isBlocked(), sent.length]).toStrictEqual([true, 30]);
    queue.flush();
    expect([queue.isBlocked(), sent, sum(counters.unsent)]).toStrictEqual([false, replies, 0]);
  });

  test("are counted as lost when they are too many for the wait", () => {
    const { queue, put, sent, counters } = setUp(real, [-EAGAIN]);
    put(...Array.from({ length: 5000 }, (_, index) => index));
    const lost = sum(counters.unsent);
    queue.flush();
    expect([lost > 0, sent]).toStrictEqual([true, Array.from({ length: 5000 - lost }, (_, index) => index)]);
  });

  test("are counted as not sent, all that wait, when they are given up", () => {
    const { queue, put, counters } = setUp(real, [-EAGAIN]);
    put(...Array.from({ length: 100 }, (_, index) => index));
    queue.abandon();
    expect(counters.unsent.other).toBe(100);
  });

  test("are counted as not sent when they are given up", () => {
    const { queue, put, sent, counters } = setUp(real, [1, -EAGAIN]);
    put(1, 2, 3);
    queue.flush();
    queue.abandon();
    queue.flush();
    expect([sent, counters.unsent]).toStrictEqual([[1], { forbidden: 0, other: 2 }]);
  });

  test("get a second attempt each, also after a wait", () => {
    const { queue, put, sent, counters } = setUp(real, [-ECONNREFUSED, -EAGAIN, -ECONNREFUSED]);
    put(1, 2);
    queue.flush();
    queue.flush();
    expect([sent, sum(counters.unsent)]).toStrictEqual([[1, 2], 0]);
  });

  test.each([
    ["EPERM", EPERM, { forbidden: 1, other: 0 }],
    ["ENOBUFS", ENOBUFS, { forbidden: 0, other: 1 }],
  ])("do not stop one another: the one that gets %s is counted, the others leave", (_name, errno, counted) => {
    const { queue, put, sent, counters } = setUp(real, [1, -errno, -errno]);
    put(1, 2, 3);
    queue.flush();
    expect([sent, counters.unsent, queue.isBlocked()]).toStrictEqual([[1, 3], counted, false]);
  });

  test("are all sent when the error is left over from an earlier one", () => {
    const { queue, put, sent, counters } = setUp(real, [-ECONNREFUSED, 1, -ECONNREFUSED]);
    put(1, 2, 3);
    queue.flush();
    expect([sent, sum(counters.unsent)]).toStrictEqual([[1, 2, 3], 0]);
  });
});

function sum({ forbidden, other }: { forbidden: number; other: number }): number {
  return forbidden + other;
}
