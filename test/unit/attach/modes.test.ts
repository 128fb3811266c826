import { expect, test } from "vitest";
import { type AttachMode, attachModes } from "../../../src/attach/modes.ts";
import { usesOwnAddresses } from "../../../src/settings/contradictions.ts";
import { defaultSettings, type Settings, settingsSchema } from "../../../src/settings/settings-table.ts";

const modes = Object.keys(attachModes) as AttachMode[];

test("the settings know every mode, and no other", () => {
  const readable = (mode: string) => settingsSchema.safeParse({ attach: { mode } }).success;
  expect(modes.filter(readable)).toEqual(modes);
  const known: readonly AttachMode[] = modes satisfies readonly Settings["attach"]["mode"][];
  expect(known).toContain(defaultSettings().attach.mode);
  expect(readable("anything else")).toBe(false);
});

test.each(modes)("%s: attach.addresses mean something in the settings where they are put on the node", (mode) => {
  expect(usesOwnAddresses(mode)).toBe(attachModes[mode].placesAddresses);
});

test("nothing is intercepted without an address of our own to bring it to", () => {
  expect(modes.filter((mode) => attachModes[mode].intercepts && !attachModes[mode].placesAddresses)).toEqual([]);
});
