/*
 * The program's own source as data: what each file imports, which functions are long, and where time is read.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { parseAst } from "rolldown/parseAst";
import { projectFolder } from "./run-nodens.ts";

/** A file of src/, or one that a test made up. */
export interface SourceFile {
  /** From the project's folder: "src/wire/name.ts". */
  readonly path: string;
  readonly text: string;
}

/** One import or re-export. */
export interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

/** A function with a body. */
export interface FunctionSize {
  readonly file: string;
  /** The name that it is declared or assigned with, otherwise "(anonymous)". */
  readonly name: string;
  readonly lineCount: number;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** Every TypeScript file of src/. */
export function sourceFiles(): SourceFile[] {
  const paths = globSync("src/**/*.ts", { cwd: projectFolder });
  return paths.map((path) => ({
    path: path.split(sep).join("/"),
    text: readFileSync(join(projectFolder, path), "utf8"),
  }));
}

/** The room that a path belongs to: a folder of src/, or a file directly in it. */
export function roomOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** The path that a relative import leads to. */
export function targetOf({ file, specifier }: Import): string {
  return normalize(join(dirname(file), specifier))
    .split(sep)
    .join("/");
}

/** What a file imports. An import whose names are all types is one of types only. */
export function importsOf({ path, text }: SourceFile): Import[] {
  return nodesOf(text).flatMap((node) => {
    const source = node["source"] as { readonly value?: unknown } | null | undefined;
    if (typeof source?.value !== "string" || !importTypes.has(node.type)) return [];
    const specifiers = (node["specifiers"] ?? []) as readonly Node[];
    const areTypes = specifiers.length > 0 && specifiers.every(isType);
    const isTypeOnly = isType(node) || areTypes;
    return [{ file: path, specifier: source.value, isTypeOnly }];
  });
}

/** The functions of a file. */
export function functionsOf({ path, text }: SourceFile): FunctionSize[] {
  return nodesOf(text)
    .filter(({ type, body }) => functionTypes.has(type) && body !== null && body !== undefined)
    .map((node) => ({
      file: path,
      name: nameOf(node),
      lineCount: text.slice(node.start, node.end).split("\n").length,
    }));
}

/** The identifiers in a file that read time or wait by themselves. */
export function timeReadersOf({ text }: SourceFile): string[] {
  const names = nodesOf(text)
    .filter(({ type }) => type === "Identifier")
    .map(({ name }) => String(name));
  const modules = importsOf({ path: "", text }).map(({ specifier }) => specifier);
  return [
    ...new Set([...names.filter((name) => timeNames.has(name)), ...modules.filter((name) => timeModules.test(name))]),
  ];
}

const importTypes = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
]);
const functionTypes = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);
const timeNames = new Set(["setTimeout", "setInterval", "setImmediate", "Date", "performance", "hrtime"]);
const timeModules = /^node:(timers|perf_hooks)/;

function isType(node: Node): boolean {
  return node["importKind"] === "type" || node["exportKind"] === "type";
}

function nameOf(node: Node): string {
  const id = (node["id"] ?? (node["parent"] as Node | undefined)?.["id"]) as { readonly name?: string } | undefined;
  return id?.name ?? "(anonymous)";
}

/** All nodes of a file's syntax tree, each with its parent. */
function nodesOf(text: string): Node[] {
  const found: Node[] = [];
  const waiting: { readonly value: unknown; readonly parent: Node | undefined }[] = [
    { value: parseAst(text, { lang: "ts" }), parent: undefined },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, parent } = next;
    if (Array.isArray(value)) waiting.push(...value.map((each: unknown) => ({ value: each, parent })));
    if (!isNode(value)) continue;
    const node = { ...value, parent };
    found.push(node);
    for (const child of Object.values(value)) {
      if (typeof child === "object" && child !== null) waiting.push({ value: child, parent: node });
    }
  }
  return found;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}
