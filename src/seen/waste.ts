/*
 * Search waste: names that were written without a final dot and denied under suffixes, joined to what would end that.
 */
import type { Picture } from "./picture.ts";

/** A written name of a namespace, and what its suffixes cost. */
export interface WasteRow {
  readonly name: string;
  /** A guess; "" if there is none. */
  readonly namespace: string;
  readonly suffixes: readonly { readonly suffix: string; readonly count: number }[];
  /** Queries that were denied. */
  readonly perMinute: number;
  /** What would end it; "" where nothing can be said. */
  readonly cure: string;
  /** The share of the lookup's queries that it spares; undefined without a cure. */
  readonly savedShare: number | undefined;
}

/** Says how a lookup of a name from a namespace ("" if unknown) would cost less; undefined if it would not. */
export type FindCure = (
  name: string,
  namespace: string,
) => { readonly sentence: string; readonly savedShare: number } | undefined;

const shownRows = 12;

/** The names that cost the most, the worst first. */
export function wasteOf(
  { denied, recordedSeconds }: Pick<Picture, "denied" | "recordedSeconds">,
  findCure: FindCure,
): WasteRow[] {
  const sumOf = (rows: Picture["denied"]) => rows.reduce((sum, { count }) => sum + count, 0);
  return [...Map.groupBy(denied, ({ namespace, name }) => `${namespace} ${name}`).values()]
    .toSorted((one, other) => sumOf(other) - sumOf(one))
    .slice(0, shownRows)
    .map((rows) => {
      const { name, namespace } = rows[0] ?? { name: "", namespace: "" };
      const cure = findCure(name, namespace);
      return {
        name,
        namespace,
        suffixes: rows.map(({ suffix, count }) => ({ suffix, count })),
        perMinute: (sumOf(rows) / Math.max(1, recordedSeconds)) * 60,
        cure: cure?.sentence ?? "",
        savedShare: cure?.savedShare,
      };
    });
}
