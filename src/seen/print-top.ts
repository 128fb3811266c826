/*
 * The picture as one screen of text, without colour: what `nodens top` shows in the columns that the terminal has, and a pipe gets for 80.
 */
import type { NodeGauge } from "./node-gauge.ts";
import { countText, millisecondsText, percentText } from "./number-text.ts";
import type { Picture } from "./picture.ts";
import { hasNamePart, type ToldQuery } from "./told-queries.ts";
import { printQueries } from "./print-query.ts";
import { type TopChoice, type TopSort, type TopTab, topTabs } from "./top-choices.ts";
import { headWords, onlyWatches, type TopHead } from "./top-head.ts";
import type { UpstreamRow } from "./upstream-rows.ts";
import { waitedLookups } from "./waited-lookups.ts";
import type { WasteRow } from "./waste.ts";
import { cutText, wrapText } from "./wrap-text.ts";

/** Without a terminal, and the least that lines are made for: on a narrower one they are cut. */
const usualColumns = 80;
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

/** The screen. Only where `columns` is given, longer lines are cut. */
export function printTop(view: TopView, choice: TopChoice): string {
  const { head, picture } = view;
  const { tab, rows, filter, columns = Number.POSITIVE_INFINITY } = choice;
  // A column is left free on either side.
  const width = widthOf(choice);
  const lines = [
    headLine(head, width),
    ` ${bar(picture, width)}`,
    ...ribbon(picture),
    savedLine(picture, head, width),
    ` ${"─".repeat(width)}`,
    ` ${topTabs.map((name, index) => (name === tab ? `[${index + 1} ${name}]` : `${index + 1} ${name}`)).join("  ")}`,
    ...(filter === "" ? [] : [` only what has '${filter}' in it`]),
  ];
  const room = Math.max(1, rows - lines.length);
  const body = bodyOf[tab](choose(view, choice), { ...choice, width, room });
  return `${[...lines, ...body.slice(0, room)].map((line) => cutText(line, columns)).join("\n")}\n`;
}

function widthOf({ columns = usualColumns }: TopChoice): number {
  return Math.max(columns, usualColumns) - 2;
}

/** What was chosen, with the lines and the columns that are left for a tab. */
interface TabChoice extends TopChoice {
  readonly width: number;
  readonly room: number;
}

/** What is spared, and the waits of the last minute: their number first, and as much of the minute as there is room for, the newest last. */
function savedLine({ saved, waits }: Picture, head: TopHead, width: number): string {
  const start =
    ` ${onlyWatches(head) ? "would save" : "saved"} ${countText(saved.queriesPerSecond)} q/s and ${countText(saved.conntrackEntriesPerSecond)} conntrack entries/s` +
    `    waits ${countText(waits.last15Minutes)} in 15 min `;
  const columns = Math.min(waits.lastMinuteBySecond.length, Math.max(0, width + 1 - start.length));
  return start + sparkline(waits.lastMinuteBySecond, columns);
}

/** What the filter lets through, in the order that was chosen. */
function choose(view: TopView, { filter, sort }: TopChoice): TopView {
  const has = (...texts: readonly string[]) => texts.some((text) => hasNamePart(text, filter));
  const { picture, waste } = view;
  // 10.0.0.1 is not 10.0.0.10.
  const isClient = picture.clients.some(({ client }) => client === filter);
  const hasClient = (client: string) => (isClient ? client === filter : has(client));
  const { waits } = picture;
  return {
    ...view,
    waste: waste.filter(({ name, namespace, suffixes }) =>
      has(name, namespace, ...suffixes.map(({ suffix }) => suffix)),
    ),
    picture: {
      ...picture,
      clients: picture.clients
        .filter(({ client, namespace }) => hasClient(client) || has(namespace))
        .toSorted((one, other) => sortKeys[sort](other) - sortKeys[sort](one)),
      names: picture.names.filter(({ name }) => has(name)),
      waits: { ...waits, recent: waits.recent.filter(({ client, name }) => hasClient(client) || has(name)) },
    },
  };
}

const sortKeys: Readonly<Record<TopSort, (row: Picture["clients"][number]) => number>> = {
  queries: ({ perSecond }) => perSecond,
  waits: ({ waited }) => waited,
  waste: ({ perSecond, wasteShare }) => perSecond * wasteShare,
  denials: ({ perSecond, nxdomainShare }) => perSecond * nxdomainShare,
};

function upstreamLines(rows: readonly UpstreamRow[], width: number): string[] {
  const pathColumns = width - 41;
  return [
    ` ${"PATH".padEnd(pathColumns)}${"STATE".padEnd(7)}${"FLOWS".padStart(5)}${"ASKED".padStart(7)}${"TWICE".padStart(6)}${"P50".padStart(8)}${"P99".padStart(8)}`,
    ...rows.flatMap((row) => [
      ` ${cutText(`${row.route} ${row.server} ${row.transport}`, pathColumns - 1).padEnd(pathColumns)}${(row.isFailed ? "FAILS" : row.isUp ? "up" : "DOWN").padEnd(7)}` +
        `${countText(row.openFlows).padStart(5)}${countText(row.questions).padStart(7)}${countText(row.sentAgain).padStart(6)}${millisecondsText(row.p50Ms).padStart(8)}${millisecondsText(row.p99Ms).padStart(8)}`,
      ...(row.lastFailure === "" ? [] : [`    last failure: ${row.lastFailure}`]),
    ]),
  ];
}

