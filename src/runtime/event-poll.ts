/*
 * Many descriptors under watch at the cost of one: an epoll of our own, which is itself a descriptor that can be read when one of its
 * descriptors is ready. libuv's handles would cost an allocation and several calls for each.
 *
 *     struct epoll_event { u32 events; u64 data; }, without a gap on x86-64 and with one of four octets elsewhere.
 */
import { allocateWords, libc, type Libc } from "./libc.ts";
import { watchDescriptor } from "./watch-descriptor.ts";

/** What can be waited for, as the kernel has it; a sum of them for several. Errors and hang-ups are always told, as `broken`. */
export const PollEvent = { readable: 0x1, writable: 0x4, broken: 0x18 } as const;

/** Descriptors under watch. Each is told by the number that it was added with. */
export interface EventPoll {
  /**
   * Begins to watch a descriptor for these events, a sum of PollEvent. `tag` is told beside the descriptor: a number may have been closed
   * and given out again since the kernel noted the event. Returns whether the kernel has room for it.
   */
  add(fd: number, events: number, tag: number): boolean;
  /** From now on waits for these. */
  change(fd: number, events: number, tag: number): void;
  /** No longer watches it. Closing a descriptor does the same. */
  remove(fd: number): void;
  /** Stops watching all. Resolves when libuv has let go of them; from the call on `run` is not called. */
  close(): Promise<void>;
}

/** Told for each descriptor that is ready, with a sum of PollEvent. If it settles a promise, that is continued by Clock.afterIo. */
export type Ready = (fd: number, events: number, tag: number) => void;

/** So many descriptors have their turn, then other sockets and timers have theirs. */
const eventsPerWake = 64;

const eventWords = process.arch === "x64" ? 3 : 4;
const dataWord = eventWords - 2;
const control = { add: 1, remove: 2, change: 3 } as const;
const closeOnExec = 0o2000000;

/** Creates one that watches nothing. Throws where `canWatchDescriptors` is false, and the system's error if there is no descriptor for it. */
export function createEventPoll(run: Ready): EventPoll {
  if (libc === undefined) throw new Error("the C library cannot be called");
  const calls: Libc = libc;
  const own = calls.epoll_create1(closeOnExec);
  if (own === -1) throw calls.lastError("epoll_create1");
  const [events, eventsAt] = allocateWords(calls, eventsPerWake * eventWords);
  const [event, eventAt] = allocateWords(calls, eventWords);
  let isClosed = false;
  const watch = watchOrClose(calls, own, takeTurn);

  /** Where several are ready at once, more have become so meanwhile: asking again costs less than another wake. */
  function takeTurn(): void {
    for (let left = eventsPerWake; left > 0 && !isClosed;) {
      const count = calls.epoll_wait(own, eventsAt, left, 0);
      for (let index = 0; index < count && !isClosed; index += 1) runEvent(index * eventWords);
      if (count < 2) break;
      left -= count;
    }
  }

  function runEvent(at: number): void {
    run(events[at + dataWord] as number, events[at] as number, events[at + dataWord + 1] as number);
  }

  function tell(action: number, fd: number, wanted: number, tag: number): boolean {
    event[0] = wanted;
    event[dataWord] = fd;
    event[dataWord + 1] = tag;
    return calls.epoll_ctl(own, action, fd, eventAt) === 0;
  }

  return {
    add: (fd, wanted, tag) => tell(control.add, fd, wanted, tag),
    change: (fd, wanted, tag) => void tell(control.change, fd, wanted, tag),
    remove: (fd) => void tell(control.remove, fd, 0, 0),
    async close() {
      isClosed = true;
      const stopped = watch.stop();
      calls.close(own);
      await stopped;
    },
  };
}

function watchOrClose(calls: Libc, fd: number, run: () => void) {
  try {
    return watchDescriptor(fd, run, { hasPromises: false });
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}
