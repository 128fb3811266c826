import { expect, test } from "vitest";
import { limitsOf, notesOf, tableEntries } from "../../../src/settings/table-entries.ts";
import { defaultSettings, settingsSchema } from "../../../src/settings/settings-table.ts";
import { valueAt } from "../../support/settings/changed-settings.ts";

const settings = [...tableEntries.values()].filter(({ notes }) => notes !== undefined);
const numbers = settings.filter(({ path }) => typeof valueAt(defaultSettings(), path) === "number");

test("every number has limits, in the unit of the setting", () => {
  expect(numbers.filter(({ notes }) => notes?.limits === undefined)).toEqual([]);
  expect(limitsOf("upstream.maxSends")).toEqual({ min: 1, max: 3 });
  expect(limitsOf("cache.answersBytes")).toEqual({ min: 65_536, max: 1_073_741_824 });
});

test.each(numbers.map(({ path }) => path))("%s takes its limits and nothing beyond", (path) => {
  const { min, max } = tableEntries.get(path)?.notes?.limits ?? { min: 0, max: 0 };
  const accepts = (value: number) =>
    settingsSchema.safeParse(path.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value)).success;
  expect([min - 1, min, max, max + 1].map(accepts)).toEqual([false, true, true, false]);
});

test("a path that the table does not have is refused", () => {
  // @ts-expect-error The compiler knows the paths.
  expect(() => notesOf("upstream.noSuch")).toThrow("upstream.noSuch is not a setting");
});
