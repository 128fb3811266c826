/*
 * Settings written back as YAML, and two settings compared: both through the table's own way of writing each value.
 */
import { isDeepStrictEqual } from "node:util";
import { stringify } from "yaml";
import { z } from "zod";
import { settingsSchema, type Settings } from "./settings-table.ts";
import { tableEntries } from "./table-entries.ts";

/** All settings, defaults included, as YAML that loadSettings reads back to the same settings. */
export function printEffectiveSettings(settings: Settings): string {
  return stringify(writeTree(settings), { lineWidth: 0 });
}

/** The paths of the settings that differ and take effect only at a restart, in the table's order. */
export function settingsThatNeedRestart(before: Settings, after: Settings): string[] {
  const [old, fresh] = [writeTree(before), writeTree(after)];
  return [...tableEntries.values()]
    .filter(({ notes }) => notes?.effect === "restart")
    .map(({ path }) => path)
    .filter((path) => !isDeepStrictEqual(valueAt(old, path), valueAt(fresh, path)));
}

function writeTree(settings: Settings): unknown {
  return z.encode(settingsSchema, settings as z.output<typeof settingsSchema>);
}

function valueAt(tree: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], tree);
}
