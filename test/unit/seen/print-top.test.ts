import { expect, test } from "vitest";
import { picturePartsOf } from "../../../src/app/live-seen.ts";
import { takePicture } from "../../../src/seen/picture.ts";
import { printTop } from "../../../src/seen/print-top.ts";
import type { TopTab } from "../../../src/seen/top-choices.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";
import { createWorld } from "../../support/world/create-world.ts";

const head = {
  node: "node-17",
  version: "0.2.0",
  mode: "intercept",
  isReady: true,
  isFailOpen: false,
  settingsSeconds: 1,
  inForceSeconds: undefined,
  upSeconds: 1,
};
const longAddress = "fd00:10:244:1234:5678:9abc:def0:1234";

/** The lines of a tab, after a client has waited 5 s for a name. */
async function linesOf(tab: TopTab, address: string): Promise<string[]> {
  const { seen, clock, asks, passes } = createWorld();
  const asksOnce = () => asks("web.shop.svc.cluster.local", "A", { client: "10.0.0.7", port: 4000, id: 7 });
  await asksOnce();
  await passes(5);
  await asksOnce();
  const taken = takePicture(picturePartsOf(seen, defaultSettings()), clock.nowMs());
  const named = <Row extends object>(rows: readonly Row[]) => rows.map((row) => ({ ...row, client: address }));
  const picture = {
    ...taken,
    clients: named(taken.clients),
    waits: { ...taken.waits, recent: named(taken.waits.recent) },
  };
  const view = {
    head,
    picture,
    tail: [],
    upstream: [],
    waste: [],
    gauges: [],
  };
  return printTop(view, { tab, rows: 24, filter: "", sort: "queries", line: 0 }).split("\n");
}

test("a client that waited is on one line with how long, within 80 columns", async () => {
  const line = (await linesOf("clients", "10.0.0.7")).find((each) => each.startsWith("›10.0.0.7"));
  expect(line?.slice(0, 80)).toMatch(/ 1 ◀ 5\.0 s$/);
});

test("after a client with a long address the rest is on the next line, in its columns", async () => {
  const lines = await linesOf("clients", longAddress);
  const at = lines.indexOf(`›${longAddress}`);
  expect(at).toBeGreaterThan(0);
  expect(lines[at + 1]?.slice(0, 80)).toMatch(/ 1 ◀ 5\.0 s$/);
});

test.each(["10.0.0.7", longAddress])("a wait of %s is told with its name, within 80 columns", async (client) => {
  const lines = await linesOf("waits", client);
  expect(lines.some((line) => line.slice(0, 80).includes(client))).toBe(true);
  expect(lines.some((line) => /^.{24} 5\.0 s {2}web\.shop\.svc\.cluster\.local A$/.test(line))).toBe(true);
});
