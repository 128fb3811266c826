import { expect, test } from "vitest";
import { whatSilenceSays } from "../../../src/app/own-sockets.ts";
import type { Answerer } from "../../../src/listen/self-query.ts";

const nobody = undefined;

type Look = (Answerer | undefined)[];

test.each<[string, Look[], RegExp]>([
  ["nobody answers", [[nobody, nobody, nobody, nobody]], /^a query to nodens's own socket was not answered$/],
  ["nobody answers at any address", [[nobody], [nobody]], /^a query to nodens's own socket was not answered$/],
  [
    "one that shares the address hangs",
    [["self", nobody, nobody, "self"]],
    /^2 of 4 .* is another nodens hanging there\?$/,
  ],
  [
    "one that shares the second address hangs",
    [
      ["self", "self"],
      ["self", nobody, nobody],
    ],
    /^2 of 3 .* is another nodens hanging there\?$/,
  ],
  ["only another process answers", [["other", "other", "other", "other"]], /only by another process/],
])("the address of nodens is not fit for pods when %s", (_name, looks, reason) => {
  expect(whatSilenceSays(looks)).toMatch(reason);
});

test.each<[string, Look[]]>([
  ["this process answers everything", [["self", "self", "self", "self"]]],
  ["a busy machine loses one question", [["self", "self", nobody, "self"]]],
  ["two processes of a rolling update share the questions", [["other", "self", "other", "other"]]],
  [
    "a second address is gone or of a family that is switched off",
    [
      ["self", "self"],
      [nobody, nobody],
    ],
  ],
])("it is fit when %s", (_name, looks) => {
  expect(whatSilenceSays(looks)).toBeUndefined();
});
