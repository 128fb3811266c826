/*
 * The picture as the body of the page: one sentence, where queries end, fifteen minutes, then the tables. Made here whole, so that the page needs
 * no program of its own in a browser but to load it again. All that comes from outside is escaped.
 */
import type { Picture } from "./picture.ts";
import type { TopHead } from "./print-top.ts";
import type { Sentence } from "./sentence.ts";
import type { UpstreamRow } from "./upstream-rows.ts";

/** What the page shows. */
export interface PageView {
  readonly head: TopHead;
  readonly sentence: Sentence;
  readonly picture: Picture;
  readonly upstream: readonly UpstreamRow[];
  /** The settings in force, as text. */
  readonly settings: string;
  /** How the last reload went; "" if there was none. */
  readonly lastReload: string;
  /** What was asked in the box, and the answer as text; "" if nothing was. */
  readonly asked: { readonly name: string; readonly namespace: string; readonly answer: string };
}

/** The body. Every text in it is escaped. */
export function printPage(view: PageView): string {
  const { head, sentence, picture, upstream } = view;
  return [
    `<header><p><b>nodens</b> ${text(head.version)} on <b>${text(head.node)}</b></p><p>${text(head.mode)} · ${
      head.isFailOpen ? "<b>fail-open</b>" : head.isReady ? "ready" : "<b>not ready</b>"
    }</p></header>`,
    `<h1><span class="${sentence.tone}">${text(sentence.verdict)}</span> ${text(sentence.text)}</h1>`,
    `<p class="soft">${count(picture.queriesPerSecond)} queries a second from ${picture.clients.length} ${
      picture.clients.length === 1 ? "client" : "clients"
    }. kube-dns and the node are spared ${count(picture.saved.queriesPerSecond)} queries and ${count(
      picture.saved.conntrackEntriesPerSecond,
    )} conntrack entries a second.</p>`,
    ribbon(picture),
    section(
      "The last 15 minutes",
      "each column is 10 s; darker means more lookups; a mark means that a pod asked again",
    ),
    strip(picture),
    section("Pods that waited", "asked the same again, after so long"),
    waits(picture),
    section("Search waste", "names that were denied under a search suffix; a final dot would not have asked them"),
    waste(picture),
    section("Clients", "* guessed from what it asks"),
    clients(picture),
    section("Names", "asked most"),
    names(picture),
    `<div class="two"><div>${section("Upstream", "by path")}${paths(upstream)}</div><div>${section(
      "Kernel",
      "and this process",
    )}${kernel(picture)}</div></div>`,
    section("Explain a lookup", "what a pod goes through; asks nobody"),
    explainBox(view.asked),
    `<details><summary>Settings in force${view.lastReload === "" ? "" : ` · ${text(view.lastReload)}`}</summary><pre>${text(
      view.settings,
    )}</pre></details>`,
  ].join("\n");
}

const [ribbonWidth, ribbonHeight, endX, gap] = [1000, 190, 640, 12] as const;

