/*
 * Settings that are being gathered from another program's configuration, with the line that each comes from, and what could not
 * be carried over.
 */
import { Document, isNode, isSeq } from "yaml";

/** A line of the old configuration and what became of it. */
export interface MigrationRemark {
  readonly line: number | undefined;
  /** The plugin or key. */
  readonly what: string;
  readonly message: string;
  /** Whether answers will differ from before. */
  readonly isLoss: boolean;
}

/** Settings by path ("upstream.servers"; what follows "upstream.stubDomains." is one zone). */
export interface Migration {
  /** Sets a value. A second, different one for the same setting stays out, and is remarked. */
  set(path: string, value: string | number | boolean, line: number | undefined): void;
  /** Sets the lower of the number there and this one. */
  setLowest(path: string, value: number, line: number): void;
  setList(path: string, values: readonly string[], line: number): void;
  /** Servers; an empty list is left out. */
  setServers(path: string, servers: readonly string[], line: number): void;
  /** Adds one to a list. */
  add(path: string, value: string, line: number): void;
  /** Remarks on something that changes no answer. */
  note(line: number | undefined, what: string, message: string): void;
  /** Remarks on something that does. */
  lose(line: number | undefined, what: string, message: string): void;
  /** In the order of the lines. */
  remarks(): readonly MigrationRemark[];
  /** The settings as YAML, each with a comment that says where it comes from. `source` is the name of the old file. */
  toYaml(source: string): string;
}

type Value = string | number | boolean | readonly string[];

/** An empty one. */
export function createMigration(): Migration {
  const settings = new Map<string, { value: Value; line: number | undefined }>();
  const remarks: MigrationRemark[] = [];

  function remark(line: number | undefined, what: string, message: string, isLoss: boolean): void {
    // What is harmless is said once, not for every block.
    const isSame = (other: MigrationRemark) => other.what === what && other.message === message;
    const isSaid = remarks.some((other) => isSame(other) && (!isLoss || other.line === line));
    if (!isSaid) remarks.push({ line, what, message, isLoss });
  }

  function put(path: string, value: Value, line: number | undefined): void {
    const known = settings.get(path);
    if (known === undefined) settings.set(path, { value, line });
    else if (JSON.stringify(known.value) !== JSON.stringify(value)) {
      const message = `${JSON.stringify(value)} is not carried over: line ${known.line} has set ${path} to ${JSON.stringify(known.value)}`;
      remark(line, path, message, false);
    }
  }

  return {
    set: put,
    setLowest(path, value, line) {
      const known = settings.get(path);
      if (known === undefined || Number(known.value) > value) settings.set(path, { value, line });
      if (known === undefined || known.value === value) return;
      remark(
        line,
        path,
        `lines ${known.line} and ${line} differ (${String(known.value)}, ${value}); nodens has one for all zones, the lower`,
        false,
      );
    },
    setList: put,
    setServers(path, servers, line) {
      if (servers.length > 0) put(path, servers, line);
    },
    add(path, value, line) {
      const known = settings.get(path);
      const values = (known?.value ?? []) as readonly string[];
      if (!values.includes(value)) settings.set(path, { value: [...values, value], line: known?.line ?? line });
    },
    note: (line, what, message) => remark(line, what, message, false),
    lose: (line, what, message) => remark(line, what, message, true),
    remarks: () => remarks.toSorted((one, other) => (one.line ?? 0) - (other.line ?? 0)),
    toYaml: (source) => write(settings, source),
  };
}

function write(settings: ReadonlyMap<string, { value: Value; line: number | undefined }>, source: string): string {
  const tree: Tree = {};
  for (const [path, { value }] of settings) putAt(tree, keysOf(path), value);
  const document = new Document(tree, { aliasDuplicateObjects: false });
  document.commentBefore = ` Settings of nodens, from ${source}. Look at them with \`nodens check\`.`;
  for (const [path, { line }] of settings)
    decorate(document, keysOf(path), line === undefined ? undefined : ` line ${line}`);
  return document.toString({ lineWidth: 120 });
}

function keysOf(path: string): string[] {
  const zone = /^(upstream)\.(stubDomains)\.(.+)$/.exec(path);
  return zone === null ? path.split(".") : zone.slice(1);
}

interface Tree {
  [key: string]: Tree | Value;
}

function putAt(tree: Tree, [key = "", ...rest]: readonly string[], value: Value): void {
  if (rest.length === 0) tree[key] = value;
  else putAt((tree[key] ??= {}) as Tree, rest, value);
}

/** Lists on one line, as their neighbours are; the comment behind. */
function decorate(document: Document, keys: readonly string[], comment: string | undefined): void {
  const node = document.getIn(keys, true);
  if (isSeq(node)) node.flow = true;
  if (isNode(node) && comment !== undefined) node.comment = comment;
}
