import { expect, test } from "vitest";
import { picturePartsOf } from "../../../src/app/live-seen.ts";
import { takePicture } from "../../../src/seen/picture.ts";
import { printTop, type TopView } from "../../../src/seen/print-top.ts";
import { sentenceOf } from "../../../src/seen/sentence.ts";
import type { TopChoice, TopTab } from "../../../src/seen/top-choices.ts";
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
async function linesOf(tab: TopTab, address: string, choice: Partial<TopChoice> = {}): Promise<string[]> {
  return printTop(await viewOf(address), { tab, rows: 24, filter: "", sort: "queries", line: 0, ...choice }).split(
    "\n",
  );
}

async function viewOf(address: string): Promise<TopView> {
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
  return { head, picture, tail: [], upstream: [], waste: [], gauges: [] };
}

/** As many clients, of which the last has the longest wait. */
async function clientsView(count: number): Promise<TopView> {
  const view = await viewOf("10.0.0.7");
  const [row] = view.picture.clients;
  const clients = Array.from({ length: count }, (_, index) => ({ ...row!, client: `10.0.0.${index + 1}` }));
  return { ...view, picture: { ...view.picture, clients } };
}

const clientsIn = (text: string) => text.split("\n").flatMap((line) => /^[ ›]10\.\S+/.exec(line)?.[0] ?? []);

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

test.each([80, 120, 200])("at %d columns no line is longer, and the number of waits stands whole", async (columns) => {
  const view = await viewOf("10.0.0.7");
  const saved = { queriesPerSecond: 12_345, conntrackEntriesPerSecond: 10_987 };
  const text = printTop(
    { ...view, picture: { ...view.picture, saved, waits: { ...view.picture.waits, last15Minutes: 12 } } },
    { tab: "clients", rows: 24, columns, filter: "", sort: "queries", line: 0 },
  );
  for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
  expect(text).toMatch(/ waits 12 in 15 min ▁+$/m);
});

test("on a narrow terminal a line that is cut says so, and in a pipe none is", async () => {
  const long = (text: string) => text.split("\n").filter((line) => line.startsWith(" saved"));
  const view = await viewOf("10.0.0.7");
  const choice = { tab: "clients", rows: 24, filter: "", sort: "queries", line: 0 } as const;
  expect(long(printTop(view, { ...choice, columns: 60 }))).toEqual([expect.stringMatching(/^.{59}…$/)]);
  expect(long(printTop(view, choice))).toEqual([expect.not.stringContaining("…")]);
});

test("a wide terminal has names whole", async () => {
  const view = await viewOf("10.0.0.7");
  const name = `${"a".repeat(60)}.${"b".repeat(60)}.test`;
  const names = [{ name, perSecond: 1, nxdomainShare: 0 }] as unknown as TopView["picture"]["names"];
  const at = (columns: number) =>
    printTop(
      { ...view, picture: { ...view.picture, names } },
      { tab: "names", rows: 24, columns, filter: "", sort: "queries", line: 0 },
    );
  expect(at(80)).not.toContain(name);
  expect(at(160)).toContain(name);
});

test("the chosen client is always on the screen, the last one where more were counted, and stands below with its number", async () => {
  const view = await clientsView(40);
  const choice = { tab: "clients", rows: 22, filter: "", sort: "queries" } as const;
  const first = printTop(view, { ...choice, line: 0 });
  expect(clientsIn(first).at(0)).toBe("›10.0.0.1");
  expect(first).toContain("client 1 of 40");
  for (const line of [39, 77]) {
    const last = printTop(view, { ...choice, line });
    expect(clientsIn(last).at(-1)).toBe("›10.0.0.40");
    expect(last.split("\n").length).toBeLessThanOrEqual(23);
    expect(last).toContain("client 40 of 40");
  }
});

test("a filter that is the address of a client leaves out those whose address begins so", async () => {
  const view = await clientsView(12);
  const choice = { tab: "clients", rows: 24, sort: "queries", line: 0 } as const;
  expect(clientsIn(printTop(view, { ...choice, filter: "10.0.0.1" }))).toEqual(["›10.0.0.1"]);
  expect(clientsIn(printTop(view, { ...choice, filter: "10.0.0.11" }))).toEqual(["›10.0.0.11"]);
  expect(clientsIn(printTop(view, { ...choice, filter: "0.0.1" }))).toHaveLength(4);
});

test("where no denied name can be told it is said why", async () => {
  expect((await linesOf("denied", "10.0.0.7")).join("\n")).toContain("seen.names");
});

test("where nodens only watches it saves nothing, but would", async () => {
  const view = await viewOf("10.0.0.7");
  const choice = { tab: "clients", rows: 24, filter: "", sort: "queries", line: 0 } as const;
  expect(printTop({ ...view, head: { ...head, mode: "observe" } }, choice)).toContain("\n would save ");
  const sentence = (mode: string) =>
    sentenceOf(
      { isReady: true, isFailOpen: false, mode, reasons: [] },
      { ...view.picture, queriesPerSecond: 1, answeredHere: 0.93, waits: { ...view.picture.waits, recent: [] } },
    ).text;
  expect(sentence("observe")).toContain("93 % would be answered here");
  expect(sentence("intercept")).toContain("93 % answered here");
});
