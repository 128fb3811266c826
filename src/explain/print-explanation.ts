/*
 * Draws a lookup for a terminal of 100 columns: the walk from name to name, what becomes of each query, and the totals.
 */
import { styleText } from "node:util";
import type { Foresight } from "../resolve/step.ts";
import { inferringRules, searchRules } from "../search/rules.ts";
import { countDots } from "./lookup-plan.ts";
import { describeForesight, describeLater } from "./describe-foresight.ts";
import {
  assumedVerdict,
  type ExplainedQuery,
  type ExplainedStep,
  type Explanation,
  knownVerdict,
  type Walk,
  walkOf,
} from "./explain-lookup.ts";
import { adviceFor } from "./lookup-advice.ts";

/** The width that everything is laid out for, in columns; only names that are too long exceed it. */
const width = 100;

/** The columns to the left of what is said about a query, and those for the present where the future is shown beside it. */
const gutterWidth = 12;
const firstColumnWidth = 48;

type Paint = (style: "bold" | "dim" | "green" | "yellow" | "cyan", text: string) => string;

/** The picture, ending in a line ending. Without colours it holds printable characters only. */
export function printExplanation(explanation: Explanation, hasColours: boolean): string {
  const paint: Paint = (style, text) => (hasColours ? styleText(style, text, { validateStream: false }) : text);
  const sections = [
    headLines(explanation, paint),
    walkLines(explanation, paint),
    sumLines(explanation, paint),
    adviceLines(explanation, paint),
  ];
  const texts = sections.filter((lines) => lines.length > 0).map((lines) => lines.join("\n"));
  return `${texts.join("\n\n")}\n`;
}

function headLines(explanation: Explanation, paint: Paint): string[] {
  const { name, search, ndots, source, rules } = explanation;
  const used = inferringRules.filter((rule) => rules[rule]).map((rule) => searchRules[rule].label);
  const only = used.length === 1 ? `only the rule "${used[0]}" is` : `only the rules ${used.join(", ")} are`;
  const remark = used.length === inferringRules.length ? "" : `; ${used.length === 0 ? "no rule is" : only} in use`;
  const state =
    source === "running"
      ? `state of a running nodens${remark}`
      : "by the rules alone; --against ADDR:PORT asks a running nodens";
  const searchLine = `search ${search.length === 0 ? "(none)" : search.join(" ")}; ndots:${ndots}`;
  return [
    `${paint("bold", name)}  ${compareDots(explanation)}`,
    ...[...wrap(searchLine, width - 2), state].map((line) => `  ${line}`),
  ];
}

function compareDots({ name, ndots }: Explanation): string {
  if (name.endsWith(".")) return "ends in a dot: asked as it stands, never with a suffix";
  const dots = countDots(name);
  const count = dots === 1 ? "has 1 dot" : `has ${dots === 0 ? "no" : dots} dots`;
  if (dots < ndots) return `${count}, fewer than ndots:${ndots}: the suffixes come first`;
  return `${count}, not fewer than ndots:${ndots}: asked as it stands first`;
}

/** The steps that glibc takes, each with its two queries, followed by the steps it does not reach. */
function walkLines(explanation: Explanation, paint: Paint): string[] {
  const { steps, source } = explanation;
  const { steps: reached } = walkOf(explanation, "glibc");
  const lines = steps.flatMap((step, index) => {
    const label = `${index + 1}  ${describeStep(explanation, step)}`;
    if (index >= reached) return [paint("dim", ` ┆ ${label}, not reached`)];
    const isLast = index === reached - 1;
    const head = ` ${cornerOf(index, isLast)} ${label}`;
    const ending = endingOf(explanation, index, isLast);
    return [
      `${paint("bold", head)}${" ".repeat(Math.max(2, width - head.length - ending.length))}${ending}`,
      ...step.queries.flatMap((query) => queryLines(query, isLast ? " " : "│", source === "rules", paint)),
    ];
  });
  if (source === "running") return lines;
  return [`${" ".repeat(gutterWidth)}${"the first time".padEnd(firstColumnWidth)}once that is known`, ...lines];
}

