/*
 * The rooms of src/ and who may import whom. The table is the architecture: a new arrow is a decision that is taken here, with a
 * reason, and ARCHITECTURE.md shows the same table.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectFolder } from "../support/program/run-nodens.ts";
import {
  functionsOf,
  type Import,
  importsOf,
  roomOf,
  type SourceFile,
  sourceFiles,
  targetOf,
  timeReadersOf,
} from "../support/program/source-files.ts";

/** What a room may import besides itself. "node:" is the built-in modules; `types` may be imported as types only. */
interface Rule {
  readonly rooms?: readonly string[];
  readonly types?: readonly string[];
  readonly packages?: readonly string[];
  readonly node?: boolean;
}

const everyRoom = [
  "wire",
  "cache",
  "search",
  "upstream",
  "resolve",
  "listen",
  "attach",
  "seen",
  "shadow",
  "settings",
  "observe",
  "cluster-dns",
  "explain",
  "doctor",
  "migrate",
  "query",
  "runtime",
];

const rules: Readonly<Record<string, Rule>> = {
  "main.ts": { rooms: ["commands", "runtime", "attach"] },
  "snapshot.ts": { rooms: ["main.ts"], node: true },
  // The composition root sees every room; the verbs see what each of them does.
  app: { rooms: everyRoom, node: true },
  commands: { rooms: [...everyRoom, "app"], packages: ["commander"], node: true },
  explain: { rooms: ["resolve", "search", "cache", "settings", "wire", "runtime"], packages: ["zod"], node: true },
  // Works without a running nodens, and sees the node through what it is handed.
  doctor: { rooms: ["settings", "observe", "wire", "runtime"], types: ["attach"], packages: ["zod"], node: true },
  migrate: { rooms: ["settings", "runtime"], packages: ["yaml"], node: true },
  query: { rooms: ["wire", "runtime"], packages: ["dns2"], node: true },
  // Bytes and nothing else: it must not even know that there is a system.
  wire: {},
  cache: { rooms: ["wire"], packages: ["lru-cache"] },
  search: { rooms: ["wire"], packages: ["tlds"] },
  // One 5-tuple each, whatever is behind it.
  flows: { rooms: ["wire", "runtime"], node: true },
  upstream: { rooms: ["flows", "wire", "runtime"] },
  // Pure policy: what it asks, and the time, are handed in.
  resolve: { rooms: ["wire", "cache", "search"], types: ["upstream", "runtime"] },
  listen: { rooms: ["wire", "runtime", "cache"], types: ["resolve"], packages: ["lru-cache"], node: true },
  attach: { rooms: ["runtime"], node: true },
  // Columns of numbers: what is seen, the time, and how much may be remembered are handed in.
  seen: { rooms: ["wire", "runtime"] },
  // The answer that nobody gets, over the resolver's own steps; packets and time are handed in.
  shadow: {
    rooms: ["wire", "cache", "listen", "runtime"],
    types: ["resolve", "search", "seen", "upstream"],
  },
  settings: { rooms: ["runtime"], packages: ["yaml", "zod"], node: true },
  observe: {
    rooms: ["runtime"],
    types: ["wire", "cache", "search", "upstream", "resolve", "listen", "attach"],
    packages: ["prom-client", "pino"],
    node: true,
  },
  // A stand-in that shares no parser with the product cannot share its mistakes.
  "cluster-dns": { rooms: ["runtime"], packages: ["dns2", "yaml", "zod"], node: true },
  runtime: { node: true },
};

/** Functions that may be longer, each with its reason. */
const longFunctions: Readonly<Record<string, string>> = {
  "src/flows/flow.ts: openFlow": "one flow's state and the short functions over it",
  "src/cluster-dns/cluster-zone.ts: createClusterZone": "one zone's records and the short functions over them",
  "src/listen/answer-query.ts: createQueryAnswerer": "the state of the query at hand and the short functions over it",
  "src/seen/seen.ts: createSeen": "one memory's tables and the short functions over them",
};
const maxFunctionLines = 120;

/** Files that may read time by themselves, each with its reason. */
const timeReaders: Readonly<Record<string, string>> = {
  "src/runtime/clock.ts": "the one place where time comes from",
};

/** No room may hold more than this share of the lines. */
const maxRoomShare = 1 / 8;

const files = sourceFiles();
const imports = files.flatMap(importsOf);

