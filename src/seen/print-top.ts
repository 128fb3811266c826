/*
 * The picture as one screen of text, 80 columns wide, without colour: what `nodens top` shows and a pipe gets.
 */
import type { NodeGauge } from "./node-gauge.ts";
import { countText, millisecondsText, percentText } from "./number-text.ts";
import type { Picture } from "./picture.ts";
import type { ToldQuery } from "./told-queries.ts";
import { type TopChoice, type TopSort, type TopTab, topTabs } from "./top-choices.ts";
import { headWords, type TopHead } from "./top-head.ts";
import type { UpstreamRow } from "./upstream-rows.ts";
import { waitedLookups } from "./waited-lookups.ts";
import type { WasteRow } from "./waste.ts";

const width = 78;
const bars = "▁▂▃▄▅▆▇█";
/** Holds an IPv4 address. */
const clientColumns = 16;

/** What the screen shows. `tail` is for the tab of that name. */
export interface TopView {
  readonly head: TopHead;
  readonly picture: Picture;
  readonly tail: readonly ToldQuery[];
  readonly upstream: readonly UpstreamRow[];
  readonly waste: readonly WasteRow[];
  readonly gauges: readonly NodeGauge[];
}

/** The screen. */
export function printTop(view: TopView, choice: TopChoice): string {
  const { head, picture } = view;
  const { tab, rows, filter } = choice;
  const lines = [
    headLine(head),
    ` ${bar(picture)}`,
    ...ribbon(picture),
    ` saved ${countText(picture.saved.queriesPerSecond)} q/s and ${countText(picture.saved.conntrackEntriesPerSecond)} conntrack entries/s` +
      `    waits ${sparkline(picture.waits.lastMinuteBySecond, 20)}  ${countText(picture.waits.last15Minutes)} in 15 min`,
    ` ${"─".repeat(width)}`,
    ` ${topTabs.map((name, index) => (name === tab ? `[${index + 1} ${name}]` : `${index + 1} ${name}`)).join("  ")}`,
  ];
  const body = [
    ...(filter === "" ? [] : [` only what has '${filter}' in it`]),
    ...bodyOf[tab](choose(view, choice), choice),
  ];
  return `${[...lines, ...body.slice(0, Math.max(1, rows - lines.length))].join("\n")}\n`;
}

/** What the filter lets through, in the order that was chosen. */
function choose(view: TopView, { filter, sort }: TopChoice): TopView {
  const has = (...texts: readonly string[]) => texts.some((text) => text.includes(filter));
  const { picture, waste } = view;
  const { waits } = picture;
  return {
    ...view,
    waste: waste.filter(({ name, namespace, suffixes }) =>
      has(name, namespace, ...suffixes.map(({ suffix }) => suffix)),
    ),
    picture: {
      ...picture,
      clients: picture.clients
        .filter(({ client, namespace }) => has(client, namespace))
        .toSorted((one, other) => sortKeys[sort](other) - sortKeys[sort](one)),
      names: picture.names.filter(({ name }) => has(name)),
      waits: { ...waits, recent: waits.recent.filter(({ client, name }) => has(client, name)) },
    },
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
        `${countText(row.openFlows).padStart(5)}${countText(row.questions).padStart(7)}${countText(row.sentAgain).padStart(6)}${millisecondsText(row.p50Ms).padStart(8)}${millisecondsText(row.p99Ms).padStart(8)}`,
      ...(row.lastFailure === "" ? [] : [`    last failure: ${row.lastFailure}`]),
    ]),
  ];
}

/** As much of it as fits on the line: how it is stands before how long. */
function headLine(head: TopHead): string {
  const start = ` nodens ${head.version} on ${cut(head.node, 24)}`;
  return headWords(head).reduce(
    (line, { text }) => (line.length + text.length + 3 > width + 1 ? line : `${line} · ${text}`),
    start,
  );
}

/** What each ending is drawn with, from the most to the least dense. */
const inks = ["█", "▓", "▒", "░"] as const;

/** Stale answers and errors are there when there are any, on a line of their own. */
const seldom: ReadonlySet<string> = new Set(["stale", "error"]);

/** The shares of where queries end, drawn across the screen; a line where nobody asks. */
function bar({ queriesPerSecond, flow }: Picture): string {
  if (queriesPerSecond === 0) return "─".repeat(width);
  const usual = Object.entries(flow).filter(([ending]) => !seldom.has(ending));
  const drawn = usual.map(([, { perSecond }], index) => {
    const cells = Math.round((perSecond / queriesPerSecond) * width);
    // What is there at all is seen.
    return (inks[index] ?? "░").repeat(perSecond > 0 ? Math.max(1, cells) : 0);
  });
  return drawn.join("").slice(0, width).padEnd(width, "·");
}

/** How many arrive, and where they end, with what half and 99 of 100 of them take at most. */
function ribbon({ queriesPerSecond, flow }: Picture): string[] {
  const shareOf = (perSecond: number) => percentText(queriesPerSecond === 0 ? 0 : perSecond / queriesPerSecond);
  const usual = Object.entries(flow).filter(([ending]) => !seldom.has(ending));
  const columns = usual.map(
    ([ending, { perSecond, p50Ms, p99Ms }], index) =>
      [
        `${inks[index] ?? ""} ${ending} ${shareOf(perSecond)}`,
        millisecondsText(p50Ms),
        millisecondsText(p99Ms),
      ] as const,
  );
  const others = Object.entries(flow).filter(([ending, { perSecond }]) => seldom.has(ending) && perSecond > 0);
  const line = (title: string, index: 0 | 1 | 2) =>
    ` ${title.padEnd(18)}${columns.map((column) => column[index].padStart(15)).join("")}`;
  return [
    line(`pods ${countText(queriesPerSecond)} q/s →`, 0),
    line("  p50 at most", 1),
    line("  p99 at most", 2),
    ...others.map(
      ([ending, { perSecond, p99Ms }]) =>
        `   · ${ending} ${shareOf(perSecond)}, p99 at most ${millisecondsText(p99Ms)}`,
    ),
  ];
}

