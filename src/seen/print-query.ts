/*
 * Recorded queries as lines of text. What is short comes first, so that a narrow terminal cuts what is long.
 */
import { millisecondsText } from "./number-text.ts";
import type { ToldQuery } from "./told-queries.ts";

/** Holds an IPv4 address. */
const clientColumns = 15;

/** A line for each. */
export function printQueries(queries: readonly ToldQuery[]): string[] {
  const columns = queries.reduce((most, { client }) => Math.max(most, client.length), clientColumns);
  return queries.map((query) => printQuery(query, columns));
}

function printQuery(query: ToldQuery, columns: number): string {
  const { secondsAgo, client, name, type, outcome, source, durationMs, upstream, repeatedAfterMs, first } = query;
  const took = source === "" ? "" : millisecondsText(durationMs);
  const start = `${`-${secondsAgo.toFixed(1)} s`.padStart(8)} ${client.padEnd(columns)} ${outcome.padEnd(8)} ${took.padStart(7)}`;
  return [
    `${start} ${name === "" ? "·" : name} ${type}`,
    ...(repeatedAfterMs > 0 ? [`asked again after ${(repeatedAfterMs / 1000).toFixed(1)} s, first ${first}`] : []),
    ...(source === "" ? [] : [upstream === "" ? source : `${source} (${upstream})`]),
  ].join("  ");
}
