/*
 * Labels as strings: the same whether they are remembered, new, or in another's place.
 */
import { expect, test } from "vitest";
import { labelText } from "../../../src/search/label-text.ts";
import { wireLabel } from "../../../src/search/cluster-name.ts";

test("a label is its octets as characters, of any value and size", () => {
  const octets = Uint8Array.from([0, 3, 0x00, 0x7f, 0xff, 63, ...Array.from({ length: 63 }, (_, index) => index)]);
  expect(labelText(octets, 0)).toBe("");
  expect(labelText(octets, 1)).toBe("\u0000\u007f\u00ff");
  expect(labelText(octets, 5)).toBe(String.fromCharCode(...octets.subarray(6)));
});

test("a thousand labels, more than are remembered, are told apart, also when they come again", () => {
  const texts = Array.from({ length: 1000 }, (_, index) => `label-${index}`);
  for (let round = 0; round < 3; round += 1) {
    expect(texts.map((text) => labelText(wireLabel(text), 0))).toEqual(texts);
  }
});

test("the label is read where it begins, and as far as it goes", () => {
  const octets = Uint8Array.from([...wireLabel("com"), ...wireLabel("company"), 0]);
  expect([labelText(octets, 0), labelText(octets, 4)]).toEqual(["com", "company"]);
});
