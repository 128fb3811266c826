/*
 * The recorder on the page: fields that choose among the recorded queries, and those that pass.
 */
import { code, html, table } from "./html-text.ts";
import { ageText, millisecondsText } from "./number-text.ts";
import { outcomeNames, type ToldQuery } from "./told-queries.ts";

/** What was asked of the record: each of the filters, "" for an empty one; and what was found, why it cannot be, or nothing because nobody asked. */
export interface RecordView {
  readonly filter: Readonly<Record<string, string>>;
  readonly queries: readonly ToldQuery[] | string | undefined;
}

/** The fields and the queries. */
export function recordBox({ filter, queries }: RecordView): string {
  const field = (name: string, label: string, placeholder: string) =>
    `<input name="${name}" aria-label="${label}" placeholder="${placeholder}" value="${html(filter[name] ?? "")}" maxlength="260" autocomplete="off" spellcheck="false">`;
  const outcomes = outcomeNames.map(
    (name) => `<option${filter["rcode"] === name ? " selected" : ""}>${html(name)}</option>`,
  );
  return (
    `<form method="get" action="./#record">${field("client", "client", "10.244.3.17")}${field("name", "part of a name", "part of a name")}` +
    `<select name="rcode" aria-label="outcome"><option value="">any outcome</option>${outcomes.join("")}</select>` +
    `${field("slower", "slower than, in ms", "slower than, ms")}` +
    `<label><input type="checkbox" name="repeated"${filter["repeated"] === "on" ? " checked" : ""}> asked again</label><button>Show</button></form>` +
    shown(queries)
  );
}

function shown(queries: RecordView["queries"]): string {
  if (queries === undefined) return "";
  if (typeof queries === "string") return `<p class="soft" role="status">${html(queries)}</p>`;
  return table(
    ["#ago", "pod", "~lookup", "outcome", "#took", "~by"],
    queries.map(({ secondsAgo, client, name, type, outcome, source, durationMs, upstream, repeatedAfterMs, first }) => [
      ageText(secondsAgo),
      code(client),
      `${code(name)} ${html(type)}`,
      html(outcome),
      source === "" ? "–" : millisecondsText(durationMs),
      html(
        [
          upstream === "" ? source : upstream,
          ...(repeatedAfterMs > 0
            ? [`asked again after ${(repeatedAfterMs / 1000).toFixed(1)} s, first ${first}`]
            : []),
        ].join("; "),
      ),
    ]),
    "None of the recorded queries is like that.",
  );
}
