/*
 * The filters of pages that tell of clients, out of a page's parameters: all pages have the same ones, by the same names.
 */
import { filterNames, outcomeNames, type TailFilter } from "../seen/told-queries.ts";

/** One line that says what is wrong with the parameters. */
interface Wrong {
  readonly wrong: string;
}

/** The most queries that a page tells. */
export const mostTold = 10_000;

/**
 * The filter that parameters describe, of which an empty one is as good as none. `others` are parameters that the page has besides; where they are
 * not given, unknown ones are let pass.
 */
export function readFilter(
  parameters: URLSearchParams,
  usualLimit: number,
  others?: readonly string[],
): TailFilter | Wrong {
  const known: readonly string[] = [...filterNames, "limit", ...(others ?? [])];
  const strange = others === undefined ? undefined : [...parameters.keys()].find((name) => !known.includes(name));
  if (strange !== undefined) return { wrong: `unknown parameter '${strange}'; they are ${known.join(", ")}` };
  const textIn = (name: string) => parameters.get(name)?.trim() || undefined;
  const numberIn = (name: string) => (textIn(name) === undefined ? undefined : Number(textIn(name)));
  const [limit = usualLimit, slowerThanMs, rcode] = [numberIn("limit"), numberIn("slower"), textIn("rcode")];
  if (!Number.isInteger(limit) || limit < 1 || limit > mostTold)
    return { wrong: `limit is not a number from 1 to ${mostTold}` };
  if (Number.isNaN(slowerThanMs)) return { wrong: "slower is not a number of milliseconds" };
  if (rcode !== undefined && !outcomeNames.some((name) => name.toUpperCase() === rcode.toUpperCase()))
    return { wrong: `unknown rcode; they are ${outcomeNames.join(", ")}` };
  const [client, name, repeated] = [textIn("client"), textIn("name"), parameters.has("repeated")];
  return { client, name, rcode, slowerThanMs, repeated, limit };
}

/** Whether parameters have a filter at all. */
export function hasFilter(parameters: URLSearchParams): boolean {
  return filterNames.some((name) => parameters.has(name));
}
