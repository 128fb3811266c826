/*
 * The pages that tell what is seen. They name clients and what these ask, so the admin server shows them to the machine itself only.
 */
import { isIP } from "node:net";
import { cheaperLookup } from "../explain/cheaper-lookup.ts";
import type { Explanation } from "../explain/explain-lookup.ts";
import { printExplanation } from "../explain/print-explanation.ts";
import type { LocalPage } from "../observe/admin-pages.ts";
import { type PictureParts, takePicture } from "../seen/picture.ts";
import { wrongParameter } from "../runtime/read-parameters.ts";
import { tellTroubles } from "../seen/causes.ts";
import { chosenRows } from "../seen/chosen-rows.ts";
import { filterNames, passes, tailOf, type ToldQuery } from "../seen/told-queries.ts";
import { printPage } from "../seen/print-page.ts";
import { printQueries } from "../seen/print-query.ts";
import { printTop } from "../seen/print-top.ts";
import { topSorts, topTabs } from "../seen/top-choices.ts";
import { sentenceOf } from "../seen/sentence.ts";
import type { NodeGauge } from "../seen/node-gauge.ts";
import { ageText, countText, percentText } from "../seen/number-text.ts";
import type { TopHead } from "../seen/top-head.ts";
import { wasteOf } from "../seen/waste.ts";
import { upstreamRows } from "../seen/upstream-rows.ts";
import { printEffectiveSettings } from "../settings/effective-settings.ts";
import type { ConntrackStats } from "../observe/conntrack-stats.ts";
import type { Incident, Incidents } from "../seen/incidents.ts";
import type { Settings } from "../settings/settings-table.ts";
import { taking } from "./page-parameters.ts";
import { hasFilter, mostTold, readFilter } from "./read-filter.ts";
import { advicePage } from "./seen-advice.ts";
import { pathStatesOf, type ToldUpstream } from "./live-seen.ts";
import type { AppParts } from "./app-parts.ts";

/** Explains the lookup that the parameters describe, as the page /explain does. */
export type Explain = (
  parameters: URLSearchParams,
) => { readonly explanation: Explanation } | { readonly wrong: string };

const usualTail = 100;
const usualRows = 24;
/** Of the page's box that explains. */
const explainFields = ["explain", "namespace"] as const;
const topParameters = ["tab", "rows", "columns", "filter", "sort", "line", "explain"] as const;
/** On the page. */
const recordRows = 50;
const nothingRecorded = "nothing is recorded: seen.recordedQueries is 0";

/** The parts of a running nodens that the pages tell of. */
export type ToldParts = Pick<AppParts, "clock" | "readiness" | "seen"> & {
  readonly attachment: Pick<AppParts["attachment"], "isFailOpen" | "intercepted" | "podTroubles">;
  readonly reload: Pick<AppParts["reload"], "counters" | "inForce">;
  readonly upstream: ToldUpstream;
};

/** What the pages are made from. */
export interface SeenPageOptions {
  readonly parts: ToldParts;
  readonly pictureParts: PictureParts;
  readonly incidents: Incidents;
  /** Those of the start: what the pages need of them takes a restart to change. */
  readonly settings: Settings;
  readonly head: () => TopHead;
  /** Reads the node's connection tracking. */
  readonly conntrack: () => ConntrackStats | undefined;
  readonly explain: Explain;
}

