/*
 * The picture as one screen of text, 80 columns wide, without colour: what `nodens top` shows and a pipe gets.
 */
import type { Picture, ToldQuery } from "./picture.ts";
import { type TopChoice, type TopSort, type TopTab, topTabs } from "./top-choices.ts";
import type { UpstreamRow } from "./upstream-rows.ts";

/** What the head line says of this nodens. */
export interface TopHead {
  readonly version: string;
  readonly node: string;
  readonly mode: string;
  readonly isReady: boolean;
  readonly isFailOpen: boolean;
}

const width = 78;
const bars = "▁▂▃▄▅▆▇█";

/** What the screen shows. `tail` is for the tab of that name. */
export interface TopView {
  readonly head: TopHead;
  readonly picture: Picture;
  readonly tail: readonly ToldQuery[];
  readonly upstream: readonly UpstreamRow[];
}

/** The screen. */
export function printTop({ head, picture, tail, upstream }: TopView, choice: TopChoice): string {
  const { tab, rows, filter } = choice;
  const lines = [
    headLine(head),
    "",
    ...ribbon(picture),
    ` saved ${count(picture.saved.queriesPerSecond)} q/s and ${count(picture.saved.conntrackEntriesPerSecond)} conntrack entries/s` +
      `    waits ${sparkline(picture.waits.lastMinuteBySecond, 20)}  ${count(picture.waits.last15Minutes)} in 15 min`,
    ` ${"─".repeat(width)}`,
    ` ${topTabs.map((name, index) => (name === tab ? `[${index + 1} ${name}]` : `${index + 1} ${name}`)).join("  ")}`,
  ];
  const shown = choose(picture, choice);
  const body = [
    ...(filter === "" ? [] : [` only what has '${filter}' in it`]),
    ...(tab === "upstream" ? upstreamLines(upstream) : bodyOf[tab](shown, tail, choice)),
  ];
  return `${[...lines, ...body.slice(0, Math.max(1, rows - lines.length))].join("\n")}\n`;
}

/** What the filter lets through, in the order that was chosen. */
function choose(picture: Picture, { filter, sort }: TopChoice): Picture {
  const has = (...texts: readonly string[]) => texts.some((text) => text.includes(filter));
  const { waits } = picture;
  return {
    ...picture,
    clients: picture.clients
      .filter(({ client, namespace }) => has(client, namespace))
      .toSorted((one, other) => sortKeys[sort](other) - sortKeys[sort](one)),
    names: picture.names.filter(({ name }) => has(name)),
    denied: picture.denied.filter(({ name, namespace, suffix }) => has(name, namespace, suffix)),
    waits: { ...waits, recent: waits.recent.filter(({ client, name }) => has(client, name)) },
  };
}

const sortKeys: Readonly<Record<TopSort, (row: Picture["clients"][number]) => number>> = {
  queries: ({ perSecond }) => perSecond,
  waits: ({ waited }) => waited,
  waste: ({ perSecond, wasteShare }) => perSecond * wasteShare,
  denials: ({ perSecond, nxdomainShare }) => perSecond * nxdomainShare,
};

function upstreamLines(rows: readonly UpstreamRow[]): string[] {
  return [
    ` ${"PATH".padEnd(37)}${"STATE".padEnd(7)}${"FLOWS".padStart(5)}${"ASKED".padStart(7)}${"TWICE".padStart(6)}${"P50".padStart(8)}${"P99".padStart(8)}`,
    ...rows.flatMap((row) => [
      ` ${cut(`${row.route} ${row.server} ${row.transport}`, 36).padEnd(37)}${(row.isFailed ? "FAILS" : row.isUp ? "up" : "DOWN").padEnd(7)}` +
        `${count(row.openFlows).padStart(5)}${count(row.questions).padStart(7)}${count(row.sentAgain).padStart(6)}${milliseconds(row.p50Ms).padStart(8)}${milliseconds(row.p99Ms).padStart(8)}`,
      ...(row.lastFailure === "" ? [] : [`    last failure: ${row.lastFailure}`]),
    ]),
  ];
}

function headLine({ version, node, mode, isReady, isFailOpen }: TopHead): string {
  const state = isFailOpen ? "FAIL-OPEN: pods ask kube-dns" : isReady ? "ready" : "NOT READY";
  return ` nodens ${version} on ${node} · ${mode} · ${state}`;
}

/** How many arrive, and where they end, with what half and 99 of 100 of them take at most. */
function ribbon({ queriesPerSecond, flow }: Picture): string[] {
  // Stale answers and errors are there when there are any: the line has 80 columns.
  const seldom = new Set(["stale", "error"]);
  const endings = Object.entries(flow).filter(([ending, { perSecond }]) => perSecond > 0 || !seldom.has(ending));
  const shown = endings.map(([ending, { perSecond, p50Ms, p99Ms }]) => {
    const share = queriesPerSecond === 0 ? 0 : perSecond / queriesPerSecond;
    return [`${ending} ${percent(share)}`, milliseconds(p50Ms), milliseconds(p99Ms)] as const;
  });
  const line = (title: string, index: 0 | 1 | 2) =>
    ` ${title.padEnd(17)}${shown.map((column, at) => column[index].padStart(at === 2 ? 14 : 12)).join("")}`;
  return [line(`pods ${count(queriesPerSecond)} q/s →`, 0), line("  p50 at most", 1), line("  p99 at most", 2)];
}

