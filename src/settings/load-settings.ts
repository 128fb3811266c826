/*
 * From a file, the environment and command-line flags to Settings, or to everything that is wrong with them at once.
 */
import { readFileSync } from "node:fs";
import { getSystemErrorMessage } from "node:util";
import type { z } from "zod";
import { findContradictions, findDoubts, type Contradiction } from "./contradictions.ts";
import type { Environment } from "./expand-variables.ts";
import { nearestName } from "../runtime/nearest-name.ts";
import { formatPath, inReadingOrder, showValue, type Place, type Problem } from "./problem.ts";
import { settingsSchema, type Settings } from "./settings-table.ts";
import { tableEntries, type TableEntry } from "./table-entries.ts";
import { readYaml, type ValuePath, type YamlFile } from "./yaml-file.ts";

/** Values of the flags: text, or true. One that is undefined, or an empty list, overrides nothing. */
export interface FlagValues {
  readonly listen?: readonly string[] | undefined;
  readonly upstream?: readonly string[] | undefined;
  readonly admin?: string | undefined;
  readonly clusterDomain?: string | undefined;
  readonly embedded?: boolean | undefined;
}

/** What to load. Without `filePath`: defaults and flags alone. `readFile` may throw; its text is UTF-8. */
export interface SettingsSource {
  readonly filePath?: string | undefined;
  readonly overrides?: FlagValues | undefined;
  readonly env: Environment;
  readonly readFile?: ((filePath: string) => string) | undefined;
  /** What the file said when it was last loaded: then a file that has been cut off since is a problem. */
  readonly earlierText?: string | undefined;
}

/** Settings to run with and what is doubtful about them, or every problem. Both lists are in reading order. */
export type LoadedSettings =
  | { readonly settings: Settings; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] };

/** Loads the settings: flags over file over defaults. Never throws; an unreadable file is a problem like any other. */
export function loadSettings(source: SettingsSource): LoadedSettings {
  const { filePath = "", overrides = {}, env, readFile = (path) => readFileSync(path, "utf8") } = source;
  let text = "";
  try {
    if (source.filePath !== undefined) text = readFile(filePath);
  } catch (error) {
    return { problems: [{ place: { file: filePath }, setting: "", wrong: `cannot be read: ${reasonOf(error)}` }] };
  }
  const { earlierText = "" } = source;
  if (isCutOff(text, earlierText)) return { problems: [cutOffProblem(text, filePath)] };
  const file = readYaml(text, filePath, env);
  if (file.tree === undefined) return { problems: inReadingOrder(file.problems) };
  // Nobody empties a file on purpose: what was in it would be lost, though flags may say enough to go on.
  if (file.tree === null && (readYaml(earlierText, "", env).tree ?? null) !== null)
    return { problems: [{ place: { file: filePath }, setting: "", wrong: emptied }] };
  return checkTree(file, source.filePath, overrides);
}

const emptied = "holds no settings any more; if that is meant, write {}";

/** Whether a text is the beginning of an earlier one and ends inside a line: what is left of a number or an address may be another one. */
function isCutOff(text: string, earlier: string): boolean {
  return earlier.startsWith(text) && text !== "" && !text.endsWith("\n") && earlier.slice(text.length).trim() !== "";
}

function cutOffProblem(text: string, file: string): Problem {
  const lines = text.split("\n");
  const place = { file, line: lines.length, column: (lines.at(-1) ?? "").length + 1 };
  const wrong = "looks cut off: it ends where the text in force goes on; if it is complete, end it with a line end";
  return { place, setting: "", wrong };
}

function checkTree(file: YamlFile, filePath: string | undefined, overrides: FlagValues): LoadedSettings {
  const tree = withoutEmptyGroups(file.tree, "");
  const flags = applyFlags(tree, overrides, filePath !== undefined);
  const places = { file, filePath: filePath ?? "", flags };
  const parsed = settingsSchema.safeParse(tree);
  const issues = parsed.error?.issues ?? [];
  if (file.problems.length === 0 && parsed.success) {
    const contradictions = findContradictions(parsed.data);
    if (contradictions.length > 0) return { problems: inReadingOrder(describeAll(contradictions, places)) };
    return { settings: parsed.data, warnings: inReadingOrder(describeAll(findDoubts(parsed.data), places)) };
  }
  // A value whose variable is not set is reported once, not again for what is left of it.
  const reported = new Set(file.problems.map(({ place }) => JSON.stringify(place)));
  const problems = issues
    .flatMap((issue) => explainIssue(issue, tree, places))
    .filter(({ place }) => !reported.has(JSON.stringify(place)));
  const contradictions = contradictionsOfSoundPart(tree, faultyEntries(issues, file.problems));
  return { problems: inReadingOrder([...file.problems, ...problems, ...describeAll(contradictions, places)]) };
}

/** Where values came from. */
interface Places {
  readonly file: YamlFile;
  readonly filePath: string;
  /** The flag that gave a setting, by the setting's path. */
  readonly flags: ReadonlyMap<string, string>;
}

type Tree = Record<string, unknown>;

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A group whose members are all commented out is null in YAML, and means its defaults, as an empty file does. */
function withoutEmptyGroups(value: unknown, prefix: string): unknown {
  if (value === null && prefix === "") return {};
  if (!isTree(value)) return value;
  const isEmptyGroup = (path: string, member: unknown): boolean =>
    member === null && tableEntries.get(path)?.groupHelp !== undefined;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, member]) => !isEmptyGroup(`${prefix}${name}`, member))
      .map(([name, member]) => [name, withoutEmptyGroups(member, `${prefix}${name}.`)]),
  );
}

/**
 * Writes the flags into the tree; a group that is not a map stays, and is reported. Returns which settings came from which
 * flag.
 */
