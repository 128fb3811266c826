/*
 * Settings gathered from another program's configuration, each with the place that it comes from, and remarks on what could not be
 * carried over.
 */
import { Document, isMap, isNode, isScalar, isSeq } from "yaml";
import { settingsSchema } from "../settings/settings-table.ts";
import { type NumberPath, type SettingPath, tableEntries } from "../settings/table-entries.ts";

/** A part of the old configuration, and what became of it. */
export interface MigrationRemark {
  /** "FILE:LINE", as a rule. */
  readonly place: string;
  /** The plugin, key or setting. */
  readonly what: string;
  readonly message: string;
  /** Whether answers may differ from before. */
  readonly isLoss: boolean;
}

/** A value as the settings file will hold it. */
export type MigratedValue = string | number | boolean | readonly string[];

/** The setting that a value is for; what follows "upstream.stubDomains." is one zone. */
type TargetPath = SettingPath | `upstream.stubDomains.${string}`;

/** Receives what one source says. A number outside the limits of its setting becomes the nearest one within. */
export interface Migration {
  /** Sets a value. A second, different one for the same setting is left out, with a remark. */
  set(path: TargetPath, value: MigratedValue, line: number | undefined): void;
  /** Sets a list of servers, unless it is empty. A second, different list is a loss. */
  setServers(path: TargetPath, servers: readonly string[], line: number): void;
  /** Sets a number, unless a lower one is set already: nothing is remembered for longer than before. */
  setLowest(path: NumberPath, value: number, line: number): void;
  /** Lowers a number to this one, without a remark: one setting follows from another. */
  cap(path: NumberPath, value: number): void;
  /** Adds one to a list. */
  add(path: SettingPath, value: string, line: number): void;
  /** The value set so far. */
  valueOf(path: TargetPath): MigratedValue | undefined;
  /** Puts a comment above a group of settings ("attach"). */
  explain(group: string, comment: string): void;
  /** Remarks on something that does not change answers. Written once, however many lines it is true of. */
  note(line: number | undefined, what: string, message: string): void;
  /** Remarks on something that changes answers. */
  lose(line: number | undefined, what: string, message: string): void;
}

/** Everything gathered, from one source or several. */
export interface GatheredSettings {
  /** Begins a source. `placeOf` names a line of it, or the file where the line is not known. */
  from(placeOf: (line: number | undefined) => string): Migration;
  /** Takes the setting or the value of a list at this path ("upstream.servers[1]") out again. False when there is none. */
  drop(path: string, why: string): boolean;
  /** Source by source, in the order of the lines. */
  remarks(): readonly MigrationRemark[];
  /** The settings as YAML, each with a comment that says where it comes from, below `title`. */
  toYaml(title: string): string;
}

/** A place, for people and for sorting. */
interface Place {
  /** Empty where no line says it in so many words. */
  readonly place: string;
  readonly file: number;
  readonly line: number;
}

type PlacedRemark = MigrationRemark & Place;

type PlacedValue = Place & { readonly value: MigratedValue };

/** Creates an empty collection. */
export function createGatheredSettings(): GatheredSettings {
  const settings = new Map<string, PlacedValue>();
  const explanations = new Map<string, string>();
  const remarks = new Map<string, PlacedRemark>();
  let fileCount = 0;

  function from(placeOf: (line: number | undefined) => string): Migration {
    const file = fileCount++;
    const inFile = (line: number | undefined): Place => ({ place: placeOf(line), file, line: line ?? 0 });
    const placed = (line: number | undefined): Place =>
      line === undefined ? { place: "", file, line: 0 } : inFile(line);

    function remark(line: number | undefined, what: string, message: string, isLoss: boolean): void {
      const key = JSON.stringify([what, message, isLoss ? placeOf(line) : ""]);
      if (!remarks.has(key)) remarks.set(key, { what, message, isLoss, ...inFile(line) });
    }

    function put(path: string, value: MigratedValue, line: number | undefined, isLoss: boolean): void {
      const known = settings.get(path);
      if (known === undefined) settings.set(path, { value, ...placed(line) });
      else if (JSON.stringify(known.value) !== JSON.stringify(value)) {
        remark(line, path, `${show(value)} is left out; ${known.place} already sets ${show(known.value)}`, isLoss);
      }
    }

    return {
      set: (path, value, line) => put(path, withinLimits(path, value), line, false),
      setServers(path, servers, line) {
        if (servers.length > 0) put(path, servers, line, true);
      },
      setLowest(path, written, line) {
        const value = Number(withinLimits(path, written));
        const known = settings.get(path);
        if (known === undefined || Number(known.value) > value) settings.set(path, { value, ...placed(line) });
        if (known === undefined || known.value === value) return;
        remark(
          line,
          path,
          `differs from ${known.place}; nodens has one value for all blocks, and takes the lowest`,
          false,
        );
      },
      cap(path, value) {
        const known = settings.get(path);
        if (known === undefined || Number(known.value) > value)
          settings.set(path, { ...placed(undefined), ...known, value });
      },
      add(path, value, line) {
        const known = settings.get(path);
        const values = (known?.value ?? []) as readonly string[];
        if (values.includes(value)) return;
        settings.set(path, { ...(known ?? placed(line)), value: [...values, value] });
      },
      valueOf: (path) => settings.get(path)?.value,
      explain: (group, comment) => void explanations.set(group, comment),
      note: (line, what, message) => remark(line, what, message, false),
      lose: (line, what, message) => remark(line, what, message, true),
    };
  }

  return {
    from,
    drop(path, why) {
      const found = [...settings.keys()].findLast((known) => isWithin(path, known) || isWithin(known, path));
      const placed = settings.get(found ?? "");
      if (found === undefined || placed === undefined) return false;
      const position = /^\[(\d+)\]$/.exec(path.slice(found.length))?.[1];
      const { left, taken } = without(placed.value, position === undefined ? undefined : Number(position));
      if (left === undefined) settings.delete(found);
      else settings.set(found, { ...placed, value: left });
      const message = `${show(taken)} is left out: ${why}`;
      remarks.set(`${found} ${message}`, { ...placed, what: found, message, isLoss: true });
      return true;
    },
    remarks: () => [...remarks.values()].toSorted((one, other) => one.file - other.file || one.line - other.line),
    toYaml: (title) => write(settings, explanations, title),
  };
}

