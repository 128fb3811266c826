/*
 * A TCP connection through the C library that carries whole messages (RFC 1035 §4.2.2): one call for all that is asked in a turn of the
 * event loop, one for all that has come, and no object of Node's for either.
 */
import { systemClock } from "../runtime/clock.ts";
import { type ConnectedSocket, connectSocket } from "../runtime/connected-socket.ts";
import type { Libc } from "../runtime/libc.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { isPassing } from "../runtime/passing-error.ts";
import { Readiness } from "../runtime/watch-descriptor.ts";
import { createFrameReader, frameMessage } from "../wire/framing.ts";
import { copyOctets } from "../wire/octets.ts";
import type { FlowSocket, SocketEvents } from "./flow-socket.ts";
import { type LossReason, lossReasonOf } from "./loss-reason.ts";

const readSizeBytes = 32 * 1024;

/** What was read is handed out before the next read, so all connections share this memory. */
let input: { readonly memory: Buffer; readonly octets: Uint8Array; readonly at: bigint } | undefined;

function createInput(calls: Libc) {
  const memory = Buffer.alloc(readSizeBytes);
  return {
    memory,
    octets: new Uint8Array(memory.buffer, memory.byteOffset, readSizeBytes),
    at: calls.addressOf(memory),
  };
}

/** Opens a connection. Never throws. */
export function openDescriptorTcp(server: ServerAddress, events: SocketEvents): FlowSocket {
  const frames = createFrameReader();
  let socket: ConnectedSocket | undefined;
  let state: "connecting" | "open" | "closed" = "connecting";
  /** Frames that the kernel has not taken yet, in order. */
  let unsent: Uint8Array[] = [];
  let isFlushDue = false;
  let isWaitingForRoom = false;
  try {
    socket = connectSocket("tcp", server, onReady);
    socket.waitFor(Readiness.writable);
  } catch (error) {
    queueMicrotask(() => end(lossReasonOf(error as NodeJS.ErrnoException)));
  }

  function onReady(readiness: number): void {
    if (socket === undefined) return;
    if (state === "connecting") {
      finishHandshake(socket);
      return;
    }
    if ((readiness & Readiness.writable) !== 0) flush();
    if ((readiness & Readiness.readable) !== 0) read(socket);
  }

  function finishHandshake({ takeError, waitFor }: ConnectedSocket): void {
    const error = takeError();
    if (error !== undefined) {
      end(lossReasonOf(error));
      return;
    }
    state = "open";
    waitFor(Readiness.readable);
    flush();
    if (isOpen()) events.onOpen();
  }

  function read({ fd, calls }: ConnectedSocket): void {
    if (!isOpen()) return;
    input ??= createInput(calls);
    const sizeBytes = calls.read(fd, input.at, readSizeBytes);
    if (sizeBytes > 0) {
      frames.push(input.octets.subarray(0, sizeBytes), (message) => {
        // The message belongs to the frame reader, which will reuse it; a reply has to last.
        events.onMessage(copyOctets(message, 0, message.length));
        return isOpen();
      });
    } else if (sizeBytes === 0) {
      end("closed");
    } else if (!isPassing(calls.lastErrno())) {
      end(lossReasonOf(calls.lastError("read")));
    }
  }

  const isOpen = () => state === "open";

  function flush(): void {
    isFlushDue = false;
    if (socket === undefined || !isOpen() || unsent.length === 0) return;
    const { fd, calls, waitFor } = socket;
    const octets = unsent.length === 1 ? (unsent[0] as Uint8Array) : Buffer.concat(unsent);
    const sentBytes = calls.write(fd, octets, octets.length);
    if (sentBytes < 0 && !isPassing(calls.lastErrno())) {
      end(lossReasonOf(calls.lastError("write")));
      return;
    }
    const isWhole = sentBytes === octets.length;
    unsent = isWhole ? [] : [octets.subarray(Math.max(0, sentBytes))];
    if (isWhole !== isWaitingForRoom) return;
    isWaitingForRoom = !isWhole;
    waitFor(isWhole ? Readiness.readable : Readiness.readable | Readiness.writable);
  }

  function end(reason: LossReason): void {
    if (state === "closed") return;
    close();
    events.onEnd(reason);
  }

  function close(): void {
    if (state === "closed") return;
    state = "closed";
    unsent = [];
    socket?.close();
  }

  return {
    send(message) {
      if (state === "closed") return;
      unsent.push(frameMessage(message, message.length));
      if (isFlushDue || state === "connecting") return;
      isFlushDue = true;
      systemClock.afterIo(flush);
    },
    close,
  };
}
