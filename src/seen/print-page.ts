/*
 * The picture as the body of the page: one sentence, where queries end, fifteen minutes, then the tables. Made here whole, so that the page needs
 * no program of its own in a browser but to load it again. All that comes from outside is escaped.
 */
import { html } from "./html-text.ts";
import type { NodeGauge } from "./node-gauge.ts";
import { countOf, countText } from "./number-text.ts";
import { recordBox, type RecordView } from "./page-record.ts";
import { printRibbon } from "./page-ribbon.ts";
import { printStrip } from "./page-strip.ts";
import { clientsTable, kernelTable, namesTable, pathsTable, wasteTable, waitsTable } from "./page-tables.ts";
import type { Picture } from "./picture.ts";
import type { Sentence } from "./sentence.ts";
import { headWords, onlyWatches, type TopHead } from "./top-head.ts";
import type { UpstreamRow } from "./upstream-rows.ts";
import type { WasteRow } from "./waste.ts";

/** What the page shows. */
export interface PageView {
  readonly head: TopHead;
  readonly sentence: Sentence;
  readonly picture: Picture;
  readonly waste: readonly WasteRow[];
  readonly upstream: readonly UpstreamRow[];
  readonly gauges: readonly NodeGauge[];
  /** The settings in force, as text. */
  readonly settings: string;
  /** How the last reload went; "" if there was none. */
  readonly lastReload: string;
  /** What was asked in the box, and the answer as text; "" if nothing was. */
  readonly asked: { readonly name: string; readonly namespace: string; readonly answer: string };
  readonly record: RecordView;
}

/** The body. Every text in it is escaped. */
export function printPage(view: PageView): string {
  const { head, sentence, picture, upstream } = view;
  const waited = picture.waits.recent.length > 0;
  return [
    `<header><p><b>nodens</b> ${html(head.version)} on <b>${html(head.node)}</b></p><p>${headWords(head)
      .map(({ text, isBad }) => (isBad ? `<b class="bad">${html(text)}</b>` : html(text)))
      .join(" · ")}</p></header>`,
    `<h1><span class="${sentence.tone}">${html(sentence.verdict)}</span> ${html(sentence.text)}</h1>`,
    `<p class="soft">${savedSentence(picture, head)}</p>`,
    printRibbon(picture),
    section(
      "The last 15 minutes",
      "each column is 10 s; darker means more lookups; a mark means that a pod asked again",
    ),
    printStrip(picture),
    ...(waited ? [section("Pods that waited", "asked the same again, after so long"), waitsTable(picture)] : []),
    section("Search waste", "queries that a shorter way would not send; * guessed from what is asked"),
    wasteTable(view.waste),
    section("Clients", "those that ask most; * guessed from what they ask"),
    clientsTable(picture),
    section("Names", "asked most"),
    namesTable(picture),
    `<div class="two"><div>${section("Upstream", "by path, in the last minute")}${pathsTable(upstream)}</div><div>${section(
      "Kernel",
      "of this node, and this process",
    )}${kernelTable(picture, view.gauges)}</div></div>`,
    `<div id="explain">${section("Explain a lookup", "what a pod goes through; asks nobody")}${explainBox(view.asked)}</div>`,
    `<div id="record">${section("Recorded queries", "the newest first; empty fields let everything pass")}${recordBox(view.record)}</div>`,
    `<details><summary>Settings in force${view.lastReload === "" ? "" : `; ${html(view.lastReload)}`}</summary><pre>${html(
      view.settings,
    )}</pre></details>`,
  ].join("\n");
}

function savedSentence({ queriesPerSecond, clientCount, saved }: Picture, head: TopHead): string {
  if (queriesPerSecond === 0) return "";
  return (
    `${countText(queriesPerSecond)} queries a second from ${countOf(clientCount, "pod")}. kube-dns and the node ${onlyWatches(head) ? "would be" : "are"} spared ` +
    `${countText(saved.queriesPerSecond)} queries and ${countText(saved.conntrackEntriesPerSecond)} conntrack entries a second.`
  );
}

function explainBox({ name, namespace, answer }: PageView["asked"]): string {
  return (
    `<form method="get" action="./#explain"><input name="explain" aria-label="name" placeholder="www.example.com" value="${html(name)}" maxlength="260" autocomplete="off" spellcheck="false">` +
    `<input name="namespace" aria-label="namespace" placeholder="namespace" value="${html(namespace)}" maxlength="63" autocomplete="off" spellcheck="false"><button>Explain</button></form>` +
    (answer === "" ? "" : `<pre role="status">${html(answer)}</pre>`)
  );
}

function section(title: string, remark: string): string {
  return `<h2>${html(title)} <small>${html(remark)}</small></h2>`;
}
