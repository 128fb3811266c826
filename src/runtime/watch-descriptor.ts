/*
 * Node's event loop tells when a descriptor can be read or written, as it does for its own sockets, by libuv's uv_poll. Node has no
 * object for that: what it opens, it also reads.
 */
import { systemClock } from "./clock.ts";
import { eventLoop, type EventLoop, libc, type Libc } from "./libc.ts";

/** What can be waited for; a sum of them for both. */
export const Readiness = { readable: 1, writable: 2 } as const;

/** A descriptor under watch. */
export interface DescriptorWatch {
  /** From now on waits for these, a sum of Readiness. */
  waitFor(readiness: number): void;
  /** Stops, after which the descriptor may be closed. Resolves when libuv has let go of it. */
  stop(): Promise<void>;
}

/** Whether `watchDescriptor` works here. */
export function canWatchDescriptors(): boolean {
  return libc !== undefined && eventLoop !== undefined;
}

/** UV_POLL of libuv's uv_handle_type. */
const pollHandleType = 8;

interface Handle {
  readonly memory: Buffer;
  readonly run: (readiness: number) => void;
  readonly hasPromises: boolean;
  /** Waits once more for what it waited for before. */
  resume: () => void;
  whenClosed: () => void;
}

/** By address. What libuv knows must stay where it is until it has let go of it. */
const handles = new Map<bigint, Handle>();

let callbacks: { readonly ready: bigint; readonly closed: bigint } | undefined;

/**
 * Watches a descriptor that nothing else watches, at first for being readable. In each turn of the loop in which it is ready, `run` is
 * called with a sum of Readiness; promises that it settles are continued in the same turn, unless `hasPromises` is false: then whatever
 * settles one has it continued by Clock.afterIo, and a wake without any costs a tenth less. Keeps the process alive, as Node's sockets do. Throws where `canWatchDescriptors` is false, and if libuv refuses.
 */
export function watchDescriptor(
  fd: number,
  run: (readiness: number) => void,
  { hasPromises = true } = {},
): DescriptorWatch {
  if (libc === undefined || eventLoop === undefined) throw new Error("this Node cannot watch descriptors");
  const loop = eventLoop;
  const address = createHandle(libc, loop, fd, { run, hasPromises, resume: () => waitFor(awaited) });
  callbacks ??= {
    ready: loop.callback((handle, status, events) => runHandle(handle, status, events)),
    closed: loop.callback((handle) => handles.get(handle)?.whenClosed()),
  };
  const { ready, closed } = callbacks;
  let awaited: number = Readiness.readable;
  waitFor(awaited);

  function waitFor(readiness: number): void {
    awaited = readiness;
    loop.uv_poll_start(address, readiness, ready);
  }

  return {
    waitFor,
    stop: () =>
      new Promise((resolve) => {
        const handle = handles.get(address);
        if (handle === undefined) return resolve();
        // A handle that is closing must not be started again.
        handle.resume = () => {};
        handle.whenClosed = () => {
          handles.delete(address);
          // A promise that is settled here alone would be continued only in a later turn.
          systemClock.afterIo(resolve);
        };
        loop.uv_close(address, closed);
      }),
  };
}

/** Returns the address of a libuv handle, which is valid until its `whenClosed` is called. */
function createHandle(
  lib: Libc,
  loop: EventLoop,
  fd: number,
  calls: Pick<Handle, "run" | "hasPromises" | "resume">,
): bigint {
  const memory = Buffer.alloc(Number(loop.uv_handle_size(pollHandleType)));
  const address = lib.addressOf(memory);
  const code = loop.uv_poll_init(loop.address, address, fd);
  if (code < 0) throw new Error(`uv_poll_init ${code}`);
  handles.set(address, { ...calls, memory, whenClosed: () => {} });
  return address;
}

/**
 * libuv says a negative status for a descriptor in error, and waits no longer. For a socket that is the error of one datagram, which the
 * next read reports and clears. Nothing may be thrown into native code.
 */
function runHandle(address: bigint, status: number, events: number): void {
  const handle = handles.get(address);
  if (handle === undefined) return;
  try {
    handle.run(status < 0 ? Readiness.readable : events);
    if (status < 0) handle.resume();
    // After a call from native code the engine does not continue promises by itself, but after an immediate it does.
    if (handle.hasPromises) systemClock.afterIo(continuePromises);
  } catch (error) {
    systemClock.afterIo(() => {
      throw error;
    });
  }
}

function continuePromises(): void {}
