/*
 * What is wrong with the settings, as a value: its place, the setting, what is wrong, what is allowed.
 */

/** Where a value was written: a place in a file (line and column from 1, where known; "" for no file), or a command-line flag. */
export type Place =
  | { readonly file: string; readonly line?: number; readonly column?: number }
  | { readonly flag: string };

/** One problem or warning. `setting` is the path of the setting or group ("upstream.tcp.maxFlows"), empty for the whole file. */
export interface Problem {
  readonly place: Place;
  readonly setting: string;
  /** Completes a sentence that begins with the setting: "is 7". */
  readonly wrong: string;
  /** In words: what is allowed there. Absent where `wrong` says it all. */
  readonly allowed?: string;
}

/** One line for people: "nodens.yaml:3:13: upstream.maxSends is 7; allowed: a whole number from 1 to 3". */
export function formatProblem({ place, setting, wrong, allowed }: Problem): string {
  const subject = setting === "" ? "" : `${setting} `;
  const hint = allowed === undefined ? "" : `; allowed: ${allowed.replaceAll("`", "")}`;
  return `${formatPlace(place)}: ${subject}${wrong}${hint}`;
}

/** A path as the settings are named: names joined by dots, list positions in brackets ("upstream.servers[1]"). */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .replace(/^\./, "");
}

/** Puts problems in the order in which a reader meets them: flags first, then the file from top to bottom. */
export function inReadingOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => lineOf(a) - lineOf(b) || columnOf(a) - columnOf(b));
}

/** A value as a message shows it: short, on one line, with quotes around text. */
export function showValue(value: unknown): string {
  if (value === undefined || value === null) return "empty";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "a map";
  const text = JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

function formatPlace(place: Place): string {
  if ("flag" in place) return place.flag;
  // Settings without a file: nobody wrote what is wrong.
  if (place.file === "") return "nodens";
  return [place.file, place.line, place.column].filter((part) => part !== undefined).join(":");
}

function lineOf({ place }: Problem): number {
  return "flag" in place ? -1 : (place.line ?? 0);
}

function columnOf({ place }: Problem): number {
  return "flag" in place ? 0 : (place.column ?? 0);
}
