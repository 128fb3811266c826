/* Writes every page of docs/ that is generated from code, or from what was measured. A test compares the pages with what they come from. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { benchmarksPage, benchmarksPicture } from "../bench/peers/page.ts";
import { metricsPage } from "./metrics-page.ts";
import { settingsJsonSchema, settingsPage } from "./settings-page.ts";

/** The generated pages: the path from the root of the repository, and what renders the text. */
export const generatedPages: readonly (readonly [path: string, render: () => string])[] = [
  ["docs/metrics.md", metricsPage],
  ["docs/settings.md", settingsPage],
  ["docs/settings.schema.json", settingsJsonSchema],
  ["docs/benchmarks.md", benchmarksPage],
  ["docs/benchmarks.svg", benchmarksPicture],
];

if (import.meta.main) {
  for (const [path, render] of generatedPages) writeFileSync(join(import.meta.dirname, "..", path), render());
}
