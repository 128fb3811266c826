import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { dropCodePages, unchangedFileMappings } from "../../../src/runtime/code-pages.ts";
import { libc } from "../../../src/runtime/libc.ts";

/** One mapping as in /proc/self/smaps, with the fields that matter. */
function mapping(head: string, anonymousKib: number): string {
  return `${head}\nSize:               8 kB\nRss:                8 kB\nAnonymous:          ${anonymousKib} kB\nVmFlags: rd mr mw me\n`;
}

describe("unchangedFileMappings", () => {
  const code = mapping(
    "00600000-00602000 r-xp 00200000 08:01 1234                               /usr/local/bin/node",
    0,
  );

  test("finds code and constants", () => {
    const constants = mapping("7f0000004000-7f0000005000 r--p 00000000 08:01 99 /lib/libc.so.6", 0);
    expect(unchangedFileMappings(code + constants)).toEqual([
      { address: 0x60_0000n, sizeBytes: 0x2000n },
      { address: 0x7f00_0000_4000n, sizeBytes: 0x1000n },
    ]);
  });

  test.each([
    ["what can be written", mapping("00700000-00702000 rw-p 00300000 08:01 1234 /usr/local/bin/node", 0)],
    ["what the linker has written to", mapping("00700000-00702000 r--p 00300000 08:01 1234 /usr/local/bin/node", 4)],
    ["what is no file", mapping("00700000-00702000 r-xp 00000000 00:00 0 ", 0)],
    ["what the kernel provides", mapping("7ffd0000-7ffd2000 r-xp 00000000 00:00 0 [vdso]", 0)],
    ["what is shared with others", mapping("00700000-00702000 r--s 00000000 08:01 77 /usr/lib/locale", 0)],
  ])("leaves alone %s, even after code", (_, other) => {
    expect(unchangedFileMappings(code + other)).toHaveLength(1);
  });
});

test.skipIf(libc === undefined)("the program goes on with fewer pages of its own file", () => {
  const residentKib = () => {
    const ofProgram = readFileSync("/proc/self/smaps", "latin1")
      .split(/\n(?=[0-9a-f]+-)/)
      .filter((part) => part.includes(" r-xp ") && part.includes(process.execPath));
    return ofProgram.reduce((sum, part) => sum + Number(/^Rss: +(\d+)/m.exec(part)?.[1]), 0);
  };
  const before = residentKib();
  expect(dropCodePages()).toBeGreaterThan(0n);
  expect(residentKib()).toBeLessThan(before);
});
