/*
 * Messages on a TCP connection: two octets of length before each (RFC 1035 §4.2.2). How the stream is cut into segments
 * must not matter (RFC 7766 §8), so this file knows nothing about sockets.
 */
import { readU16, writeU16 } from "./octets.ts";

/** Size of the length prefix before each message. */
export const framePrefixSizeBytes = 2;

/** Cuts a stream into messages. Each direction of a connection has one. */
export interface FrameReader {
  /**
   * Takes the next octets and passes each completed message to `onMessage`, in order. The message belongs to the reader and is valid
   * until `onMessage` returns; a length of 0 yields an empty one. `onMessage` returns false to stop after that message. Returns how
   * many octets of `chunk` were taken: fewer than all only after such a stop, and then the rest may be pushed later. Returns `tooLong`
   * when the stream announces a message longer than the reader accepts; the reader is of no further use then. `chunk` is not kept.
   */
  push(chunk: Uint8Array, onMessage: (message: Uint8Array) => boolean): number;
  /** Whether the stream would be cut off inside a message if it ended here. */
  isInsideMessage(): boolean;
  /** Octets of memory that it holds for that message. */
  heldSizeBytes(): number;
}

/**
 * Creates a reader of messages of up to `maxMessageBytes`; by default, of any length that the prefix can state. It holds at most one
 * incomplete message, and its memory grows with what has arrived, not with what was announced.
 */
export function createFrameReader(maxMessageBytes = 0xffff): FrameReader {
  let partial = new Uint8Array(0);
  let partialSize = 0;

  /** Appends octets of `chunk` from `at` until the partial frame has `wanted` octets or the chunk ends. Returns the new offset. */
  function append(chunk: Uint8Array, at: number, wanted: number): number {
    const taken = Math.min(wanted - partialSize, chunk.length - at);
    if (partialSize + taken > partial.length) {
      const larger = new Uint8Array(Math.max(512, 2 * partial.length, partialSize + taken));
      larger.set(partial.subarray(0, partialSize));
      partial = larger;
    }
    partial.set(chunk.subarray(at, at + taken), partialSize);
    partialSize += taken;
    return at + taken;
  }

  /** Completes the message that earlier chunks started. Returns the offset after it, `unfinished` or `tooLong`. */
  function finishPartial(chunk: Uint8Array): number {
    let at = partialSize < framePrefixSizeBytes ? append(chunk, 0, framePrefixSizeBytes) : 0;
    if (partialSize < framePrefixSizeBytes) return unfinished;
    const size = readU16(partial, 0);
    if (size > maxMessageBytes) return tooLong;
    at = append(chunk, at, framePrefixSizeBytes + size);
    return partialSize < framePrefixSizeBytes + size ? unfinished : at;
  }

  return {
    push(chunk, onMessage) {
      let at = 0;
      if (partialSize > 0) {
        at = finishPartial(chunk);
        if (at < 0) return at === unfinished ? chunk.length : tooLong;
        const message = partial.subarray(framePrefixSizeBytes, partialSize);
        partial = new Uint8Array(0);
        partialSize = 0;
        if (!onMessage(message)) return at;
      }
      for (;;) {
        const left = chunk.length - at;
        if (left < framePrefixSizeBytes) break;
        const size = readU16(chunk, at);
        if (size > maxMessageBytes) return tooLong;
        const end = at + framePrefixSizeBytes + size;
        if (chunk.length < end) break;
        const message = chunk.subarray(at + framePrefixSizeBytes, end);
        at = end;
        if (!onMessage(message)) return at;
      }
      return at === chunk.length ? at : append(chunk, at, chunk.length);
    },
    isInsideMessage: () => partialSize > 0,
    heldSizeBytes: () => partial.length,
  };
}

const unfinished = -1;

/** What `push` returns when a message is longer than the reader accepts. */
export const tooLong = -2;

/** A new array with the first `sizeBytes` octets of `message` after their length: one write, so one segment (RFC 7766 §8). */
export function frameMessage(message: Uint8Array, sizeBytes: number): Uint8Array {
  const frame = new Uint8Array(framePrefixSizeBytes + sizeBytes);
  writeU16(frame, 0, sizeBytes);
  frame.set(message.subarray(0, sizeBytes), framePrefixSizeBytes);
  return frame;
}
