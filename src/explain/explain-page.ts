/*
 * What the admin server answers at /explain: reads a request's parameters and explains the lookup with the state of this nodens.
 */
import { wrongParameter } from "../runtime/read-parameters.ts";
import { explainLookup, type Explanation, type ExplainState } from "./explain-lookup.ts";
import { readExplainRequest } from "./explain-request.ts";

/** Each may be given once. */
const parameterNames = ["name", "namespace", "search", "ndots"];

/**
 * Explains the lookup that `parameters` describe: `name` and, optionally, `namespace`, `ndots` and `search` (suffixes separated by
 * spaces, in place of the namespace's). `wrong` is a message that says which parameter cannot be used, and why.
 */
export function explainPage(
  parameters: URLSearchParams,
  state: ExplainState,
): { readonly explanation: Explanation } | { readonly wrong: string } {
  const wrong = wrongParameter(parameters, parameterNames);
  if (wrong !== undefined) return { wrong };
  const search = parameters.get("search");
  const request = readExplainRequest(
    {
      name: parameters.get("name") ?? "",
      namespace: parameters.get("namespace") ?? undefined,
      search: search === null ? undefined : search.split(/[ ,]+/).filter((suffix) => suffix !== ""),
      ndots: parameters.get("ndots") ?? undefined,
    },
    state.clusterDomain,
  );
  return "wrong" in request ? request : { explanation: explainLookup(request, state) };
}
