/*
 * The one change that would spare most of a lookup's queries, in a sentence, with the share that it spares.
 */
import { type Explanation, walkOf } from "./explain-lookup.ts";
import { adviceFor } from "./lookup-advice.ts";

/** A change of how a name is written, and the share of the lookup's queries, from 0 to 1, that is then not asked. */
export interface CheaperLookup {
  readonly sentence: string;
  readonly savedShare: number;
}

/** A and AAAA of one name: nothing less finds an address. */
const leastQueries = 2;

/** How the lookup would cost less, by the walk of glibc; undefined where it costs the least already. */
export function cheaperLookup(explanation: Explanation): CheaperLookup | undefined {
  const { name, steps } = explanation;
  const { steps: reached, end, clientQueries } = walkOf(explanation, "glibc");
  if (end === "denied" && reached === steps.length)
    return { sentence: `Nothing of that name exists: whoever asks for ${name} asks in vain.`, savedShare: 1 };
  if (clientQueries <= leastQueries) return undefined;
  const savedShare = 1 - leastQueries / clientQueries;
  const suffix = steps[reached - 1]?.suffix ?? "";
  if (suffix !== "") return { sentence: `Write ${name}.${suffix}. in full, with a final dot.`, savedShare };
  const isCure = (text: string) => /\bWrite /.test(text);
  const sentence = adviceFor(explanation).find(isCure) ?? `Write ${name}. with a final dot.`;
  return { sentence, savedShare };
}