/** Whether a path is that of a setting or group, or lies in it. */
function isWithin(path: string, parent: string): boolean {
  return path.startsWith(parent) && /^(?:$|[.[])/.test(path.slice(parent.length));
}

/** A list without the value at a position. Nothing is left of a list of one, or of a value that is not a list. */
function without(value: MigratedValue, position: number | undefined): { left?: MigratedValue; taken: MigratedValue } {
  const taken = typeof value === "object" && position !== undefined ? value[position] : undefined;
  if (typeof value !== "object" || taken === undefined || value.length === 1) return { taken: value };
  return { left: value.filter((_, index) => index !== position), taken };
}

function withinLimits(path: TargetPath, value: MigratedValue): MigratedValue {
  const limits = tableEntries.get(path)?.notes?.limits;
  return typeof value !== "number" || limits === undefined ? value : Math.min(limits.max, Math.max(limits.min, value));
}

function show(value: MigratedValue): string {
  return typeof value === "object" ? `[${value.join(", ")}]` : String(value);
}

function write(
  settings: ReadonlyMap<string, PlacedValue>,
  explanations: ReadonlyMap<string, string>,
  title: string,
): string {
  const entries = [...settings].map(([path, placed]) => ({ keys: keysOf(path), ...placed }));
  const groups = Object.keys(settingsSchema.shape);
  const rank = ({ keys: [group = ""] }: { keys: readonly string[] }) => groups.indexOf(group);
  const ordered = entries.toSorted((one, other) => rank(one) - rank(other));
  const tree: Tree = new Map();
  for (const { keys, value } of ordered) putAt(tree, keys, value);
  const document = new Document(tree, { aliasDuplicateObjects: false });
  document.commentBefore = asComment(title);
  for (const { keys, place } of ordered) decorate(document, keys, place);
  for (const { key } of isMap(document.contents) ? document.contents.items : []) {
    const explanation = isScalar(key) ? explanations.get(String(key.value)) : undefined;
    if (isScalar(key) && explanation !== undefined) key.commentBefore = asComment(explanation);
  }
  return document.toString({ lineWidth: 120, flowCollectionPadding: false });
}

function asComment(text: string): string {
  return text
    .split("\n")
    .map((line) => ` ${line}`)
    .join("\n");
}

function keysOf(path: string): string[] {
  const zone = /^(upstream)\.(stubDomains)\.(.+)$/s.exec(path);
  return zone === null ? path.split(".") : zone.slice(1);
}

/** A Map, because zones come from the file and may have any name. */
type Tree = Map<string, Tree | MigratedValue>;

function putAt(tree: Tree, [key = "", ...rest]: readonly string[], value: MigratedValue): void {
  if (rest.length === 0) tree.set(key, value);
  else putAt(tree.getOrInsertComputed(key, () => new Map()) as Tree, rest, value);
}

/** Puts a list on one line, as its neighbours are, and the place behind it. */
function decorate(document: Document, keys: readonly string[], place: string): void {
  const node = document.getIn(keys, true);
  if (isSeq(node)) node.flow = true;
  if (isNode(node) && place !== "") node.comment = ` ${place.replaceAll(/\s+/g, " ")}`;
}
