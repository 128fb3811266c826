/*
 * Replies to what one read of a connection has brought, put together so that they leave in one write. Nothing else happens between the read
 * and the last of them, so all connections share one outbox, and whoever fills it empties it.
 */
import { framePrefixSizeBytes } from "../wire/framing.ts";
import { maxMessageSizeBytes } from "../wire/header.ts";
import { writeU16 } from "../wire/octets.ts";

/** Replies that are larger together leave in several writes. */
const writeSizeBytes = 16 * 1024;

const octets = new Uint8Array(writeSizeBytes + framePrefixSizeBytes + maxMessageSizeBytes);

/** Most reads bring one query. */
const firstRoom = octets.subarray(framePrefixSizeBytes);

let usedBytes = 0;

/** Where to write the next reply, room for maxMessageSizeBytes. What is there counts only once it is added. */
export function outboxRoom(): Uint8Array {
  return usedBytes === 0 ? firstRoom : octets.subarray(usedBytes + framePrefixSizeBytes);
}

/** Adds the reply of this size that was written there. Returns whether the outbox must be emptied before the next one. */
export function addToOutbox(sizeBytes: number): boolean {
  writeU16(octets, usedBytes, sizeBytes);
  usedBytes += framePrefixSizeBytes + sizeBytes;
  return usedBytes >= writeSizeBytes;
}

/** Empties it. Returns the framed replies, which are valid until the next one is written there, or undefined if there are none. */
export function takeOutbox(): Uint8Array | undefined {
  if (usedBytes === 0) return undefined;
  const taken = octets.subarray(0, usedBytes);
  usedBytes = 0;
  return taken;
}
