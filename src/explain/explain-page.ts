/*
 * What the admin server shows at /explain: the parameters of a request read, and a lookup explained with the state of this nodens.
 */
import { explainLookup, type Explanation, type ExplainState } from "./explain-lookup.ts";
import { readExplainRequest } from "./explain-request.ts";

/** The parameters, and how often each may be given. */
const parameterNames = ["name", "namespace", "search", "ndots"];

/**
 * Explains what `parameters` ask for: `name`, and optionally `namespace`, `ndots` and `search` (suffixes with spaces between them,
 * in place of those of the namespace). `wrong` says what of them cannot be used.
 */
export function explainPage(
  parameters: URLSearchParams,
  state: ExplainState,
): { readonly explanation: Explanation } | { readonly wrong: string } {
  const unknown = [...parameters.keys()].find((key) => !parameterNames.includes(key));
  if (unknown !== undefined) return { wrong: `an unknown parameter; there are ${parameterNames.join(", ")}` };
  const repeated = parameterNames.find((key) => parameters.getAll(key).length > 1);
  if (repeated !== undefined) return { wrong: `the parameter ${repeated} is there more than once` };
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
