import fc from "fast-check";
import { expect, test } from "vitest";
import { toPrintable, toPrintableInColour } from "../../../src/runtime/printable.ts";

test.each([
  ["\u001b[31mred", "\\u001b[31mred"],
  ["\u009b31mred", "\\u009b31mred"],
  ["\u001b]0;title\u0007", "\\u001b]0;title\\u0007"],
  ["a\rb\bc\u007f\0", "a\\u000db\\u0008c\\u007f\\u0000"],
  ["\u202eexe.cod", "\\u202eexe.cod"],
  ["line\u2028line\u2066", "line\\u2028line\\u2066"],
  ["two\nlines\tand é, 名, 😀", "two\nlines\tand é, 名, 😀"],
])("%j is written as %j", (text, written) => {
  expect(toPrintable(text)).toBe(written);
});

test("colours stay in painted text, and nothing else that a terminal obeys", () => {
  expect(toPrintableInColour("\u001b[1m\u001b[33mname\u001b[39m\u001b[2J\u009b1m")).toBe(
    "\u001b[1m\u001b[33mname\u001b[39m\\u001b[2J\\u009b1m",
  );
});

test("a value in JSON is the same value afterwards", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      expect(JSON.parse(toPrintable(JSON.stringify(value)))).toBe(value);
    }),
  );
});