/** The pages by path. */
export function seenPages(options: SeenPageOptions): ReadonlyMap<string, LocalPage> {
  const { parts, pictureParts, incidents, settings, head, explain } = options;
  const { clock, attachment, readiness, reload, upstream } = parts;

  /** A filter that is an address is that client, any other a part of a client or of a name. */
  function tail(limit: number, filter: string) {
    const chosen = filter === "" ? {} : isIP(filter) === 0 ? { part: filter } : { client: filter };
    return tailOf(pictureParts, { limit, ...chosen }, clock.nowMs());
  }

  function paths() {
    const rows = upstreamRows(pathStatesOf(upstream), parts.seen.trips.recent(), clock.nowMs());
    return rows.filter(
      ({ openFlows, questions, lastFailure, isFailed }) =>
        openFlows > 0 || questions > 0 || lastFailure !== "" || isFailed,
    );
  }

  function look() {
    const picture = takePicture(pictureParts, clock.nowMs());
    const sentence = sentenceOf({ ...head(), reasons: readiness().reasons }, picture);
    return {
      picture,
      sentence,
      upstream: paths(),
      waste: wasteOf(picture, findCure),
      gauges: gaugesOf(options.conntrack(), attachment),
    };
  }

  function findCure(name: string, namespace: string): ReturnType<typeof cheaperLookup> {
    const explained = explainIn(name, namespace);
    return "wrong" in explained ? undefined : cheaperLookup(explained.explanation);
  }

  function showHome(parameters: URLSearchParams): ReturnType<LocalPage> {
    const wrong = wrongParameter(parameters, [...filterNames, "limit", ...explainFields]);
    if (wrong !== undefined) return { wrong };
    const [name, namespace] = explainFields.map((field) => parameters.get(field)?.trim() ?? "") as [string, string];
    const answer = name === "" ? "" : explainAsText(name, namespace);
    const settingsNow = printEffectiveSettings(reload.inForce());
    const view = {
      ...look(),
      head: head(),
      settings: settingsNow,
      lastReload: tellReload(reload.counters, clock.nowMs()),
      asked: { name, namespace, answer },
      record: {
        filter: Object.fromEntries(filterNames.map((field) => [field, parameters.get(field) ?? ""])),
        queries: hasFilter(parameters) ? readRecord(parameters) : undefined,
      },
    };
    return { main: printPage(view) };
  }

  /** What the page shows of the record: the newest first; or what is wrong with the question. */
  function readRecord(parameters: URLSearchParams): readonly ToldQuery[] | string {
    if (settings.seen.recordedQueries === 0) return nothingRecorded;
    const filter = readFilter(parameters, recordRows, explainFields);
    return "wrong" in filter ? filter.wrong : tailOf(pictureParts, filter, clock.nowMs()).toReversed();
  }

  function explainIn(name: string, namespace: string): ReturnType<Explain> {
    return explain(new URLSearchParams({ name, ...(namespace === "" ? {} : { namespace }) }));
  }

  function explainAsText(name: string, namespace: string): string {
    const explained = explainIn(name, namespace);
    return "wrong" in explained ? explained.wrong : printExplanation(explained.explanation, false);
  }

  function showTop(parameters: URLSearchParams): ReturnType<LocalPage> {
    const wrong = wrongParameter(parameters, topParameters);
    if (wrong !== undefined) return { wrong };
    const tab = topTabs.find((name) => name === (parameters.get("tab") ?? topTabs[0]));
    const rows = Number(parameters.get("rows") ?? usualRows);
    if (tab === undefined) return { wrong: `unknown tab; the tabs are ${topTabs.join(", ")}` };
    if (!isOfTerminal(rows)) return { wrong: "rows is not a number from 1 to 500" };
    const columns = parameters.has("columns") ? Number(parameters.get("columns")) : undefined;
    if (columns !== undefined && !isOfTerminal(columns)) return { wrong: "columns is not a number from 1 to 500" };
    const sort = topSorts.find((name) => name === (parameters.get("sort") ?? topSorts[0]));
    const line = Number(parameters.get("line") ?? -1);
    if (sort === undefined) return { wrong: `unknown order; the orders are ${topSorts.join(", ")}` };
    if (!Number.isInteger(line)) return { wrong: "line is not a number" };
    const explained = parameters.get("explain");
    if (explained !== null) return { text: explainAsText(explained, "") };
    const filter = parameters.get("filter") ?? "";
    const told = tab === "tail" ? tail(rows, filter) : [];
    return { text: printTop({ ...look(), head: head(), tail: told }, { tab, rows, columns, filter, sort, line }) };
  }

  /** Everything; with a filter what it lets through, and the recorded queries that pass it. */
  function showSeen(parameters: URLSearchParams): ReturnType<LocalPage> {
    const filter = readFilter(parameters, usualTail, []);
    if ("wrong" in filter) return filter;
    const { picture, waste, ...rest } = look();
    const troubles = tellTroubles(attachment.podTroubles());
    if (!hasFilter(parameters)) return { json: { ...head(), ...rest, waste, troubles, ...picture } };
    const { waits, clients, names, denied, ...ofNode } = picture;
    return {
      json: {
        ...head(),
        ...rest,
        ...ofNode,
        ...chosenRows({ waits, clients, names, denied, waste, troubles }, filter),
        queries: tailOf(pictureParts, filter, clock.nowMs()),
      },
    };
  }

  return new Map<string, LocalPage>([
    ["/", showHome],
    ["/advise", taking(["json"], (parameters) => advicePage(parameters, pictureParts, settings, clock.nowMs()))],
    ["/seen", showSeen],
    ["/incidents", taking([], () => ({ json: incidents.kept().map((each) => toldIncident(each, clock.nowMs())) }))],
    ["/top", showTop],
    ["/tail", (parameters) => tailPage(parameters, options)],
  ]);
}

