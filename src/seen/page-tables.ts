/*
 * The tables of the page.
 */
import { code, html, table } from "./html-text.ts";
import type { NodeGauge } from "./node-gauge.ts";
import { ageText, countText, millisecondsText, percentText } from "./number-text.ts";
import type { Picture } from "./picture.ts";
import type { UpstreamRow } from "./upstream-rows.ts";
import { waitedLookups } from "./waited-lookups.ts";
import type { WasteRow } from "./waste.ts";

const [shownWaits, shownClients, shownNames] = [12, 15, 10] as const;

/** Pods that asked again, and why. */
export function waitsTable({ waits: { recent } }: Picture): string {
  return table(
    ["#ago", "pod", "~lookup", "#after", "~why"],
    waitedLookups(recent)
      .slice(0, shownWaits)
      .map(({ secondsAgo, client, name, types, afterMs, meaning, moved }) => [
        ageText(secondsAgo),
        code(client),
        `${code(name)} ${html(types)}`,
        `${(afterMs / 1000).toFixed(1)} s`,
        html([meaning, ...moved.map((cause) => `${cause.meaning} (${cause.label} +${cause.by})`)].join("; ")),
      ]),
    "No pod has waited.",
  );
}

/** Names that cost more queries than they need, and what would end that. */
export function wasteTable(rows: readonly WasteRow[]): string {
  return table(
    ["namespace*", "~asks", "#denied/min", "~what would end it", "#saves"],
    rows.map(({ name, namespace, suffixes, perMinute, cure, savedShare }) => {
      const under = suffixes.length === 1 ? code(suffixes[0]?.suffix ?? "") : `${suffixes.length} suffixes`;
      return [
        code(namespace),
        `${code(name)} under ${under}`,
        countText(perMinute),
        html(cure),
        savedShare === undefined ? "–" : percentText(savedShare),
      ];
    }),
    "None in the record.",
  );
}

/** Who asks. */
export function clientsTable({ clients }: Picture): string {
  return table(
    ["pod", "namespace*", "libc*", "#ndots*", "#q/s", "#here", "#waste", "#NXDOMAIN", "waited"],
    clients
      .slice(0, shownClients)
      .map((row) => [
        code(row.client),
        code(row.namespace),
        row.library === "" ? "–" : `<span class="pill">${html(row.library)}</span>`,
        row.ndots === undefined ? "–" : String(row.ndots),
        countText(row.perSecond),
        percentText(row.hitShare),
        percentText(row.wasteShare),
        percentText(row.nxdomainShare),
        row.waited === 0 ? "–" : `<b>${row.waited}</b>: ${html(row.lastWait)}`,
      ]),
    "Nobody has asked.",
  );
}

/** What is asked most. */
export function namesTable({ names }: Picture): string {
  return table(
    ["~name", "#q/s", "#NXDOMAIN"],
    names
      .slice(0, shownNames)
      .map(({ name, perSecond, nxdomainShare }) => [code(name), countText(perSecond), percentText(nxdomainShare)]),
    "Nothing was asked.",
  );
}

/** The paths to servers. */
export function pathsTable(rows: readonly UpstreamRow[]): string {
  return table(
    ["~path", "#flows", "#asked", "#p50", "#p99"],
    rows.map((row) => [
      `${html(row.route)} ${code(row.server)} ${html(row.transport.toUpperCase())} ${stateOf(row)}`,
      countText(row.openFlows),
      `${countText(row.questions)}${row.sentAgain === 0 ? "" : `, ${row.sentAgain} again`}`,
      millisecondsText(row.p50Ms),
      millisecondsText(row.p99Ms),
    ]),
    "Nothing has gone upstream.",
  );
}

function stateOf({ isFailed, isUp, lastFailure }: UpstreamRow): string {
  const trouble = isFailed ? "does not work" : isUp ? "" : "down";
  return [
    ...(trouble === "" ? [] : [`<b class="pill bad">${trouble}</b>`]),
    ...(lastFailure === "" ? [] : [`<span class="pill">${html(lastFailure)}</span>`]),
  ].join(" ");
}

/** The node's counters: how they stand, where that is known, and by how much they have grown. */
export function kernelTable({ moved, forgotten }: Picture, gauges: readonly NodeGauge[]): string {
  return table(
    ["~what", "#now", "#last minute", "#15 min"],
    [
      ...gauges.map(({ what, now }) => [html(what), html(now), "", ""]),
      ...moved.map(({ label, lastMinute, last15Minutes }) => [
        code(label),
        "",
        countText(lastMinute),
        countText(last15Minutes),
      ]),
      ["queries forgotten too soon", countText(forgotten), "", ""],
    ],
    "",
  );
}
