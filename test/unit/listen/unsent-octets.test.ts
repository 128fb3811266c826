import { expect, test } from "vitest";
import { addUnsent, createUnsentOctets, dropAll, dropSent, nextPiece } from "../../../src/listen/unsent-octets.ts";
import { createChance } from "../../../bench/fleet/chance.ts";

/** So many octets that count from `first` on. */
function counting(sizeBytes: number, first = 0): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, index) => first + index);
}

test("what was written leaves together, and is not changed by later use of the same memory", () => {
  const unsent = createUnsentOctets();
  const memory = counting(3);
  addUnsent(unsent, memory);
  memory.fill(99);
  addUnsent(unsent, counting(2, 3));
  expect(unsent.sizeBytes).toBe(5);
  expect([...nextPiece(unsent)]).toEqual([0, 1, 2, 3, 4]);
});

test("all leaves once and in order, however it was written and however much the system takes", () => {
  const chance = createChance(7);
  const unsent = createUnsentOctets();
  let [written, left] = [0, 0];
  for (let step = 0; step < 500; step += 1) {
    const sizeBytes = Math.floor(chance() ** 4 * 70_000);
    addUnsent(unsent, counting(sizeBytes, written % 256));
    written += sizeBytes;
    const piece = nextPiece(unsent);
    const sent = chance() < 0.3 ? piece.length : Math.floor(chance() * piece.length);
    expect(piece.subarray(0, sent).every((octet, index) => octet === (left + index) % 256)).toBe(true);
    dropSent(unsent, sent);
    left += sent;
    expect(unsent.sizeBytes).toBe(written - left);
  }
  while (unsent.sizeBytes > 0) {
    const { length } = nextPiece(unsent);
    expect(length).toBe(Math.min(unsent.sizeBytes, 64 * 1024));
    dropSent(unsent, length);
  }
  expect(unsent).toEqual(createUnsentOctets());
});

test("nothing is left after all was dropped", () => {
  const unsent = createUnsentOctets();
  addUnsent(unsent, counting(10));
  dropSent(unsent, 4);
  dropAll(unsent);
  addUnsent(unsent, counting(2));
  expect([...nextPiece(unsent)]).toEqual([0, 1]);
});