/** "glibc·5"; what cannot be guessed is left out. */
function clientLooks({ library, ndots }: Picture["clients"][number]): string {
  return ndots === undefined ? library : `${library === "" ? "?" : library}·${ndots}`;
}

const bodyOf: Readonly<
  Record<Exclude<TopTab, "upstream">, (picture: Picture, tail: readonly ToldQuery[], choice: TopChoice) => string[]>
> = {
  clients: ({ clients }, _, { line }) => [
    ` ${"CLIENT".padEnd(16)}${"NAMESPACE*".padEnd(12)}${"LIBC·NDOTS*".padEnd(12)}${"Q/S".padStart(6)}${"HIT".padStart(6)}${"WASTE".padStart(7)}${"NXDOM".padStart(7)}${"WAITED".padStart(7)}`,
    ...clients.map(
      (row, index) =>
        `${index === line ? "›" : " "}${row.client.padEnd(16)}${cut(row.namespace, 11).padEnd(12)}${clientLooks(row).padEnd(12)}${count(row.perSecond).padStart(6)}` +
        `${percent(row.hitShare).padStart(6)}${percent(row.wasteShare).padStart(7)}${percent(row.nxdomainShare).padStart(7)}` +
        `${(row.waited === 0 ? "–" : String(row.waited)).padStart(7)}${row.lastWait === "" ? "" : `  ◀ ${row.lastWait}`}`,
    ),
    " * guessed from what it asks",
  ],
  names: ({ names }) => [
    ` ${"NAME".padEnd(60)}${"Q/S".padStart(8)}${"NXDOM".padStart(8)}`,
    ...names.map(
      ({ name, perSecond, nxdomainShare }) =>
        ` ${cut(name, 59).padEnd(60)}${count(perSecond).padStart(8)}${percent(nxdomainShare).padStart(8)}`,
    ),
  ],
  denied: ({ denied }) => [
    ` ${"NAME".padEnd(40)}${"SUFFIX".padEnd(28)}${"TIMES".padStart(8)}`,
    ...denied.map(
      ({ name, suffix, count: times }) =>
        ` ${cut(name, 39).padEnd(40)}${cut(suffix, 27).padEnd(28)}${String(times).padStart(8)}`,
    ),
    " A final dot (NAME.) asks none of these; nodens explain NAME says more.",
  ],
  waits: ({ waits }) => [
    ` ${"AGO".padStart(5)}  ${"CLIENT".padEnd(16)}${"AFTER".padStart(6)}  LOOKUP`,
    ...waits.recent.flatMap(({ secondsAgo, client, afterMs, name, type, meaning, moved }) => [
      ` ${`${secondsAgo} s`.padStart(5)}  ${client.padEnd(16)}${`${(afterMs / 1000).toFixed(1)} s`.padStart(6)}  ${cut(`${name} ${type}`, 44)}`,
      `        ${meaning}`,
      ...moved.map((cause) => `        while ${cut(`${cause.meaning} (${cause.label} +${cause.by})`, 64)}`),
    ]),
  ],
  tail: (_, tail) => tail.map(printQuery).toReversed(),
  kernel: ({ moved, forgotten }) => [
    ` ${"WHAT".padEnd(30)}${"LAST MIN".padStart(10)}${"15 MIN".padStart(10)}`,
    ...moved.map(
      ({ label, lastMinute, last15Minutes }) =>
        ` ${label.padEnd(30)}${count(lastMinute).padStart(10)}${count(last15Minutes).padStart(10)}`,
    ),
    ` ${"forgotten queries".padEnd(40)}${count(forgotten).padStart(10)}`,
  ],
};

/** A recorded query on one line. */
export function printQuery(query: ToldQuery): string {
  const { secondsAgo, client, name, type, outcome, source, durationMs, upstream, repeatedAfterMs, first } = query;
  const repeated =
    repeatedAfterMs > 0 ? `  asked again after ${(repeatedAfterMs / 1000).toFixed(1)} s, first ${first}` : "";
  const took = source === "" ? "" : ` ${milliseconds(durationMs)}`;
  return ` -${secondsAgo.toFixed(1)} s  ${client.padEnd(15)} ${name === "" ? "·" : name} ${type}  ${outcome} ${source}${took}${upstream === "" ? "" : ` (${upstream})`}${repeated}`;
}

function sparkline(values: readonly number[], columns: number): string {
  const step = values.length / columns;
  const sums = Array.from({ length: columns }, (_, index) =>
    values.slice(Math.floor(index * step), Math.floor((index + 1) * step)).reduce((sum, value) => sum + value, 0),
  );
  const most = Math.max(1, ...sums);
  return sums.map((sum) => bars[Math.ceil((sum / most) * (bars.length - 1))] ?? "▁").join("");
}

function count(value: number): string {
  return value > 0 && value < 9.95 ? value.toFixed(1).replace(".0", "") : Math.round(value).toLocaleString("en-US");
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function milliseconds(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value === Number.POSITIVE_INFINITY) return "> 8 s";
  return value < 10 ? `${value.toFixed(2)} ms` : `${Math.round(value)} ms`;
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