function applyFlags(tree: unknown, overrides: FlagValues, hasFile: boolean): Map<string, string> {
  const applied = new Map<string, string>();
  for (const { path, notes } of tableEntries.values()) {
    if (notes?.flag === undefined || (hasFile && notes.flag.isOnlyWithoutFile === true)) continue;
    const name = notes.flag.name.slice(2).replace(/-(\w)/g, (_dash, letter: string) => letter.toUpperCase());
    const value = overrides[name as keyof FlagValues];
    const [groupName = "", settingName = ""] = path.split(".");
    if (value === undefined || (Array.isArray(value) && value.length === 0) || !isTree(tree)) continue;
    const members = (tree[groupName] ??= {});
    if (!isTree(members)) continue;
    members[settingName] = Array.isArray(value) ? [...(value as readonly string[])] : value;
    applied.set(path, notes.flag.name);
  }
  return applied;
}

function explainIssue(issue: z.core.$ZodIssue, tree: unknown, places: Places): Problem[] {
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => explainUnknownKey(issue.path, key, places));
  const { path } = issue;
  const isKeyAtFault = issue.code === "invalid_key";
  const value = path.reduce<unknown>((node, step) => (node as Tree | undefined)?.[step as string], tree);
  const reason = issue.code === "custom" ? (issue.params?.["reason"] as string | undefined) : undefined;
  const entry = entryOf(formatPath(path));
  return [
    {
      place: placeOf(path, isKeyAtFault ? "key" : "value", places),
      setting: formatPath(path),
      wrong: isKeyAtFault
        ? "is not a domain name"
        : (reason ?? `${path.length === 0 ? "holds" : "is"} ${showValue(value)}`),
      allowed: entry?.notes?.allowed ?? `a map with the keys ${membersOf(formatPath(path)).join(", ")}`,
    },
  ];
}

function explainUnknownKey(parent: ValuePath, key: string, places: Places): Problem {
  const path = [...parent, key];
  const members = membersOf(formatPath(parent));
  const near = nearestName(key, members);
  const elsewhere = [...tableEntries.keys()].find((known) => known.endsWith(`.${key}`));
  const meant = near === undefined ? elsewhere : formatPath([...parent, near]);
  return {
    place: placeOf(path, "key", places),
    setting: formatPath(path),
    wrong: `is not a setting${meant === undefined ? "" : ` (did you mean ${meant}?)`}`,
    allowed: members.join(", "),
  };
}

/** The names of a group's settings and groups; "" is the whole file. */
function membersOf(group: string): string[] {
  const prefix = group === "" ? "" : `${group}.`;
  const names = [...tableEntries.keys()]
    .filter((path) => path.startsWith(prefix))
    .map((path) => path.slice(prefix.length));
  return names.filter((name) => !name.includes("."));
}

/** The setting or group that a path as text is, or lies in: "upstream.servers[1]" is of "upstream.servers". */
function entryOf(path: string): TableEntry | undefined {
  const entry = tableEntries.get(path);
  const parentEnd = Math.max(path.lastIndexOf("."), path.lastIndexOf("["));
  return entry ?? (parentEnd === -1 ? undefined : entryOf(path.slice(0, parentEnd)));
}

/** Settings and groups whose values cannot be used. An unknown key spoils nothing but itself. */
function faultyEntries(issues: readonly z.core.$ZodIssue[], fileProblems: readonly Problem[]): Set<string> {
  const paths = issues.filter(({ code }) => code !== "unrecognized_keys").map(({ path }) => formatPath(path));
  return new Set([...paths, ...fileProblems.map(({ setting }) => setting)].map((path) => entryOf(path)?.path ?? ""));
}

/** Checks between settings although some are faulty: with defaults for those, and without findings that touch them. */
function contradictionsOfSoundPart(tree: unknown, faulty: ReadonlySet<string>): Contradiction[] {
  // Nothing is left of a file that is not a map of settings.
  if (faulty.has("")) return [];
  const parsed = settingsSchema.safeParse(soundPart(tree, "", faulty));
  if (!parsed.success) return [];
  const isSound = (path: ValuePath): boolean => !faulty.has(entryOf(formatPath(path))?.path ?? "");
  return findContradictions(parsed.data).filter(({ paths }) => paths.every(isSound));
}

function soundPart(tree: unknown, prefix: string, faulty: ReadonlySet<string>): Tree {
  const members = Object.entries(isTree(tree) ? tree : {}).map(([name, value]) => ({
    name,
    value,
    path: prefix + name,
  }));
  return Object.fromEntries(
    members
      .filter(({ path }) => tableEntries.has(path) && !faulty.has(path))
      .map(({ name, value, path }) => {
        const isSetting = tableEntries.get(path)?.notes !== undefined;
        return [name, isSetting ? value : soundPart(value, `${path}.`, faulty)];
      }),
  );
}

/** A finding is reported where somebody wrote one of the settings involved; the others are defaults. */
function describeAll(findings: readonly Contradiction[], places: Places): Problem[] {
  return findings.map(({ paths, wrong }) => {
    const written = paths.find((path) => flagOf(path, places) !== undefined || places.file.locate(path, "value"));
    return { place: placeOf(written ?? [], "value", places), setting: formatPath(paths[0] ?? []), wrong };
  });
}

function placeOf(path: ValuePath, part: "key" | "value", places: Places): Place {
  const flag = flagOf(path, places);
  return flag === undefined ? { file: places.filePath, ...places.file.locate(path, part) } : { flag };
}

function flagOf(path: ValuePath, { flags }: Places): string | undefined {
  return flags.get(entryOf(formatPath(path))?.path ?? "");
}

function reasonOf(error: unknown): string {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  return errno === undefined ? message : `${getSystemErrorMessage(errno)} (${code})`;
}
