import { constants } from "node:os";
import { describe, expect, test } from "vitest";
import { createSendQueue } from "../../../src/listen/send-queue.ts";
import { libc, type Libc } from "../../../src/runtime/libc.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";

const { EAGAIN, ECONNREFUSED, ENOBUFS, EPERM } = constants.errno;
const everything = 64;

/** A queue whose kernel takes as many replies as the script says for each call, or fails with the negative of an errno; at the end all. */
function setUp(real: Libc, script: number[]) {
  const sent: number[] = [];
  const counters = { unsent: { forbidden: 0, other: 0 } };
  let errno = 0;
  let firstHeader: bigint | undefined;
  const kernel: Libc = {
    ...real,
    sendmmsg: Object.assign(
      (_fd: number, header: unknown, count: number) => {
        firstHeader ??= header as bigint;
        const from = Number((header as bigint) - firstHeader) / 64;
        const outcome = script.shift() ?? everything;
        errno = -outcome;
        if (outcome < 0) return -1;
        for (let slot = from; slot < from + Math.min(outcome, count); slot += 1) sent.push(queued[slot] as number);
        return Math.min(outcome, count);
      },
      { pointer: 0n },
    ),
    lastErrno: () => errno,
  };
  const queue = createSendQueue(kernel, 1, 16, counters);
  // The reply in each slot, by its number.
  let queued: number[] = [];
  const client = socketAddress({ host: "127.0.0.1", port: 40_000 });
  function put(...replies: number[]): void {
    queued = replies;
    for (const reply of replies) {
      queue.room()[0] = reply;
      queue.add(1, client);
    }
  }
  return { queue, put, sent, counters };
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

  test("are counted as lost when they are too many for the wait", () => {
    const { queue, put, counters } = setUp(real, [-EAGAIN]);
    put(...Array.from({ length: everything + 3 }, (_, index) => index));
    expect([queue.isBlocked(), sum(counters.unsent)]).toStrictEqual([true, 3]);
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
