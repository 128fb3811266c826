/*
 * The filters of pages that tell of clients, out of a page's parameters: all pages have the same ones, by the same names.
 */
import { isIP } from "node:net";
import { wrongParameter } from "../runtime/read-parameters.ts";
import { hostOf, socketAddress } from "../runtime/socket-address.ts";
import { filterNames, outcomeNames, type TailFilter } from "../seen/told-queries.ts";

/** One line that says what is wrong with the parameters. */
interface Wrong {
  readonly wrong: string;
}

/** The most queries that a page tells. */
export const mostTold = 10_000;

/** The filter that parameters describe, of which an empty one is as good as none. `others` are parameters that the page has besides. */
export function readFilter(
  parameters: URLSearchParams,
  usualLimit: number,
  others: readonly string[],
): TailFilter | Wrong {
  const wrong = wrongParameter(parameters, [...filterNames, "limit", ...others]);
  if (wrong !== undefined) return { wrong };
  const textIn = (name: string) => parameters.get(name)?.trim() || undefined;
  const numberIn = (name: string) => (textIn(name) === undefined ? undefined : numberFrom(textIn(name) ?? ""));
  const [limit = usualLimit, slowerThanMs, rcode] = [numberIn("limit"), numberIn("slower"), textIn("rcode")];
  if (!Number.isInteger(limit) || limit < 1 || limit > mostTold)
    return { wrong: `limit is not a number from 1 to ${mostTold}` };
  if (Number.isNaN(slowerThanMs)) return { wrong: "slower is not a number of milliseconds" };
  if (rcode !== undefined && !outcomeNames.some((name) => name.toUpperCase() === rcode.toUpperCase()))
    return { wrong: `unknown rcode; they are ${outcomeNames.join(", ")}` };
  const [client, name, repeated] = [textIn("client"), textIn("name"), parameters.has("repeated")];
  if (client !== undefined && canonicalHost(client) === undefined) return { wrong: "client is not an IP address" };
  return { client: client && canonicalHost(client), name, rcode, slowerThanMs, repeated, limit };
}

/** Whether parameters have a filter at all. */
export function hasFilter(parameters: URLSearchParams): boolean {
  return filterNames.some((name) => parameters.has(name));
}

/** A number without a sign or an exponent; NaN for any other text. */
function numberFrom(text: string): number {
  return /^\d{1,12}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
}

/** An address as clients are told: "FD00::0:1" is "fd00::1". Undefined for what is none. */
function canonicalHost(text: string): string | undefined {
  return isIP(text) === 0 || text.includes("%") ? undefined : hostOf(socketAddress({ host: text, port: 0 }));
}