/** As much of it as fits on the line: how it is stands before how long. */
function headLine(head: TopHead, width: number): string {
  const start = ` nodens ${head.version} on ${cutText(head.node, 24)}`;
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
function bar({ queriesPerSecond, flow }: Picture, width: number): string {
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

/** A client, with its last wait within 80 columns, and what had become of the query where there is room. */
function clientLines(row: Picture["clients"][number], isMarked: boolean, width: number): string[] {
  const rest =
    `${cutText(row.namespace, 11).padEnd(12)}${clientLooks(row).padEnd(12)}${countText(row.perSecond).padStart(6)}` +
    `${percentText(row.hitShare).padStart(6)}${percentText(row.wasteShare).padStart(6)}${percentText(row.nxdomainShare).padStart(6)}` +
    `${(row.waited === 0 ? "–" : String(row.waited)).padStart(7)}`;
  const [after = ""] = row.lastWait.split(",");
  const isRoomy = clientColumns + rest.length + row.lastWait.length + 3 <= width + 1;
  const wait = row.lastWait === "" ? "" : ` ◀ ${isRoomy ? row.lastWait : after}`;
  return clientFirst(isMarked ? "›" : " ", row.client, rest + wait);
}

/** As many clients as there is room for, so that the marked one is among them. Which one that is stands below, for people and for the keys. */
function clientTab({ picture: { clients } }: TopView, { line, width, room }: TabChoice): string[] {
  const marked = Math.min(line, clients.length - 1);
  const rows = clients.map((row, index) => clientLines(row, index === marked, width));
  const free = room - 2;
  let start = 0;
  let height = rows.slice(0, marked + 1).flat().length;
  while (height > free && start < marked) {
    height -= rows[start]?.length ?? 0;
    start += 1;
  }
  return [
    ` ${"CLIENT".padEnd(16)}${"NAMESPACE*".padEnd(12)}${"LIBC·NDOTS*".padEnd(12)}${"Q/S".padStart(6)}${"HIT".padStart(6)}${"WASTE".padStart(6)}${"NXDOM".padStart(6)}${"WAITED".padStart(7)}`,
    ...rows.slice(start).flat().slice(0, Math.max(0, free)),
    ` * guessed from what it asks${marked < 0 ? "" : ` · client ${marked + 1} of ${clients.length}`}`,
  ];
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

const bodyOf: Readonly<Record<TopTab, (view: TopView, choice: TabChoice) => string[]>> = {
  clients: clientTab,
  names: ({ picture: { names } }, { width }) => [
    ` ${"NAME".padEnd(width - 17)}${"Q/S".padStart(8)}${"NXDOM".padStart(8)}`,
    ...names.map(
      ({ name, perSecond, nxdomainShare }) =>
        ` ${cutText(name === "" ? "·" : name, width - 18).padEnd(width - 17)}${countText(perSecond).padStart(8)}${percentText(nxdomainShare).padStart(8)}`,
    ),
  ],
  denied: ({ waste }, { width }) => [
    ` ${"NAME".padEnd(width - 38)}${"SUFFIX".padEnd(28)}${"TIMES".padStart(8)}`,
    ...(waste.length === 0 ? [" none was seen under a search suffix; with seen.names: off or hashed none can be"] : []),
    ...waste.flatMap(({ name, suffixes, cure, savedShare }) => [
      ...suffixes.map(
        ({ suffix, count }) =>
          ` ${cutText(name, width - 39).padEnd(width - 38)}${cutText(suffix, 27).padEnd(28)}${countText(count).padStart(8)}`,
      ),
      ...(savedShare === undefined
        ? []
        : wrapText(`${cure} Spares ${percentText(savedShare)}.`, width - 6).map(
            (text, index) => `   ${index === 0 ? "→" : " "} ${text}`,
          )),
    ]),
  ],
  waits: ({ picture: { waits } }, { width }) => [
    ` ${"AGO".padStart(5)}  ${"CLIENT".padEnd(16)}${"AFTER".padStart(6)}  LOOKUP`,
    ...(waits.recent.length === 0 ? [" no pod has asked again in the last 15 minutes"] : []),
    ...waitedLookups(waits.recent).flatMap(({ secondsAgo, client, afterMs, name, types, meaning, moved }) => [
      ...clientFirst(
        ` ${`${secondsAgo} s`.padStart(5)}  `,
        client,
        `${`${(afterMs / 1000).toFixed(1)} s`.padStart(6)}  ${cutText(name, width - 35 - types.length)} ${types}`,
      ),
      `      ${meaning}`,
      ...moved
        .flatMap((cause) => wrapText(`while ${cause.meaning} (${cause.label} +${cause.by})`, width - 6))
        .map((text) => `      ${text}`),
    ]),
  ],
  upstream: ({ upstream }, { width }) => upstreamLines(upstream, width),
  tail: ({ tail }) => printQueries(tail).toReversed(),
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

function sparkline(values: readonly number[], columns: number): string {
  const step = values.length / columns;
  const sums = Array.from({ length: columns }, (_, index) =>
    values.slice(Math.floor(index * step), Math.floor((index + 1) * step)).reduce((sum, value) => sum + value, 0),
  );
  const most = Math.max(1, ...sums);
  return sums.map((sum) => bars[Math.ceil((sum / most) * (bars.length - 1))] ?? "▁").join("");
}
