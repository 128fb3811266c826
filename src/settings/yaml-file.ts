/*
 * A YAML file as a tree of plain values in which every value still knows its line and column. Knows YAML and variables, but
 * no setting.
 */
import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type Scalar,
} from "yaml";
import { expandVariables, type Environment } from "./expand-variables.ts";
import { formatPath, type Problem } from "./problem.ts";

/** The keys and list positions that lead from the root to a value. */
export type ValuePath = readonly PropertyKey[];

/** A line and column in the file, both from 1. */
interface Position {
  readonly line: number;
  readonly column: number;
}

/** A file that was read. */
export interface YamlFile {
  /** Plain values: maps, lists, text, numbers, true, false, null. Undefined when the syntax is broken. */
  readonly tree: unknown;
  /** Broken syntax, keys written twice, variables that are not set. */
  readonly problems: readonly Problem[];
  /** The place of the value at a path, or of its key; undefined when the file has no such value. */
  locate(path: ValuePath, part: "key" | "value"): Position | undefined;
}

const variablesHelp =
  "the name of a variable that is set, ${NAME:-default} where it may be unset, or $${ for a plain ${";

/** Reads YAML text. Never throws: what is wrong is in `problems`, all of it. `file` is the name that problems show. */
export function readYaml(text: string, file: string, environment: Environment): YamlFile {
  const lines = new LineCounter();
  const problems: Problem[] = [];

  function report(offset: number, setting: string, wrong: string, allowed?: string): void {
    const place = { file, ...positionOf(lines, offset) };
    problems.push({ place, setting, wrong, ...(allowed === undefined ? {} : { allowed }) });
  }

  let document: Document;
  try {
    const options = { lineCounter: lines, prettyErrors: false, uniqueKeys: false, logLevel: "error" } as const;
    document = parseDocument(text, options);
  } catch {
    // The parser recurses: only nesting thousands of levels deep gets here.
    return { tree: undefined, problems: [{ place: { file }, setting: "", wrong: "is nested too deeply" }], locate };
  }
  for (const error of [...document.errors, ...document.warnings]) {
    report(error.pos[0], "", `cannot be read as YAML: ${error.message}${quotingHint(text, error.pos[0])}`);
  }
  if (problems.length > 0) return { tree: undefined, problems, locate };
  prepareNodes(document, environment, report);
  return { tree: problems.some(({ wrong }) => wrong === aliasFault) ? undefined : document.toJS(), problems, locate };

  function locate(path: ValuePath, part: "key" | "value"): Position | undefined {
    const offset = findOffset(document.contents, path, part);
    return offset === undefined ? undefined : positionOf(lines, offset);
  }
}

const aliasFault = "is an alias";

/** Expands variables in place; reports aliases and repeated keys, which the YAML library would resolve silently or throw about. */
function prepareNodes(
  document: Document,
  environment: Environment,
  report: (offset: number, setting: string, wrong: string, allowed?: string) => void,
): void {
  visit(document, {
    Alias(_key, alias, ancestors) {
      report(alias.range?.[0] ?? 0, pathText(ancestors, alias), aliasFault, "the value itself");
    },
    Map(_key, map, ancestors) {
      const seen = new Set<string>();
      for (const pair of map.items) {
        const name = keyText(pair.key);
        const path = pathText([...ancestors, map, pair], pair.value);
        if (seen.has(name)) report((pair.key as Node).range?.[0] ?? 0, path, "is written twice", "each key once");
        seen.add(name);
      }
    },
    Scalar(key, scalar, ancestors) {
      if (key === "key" || typeof scalar.value !== "string") return;
      const expansion = expandVariables(scalar.value, environment);
      if ("text" in expansion) {
        if (expansion.text !== scalar.value) scalar.value = retype(scalar, expansion.text);
        return;
      }
      report(scalar.range?.[0] ?? 0, pathText(ancestors, scalar), expansion.wrong, variablesHelp);
    },
  });
}

/** The path of a node as messages write it: "upstream.stubDomains.corp[1]". */
function pathText(ancestors: readonly unknown[], node: unknown): string {
  const steps = ancestors.map((ancestor, depth) => {
    if (isPair(ancestor)) return keyText(ancestor.key);
    return isSeq(ancestor) ? ancestor.items.indexOf(ancestors[depth + 1] ?? node) : undefined;
  });
  return formatPath(steps.filter((step) => step !== undefined));
}

/** Without quotes, `${WORKERS}` becomes the number 8, as a literal 8 would. */
function retype(scalar: Scalar, expanded: string): string | number | boolean {
  if (scalar.type !== "PLAIN") return expanded;
  if (/^-?\d+$/.test(expanded)) return Number(expanded);
  return expanded === "true" || expanded === "false" ? expanded === "true" : expanded;
}

/** Inside [ ] the braces of ${NAME} are YAML's own; its message for that does not help. */
function quotingHint(text: string, offset: number): string {
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const lineEnd = text.indexOf("\n", offset);
  const line = text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd);
  return /[[{,]\s*\[?\$\{/.test(line) ? ' (inside [ ] and { }, write "${NAME}" with quotes)' : "";
}

function findOffset(root: unknown, path: ValuePath, part: "key" | "value"): number | undefined {
  let node = root;
  let offset = 0;
  for (const [depth, step] of path.entries()) {
    if (isSeq(node)) {
      node = node.items[Number(step)];
      if (node === undefined) return undefined;
    } else if (isMap(node)) {
      const pair = node.items.findLast(({ key }) => keyText(key) === String(step));
      if (pair === undefined) return undefined;
      offset = (pair.key as Node).range?.[0] ?? offset;
      if (part === "key" && depth === path.length - 1) return offset;
      node = pair.value;
    } else return undefined;
    // A key without a value has an empty node right behind it: the key is the better place.
    if (isScalar(node) && (node.source === "" || node.value === null)) continue;
    offset = (node as Node | null)?.range?.[0] ?? offset;
  }
  return offset;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function positionOf(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}
