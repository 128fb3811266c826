import { expect, test } from "vitest";
import { parseMappings } from "../../../src/runtime/memory-mappings.ts";

/** One mapping as in /proc/self/smaps, with some of its fields. */
function mapping(head: string, anonymousKib: number): string {
  return `${head}\nSize:               8 kB\nRss:                8 kB\nAnonymous:          ${anonymousKib} kB\nVmFlags: rd mr mw me\n`;
}

test("reads where a mapping is, what may be done with it, whether it shows a file, and what of it is not as in the file", () => {
  const smaps = [
    mapping("00600000-00602000 r-xp 00200000 08:01 1234                               /usr/local/bin/node", 0),
    mapping("01c4a000-01c5b000 rw-p 00000000 00:00 0                                  [heap]", 60),
    mapping("7f0000004000-7f0000005000 rw-p 00000000 00:00 0 ", 4),
  ];
  expect(parseMappings(smaps.join(""))).toEqual([
    {
      address: 0x60_0000n,
      sizeBytes: 0x2000n,
      isWritable: false,
      isExecutable: true,
      isOfFile: true,
      anonymousBytes: 0,
    },
    {
      address: 0x1c4_a000n,
      sizeBytes: 0x1_1000n,
      isWritable: true,
      isExecutable: false,
      isOfFile: false,
      anonymousBytes: 61_440,
    },
    {
      address: 0x7f00_0000_4000n,
      sizeBytes: 0x1000n,
      isWritable: true,
      isExecutable: false,
      isOfFile: false,
      anonymousBytes: 4096,
    },
  ]);
});

test.each([
  ["what is shared with others", "00700000-00702000 r--s 00000000 08:01 77 /usr/lib/locale"],
  ["what cannot be read", "00700000-00702000 ---p 00000000 00:00 0"],
])("leaves out %s, and takes nothing of it for that of the mapping before", (_, head) => {
  const cut = "00600000-00602000 r-xp 00200000 08:01 1234 /usr/local/bin/node\nSize: 8 kB\n";
  expect(parseMappings(cut + mapping(head, 4))).toEqual([]);
});
