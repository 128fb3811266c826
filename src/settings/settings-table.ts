/*
 * Every setting of nodens, declared once: kind, unit, default, limits, effect of a change, help. A file per subject declares its
 * groups, and this one joins them. The type Settings, the checks, the printed effective settings, docs/settings.md and
 * docs/settings.schema.json all derive from the table.
 */
import { z } from "zod";
import { attach } from "./attach-settings.ts";
import { cache } from "./cache-settings.ts";
import { cluster } from "./cluster-settings.ts";
import { listen } from "./listen-settings.ts";
import { probes, admin, log, metrics, shutdown } from "./operator-settings.ts";
import { limits } from "./overload-settings.ts";
import { search } from "./search-settings.ts";
import { seen } from "./seen-settings.ts";
import { upstream } from "./upstream-settings.ts";

/** The whole file: reads a tree of plain YAML values into Settings, and `z.encode` writes it back. */
export const settingsSchema = z.strictObject({
  listen,
  attach,
  admin,
  probes,
  cluster,
  upstream,
  search,
  cache,
  limits,
  seen,
  log,
  metrics,
  shutdown,
});

/** The settings as the program uses them: addresses parsed, sizes in bytes, names in lower case, nothing left out. */
export type Settings = DeepReadonly<z.output<typeof settingsSchema>>;

/** The settings of an empty file, a new object each time. */
export function defaultSettings(): Settings {
  return settingsSchema.parse({});
}

type DeepReadonly<Value> = Value extends object ? { readonly [Key in keyof Value]: DeepReadonly<Value[Key]> } : Value;
