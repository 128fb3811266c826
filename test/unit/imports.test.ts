/*
 * Who may import whom. The table is the architecture: a new arrow is a decision that is taken here, with a reason.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { describe, expect, test } from "vitest";
import { projectFolder } from "../support/program/run-nodens.ts";

/** What a folder may import besides itself. "node:" is the built-in modules; `types` may be imported as types only. */
interface Rule {
  readonly folders?: readonly string[];
  readonly types?: readonly string[];
  readonly packages?: readonly string[];
  readonly node?: boolean;
}

const rules: Readonly<Record<string, Rule>> = {
  // Bytes and nothing else: it must not even know that there is a system.
  wire: {},
  cache: { folders: ["wire"], packages: ["lru-cache"] },
  search: { folders: ["wire"], packages: ["tlds"] },
  upstream: { folders: ["wire", "runtime"], node: true },
  // Pure policy: what it asks, and the time, are handed in.
  resolve: { folders: ["wire", "cache", "search"], types: ["upstream", "runtime"] },
  listen: { folders: ["wire", "runtime", "cache"], types: ["resolve"], packages: ["lru-cache"], node: true },
  attach: { folders: ["runtime"], node: true },
  settings: { folders: ["runtime"], packages: ["yaml", "zod"], node: true },
  observe: {
    folders: ["runtime"],
    types: ["wire", "cache", "search", "upstream", "resolve", "listen", "attach"],
    packages: ["prom-client", "pino"],
    node: true,
  },
  "cluster-dns": { folders: ["wire", "runtime"], packages: ["dns2", "yaml", "zod"], node: true },
  explain: { folders: ["resolve", "search", "cache", "wire", "runtime"], packages: ["zod"], node: true },
  migrate: { folders: ["settings", "runtime"], packages: ["yaml"], node: true },
  query: { folders: ["wire", "runtime"], packages: ["dns2"], node: true },
  runtime: { node: true },
};

/** The entry, the composition root, and the verbs, which need whatever each of them does. */
const free = new Set(["main.ts", "nodens.mjs", "app", "commands"]);

interface Import {
  readonly file: string;
  readonly from: string;
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

const imports = globSync("src/**/*.ts", { cwd: projectFolder }).flatMap(importsOf);

describe("the table of imports", () => {
  test("every folder of src has a rule, and src is one folder deep", () => {
    const folders = new Set(globSync("src/**/*.ts", { cwd: projectFolder }).map(folderOf));
    expect([...folders].filter((folder) => !(folder in rules) && !free.has(folder))).toEqual([]);
  });

  test("finds the imports there are", () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.some(({ isTypeOnly }) => isTypeOnly)).toBe(true);
  });

  test("no file imports what its folder may not", () => {
    expect(imports.map(violation).filter((text) => text !== undefined)).toEqual([]);
  });

  test.each([
    ["wire", "node:fs", "wire may not import node:fs"],
    ["wire", "../cache/key.ts", "wire may not import cache"],
    ["cache", "../upstream/flow.ts", "cache may not import upstream"],
    ["resolve", "node:net", "resolve may not import node:net"],
    ["upstream", "lodash", "upstream may not import lodash"],
  ])("notices that %s imports %s", (from, specifier, expected) => {
    const found = violation({ file: `src/${from}/x.ts`, from, specifier, isTypeOnly: false });
    expect(found).toContain(expected);
  });

  test("notices a value where only types are allowed", () => {
    const value = { file: "src/observe/x.ts", from: "observe", specifier: "../wire/codes.ts" };
    expect(violation({ ...value, isTypeOnly: false })).toContain("observe may import wire only as types");
    expect(violation({ ...value, isTypeOnly: true })).toBeUndefined();
  });

  test("no two files import each other, however long the way round", () => {
    expect(findCycle()).toBeUndefined();
  });
});

function violation({ file, from, specifier, isTypeOnly }: Import): string | undefined {
  if (free.has(from)) return undefined;
  const rule = rules[from] ?? {};
  if (specifier.startsWith("node:"))
    return rule.node === true ? undefined : `${file}: ${from} may not import ${specifier}`;
  if (!specifier.startsWith(".")) {
    const name = specifier.split("/")[0] ?? "";
    return rule.packages?.includes(name) === true ? undefined : `${file}: ${from} may not import ${name}`;
  }
  const target = folderOf(join(dirname(file), specifier));
  if (target === from || rule.folders?.includes(target) === true) return undefined;
  if (rule.types?.includes(target) !== true) return `${file}: ${from} may not import ${target}`;
  return isTypeOnly ? undefined : `${file}: ${from} may import ${target} only as types`;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(projectFolder, file), "utf8");
  const statements = text.matchAll(/^(?:import|export)\s(type\s)?(?:([^;"]*?)\sfrom\s)?"([^"]+)"/gm);
  return [...statements].map(([, typeKeyword, names = "", specifier = ""]) => {
    const inBraces = /^\{([^}]*)\}$/.exec(names.trim())?.[1] ?? "";
    const named = inBraces.split(",").map((name) => name.trim());
    const isEveryNameAType =
      inBraces !== "" && named.filter((name) => name !== "").every((name) => name.startsWith("type "));
    return { file, from: folderOf(file), specifier, isTypeOnly: typeKeyword !== undefined || isEveryNameAType };
  });
}

function folderOf(file: string): string {
  const [, folderOrFile = ""] = relative(".", file).split(sep);
  return folderOrFile;
}

/** A chain of files that ends where it began, values only. */
function findCycle(): string[] | undefined {
  const targets = new Map<string, string[]>();
  for (const { file, specifier, isTypeOnly } of imports) {
    if (isTypeOnly || !specifier.startsWith(".")) continue;
    targets.set(file, [...(targets.get(file) ?? []), join(dirname(file), specifier)]);
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
