import { expect, test } from "vitest";
import { describeSkipped } from "../../support/program/report-skipped.ts";

test("a run that skipped nothing ends without a word about it", () => {
  expect(describeSkipped([])).toEqual([]);
});

test("each folder has a line with what is not tested and what is missing, what most suites lack first", () => {
  const lines = describeSkipped([
    { file: "test/node/modes.test.ts", missing: ["curl", "root"] },
    { file: "test/image/image.test.ts", missing: ["root", "buildah"] },
    { file: "test/node/faults.test.ts", missing: ["root"] },
  ]);
  expect(lines[0]).toContain("3 suites");
  expect(lines.slice(1, -1).map((line) => line.trim())).toEqual([
    "attaching to a node's network (2 suites): root, curl",
    "the image (1 suite): root, buildah",
  ]);
  expect(lines.at(-1)).toContain(".ci/run");
});
