/*
 * Advice for namespaces as text.
 */
import type { NamespaceAdvice } from "./advise.ts";

/** Everything that is advised, out of a record that reaches back so far; `unplaced` clients belong to no namespace that can be told. */
export interface Advice {
  readonly recordedSeconds: number;
  readonly unplaced: number;
  readonly namespaces: readonly NamespaceAdvice[];
}

/** The advice as text, ending in a line ending. */
export function printAdvice({ recordedSeconds, unplaced, namespaces }: Advice): string {
  const head = `Out of the queries of the last ${duration(recordedSeconds)}. Namespaces, libraries and ndots are guessed from what pods ask.`;
  const none = namespaces.length === 0 ? ["", "No search in vain was seen: there is nothing to advise."] : [];
  const rest =
    unplaced === 0
      ? []
      : ["", `${unplaced} more ${unplaced === 1 ? "client" : "clients"} of namespaces that cannot be told.`];
  return [head, ...none, ...namespaces.flatMap((one) => ["", ...linesOf(one)]), ...rest]
    .map((line) => `${line}\n`)
    .join("");
}

function linesOf(advice: NamespaceAdvice): string[] {
  const { namespace, ndots, queries, denied, change, refused, finalDots } = advice;
  const head = `${namespace}: ${clientsOf(advice)}, ndots ${ndots}; ${queries} queries, ${denied} of them denied under a suffix`;
  const advised =
    change === undefined
      ? ["  no other ndots saves anything without harm"]
      : [
          `  ndots ${change.ndots} saves ${change.queriesNow - change.queriesThen} of ${change.queriesNow} queries of lookups (${percent(change)}):`,
          `    kubectl -n ${namespace} patch deployment NAME --patch '${JSON.stringify(change.patch)}'`,
        ];
  return [
    head,
    ...advised,
    ...(refused === undefined
      ? []
      : [`  not ndots ${refused.ndots}, because of ${refused.names.join(", ")}:`, `    ${refused.why}`]),
    ...(finalDots.length === 0
      ? []
      : ["  or a final dot, where the program takes it (in a URL it also goes into Host and SNI):"]),
    ...finalDots.map(
      ({ name, queriesNow, queriesThen }) => `    ${name}  saves ${queriesNow - queriesThen} of ${queriesNow} queries`,
    ),
  ];
}

function clientsOf({ clients }: NamespaceAdvice): string {
  const counted = Object.entries(clients).filter(([, count]) => count > 0);
  const total = counted.reduce((sum, [, count]) => sum + count, 0);
  const known = counted.filter(([library]) => library !== "").map(([library, count]) => `${count} ${library}`);
  return `${total} ${total === 1 ? "client" : "clients"}${known.length === 0 ? "" : ` (${known.join(", ")})`}`;
}

function percent({ queriesNow, queriesThen }: { readonly queriesNow: number; readonly queriesThen: number }): string {
  return `${Math.round((1 - queriesThen / queriesNow) * 100)} %`;
}

function duration(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
