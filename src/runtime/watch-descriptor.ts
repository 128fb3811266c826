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

/** By address: the memory of libuv's handles, which must stay where it is until libuv has let go of it, and what is called then. */
const handles = new Map<bigint, { readonly memory: Buffer; whenClosed: () => void }>();

let closedCallback: bigint | undefined;

/**
 * Watches a descriptor that nothing else watches, at first for being readable. In each turn of the loop in which it is ready, `run` is
 * called with a sum of Readiness; promises that it settles are continued in the same turn, unless `hasPromises` is false: then whatever
 * settles one has it continued by Clock.afterIo, and a wake without any costs a tenth less. Keeps the process alive, as Node's sockets do.
 * Throws where `canWatchDescriptors` is false, and if libuv refuses.
 */
export function watchDescriptor(
  fd: number,
  run: (readiness: number) => void,
  { hasPromises = true } = {},
): DescriptorWatch {
  if (libc === undefined || eventLoop === undefined) throw new Error("this Node cannot watch descriptors");
  const loop = eventLoop;
  const address = createHandle(libc, loop, fd);
  const ready = loop.readyCallback(takeTurn);
  let awaited: number = Readiness.readable;
  let stopping: Promise<void> | undefined;
  waitFor(awaited);

  function waitFor(readiness: number): void {
    awaited = readiness;
    // A handle that is closing must not be started again.
    if (stopping === undefined) loop.uv_poll_start(address, readiness, ready);
  }

  /**
   * libuv says a negative status for a descriptor in error, and waits no longer. For a socket that is the error of one datagram, which
   * the next read reports and clears. Nothing may be thrown into native code.
   */
  function takeTurn(status: number, events: number): void {
    try {
      run(status < 0 ? Readiness.readable : events);
      if (status < 0) waitFor(awaited);
      // After a call from native code the engine does not continue promises by itself, but after an immediate it does.
      if (hasPromises) systemClock.afterIo(continuePromises);
    } catch (error) {
      systemClock.afterIo(() => {
        throw error;
      });
    }
  }

  async function stop(): Promise<void> {
    await closeHandle(loop, address);
    loop.releaseCallback(ready);
  }

  return { waitFor, stop: () => (stopping ??= stop()) };
}

/** Returns the address of a libuv handle, which is valid until it is closed. */
function createHandle(lib: Libc, loop: EventLoop, fd: number): bigint {
  const memory = Buffer.alloc(Number(loop.uv_handle_size(pollHandleType)));
  const address = lib.addressOf(memory);
  const code = loop.uv_poll_init(loop.address, address, fd);
  if (code < 0) throw new Error(`uv_poll_init ${code}`);
  handles.set(address, { memory, whenClosed: () => {} });
  return address;
}

/** Resolves when libuv has let go of the handle. */
function closeHandle(loop: EventLoop, address: bigint): Promise<void> {
  closedCallback ??= loop.closedCallback((handle) => handles.get(handle)?.whenClosed());
  const closed = closedCallback;
  return new Promise((resolve) => {
    const handle = handles.get(address);
    if (handle === undefined) return resolve();
    handle.whenClosed = () => {
      handles.delete(address);
      // A promise that is settled here alone would be continued only in a later turn.
      systemClock.afterIo(resolve);
    };
    loop.uv_close(address, closed);
  });
}

function continuePromises(): void {}
