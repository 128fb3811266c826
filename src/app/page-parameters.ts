/*
 * Pages that refuse what they do not know, so that a filter with a slip of the pen is not taken for none.
 */
import type { LocalPage } from "../observe/admin-pages.ts";
import { wrongParameter } from "../runtime/read-parameters.ts";

/** The page, for requests that have no other parameters than the known ones, each once. */
export function taking(known: readonly string[], page: LocalPage): LocalPage {
  return (parameters) => {
    const wrong = wrongParameter(parameters, known);
    return wrong === undefined ? page(parameters) : { wrong };
  };
}
