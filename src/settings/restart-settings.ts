/*
 * Settings that take effect only at a restart: which of them wait for one, and what is in force until then.
 */
import { isDeepStrictEqual } from "node:util";
import type { Settings } from "./settings-table.ts";
import { tableEntries } from "./table-entries.ts";
import { virtualAddressesOf } from "./virtual-addresses.ts";

/**
 * The paths of the settings that nodens would need a restart for, in the table's order: those that differ from `atStart`, which is
 * what it was started with, however often settings have changed since.
 */
export function settingsThatNeedRestart(atStart: Settings, latest: Settings): string[] {
  return pathsOf(atStart, latest).filter((path) => !isDeepStrictEqual(valueAt(atStart, path), valueAt(latest, path)));
}

/** `latest`, as far as it takes effect without a restart; the rest as nodens was started. Neither is changed. */
export function withRestartSettingsOf(atStart: Settings, latest: Settings): Settings {
  const inForce = structuredClone(latest);
  for (const path of pathsOf(atStart, latest)) {
    const end = path.lastIndexOf(".");
    const group = valueAt(inForce, path.slice(0, end)) as Record<string, unknown>;
    group[path.slice(end + 1)] = valueAt(atStart, path);
  }
  return inForce;
}

const restartPaths: readonly string[] = [...tableEntries.values()]
  .filter(({ notes }) => notes?.effect === "restart")
  .map(({ path }) => path);

/** Servers wait too where they say which addresses are intercepted: pods' questions would go on coming here that nobody wants. */
function pathsOf(atStart: Settings, latest: Settings): readonly string[] {
  const intercepted = ({ upstream }: Settings) => virtualAddressesOf({ attach: atStart.attach, upstream });
  const isSame = isDeepStrictEqual(intercepted(atStart), intercepted(latest));
  return atStart.attach.mode !== "intercept" || isSame ? restartPaths : [...restartPaths, "upstream.servers"];
}

function valueAt(settings: Settings, path: string): unknown {
  return path.split(".").reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], settings);
}