describe("the rooms of src", () => {
  test("each has a rule, and each rule a room", () => {
    expect(unruled(files)).toEqual([]);
    const rooms = new Set(files.map(({ path }) => roomOf(path)));
    expect(Object.keys(rules).filter((room) => !rooms.has(room))).toEqual([]);
  });

  test("are one folder deep", () => {
    expect(tooDeep(files)).toEqual([]);
  });

  test("import only what their rule allows", () => {
    expect(imports.map(violation).filter((text) => text !== undefined)).toEqual([]);
  });

  test("hold no more than an eighth of the lines each", () => {
    expect(tooLarge(files)).toEqual([]);
  });

  test("do not import each other in a circle, however long the way round", () => {
    expect(findCycle()).toBeUndefined();
  });

  test("have no function that is too long, but those listed with their reason", () => {
    expect(tooLong(files).toSorted()).toEqual(Object.keys(longFunctions).toSorted());
  });

  // Its pages are given back after the start (runtime/snapshot-pages), and V8 would read them for a second context.
  test("make no second context of V8, for which the snapshot would have to be there", () => {
    const makers = /["'`]node:(vm|worker_threads|repl)["'`]|ShadowRealm/;
    expect(files.filter(({ text }) => makers.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test("take time from the clock", () => {
    expect(readingTime(files)).toEqual(Object.keys(timeReaders));
  });

  test("are those of ARCHITECTURE.md", () => {
    const page = readFileSync(join(projectFolder, "ARCHITECTURE.md"), "utf8");
    const rows = [...page.matchAll(/^\| `src\/([a-z-]+)\/?`.*$/gm)];
    const folders = Object.keys(rules).filter((room) => !room.includes("."));
    expect(rows.map(([, room]) => room).toSorted()).toEqual(folders.toSorted());
    for (const [row, room = ""] of rows) expect(row.split("|")[3]?.trim(), room).toBe(inWords(rules[room] ?? {}));
  });
});

describe("the rules", () => {
  const file = (path: string, text = ""): SourceFile => ({ path, text });

  test.each([
    ["wire", "node:fs", "wire may not import node:fs"],
    ["wire", "../cache/key.ts", "wire may not import cache"],
    ["cache", "../upstream/server.ts", "cache may not import upstream"],
    ["resolve", "node:net", "resolve may not import node:net"],
    ["upstream", "lodash", "upstream may not import lodash"],
    ["cluster-dns", "../wire/name.ts", "cluster-dns may not import wire"],
    ["observe", "../app/start-app.ts", "observe may not import app"],
  ])("notice that %s imports %s", (from, specifier, expected) => {
    expect(violation({ file: `src/${from}/x.ts`, specifier, isTypeOnly: false })).toContain(expected);
  });

  test("notice a value where only types are allowed", () => {
    const value = { file: "src/observe/x.ts", specifier: "../wire/codes.ts" };
    expect(violation({ ...value, isTypeOnly: false })).toContain("observe may import wire only as types");
    expect(violation({ ...value, isTypeOnly: true })).toBeUndefined();
  });

  test("see imports of every form", () => {
    const text = `import { a, type B } from "./one.ts"; import type { C } from "./two.ts"; import { type D } from "./three.ts";
      export { e } from "./four.ts"; export * from "./five.ts"; import "./six.ts"; const f = await import("./seven.ts");`;
    const found = importsOf(file("src/wire/x.ts", text)).map(({ specifier, isTypeOnly }) => [specifier, isTypeOnly]);
    expect(found.toSorted()).toEqual([
      ["./five.ts", false],
      ["./four.ts", false],
      ["./one.ts", false],
      ["./seven.ts", false],
      ["./six.ts", false],
      ["./three.ts", true],
      ["./two.ts", true],
    ]);
  });

  test("notice a folder in a folder", () => {
    expect(tooDeep([file("src/wire/deep/x.ts"), file("src/wire/x.ts"), file("src/main.ts")])).toEqual([
      "src/wire/deep/x.ts",
    ]);
  });

  test("notice a room without a rule", () => {
    expect(unruled([file("src/attic/x.ts"), file("src/wire/x.ts")])).toEqual(["src/attic/x.ts"]);
  });

  test("notice a room that has grown too large", () => {
    const lines = (count: number) => "\n".repeat(count - 1);
    const grown = [
      file("src/a/x.ts", lines(3)),
      ...Array.from({ length: 8 }, (_, i) => file(`src/b${i}/x.ts`, lines(2))),
    ];
    expect(tooLarge(grown)).toEqual(["a"]);
  });

  test("notice a function that is too long, whatever its form", () => {
    const body = "\n".repeat(120);
    const text = `function a() {${body}}\nconst b = () => {${body}};\nconst c = { d() {${body}} };\nfunction e() {}`;
    expect(tooLong([file("src/wire/x.ts", text)]).toSorted()).toEqual([
      "src/wire/x.ts: (anonymous)",
      "src/wire/x.ts: a",
      "src/wire/x.ts: b",
    ]);
  });

  test.each([
    "setTimeout(f, 1);",
    "setInterval(f, 1);",
    "setImmediate(f);",
    "x = Date.now();",
    "x = new Date();",
    "x = performance.now();",
    "x = process.hrtime();",
    'import { setTimeout as pause } from "node:timers/promises";',
  ])("notice that time is read by: %s", (text) => {
    expect(readingTime([file("src/wire/x.ts", text)])).toEqual(["src/wire/x.ts"]);
  });

  test("do not take a word in a comment or a string for a look at the time", () => {
    expect(readingTime([file("src/wire/x.ts", '// setTimeout, Date\nconst text = "performance.now()";')])).toEqual([]);
  });
});

function unruled(all: readonly SourceFile[]): string[] {
  return all.map(({ path }) => path).filter((path) => !(roomOf(path) in rules));
}

function tooDeep(all: readonly SourceFile[]): string[] {
  return all.map(({ path }) => path).filter((path) => path.split("/").length > 3);
}

function tooLarge(all: readonly SourceFile[]): string[] {
  const lines = new Map<string, number>();
  for (const { path, text } of all) lines.set(roomOf(path), (lines.get(roomOf(path)) ?? 0) + text.split("\n").length);
  const total = [...lines.values()].reduce((sum, count) => sum + count, 0);
  return [...lines].filter(([, count]) => count > total * maxRoomShare).map(([room]) => room);
}

function tooLong(all: readonly SourceFile[]): string[] {
  return all
    .flatMap(functionsOf)
    .filter(({ lineCount }) => lineCount > maxFunctionLines)
    .map(({ file, name }) => `${file}: ${name}`);
}

function readingTime(all: readonly SourceFile[]): string[] {
  return all.filter((each) => timeReadersOf(each).length > 0).map(({ path }) => path);
}

function violation(found: Import): string | undefined {
  const { file, specifier, isTypeOnly } = found;
  const from = roomOf(file);
  const rule = rules[from] ?? {};
  if (specifier.startsWith("node:"))
    return rule.node === true ? undefined : `${file}: ${from} may not import ${specifier}`;
  if (!specifier.startsWith(".")) {
    const name = specifier.split("/")[0] ?? "";
    return rule.packages?.includes(name) === true ? undefined : `${file}: ${from} may not import ${name}`;
  }
  const target = roomOf(targetOf(found));
  // The package's own name and version.
  if (targetOf(found) === "package.json") return undefined;
  if (target === from || rule.rooms?.includes(target) === true) return undefined;
  if (rule.types?.includes(target) !== true) return `${file}: ${from} may not import ${target}`;
  return isTypeOnly ? undefined : `${file}: ${from} may import ${target} only as types`;
}

/** A rule as the table of ARCHITECTURE.md writes it. */
function inWords({ rooms = [], types = [], packages = [], node = false }: Rule): string {
  const isEverything = everyRoom.every((room) => rooms.includes(room));
  const words = isEverything ? ["every room below"] : rooms.map((room) => `\`${room}\``);
  const typeWords = types.length === 0 ? [] : [`types of ${types.map((room) => `\`${room}\``).join(" ")}`];
  const named = [words.join(" "), ...typeWords, packages.join(" "), node ? "node:" : ""].filter((part) => part !== "");
  return named.length === 0 ? "nothing" : named.join("; ");
}

/** A chain of files that ends where it began, values only. */
function findCycle(): string[] | undefined {
  const targets = new Map<string, string[]>();
  for (const found of imports) {
    if (found.isTypeOnly || !found.specifier.startsWith(".")) continue;
    targets.set(found.file, [...(targets.get(found.file) ?? []), targetOf(found)]);
  }
  const done = new Set<string>();
  function walk(file: string, path: readonly string[]): string[] | undefined {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of targets.get(file) ?? []) {
      const cycle = walk(target, [...path, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  }
  for (const file of targets.keys()) {
    const cycle = walk(file, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
