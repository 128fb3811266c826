import { expect, test } from "vitest";
import { problemOfProgram } from "../../../src/attach/setup-problem.ts";

test.each([
  [
    "is missing",
    { code: 127, stderr: "spawn nft ENOENT" },
    "nft",
    "the program nft is not installed (spawn nft ENOENT)",
  ],
  ["may not", { code: 1, stderr: "Error: Operation not permitted" }, "permission", "NET_ADMIN"],
  ["may not read", { code: 1, stderr: "/dev/stdin: Permission denied" }, "permission", "NET_ADMIN"],
  ["says much", { code: 1, stderr: "one\ntwo\nthree\nfour" }, "nft", "cannot do it: nft says: one two three"],
  ["takes too long", { code: null, stderr: "" }, "nft", "it took too long and was ended"],
  ["says nothing", { code: 3, stderr: "" }, "nft", "cannot do it: nft says: exit code 3"],
] as const)("a program that %s", (_, { code, stderr }, kind, words) => {
  const problem = problemOfProgram("nft", "nft", "do it", { code, stdout: "", stderr });
  expect(problem).toEqual({ kind, message: expect.stringContaining(words) });
  expect(problem.message).not.toContain("four");
});
