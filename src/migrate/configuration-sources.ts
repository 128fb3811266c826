/*
 * Where a file holds the old configuration: the whole file is a Corefile, or it is a manifest in YAML or JSON with one or more
 * ConfigMaps, as kubectl prints them.
 */
import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type Scalar, type YAMLMap } from "yaml";
import { kubeDnsKeys, type KubeDnsKey } from "./kube-dns-keys.ts";

/** A piece of configuration. */
export interface MigrationSource {
  readonly kind: "Corefile" | KubeDnsKey;
  readonly content: string;
  /** Names the place in the file of a line of the content, from 1, and of a column; without a line, the file. */
  placeOf(line: number | undefined, column?: number): string;
}

/** What is in a file. A problem begins with its place. */
export type FoundSources = { readonly sources: readonly MigrationSource[] } | { readonly problem: string };

/** The second is the name under which NodeLocal DNSCache's pods mount theirs. */
const corefileKeys = new Set(["Corefile", "Corefile.base"]);

/** Finds the configuration in a text. `file` is its name in messages. Never throws. */
export function findSources(text: string, file: string): FoundSources {
  const isManifest = /^\s*\{\s*"/.test(text) || /^(?:- )?(?:apiVersion|kind|items)[ \t]*:/m.test(text);
  if (!isManifest) {
    const placeOf = (line: number | undefined, column?: number) => joinPlace(file, line, column);
    return { sources: [{ kind: "Corefile", content: text, placeOf }] };
  }
  const lines = new LineCounter();
  const documents = readDocuments(text, lines);
  if (documents === undefined) return { problem: `${file}: nested too deeply` };
  for (const { errors } of documents) {
    const [error] = errors;
    if (error === undefined) continue;
    const { line, col } = lines.linePos(error.pos[0]);
    return { problem: `${joinPlace(file, line, col)}: ${error.message}` };
  }
  const maps = documents.flatMap(({ contents }) => configMapsIn(contents));
  const sources = maps.flatMap((map) => sourcesIn(map, text, file, lines));
  if (sources.length > 0) return { sources };
  const found = maps.length === 0 ? "no ConfigMap" : "no ConfigMap with a Corefile, stubDomains or upstreamNameservers";
  return { problem: `${file}: has ${found}` };
}

function joinPlace(file: string, line: number | undefined, column: number | undefined): string {
  return [file, line, column].filter((part) => part !== undefined).join(":");
}

function readDocuments(text: string, lineCounter: LineCounter): readonly Document[] | undefined {
  try {
    const documents = parseAllDocuments(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: "silent",
    });
    return Array.isArray(documents) ? documents : [];
  } catch {
    // The parser recurses: only nesting thousands of levels deep gets here.
    return undefined;
  }
}

/** ConfigMaps by themselves, in a list, and in a List. */
function configMapsIn(node: unknown): YAMLMap[] {
  if (isSeq(node)) return node.items.flatMap(configMapsOrNone);
  if (!isMap(node)) return [];
  const items = node.get("items");
  return [...configMapsOrNone(node), ...(isSeq(items) ? items.items.flatMap(configMapsOrNone) : [])];
}

function configMapsOrNone(node: unknown): YAMLMap[] {
  return isMap(node) && node.get("kind") === "ConfigMap" ? [node] : [];
}

function sourcesIn(configMap: YAMLMap, text: string, file: string, lines: LineCounter): MigrationSource[] {
  const data = configMap.get("data");
  if (!isMap(data)) return [];
  return data.items.flatMap(({ key, value }): MigrationSource[] => {
    const name = isScalar(key) ? String(key.value) : "";
    const kind = corefileKeys.has(name) ? "Corefile" : kubeDnsKeys.find((known) => known === name);
    if (kind === undefined || !isScalar<string>(value) || typeof value.value !== "string") return [];
    return [{ kind, content: value.value, placeOf: createPlaces(value, name, text, file, lines) }];
  });
}

/** A YAML block scalar keeps the lines of the Corefile. In quotes they are "\n", and only the value as a whole has a place. */
function createPlaces(
  { value, type, range }: Scalar<string>,
  name: string,
  text: string,
  file: string,
  lines: LineCounter,
): MigrationSource["placeOf"] {
  const headLine = lines.linePos(range?.[0] ?? 0).line;
  if (type !== "BLOCK_LITERAL") {
    return (line, column) =>
      line === undefined ? file : `${file}:${headLine}: ${joinPlace(`line ${line}`, column, undefined)} of ${name}`;
  }
  const firstText = value.split("\n").findIndex((line) => line.trim() !== "");
  const [written = "", read = ""] = [text.split("\n")[headLine + firstText], value.split("\n")[firstText]];
  const indent = Math.max(0, written.replace("\r", "").length - read.length);
  return (line, column) =>
    joinPlace(
      file,
      line === undefined ? undefined : headLine + line,
      column === undefined ? undefined : column + indent,
    );
}
