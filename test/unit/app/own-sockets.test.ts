import { expect, test } from "vitest";
import { whatSilenceSays } from "../../../src/app/own-sockets.ts";
import type { Answerer } from "../../../src/listen/self-query.ts";

const nobody = undefined;

test.each<[string, (Answerer | undefined)[], RegExp]>([
  ["nothing answers", [nobody, nobody, nobody, nobody], /^a query to nodens's own socket was not answered$/],
  [
    "one that shares the address hangs",
    ["self", nobody, "self", "self"],
    /^1 of 4 .* is another nodens hanging there\?$/,
  ],
  ["only another process answers", ["other", "other", "other", "other"], /only by another process$/],
])("the address is not fit for pods when %s", (_name, answerers, reason) => {
  expect(whatSilenceSays(answerers)).toMatch(reason);
});

test.each<[string, (Answerer | undefined)[]]>([
  ["this process answers everything", ["self", "self", "self", "self"]],
  ["two processes of a rolling update share the questions", ["other", "self", "other", "other"]],
])("it is fit when %s", (_name, answerers) => {
  expect(whatSilenceSays(answerers)).toBeUndefined();
});
