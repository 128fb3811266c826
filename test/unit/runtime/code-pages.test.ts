import { expect, test } from "vitest";
import { codePages } from "../../../src/runtime/code-pages.ts";
import type { MemoryMapping } from "../../../src/runtime/memory-mappings.ts";

const code: MemoryMapping = {
  address: 0x60_0000n,
  sizeBytes: 0x2000n,
  isWritable: false,
  isExecutable: true,
  isOfFile: true,
  anonymousBytes: 0,
};

test("code and constants are as in their file", () => {
  const constants = { ...code, address: 0x70_0000n, isExecutable: false };
  expect(codePages([code, constants])).toEqual([code, constants]);
});

test.each([
  ["what can be written", { isWritable: true }],
  ["what the linker has written to", { anonymousBytes: 4096 }],
  ["what is no file", { isOfFile: false }],
])("leaves alone %s", (_, difference) => {
  expect(codePages([{ ...code, ...difference }])).toEqual([]);
});
