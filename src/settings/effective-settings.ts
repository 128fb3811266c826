/* Settings written back as YAML, through the table's own way of writing each value. */
import { stringify } from "yaml";
import { z } from "zod";
import { settingsSchema, type Settings } from "./settings-table.ts";

/** All settings, defaults included, as YAML that loadSettings reads back to the same settings. */
export function printEffectiveSettings(settings: Settings): string {
  return stringify(writeTree(settings), { lineWidth: 0 });
}

function writeTree(settings: Settings): unknown {
  return z.encode(settingsSchema, settings as z.output<typeof settingsSchema>);
}
