import { expect, test } from "vitest";
import { settingsThatNeedRestart, withRestartSettingsOf } from "../../../src/settings/restart-settings.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";
import { tableEntries } from "../../../src/settings/table-entries.ts";
import { everythingChanged, settingsOfText, valueAt } from "../../support/settings/changed-settings.ts";

const defaults = defaultSettings();

test("equal settings need no restart, however they were written", () => {
  expect(
    settingsThatNeedRestart(
      settingsOfText("cache: { answersBytes: 32MiB }\nupstream: { servers: [192.0.2.1] }"),
      settingsOfText("cache: { answersBytes: 33554432 }\nupstream: { servers: ['192.0.2.1:53'] }"),
    ),
  ).toEqual([]);
});

test("exactly the changed settings that are marked so need a restart", () => {
  const marked = [...tableEntries.values()].filter(({ notes }) => notes?.effect === "restart").map(({ path }) => path);
  expect(settingsThatNeedRestart(defaults, settingsOfText(everythingChanged))).toEqual(marked);
  const changed = "log: { level: debug }\nadmin: { address: '127.0.0.1:1' }\nupstream: { servers: [192.0.2.1] }";
  expect(settingsThatNeedRestart(defaults, settingsOfText(changed))).toEqual(["admin.address"]);
});

test("until then the settings of the start stay in force, and the live ones are the new ones", () => {
  const changed = settingsOfText(everythingChanged);
  const inForce = withRestartSettingsOf(defaults, changed);
  for (const { path, notes } of tableEntries.values()) {
    if (notes === undefined) continue;
    expect(valueAt(inForce, path), path).toEqual(valueAt(notes.effect === "restart" ? defaults : changed, path));
  }
});
