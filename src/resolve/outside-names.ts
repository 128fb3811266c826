/*
 * Whether suffix queries are answered with outside names (answer-outside-name.ts), which the steps before it have to know.
 */
import type { LoopGuard } from "./loop-guard.ts";

/** Whether outside names are answered at all. If so, earlier steps pass over the denials that this step may turn into answers. */
export interface OutsideNames {
  mayAnswer(): boolean;
}

/** Outside names are answered if the settings say so and the upstream does not lead back to nodens. `limits` may change at any time. */
export function createOutsideNames(
  limits: { readonly answersOutsideNames: boolean },
  loopGuard: Pick<LoopGuard, "isLooping">,
): OutsideNames {
  return { mayAnswer: () => limits.answersOutsideNames && !loopGuard.isLooping() };
}