/** A client, with its last wait within 80 columns. */
function clientLines(row: Picture["clients"][number], isMarked: boolean): string[] {
  const rest =
    `${cut(row.namespace, 11).padEnd(12)}${clientLooks(row).padEnd(12)}${countText(row.perSecond).padStart(6)}` +
    `${percentText(row.hitShare).padStart(6)}${percentText(row.wasteShare).padStart(6)}${percentText(row.nxdomainShare).padStart(6)}` +
    `${(row.waited === 0 ? "–" : String(row.waited)).padStart(7)}${row.lastWait === "" ? "" : ` ◀ ${row.lastWait}`}`;
  return clientFirst(isMarked ? "›" : " ", row.client, rest);
}

/** A line with a client in it. After a long address, as IPv6 has, the rest is on a line of its own, in its columns. */
function clientFirst(start: string, client: string, rest: string): string[] {
  if (client.length < clientColumns) return [`${start}${client.padEnd(clientColumns)}${rest}`];
  return [start + client, " ".repeat(start.length + clientColumns) + rest];
}

/** "glibc·5"; what cannot be guessed is left out. */
function clientLooks({ library, ndots }: Picture["clients"][number]): string {
  return ndots === undefined ? library : `${library === "" ? "?" : library}·${ndots}`;
}

const bodyOf: Readonly<Record<TopTab, (view: TopView, choice: TopChoice) => string[]>> = {
  clients: ({ picture: { clients } }, { line }) => [
    ` ${"CLIENT".padEnd(16)}${"NAMESPACE*".padEnd(12)}${"LIBC·NDOTS*".padEnd(12)}${"Q/S".padStart(6)}${"HIT".padStart(6)}${"WASTE".padStart(6)}${"NXDOM".padStart(6)}${"WAITED".padStart(7)}`,
    ...clients.flatMap((row, index) => clientLines(row, index === line)),
    " * guessed from what it asks",
  ],
  names: ({ picture: { names } }) => [
    ` ${"NAME".padEnd(60)}${"Q/S".padStart(8)}${"NXDOM".padStart(8)}`,
    ...names.map(
      ({ name, perSecond, nxdomainShare }) =>
        ` ${cut(name, 59).padEnd(60)}${countText(perSecond).padStart(8)}${percentText(nxdomainShare).padStart(8)}`,
    ),
  ],
  denied: ({ waste }) => [
    ` ${"NAME".padEnd(40)}${"SUFFIX".padEnd(28)}${"TIMES".padStart(8)}`,
    ...waste.flatMap(({ name, suffixes, cure, savedShare }) => [
      ...suffixes.map(
        ({ suffix, count }) => ` ${cut(name, 39).padEnd(40)}${cut(suffix, 27).padEnd(28)}${String(count).padStart(8)}`,
      ),
      ...(savedShare === undefined
        ? []
        : wrap(`${cure} Spares ${percentText(savedShare)}.`).map(
            (text, index) => `   ${index === 0 ? "→" : " "} ${text}`,
          )),
    ]),
  ],
  waits: ({ picture: { waits } }) => [
    ` ${"AGO".padStart(5)}  ${"CLIENT".padEnd(16)}${"AFTER".padStart(6)}  LOOKUP`,
    ...(waits.recent.length === 0 ? [" no pod has asked again in the last 15 minutes"] : []),
    ...waitedLookups(waits.recent).flatMap(({ secondsAgo, client, afterMs, name, types, meaning, moved }) => [
      ...clientFirst(
        ` ${`${secondsAgo} s`.padStart(5)}  `,
        client,
        `${`${(afterMs / 1000).toFixed(1)} s`.padStart(6)}  ${cut(name, 43 - types.length)} ${types}`,
      ),
      `      ${meaning}`,
      ...moved
        .flatMap((cause) => wrap(`while ${cause.meaning} (${cause.label} +${cause.by})`))
        .map((text) => `      ${text}`),
    ]),
  ],
  upstream: ({ upstream }) => upstreamLines(upstream),
  tail: ({ tail }) => tail.map(printQuery).toReversed(),
  kernel: ({ picture: { moved, forgotten }, gauges }) => [
    ` ${"WHAT".padEnd(44)}${"NOW".padStart(10)}${"LAST MIN".padStart(10)}${"15 MIN".padStart(10)}`,
    ...gauges.map(({ what, now }) => ` ${what.padEnd(44)}${now.padStart(10)}`),
    ...moved.map(
      ({ label, lastMinute, last15Minutes }) =>
        ` ${label.padEnd(54)}${countText(lastMinute).padStart(10)}${countText(last15Minutes).padStart(10)}`,
    ),
    ` ${"queries forgotten too soon".padEnd(44)}${countText(forgotten).padStart(10)}`,
  ],
};

/** Breaks a sentence into lines that fit below a row. */
function wrap(sentence: string): string[] {
  const lines = [""];
  for (const word of sentence.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last.length + word.length + 1 <= width - 6) lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** A recorded query on one line. */
export function printQuery(query: ToldQuery): string {
  const { secondsAgo, client, name, type, outcome, source, durationMs, upstream, repeatedAfterMs, first } = query;
  const repeated =
    repeatedAfterMs > 0 ? `  asked again after ${(repeatedAfterMs / 1000).toFixed(1)} s, first ${first}` : "";
  const took = source === "" ? "" : ` ${millisecondsText(durationMs)}`;
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

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
