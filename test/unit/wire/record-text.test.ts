/* Records' data as people write it. */
import { expect, test } from "vitest";
import { composeRecord } from "../../../src/wire/record.ts";
import { recordDataText } from "../../../src/wire/record-text.ts";

const name = (text: string) => [...text.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]), 0];

/** The text of a record's data, made of octets. */
function textOf(type: number, data: readonly number[], rrClass = 1): string {
  const packet = composeRecord(Uint8Array.of(0), type, 5, Uint8Array.from(data));
  const view = { owner: 0, type, class: rrClass, ttlOffset: 5, dataOffset: 11, end: packet.length };
  return recordDataText(view, packet);
}

test.each([
  ["A", 1, [10, 96, 0, 7], "10.96.0.7"],
  ["AAAA", 28, [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "fd00::1"],
  ["CNAME", 5, name("web.test"), "web.test."],
  ["NS of the root", 2, [0], "."],
  ["MX", 15, [0, 10, ...name("mx.test")], "10 mx.test."],
  ["SRV", 33, [0, 1, 0, 2, 0x1f, 0x90, ...name("web.test")], "1 2 8080 web.test."],
  [
    "SOA",
    6,
    [...name("ns.test"), ...name("hm.test"), ...[1, 2, 3, 4, 5].flatMap((number) => [0, 0, 0, number])],
    "ns.test. hm.test. 1 2 3 4 5",
  ],
  ["TXT", 16, [2, 0x61, 0x22, 1, 0], '"a\\"" "\\000"'],
  ["a type without a form here", 65_280, [1, 0xab], "\\# 2 01ab"],
  ["an A that is too short", 1, [10, 96], "\\# 2 0a60"],
  ["a TXT whose string is cut off", 16, [9, 0x61], "\\# 2 0961"],
  ["no data", 65_280, [], "\\# 0"],
])("%s", (_what, type, data, text) => {
  expect(textOf(type, data)).toBe(text);
});

test("data of another class than IN is told as octets", () => {
  expect(textOf(1, [10, 96, 0, 7], 3)).toBe("\\# 4 0a600007");
});
