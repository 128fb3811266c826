/*
 * Queries that have the ID of an earlier one, of clients that ask for the same so often that it may be chance: IDs have 16 bits. Two of different
 * questions at once are no chance, so both are told, and what stays alone is not.
 */
import type { ClientColumns } from "./client-table.ts";

/** A query that may be another try. */
export interface Suspect {
  readonly clientRow: number;
  readonly clientGeneration: number;
  readonly nameHash: number;
  readonly type: number;
  readonly atMs: number;
}

/** Keeps them until they are old. */
export interface Suspects<Item extends Suspect> {
  /** Takes one, and returns those that are certain by now and were not before: none, or it and those beside it. */
  confirm(item: Item): Item[];
}

/** A client tries all that it lacks at once, but for a timer's delay. */
const atOnceMs = 1500;
const keptItems = 32;

/** Creates a list that has taken nothing. */
export function createSuspects<Item extends Suspect>(): Suspects<Item> {
  const kept: { readonly item: Item; isTold: boolean }[] = [];

  return {
    confirm(item) {
      const beside = kept.filter((other) => isBeside(other.item, item));
      const own = { item, isTold: beside.length > 0 };
      kept.push(own);
      if (kept.length > keptItems) kept.shift();
      if (!own.isTold) return [];
      const fresh = beside.filter(({ isTold }) => !isTold);
      for (const other of fresh) other.isTold = true;
      return [...fresh.map((other) => other.item), item];
    },
  };
}

function isBeside(one: Suspect, other: Suspect): boolean {
  if (one.clientRow !== other.clientRow || one.clientGeneration !== other.clientGeneration) return false;
  if (Math.abs(one.atMs - other.atMs) > atOnceMs) return false;
  return one.nameHash !== other.nameHash || one.type !== other.type;
}

/**
 * Of one client and of the node, so many questions that were asked before, some seconds ago, with whatever ID: both fade by half in a minute. More
 * would have the same ID by chance once in two days, or once in three hours.
 */
const most = { ofClient: 30, ofNode: 475 } as const;

/** Whether the client in a row asks for the same so often, from one socket or several, that an ID may come twice by chance. */
export function isClientChance({ asksAgain }: ClientColumns, row: number): boolean {
  return row >= 0 && (asksAgain[row] as number) > most.ofClient;
}

/** The same, or that all clients of the node together do. */
export function isNodeChance(columns: ClientColumns, row: number): boolean {
  return isClientChance(columns, row) || columns.asksAgain.reduce((sum, count) => sum + count, 0) > most.ofNode;
}
