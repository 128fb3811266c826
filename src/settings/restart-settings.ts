/*
 * Settings that take effect only at a restart: which of them wait for one, and what is in force until then.
 */
import { isDeepStrictEqual } from "node:util";
import type { Settings } from "./settings-table.ts";
import { tableEntries } from "./table-entries.ts";

/**
 * The paths of the settings that nodens would need a restart for, in the table's order: those that differ from `atStart`, which is
 * what it was started with, however often settings have changed since.
 */
export function settingsThatNeedRestart(atStart: Settings, latest: Settings): string[] {
  return restartPaths.filter((path) => !isDeepStrictEqual(valueAt(atStart, path), valueAt(latest, path)));
}

/** `latest`, as far as it takes effect without a restart; the rest as nodens was started. Neither is changed. */
export function withRestartSettingsOf(atStart: Settings, latest: Settings): Settings {
  const inForce = structuredClone(latest);
  for (const path of restartPaths) {
    const end = path.lastIndexOf(".");
    const group = valueAt(inForce, path.slice(0, end)) as Record<string, unknown>;
    group[path.slice(end + 1)] = valueAt(atStart, path);
  }
  return inForce;
}

const restartPaths: readonly string[] = [...tableEntries.values()]
  .filter(({ notes }) => notes?.effect === "restart")
  .map(({ path }) => path);

function valueAt(settings: Settings, path: string): unknown {
  return path.split(".").reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], settings);
}
