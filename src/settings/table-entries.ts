/*
 * The table of settings by path: what messages, documents, the command line and migration say and obey of a setting. Whoever needs
 * a default or a limit looks it up here.
 */
import { z } from "zod";
import type { ServerAddress } from "../runtime/server-address.ts";
import { groupNotes, type Limits, settingNotes, type SettingNotes } from "./setting-kinds.ts";
import { type Settings, settingsSchema } from "./settings-table.ts";

/** A setting or a group of them, by its path in the file ("upstream.tcp.maxFlows"). */
export interface TableEntry {
  readonly path: string;
  /** Absent for a group. */
  readonly notes?: SettingNotes;
  /** The group's sentence; absent for a setting. */
  readonly groupHelp?: string;
}

/** The path of a setting; the compiler knows them all. */
export type SettingPath = PathsWithin<Settings>;

/** The path of a setting whose value is a number. */
export type NumberPath = PathsWithin<Settings, number>;

type Leaf =
  | string
  | number
  | boolean
  | readonly unknown[]
  | ServerAddress
  | Readonly<Record<string, readonly unknown[]>>;

type PathsWithin<Group, Value = unknown> = {
  [Name in keyof Group & string]: Group[Name] extends Leaf
    ? Group[Name] extends Value
      ? Name
      : never
    : `${Name}.${PathsWithin<Group[Name], Value>}`;
}[keyof Group & string];

/** Every group and setting by path, in the order of the table, a group before its members. */
export const tableEntries: ReadonlyMap<string, TableEntry> = new Map(
  walkTable(settingsSchema, "").map((entry) => [entry.path, entry]),
);

/** What the table says of a setting. */
export function notesOf(path: SettingPath): SettingNotes {
  const notes = tableEntries.get(path)?.notes;
  if (notes === undefined) throw new Error(`${path} is not a setting`);
  return notes;
}

/** Where a number may lie, in the unit of the setting. */
export function limitsOf(path: NumberPath): Limits {
  const { limits } = notesOf(path);
  if (limits === undefined) throw new Error(`${path} is declared without limits`);
  return limits;
}

function walkTable(parent: z.ZodObject, prefix: string): TableEntry[] {
  return Object.entries(parent.shape).flatMap(([name, schema]): TableEntry[] => {
    const path = `${prefix}${name}`;
    const notes = settingNotes.get(schema as z.ZodType);
    if (notes !== undefined) return [{ path, notes }];
    const groupHelp = groupNotes.get(schema as z.ZodType)?.help ?? "";
    const members = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
    return members instanceof z.ZodObject ? [{ path, groupHelp }, ...walkTable(members, `${path}.`)] : [];
  });
}
