/* `nodens migrate FILE`: writes settings from a Corefile, or from a ConfigMap that holds one or kube-dns's own keys. */
import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { loadSettings } from "../settings/load-settings.ts";
import type { Problem } from "../settings/problem.ts";
import { kubeDnsVariable } from "../migrate/corefile-placeholders.ts";
import { readCorefile } from "../migrate/corefile.ts";
import { ExitCode } from "./exit-code.ts";
import { looksLikeCorefile, migrateCorefile } from "../migrate/corefile-settings.ts";
import { migrateKubeDnsKey } from "../migrate/kube-dns-keys.ts";
import { findSources, type MigrationSource } from "../migrate/configuration-sources.ts";
import {
  createGatheredSettings,
  type GatheredSettings,
  type MigratedValue,
  type Migration,
} from "../migrate/gathered-settings.ts";

/** What `migrate` needs from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface MigrateOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** Reads a file, or standard input for "-". Throws the system's error. */
  readonly readFile?: (path: string) => string;
}

/**
 * Writes the settings and, to `writeError`, what became of everything else, a line each. The settings can always be loaded. Returns
 * the exit code: 0; 65 when something was lost that changes answers; 78, with nothing written, when the file cannot be read.
 */
export function migrate(path: string, { env, write, writeError, readFile = readText }: MigrateOptions): number {
  const file = path === "-" ? "standard input" : path;
  const fail = (problem: string): number => {
    writeError(`${problem}\n`);
    return ExitCode.configuration;
  };
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    return fail(`nodens: cannot read ${file}: ${(error as Error).message}`);
  }
  const found = findSources(text, file);
  if ("problem" in found) return fail(found.problem);
  const gathered = createGatheredSettings();
  for (const source of found.sources) {
    const problem = take(source, env, gathered);
    if (problem !== undefined) return fail(problem);
  }
  const migration = gathered.from(() => file);
  migration.set("probes.directory", "/run/nodens", undefined);
  migration.explain("probes", "Where the probes in nodens's manifests look.");
  write(settle(gathered, migration, file));
  const remarks = gathered.remarks();
  for (const { place, what, message, isLoss } of remarks) {
    writeError(`${place}: ${what}: ${isLoss ? "LOST: " : ""}${message}\n`);
  }
  return remarks.some(({ isLoss }) => isLoss) ? ExitCode.incomplete : ExitCode.ok;
}

/** Carries over one source. Returns what is broken, with its place, or undefined if nothing is. */
function take(source: MigrationSource, env: MigrateOptions["env"], gathered: GatheredSettings): string | undefined {
  const { kind, content, placeOf } = source;
  const migration = gathered.from(placeOf);
  if (kind !== "Corefile") {
    const problem = migrateKubeDnsKey(kind, content, migration);
    return problem === undefined ? undefined : `${placeOf(1)}: ${problem}`;
  }
  const corefile = readCorefile(content, env);
  if (corefile.broken !== undefined) {
    const { line, column, message } = corefile.broken;
    return `${placeOf(line, column)}: ${message}`;
  }
  if (!looksLikeCorefile(corefile)) return `${placeOf(undefined)}: has no server block with a CoreDNS plugin`;
  migrateCorefile(corefile, migration);
  return undefined;
}

/**
 * The settings as YAML, without those that nodens would refuse: the file may contain what CoreDNS would refuse as well, and some
 * faults only appear when several lines are taken together.
 */
function settle(gathered: GatheredSettings, migration: Migration, file: string): string {
  for (;;) {
    // Without a server nodens would not start.
    if (migration.valueOf("upstream.servers") === undefined) {
      migration.set("upstream.servers", [kubeDnsVariable], undefined);
    }
    const text = gathered.toYaml(titleOf(gathered.toYaml(""), file));
    const env = anyValues(text, migration.valueOf("attach.addresses"));
    const loaded = loadSettings({ filePath: file, env, readFile: () => text });
    if (!("problems" in loaded)) return text;
    dropRefused(loaded.problems, text, gathered);
  }
}

/** Drops what was refused, last first, so that positions in lists stay valid. Where no value can be named, drops a whole group. */
function dropRefused(problems: readonly Problem[], text: string, gathered: GatheredSettings): void {
  const isServiceAsked = text.includes(`servers: ["${kubeDnsVariable}"]`);
  const dropped = problems.toReversed().filter(({ setting, wrong }) => {
    // All that can be wrong with the Service, whose address is not known here, is that it cannot be intercepted.
    const path = isServiceAsked && setting.startsWith("upstream.servers") ? "attach.mode" : setting;
    return gathered.drop(path, `it ${wrong}`);
  });
  const { setting = "", wrong = "" } = problems[0] ?? {};
  if (dropped.length > 0 || ["attach", "listen", "upstream"].some((group) => gathered.drop(group, `it ${wrong}`)))
    return;
  throw new Error(`these settings cannot be used: ${setting} ${wrong}\n${text}`);
}

function titleOf(settings: string, file: string): string {
  const names = variablesIn(settings).map((name) => `\${${name}}`);
  const isReached = /^(?:listen|attach):/m.test(settings);
  return [
    `nodens settings, from ${file.replaceAll(/\s+/g, " ")}. \`nodens check\` shows the result in full.`,
    ...(names.length === 0 ? [] : [`Set in the environment when nodens starts: ${names.join(", ")}.`]),
    ...(isReached ? [] : ["That file does not say how pods reach nodens: set attach or listen."]),
  ].join("\n");
}

function variablesIn(settings: string): string[] {
  return [...new Set([...settings.matchAll(/\$\{(\w+)/g)].map(([, name = ""]) => name))];
}

/** A made-up address for each variable, all different and none that a host has: the real ones are not known here. */
function anyValues(settings: string, ownAddresses: MigratedValue | undefined): Record<string, string> {
  // A Service is refused when its family is not that of the addresses it would be redirected to.
  const isV6Only = Array.isArray(ownAddresses) && ownAddresses.every((address) => isIPv6(address));
  const values = variablesIn(settings).map((name, index) => {
    const isV6 = isV6Only && kubeDnsVariable === `\${${name}}`;
    return [name, isV6 ? `2001:db8:ffff:ffff::${index + 1}` : `240.0.0.${index + 1}`];
  });
  return Object.fromEntries(values);
}

const standardInput = 0;

function readText(path: string): string {
  return readFileSync(path === "-" ? standardInput : path, "utf8");
}
