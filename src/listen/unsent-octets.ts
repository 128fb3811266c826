/*
 * What a connection has written and the kernel has not taken yet. It leaves in pieces that are put together from what was written, however
 * much that was at a time.
 */

/** What waits, in order; of the first part, what is behind `sentOfFirst`. Only this file changes it. */
export interface UnsentOctets {
  readonly parts: Uint8Array[];
  sentOfFirst: number;
  sizeBytes: number;
}

const pieceSizeBytes = 64 * 1024;

/** A piece leaves before another is put together, so all connections share its memory. */
const piece = Buffer.alloc(pieceSizeBytes);
const pieceOctets = new Uint8Array(piece.buffer, piece.byteOffset, pieceSizeBytes);

/** Creates an empty one. */
export function createUnsentOctets(): UnsentOctets {
  return { parts: [], sentOfFirst: 0, sizeBytes: 0 };
}

/** Adds a copy of these octets. */
export function addUnsent(unsent: UnsentOctets, octets: Uint8Array): void {
  unsent.parts.push(new Uint8Array(octets));
  unsent.sizeBytes += octets.length;
}

/** The next piece, valid until the next call. */
export function nextPiece({ parts, sentOfFirst }: UnsentOctets): Uint8Array {
  let sizeBytes = 0;
  let from = sentOfFirst;
  for (const octets of parts) {
    const part = octets.subarray(from, from + pieceSizeBytes - sizeBytes);
    pieceOctets.set(part, sizeBytes);
    sizeBytes += part.length;
    from = 0;
    if (sizeBytes === pieceSizeBytes) break;
  }
  return pieceOctets.subarray(0, sizeBytes);
}

/** So much of it has left. */
export function dropSent(unsent: UnsentOctets, sentBytes: number): void {
  unsent.sizeBytes -= sentBytes;
  let sent = unsent.sentOfFirst + sentBytes;
  let done = 0;
  for (const octets of unsent.parts) {
    if (sent < octets.length) break;
    sent -= octets.length;
    done += 1;
  }
  unsent.parts.splice(0, done);
  unsent.sentOfFirst = sent;
}

/** Nothing of it will leave. */
export function dropAll(unsent: UnsentOctets): void {
  unsent.parts.length = 0;
  unsent.sizeBytes = 0;
  unsent.sentOfFirst = 0;
}