function describeStep({ name }: Explanation, { suffix }: ExplainedStep): string {
  const bare = name.replace(/\.$/, "");
  return suffix === "" ? `${bare} as it stands` : `${bare} + ${suffix}`;
}

function cornerOf(index: number, isLast: boolean): string {
  if (index === 0) return isLast ? "─" : "┌";
  return isLast ? "└" : "├";
}

/** How the step ends, and what follows. "if" says that this is not known yet. */
function endingOf(explanation: Explanation, index: number, isLast: boolean): string {
  const step = explanation.steps[index];
  const known = step === undefined ? undefined : knownVerdict(step);
  const verdict = known ?? assumedVerdict(explanation, index);
  const what = { data: "found", denied: "absent", noData: "no addresses", failed: "fails" }[verdict];
  const next = verdict === "denied" ? "go on" : "glibc goes on";
  return `${known === undefined ? "if " : ""}${what}: ${isLast ? "the end" : next}`;
}

function queryLines({ type, now, later }: ExplainedQuery, gutter: string, hasTwo: boolean, paint: Paint): string[] {
  const left = wrap(describeForesight(now), hasTwo ? firstColumnWidth - 2 : width - gutterWidth);
  const right = hasTwo ? wrap(describeLater(now, later), width - gutterWidth - firstColumnWidth) : [];
  return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => {
    const [first = "", second = ""] = [left[index], right[index]];
    const start = ` ${gutter}    ${(index === 0 ? type : "").padEnd(6)}${paint(styleOf(now), first)}`;
    if (second === "") return start;
    return `${start}${" ".repeat(Math.max(2, firstColumnWidth - first.length))}${paint("green", second)}`;
  });
}

/** Yellow costs an upstream query, cyan may cost one, green does not. */
function styleOf({ kind }: Foresight): "yellow" | "cyan" | "green" {
  if (kind === "forwarded" || kind === "asksParent") return "yellow";
  return kind === "waits" ? "cyan" : "green";
}

function sumLines(explanation: Explanation, paint: Paint): string[] {
  const glibc = walkOf(explanation, "glibc");
  const musl = walkOf(explanation, "musl");
  const sums = sumsOf(explanation, glibc);
  const labelWidth = Math.max(...sums.map(([label]) => label.length));
  const barUnit = Math.max(1, Math.min(3, Math.floor((width - labelWidth - 9) / glibc.clientQueries)));
  const lines = sums.map(([label, count], index) => {
    const bar = paint(index === 0 ? "yellow" : "green", "█".repeat(count * barUnit));
    return `  ${label.padEnd(labelWidth)}  ${String(count).padStart(3)}${count === 0 ? "" : `  ${bar}`}`;
  });
  const isSame = musl.clientQueries === glibc.clientQueries;
  const muslLine = `  for glibc; musl sends ${musl.clientQueries}, of which nodens passes on ${musl.upstreamQueries}`;
  return [paint("bold", "Queries that reach kube-dns"), ...lines, ...(isSame ? [] : [muslLine])];
}

function sumsOf({ name, source }: Explanation, walk: Walk): [label: string, count: number][] {
  const straight: [string, number] = ["without nodens", walk.clientQueries];
  if (source === "running") return [straight, ["through nodens, now", walk.upstreamQueries]];
  const next = walk.laterUpstreamQueries ?? walk.upstreamQueries;
  const lastLabel = name.replace(/\.$/, "").split(".").at(-1) ?? "";
  return [
    straight,
    ["through nodens, the first time", walk.upstreamQueries],
    ...(next === walk.upstreamQueries ? [] : [[`the next *.${lastLabel} name`, next] satisfies [string, number]]),
    ["the same name again", 0],
  ];
}

function adviceLines(explanation: Explanation, paint: Paint): string[] {
  const advice = adviceFor(explanation);
  if (advice.length === 0) return [];
  const lines = advice.flatMap((text) =>
    wrap(text, width - 4).map((line, index) => `  ${index === 0 ? "-" : " "} ${line}`),
  );
  return [paint("bold", "Advice"), ...lines];
}

/** Breaks text at spaces. A word that is too long gets a line of its own. */
function wrap(text: string, maxLength: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= maxLength) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
