import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { generatedPages } from "../../../scripts/generate-docs.ts";
import { loadSettings } from "../../../src/settings/load-settings.ts";
import { tableEntries } from "../../../src/settings/table-entries.ts";

const root = join(import.meta.dirname, "../../..");
const settingsPage = readFileSync(join(root, "docs/settings.md"), "utf8");

test.each(generatedPages)("%s is what the code renders (npm run docs)", (path, render) => {
  expect(readFileSync(join(root, path), "utf8")).toBe(render());
});

test("the example on the page of settings is a valid file without doubts", () => {
  const example = /```yaml\n(.*?)```/s.exec(settingsPage)?.[1];
  const env = { HOST_IP: "10.0.0.9", KUBE_DNS_SERVICE_HOST: "10.96.0.10" };
  const loaded = loadSettings({ filePath: "example.yaml", env, readFile: () => example ?? "no example" });
  expect(loaded).toMatchObject({
    settings: { upstream: { servers: [{ host: "10.96.0.10", port: 53 }] } },
    warnings: [],
  });
});

test("the page has a row for every setting", () => {
  const settings = [...tableEntries.values()].filter(({ notes }) => notes !== undefined);
  for (const { path } of settings) expect(settingsPage).toContain(`| \`${path}\` |`);
  expect(settingsPage.match(/^\| `/gm)).toHaveLength(settings.length);
});
