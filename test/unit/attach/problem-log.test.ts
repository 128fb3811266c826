import { expect, test } from "vitest";
import { createProblemLog } from "../../../src/attach/problem-log.ts";
import type { SetupProblem } from "../../../src/attach/setup-problem.ts";

const silent: SetupProblem = { kind: "path", message: "not answered" };
const refused: SetupProblem = { kind: "nft", message: "nft says: no" };

function create() {
  const lines: string[] = [];
  const log = {
    info: (_: object, message: string) => void lines.push(`info ${message}`),
    warn: (_: object, message: string) => void lines.push(`warn ${message}`),
  };
  return { lines, problems: createProblemLog({ mode: "link-local", log }) };
}

test("a problem is logged when it appears and when it is over, and counted once", () => {
  const { lines, problems } = create();
  problems.report("node", [silent]);
  problems.report("node", [{ ...silent }]);
  problems.report("node", []);
  expect(lines).toEqual(["warn not answered", "info no longer: not answered"]);
  expect(problems.counts()).toMatchObject({ path: 1, nft: 0 });
});

test("a part that reports takes nothing away from the others", () => {
  const { problems } = create();
  problems.report("pods", [silent]);
  problems.report("node", [refused]);
  problems.report("interception", []);
  expect(problems.all()).toEqual([refused, silent]);
  expect(problems.of("node")).toEqual([refused]);
});
