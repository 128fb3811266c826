import { expect, test } from "vitest";
import { printEffectiveSettings } from "../../../src/settings/effective-settings.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";
import { tableEntries } from "../../../src/settings/table-entries.ts";
import { everythingChanged, settingsOfText, valueAt } from "../../support/settings/changed-settings.ts";

const defaults = defaultSettings();

test("the sample for these tests changes every setting", () => {
  const changed = settingsOfText(everythingChanged);
  for (const { path, notes } of tableEntries.values()) {
    if (notes !== undefined) expect(valueAt(changed, path), path).not.toEqual(valueAt(defaults, path));
  }
});

test.each([
  ["the defaults", "upstream: { servers: [192.0.2.1] }"],
  ["changed settings", everythingChanged],
])("%s are printed as a file that gives the same settings", (_name, text) => {
  const settings = settingsOfText(text);
  expect(settingsOfText(printEffectiveSettings(settings))).toEqual(settings);
});

test("addresses, ranges and zones are printed as people write them", () => {
  const printed = printEffectiveSettings(settingsOfText(everythingChanged));
  expect(printed).toContain('- "[fd00::1]:53"');
  expect(printed).toContain("- 192.0.2.1/32");
  expect(printed).toContain("domain: other.example\n");
  expect(printed).toContain("answersBytes: 1048576\n");
});
