/*
 * A name that the cluster zone cannot hold is denied without asking: `deny`, with no message to copy.
 */
import { createDenier } from "./create-denier.ts";
import { checkTurns } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";

/** Names that are denied, and Services, which the rules let pass. */
export const cases: HotCases = async ({ outsideSchema, small, absentParents }) => {
  const denied = await createDenier(outsideSchema, absentParents);
  const passed = await createDenier(small, absentParents);
  checkTurns("denied by schema", outsideSchema.length, (turn) => denied(turn) !== undefined);
  checkTurns("a Service passes", small.length, (turn) => passed(turn) === undefined);
  return { denied, "a Service passes": passed };
};
