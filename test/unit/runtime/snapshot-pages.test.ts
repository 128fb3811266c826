import { describe, expect, test } from "vitest";
import { libc } from "../../../src/runtime/libc.ts";
import type { MemoryMapping } from "../../../src/runtime/memory-mappings.ts";
import { readSnapshotHead, snapshotPages } from "../../../src/runtime/snapshot-pages.ts";

const version = "14.6.202.34-node.34";
/** V8's part of a snapshot: its numbers and sums, its version, and what follows. */
const ofV8 = Buffer.concat([
  Buffer.from("0400000001000000aabbccdd11223344", "hex"),
  Buffer.from(version.padEnd(64, "\0"), "latin1"),
  Buffer.alloc(59_936, 7),
  Buffer.alloc(64, 8),
]);
const size = Buffer.alloc(4);
size.writeUInt32LE(ofV8.length);
const file = Buffer.concat([Buffer.from("26.10.0 x64 linux", "latin1"), size, ofV8]);

describe("readSnapshotHead", () => {
  test("finds the size of V8's part, and how it begins", () => {
    expect(readSnapshotHead(file.subarray(0, 1024), version)).toEqual({
      signature: ofV8.subarray(0, 80),
      sizeBytes: ofV8.length,
      offset: file.length - ofV8.length,
    });
  });

  test.each([
    ["of another version", file.subarray(0, 1024), "14.6.202.3"],
    ["that is cut off", file.subarray(0, 60), version],
    ["that is empty", file.subarray(0, 0), version],
  ])("finds nothing in a file %s", (_, start, ofVersion) => {
    expect(readSnapshotHead(start, ofVersion)).toBeUndefined();
  });
});

describe.skipIf(libc === undefined)("snapshotPages", () => {
  const marks = { signature: ofV8.subarray(0, 80), tail: ofV8.subarray(-64), sizeBytes: ofV8.length };
  const pageBytes = 4096;

  /** Memory in which the snapshot stands 16 octets behind the begin of a page, as the C library places what is large. */
  function mappingWith(snapshot: Buffer): MemoryMapping & { readonly memory: Buffer } {
    const all = Buffer.alloc(100_000);
    const atPage = pageBytes - Number((libc?.addressOf(all) ?? 0n) % BigInt(pageBytes));
    const memory = all.subarray(atPage, atPage + 16 * pageBytes);
    snapshot.copy(memory, pageBytes + 16);
    const address = libc?.addressOf(memory) ?? 0n;
    const sizeBytes = BigInt(memory.length);
    return {
      memory,
      address,
      sizeBytes,
      isWritable: true,
      isExecutable: false,
      isOfFile: false,
      anonymousBytes: memory.length,
    };
  }

  test("are those that hold nothing else", () => {
    const mapping = mappingWith(ofV8);
    const pages = snapshotPages([mapping], marks);
    // 60,080 octets from octet 16 of a page on: the first page and the last have neighbours.
    expect(pages).toEqual([{ address: mapping.address + BigInt(2 * pageBytes), sizeBytes: BigInt(13 * pageBytes) }]);
    expect(mapping.memory.length).toBeGreaterThan(0);
  });

  test("are the same where a copy of its beginning stands before it, as reading its file leaves one", () => {
    const mapping = mappingWith(ofV8);
    ofV8.copy(mapping.memory, 16, 0, 1024);
    expect(snapshotPages([mapping], marks)).toEqual([
      { address: mapping.address + BigInt(2 * pageBytes), sizeBytes: BigInt(13 * pageBytes) },
    ]);
  });

  test.each([
    ["where two look the same", [mappingWith(ofV8), mappingWith(ofV8)]],
    ["where none is", [mappingWith(Buffer.alloc(100))]],
    ["where only its beginning is", [mappingWith(ofV8.subarray(0, 1024))]],
    ["in what shows a file", [{ ...mappingWith(ofV8), isOfFile: true }]],
    ["in what is not in memory as a whole", [{ ...mappingWith(ofV8), anonymousBytes: ofV8.length - 1 }]],
  ])("are none %s", (_, mappings) => {
    expect(snapshotPages(mappings, marks)).toEqual([]);
  });
});
