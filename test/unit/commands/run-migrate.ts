/* `nodens migrate` on a text, and what its output leads to. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { migrate } from "../../../src/commands/migrate.ts";
import { loadSettings } from "../../../src/settings/load-settings.ts";
import type { Settings } from "../../../src/settings/settings-table.ts";
import { projectFolder } from "../../support/program/run-nodens.ts";

/** The folder of the old configurations. */
export const corefileFolder = join(projectFolder, "test", "fixtures", "corefiles");

/** One of them. */
export function fixture(name: string): string {
  return readFileSync(join(corefileFolder, name), "utf8");
}

/** What the command wrote and returned; errors by line. */
export interface Migrated {
  readonly code: number;
  readonly output: string;
  readonly errors: readonly string[];
}

/** Runs it on a text that is said to stand in the file "F". */
export function run(text: string, env: Record<string, string> = {}): Migrated {
  let [output, errors] = ["", ""];
  const code = migrate("F", {
    env,
    write: (more) => (output += more),
    writeError: (more) => (errors += more),
    readFile: () => text,
  });
  return { code, output, errors: errors.split("\n").slice(0, -1) };
}

/** The environment of nodens's pods, and what Corefiles of these tests name. */
export const podEnvironment = {
  HOST_IP: "10.0.0.9",
  KUBE_DNS_IP: "10.96.0.10",
  OTHER_SERVER: "192.0.2.9",
  ZONE: "k8s.test",
};

/** The settings that an output leads to. Throws when there is anything to say against it. */
export function load(output: string, env: Record<string, string> = podEnvironment): Settings {
  const loaded = loadSettings({ filePath: "nodens.yaml", env, readFile: () => output });
  if ("problems" in loaded || loaded.warnings.length > 0) throw new Error(`${JSON.stringify(loaded)}\n${output}`);
  return loaded.settings;
}

/** The settings that a text leads to. */
export function settingsOf(text: string): Settings {
  return load(run(text).output);
}