/** Bands from the pods to where queries end, as wide as their rate. */
function ribbon({ queriesPerSecond, flow, clients: rows }: Picture): string {
  const shown = Object.entries(flow).filter(([, { perSecond }]) => perSecond > 0);
  if (queriesPerSecond === 0 || shown.length === 0) return '<p class="soft">No query in the last minute.</p>';
  const scale = (ribbonHeight - 60) / queriesPerSecond;
  let [fromY, toY] = [20, 6];
  const bands = shown.map(([ending, { perSecond, p50Ms, p99Ms }], index) => {
    const width = Math.max(1.5, perSecond * scale);
    const [from, to] = [fromY + width / 2, toY + width / 2];
    fromY += width;
    toY += Math.max(width, 22) + gap;
    const share = Math.round((perSecond / queriesPerSecond) * 100);
    return (
      `<path class="band b${index % 6}" d="M150 ${from.toFixed(1)}C400 ${from.toFixed(1)} 400 ${to.toFixed(1)} ${endX} ${to.toFixed(1)}" stroke-width="${width.toFixed(1)}"/>` +
      `<text x="${endX + 14}" y="${(to + 4).toFixed(1)}"><tspan class="strong">${text(ending)} ${share} %</tspan>` +
      `<tspan class="soft" dx="8">${count(perSecond)} q/s · p50 ≤ ${milliseconds(p50Ms)} · p99 ≤ ${milliseconds(p99Ms)}</tspan></text>`
    );
  });
  const height = Math.max(ribbonHeight, toY);
  return (
    `<svg class="ribbon" viewBox="0 0 ${ribbonWidth} ${height.toFixed(0)}" role="img" aria-label="Where queries end">` +
    `<text x="138" y="60" text-anchor="end" class="strong">${rows.length} pods</text>` +
    `<text x="138" y="78" text-anchor="end" class="soft">${count(queriesPerSecond)} q/s</text>${bands.join("")}</svg>`
  );
}

const [cellWidth, cellHeight, stripLeft] = [10, 18, 80] as const;

/** Columns of ten seconds, a row for each range of durations, the slowest above; marks where pods asked again. */
function strip({ strip: { upToMs, answers, waits: marks } }: Picture): string {
  const most = Math.max(1, ...answers.flat());
  const labels = [...upToMs.map((bound) => `≤ ${bound >= 1000 ? `${bound / 1000} s` : `${bound} ms`}`), "longer"];
  const bottom = labels.length * cellHeight + 14;
  const rows = labels.map((label, row) => {
    const y = bottom - (row + 1) * cellHeight;
    const cells = (answers[row] ?? []).map((number, column) => {
      // Few beside many must still be seen.
      const opacity = number === 0 ? 0.05 : 0.2 + 0.8 * (Math.log1p(number) / Math.log1p(most));
      return `<rect class="cell" x="${stripLeft + column * cellWidth}" y="${y}" width="${cellWidth - 1}" height="${cellHeight - 1}" fill-opacity="${opacity.toFixed(2)}"/>`;
    });
    return `<text class="soft" x="${stripLeft - 8}" y="${y + 13}" text-anchor="end">${label}</text>${cells.join("")}`;
  });
  const shownMarks = marks.map((number, column) =>
    number === 0
      ? ""
      : `<text class="mark" x="${stripLeft + column * cellWidth + cellWidth / 2}" y="11" text-anchor="middle">▼<title>${number} asked again</title></text>`,
  );
  const right = stripLeft + marks.length * cellWidth;
  return (
    `<svg class="strip" viewBox="0 0 ${right} ${bottom + 18}" role="img" aria-label="How long lookups took in the last 15 minutes">` +
    `${rows.join("")}${shownMarks.join("")}<text class="soft" x="${stripLeft}" y="${bottom + 14}">15 min ago</text>` +
    `<text class="soft" x="${right}" y="${bottom + 14}" text-anchor="end">now</text></svg>`
  );
}

function waits({ waits: { recent } }: Picture): string {
  return table(
    ["ago", "pod", "lookup", "after", "why"],
    recent
      .slice(0, 12)
      .map(({ secondsAgo, client, name, type, afterMs, meaning, moved }) => [
        `${secondsAgo} s`,
        `<code>${text(client)}</code>`,
        `<code>${text(name)}</code> ${text(type)}`,
        `${(afterMs / 1000).toFixed(1)} s`,
        text([meaning, ...moved.map((cause) => `${cause.meaning} (${cause.label} +${cause.by})`)].join("; ")),
      ]),
    "No pod has waited.",
  );
}