/** The recorded queries, or those of an incident, that pass a filter. */
function tailPage(
  parameters: URLSearchParams,
  { parts: { clock }, pictureParts, incidents, settings }: SeenPageOptions,
): ReturnType<LocalPage> {
  if (settings.seen.recordedQueries === 0) return { wrong: nothingRecorded };
  const filter = readFilter(parameters, parameters.has("incident") ? mostTold : usualTail, ["incident", "json"]);
  if ("wrong" in filter) return filter;
  const frozen = parameters.has("incident") ? Number(parameters.get("incident")) : undefined;
  const incident = frozen === undefined ? undefined : incidents.kept()[frozen - 1];
  if (frozen !== undefined && incident === undefined)
    return { wrong: `there is no incident ${frozen}: ${incidents.kept().length} are kept, of which 1 is the newest` };
  const queries =
    incident === undefined
      ? tailOf(pictureParts, filter, clock.nowMs())
      : incident
          .queries()
          .filter((query) => passes(query, filter))
          .slice(-filter.limit);
  if (parameters.has("json")) return { json: queries };
  return {
    text: printQueries(queries)
      .map((line) => `${line}\n`)
      .join(""),
  };
}

function toldIncident({ noticedAtMs, why, moved, queries }: Incident, nowMs: number): object {
  return { secondsAgo: Math.round((nowMs - noticedAtMs) / 1000), why, moved, queries: queries() };
}

function isOfTerminal(lines: number): boolean {
  return Number.isInteger(lines) && lines >= 1 && lines <= 500;
}

/** How the node stands. Where pods are not intercepted, none falls back. */
function gaugesOf(tracked: ConntrackStats | undefined, attachment: ToldParts["attachment"]): NodeGauge[] {
  const { pods } = attachment.intercepted();
  const fallen =
    pods === undefined ? [] : [{ what: "pods that fell back to kube-dns", now: countText(pods.fallenPods) }];
  if (tracked === undefined || tracked.limit === 0) return fallen;
  const { entries, limit } = tracked;
  const what = `connection table, ${countText(entries)} of ${countText(limit)}`;
  return [{ what, now: percentText(entries / limit) }, ...fallen];
}

/** How the last reload went; "" before any. */
function tellReload(
  { succeeded, failed, wasLastSuccessful, lastAtMs }: ToldParts["reload"]["counters"],
  nowMs: number,
): string {
  if (succeeded + failed === 0) return "";
  const ago = `${ageText((nowMs - lastAtMs) / 1000)} ago`;
  return wasLastSuccessful ? `put in force by a reload ${ago}` : `a reload was refused ${ago}`;
}
