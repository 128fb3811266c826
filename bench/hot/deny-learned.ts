/*
 * A name is denied because its parent was: `deny`, after a look for what is known of the parents.
 */
import { createDenier } from "./create-denier.ts";
import { checkTurns } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";

/** Names below `com.<namespace>.svc` once that was denied, and while nothing is known of it. */
export const cases: HotCases = async ({ belowAbsentParents, absentParents, outsideSchema }) => {
  const denied = await createDenier(belowAbsentParents, absentParents);
  const unknown = await createDenier(belowAbsentParents, outsideSchema);
  checkTurns("denied by its parent", belowAbsentParents.length, (turn) => denied(turn) !== undefined);
  checkTurns("not denied yet", belowAbsentParents.length, (turn) => unknown(turn) === undefined);
  return { denied, "nothing known": unknown };
};