function waste({ denied }: Picture): string {
  const byName = Map.groupBy(denied, ({ namespace, name }) => `${namespace} ${name}`);
  return table(
    ["namespace*", "asks", "#queries", "what would end it"],
    [...byName.values()].slice(0, 12).map((rows) => {
      const [{ name, namespace } = { name: "", namespace: "" }] = rows;
      const suffixes = rows.length === 1 ? `the suffix ${rows[0]?.suffix ?? ""}` : `${rows.length} suffixes`;
      return [
        text(namespace),
        `<code>${text(name)}</code> under ${text(suffixes)}`,
        count(rows.reduce((sum, row) => sum + row.count, 0)),
        `write <code>${text(name)}.</code>, with its final dot`,
      ];
    }),
    "None in the record.",
  );
}

function clients({ clients: rows }: Picture): string {
  return table(
    ["pod", "namespace*", "libc*", "#ndots*", "#q/s", "#here", "#waste", "#NXDOMAIN", "waited"],
    rows
      .slice(0, 15)
      .map((row) => [
        `<code>${text(row.client)}</code>`,
        text(row.namespace),
        text(row.library),
        row.ndots === undefined ? "" : String(row.ndots),
        count(row.perSecond),
        percent(row.hitShare),
        percent(row.wasteShare),
        percent(row.nxdomainShare),
        row.waited === 0 ? "–" : `<b>${row.waited}</b>, ${text(row.lastWait)}`,
      ]),
    "Nobody has asked.",
  );
}

function names({ names: rows }: Picture): string {
  return table(
    ["name", "#q/s", "#NXDOMAIN"],
    rows
      .slice(0, 15)
      .map(({ name, perSecond, nxdomainShare }) => [
        `<code>${text(name)}</code>`,
        count(perSecond),
        percent(nxdomainShare),
      ]),
    "Nothing was asked.",
  );
}

function paths(rows: readonly UpstreamRow[]): string {
  return table(
    ["path", "state", "#flows", "#asked", "#p50", "#p99", "last failure"],
    rows.map((row) => [
      `${text(row.route)} <code>${text(row.server)}</code> ${text(row.transport)}`,
      row.isFailed ? "<b>does not work</b>" : row.isUp ? "up" : "<b>down</b>",
      count(row.openFlows),
      `${count(row.questions)}${row.sentAgain === 0 ? "" : `, ${row.sentAgain} twice`}`,
      milliseconds(row.p50Ms),
      milliseconds(row.p99Ms),
      text(row.lastFailure),
    ]),
    "No upstream.",
  );
}

function kernel({ moved, forgotten }: Picture): string {
  const rows = moved.map((row) => [text(row.label), count(row.lastMinute), count(row.last15Minutes)]);
  return table(
    ["what", "#last minute", "#15 min"],
    [...rows, ["queries forgotten too soon", "", count(forgotten)]],
    "",
  );
}

function explainBox({ name, namespace, answer }: PageView["asked"]): string {
  return (
    `<form method="get" action="./"><input name="explain" aria-label="name" placeholder="www.example.com" value="${text(name)}" maxlength="260">` +
    `<input name="namespace" aria-label="namespace" placeholder="namespace" value="${text(namespace)}" maxlength="63"><button>Explain</button></form>` +
    (answer === "" ? "" : `<pre>${text(answer)}</pre>`)
  );
}

function section(title: string, remark: string): string {
  return `<h2>${text(title)} <small>${text(remark)}</small></h2>`;
}

/** Columns whose title begins with # are numbers. Cells are HTML. */
function table(titles: readonly string[], rows: readonly (readonly string[])[], none: string): string {
  if (rows.length === 0) return `<p class="soft">${text(none)}</p>`;
  const classOf = (column: number) => (titles[column]?.startsWith("#") === true ? ' class="number"' : "");
  const head = titles.map((title, column) => `<th scope="col"${classOf(column)}>${text(title.replace("#", ""))}</th>`);
  const body = rows.map(
    (cells) => `<tr>${cells.map((cell, column) => `<td${classOf(column)}>${cell}</td>`).join("")}</tr>`,
  );
  return `<table><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function text(raw: string): string {
  return raw.replace(/[&<>"']/g, (character) => escapes[character] ?? "");
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
