import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { libc } from "../../../src/runtime/libc.ts";
import { releaseMemoryOfStart } from "../../../src/runtime/memory-of-start.ts";

test.skipIf(libc === undefined)("the program goes on with fewer pages of its own file", () => {
  const residentKib = () => {
    const ofProgram = readFileSync("/proc/self/smaps", "latin1")
      .split(/\n(?=[0-9a-f]+-)/)
      .filter((part) => part.includes(" r-xp ") && part.includes(process.execPath));
    return ofProgram.reduce((sum, part) => sum + Number(/^Rss: +(\d+)/m.exec(part)?.[1]), 0);
  };
  const before = residentKib();
  expect(releaseMemoryOfStart()).toBeGreaterThan(0n);
  expect(residentKib()).toBeLessThan(before);
});
