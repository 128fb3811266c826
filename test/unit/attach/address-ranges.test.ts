import { expect, test } from "vitest";
import { elementsOf } from "../../../src/attach/address-ranges.ts";

function range(text: string) {
  const [address = "", length = ""] = text.split("/");
  return { address, prefixLength: Number(length) };
}

test.each([
  ["those of one family", ["10.0.0.0/8", "fd00::/8", "192.168.0.0/16"], ["10.0.0.0/8", "192.168.0.0/16"]],
  ["no range that lies in another", ["10.1.0.0/16", "10.0.0.0/8", "10.2.3.4/32"], ["10.0.0.0/8"]],
  ["a range that is there twice once, in whatever spelling", ["10.0.0.9/8", "10.0.0.0/8"], ["10.0.0.9/8"]],
  ["neighbours both", ["10.0.0.0/9", "10.128.0.0/9"], ["10.0.0.0/9", "10.128.0.0/9"]],
  ["everything as everything", ["10.0.0.0/8", "0.0.0.0/0"], ["0.0.0.0/0"]],
])("lists %s", (_, ranges, elements) => {
  expect(elementsOf(ranges.map(range), "4")).toEqual(elements);
});

test("tells IPv6 ranges apart by their bits", () => {
  const ranges = ["fd00:0::/16", "fd00:1::1/128", "fe80::/10", "fd01::/16"].map(range);
  expect(elementsOf(ranges, "6")).toEqual(["fe80::/10", "fd00:0::/16", "fd01::/16"]);
});
