/*
 * The pages of the admin server, and who may see each. Health is for everybody, because the kubelet may come from any address of the node;
 * numbers are for those on the list; what pods ask is told to nobody but the machine itself.
 */
import type { Registry } from "prom-client";
import type { Clock } from "../runtime/clock.ts";
import type { BuildInfo } from "./metric-sources.ts";
import { framePage, framePolicy } from "./page-frame.ts";

/** What the pages show. */
export interface AdminPageOptions {
  readonly registry: Pick<Registry, "metrics" | "contentType">;
  readonly build: BuildInfo;
  isReady(): Readiness;
  /** Explains a lookup: what to show as JSON, or one line that says what is wrong with the parameters. Asks nobody. */
  explain(parameters: URLSearchParams): { readonly explanation: object } | { readonly wrong: string };
  /** Pages that are told to the machine itself only, by path. That of "/" is told in place of a list of pages. */
  readonly localPages: ReadonlyMap<string, LocalPage>;
  /** What the machine itself may have done, by path: over POST, and not by a page in a browser. */
  readonly localActions: ReadonlyMap<string, LocalPage>;
  readonly clock: Clock;
}

/** Makes a page, or one line that says what is wrong with the parameters. What `isAbsent` says that what was asked about is not there. */
export type LocalPage = (parameters: URLSearchParams) =>
  | { readonly json: object; readonly isAbsent?: boolean }
  | { readonly text: string; readonly isAbsent?: boolean }
  /** HTML to be framed as a page. */
  | { readonly main: string }
  | { readonly wrong: string };

/** Whether nodens wants queries, and if not, why: one reason per line. */
interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** Who asks for a page. */
export interface Client {
  /** Whether it is on the list of those who may see numbers. */
  readonly isAllowed: boolean;
  /** Whether it comes over loopback or the Unix socket. */
  readonly isLocal: boolean;
  /** Whether a page in a browser asks on behalf of whoever made it: only browsers send Origin, and with every POST. */
  readonly isPage: boolean;
}

/** A page as it is sent. */
interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** What the page may do in a browser: nothing unless said otherwise. */
  readonly policy?: string;
  /** The methods that the path takes, where the request's is none of them. */
  readonly allow?: string;
}

/** A page and who may see it: `local` means clients on the list that come over loopback, and those of the Unix socket. */
interface Route {
  /** Whether it does something, and is asked for with POST. */
  readonly acts?: boolean;
  readonly audience: "everybody" | "allowed" | "local";
  show(parameters: URLSearchParams, client: Client): Page | Promise<Page>;
}

/** The pages by path. */
export type Pages = ReadonlyMap<string, Route>;

/** How long a rendered page of metrics is reused: it is rendered ten times a second at most. */
const metricsLifeMs = 100;

/** Says that the page is right, and what was asked about is not there. */
export const absentStatus = 410;

const html = "text/html; charset=utf-8";

/** Creates the pages. */
export function createPages(options: AdminPageOptions): Pages {
  const { registry, build, clock } = options;
  let rendering: Promise<string> | undefined;
  let renderedAtMs = 0;

  function renderMetrics(): Promise<string> {
    if (rendering === undefined || clock.nowMs() - renderedAtMs >= metricsLifeMs) {
      renderedAtMs = clock.nowMs();
      rendering = registry.metrics();
    }
    return rendering;
  }

  const localPages = [...options.localPages].map(([path, make]): [string, Route] => [
    path,
    { audience: "local", show: (parameters) => showLocal(make(parameters)) },
  ]);
  const localActions = [...options.localActions].map(([path, act]): [string, Route] => [
    path,
    { acts: true, audience: "local", show: (parameters) => showLocal(act(parameters)) },
  ]);
  return new Map<string, Route>([
    ...localPages,
    ...localActions,
    ["/", { audience: "allowed", show: showHome }],
    ["/metrics", { audience: "allowed", show: showMetrics }],
    ["/healthz", { audience: "everybody", show: () => text(200, "ok") }],
    ["/readyz", { audience: "everybody", show: showReadiness }],
    ["/version", { audience: "allowed", show: () => asJson(build) }],
    ["/explain", { audience: "local", show: (parameters) => showExplanation(options.explain(parameters)) }],
  ]);

  async function showMetrics(): Promise<Page> {
    return { status: 200, contentType: registry.contentType, body: await renderMetrics() };
  }

  function showHome(parameters: URLSearchParams, { isLocal }: Client): Page {
    const home = options.localPages.get("/");
    if (home !== undefined && isLocal) return showLocal(home(parameters));
    return { status: 200, contentType: html, body: indexPage };
  }

  function showReadiness(): Page {
    const { ready, reasons } = options.isReady();
    return ready ? text(200, "ok") : text(503, reasons.join("\n"));
  }
}

/** The page for a request, whatever it asks: one that says what is wrong with it where something is. Never rejects. */
export async function choosePage(pages: Pages, client: Client, method: string, target: string): Promise<Page> {
  const queryStart = target.indexOf("?");
  const route = pages.get(queryStart === -1 ? target : target.slice(0, queryStart));
  if (route === undefined) return text(404, "no such page; see /");
  const methods = route.acts === true ? ["POST"] : ["GET", "HEAD"];
  if (!methods.includes(method)) return { ...text(405, `only ${methods.join(" and ")}`), allow: methods.join(", ") };
  const refusal = refusalOf(route, client);
  if (refusal !== undefined) return text(403, refusal);
  try {
    return await route.show(new URLSearchParams(queryStart === -1 ? "" : target.slice(queryStart + 1)), client);
  } catch (error) {
    return text(500, `the page failed: ${String(error)}`);
  }
}

function refusalOf({ audience, acts }: Route, { isAllowed, isLocal, isPage }: Client): string | undefined {
  if (audience === "everybody") return undefined;
  if (!isAllowed) return "this client is not among those of admin.allow (if that is empty, of listen.allow)";
  if (audience === "local" && !isLocal)
    return "names are told only on loopback, asked for as 127.0.0.1, [::1] or localhost, and on the socket admin.sock in probes.directory";
  if (acts === true && isPage) return "this is not done for a page in a browser";
  return undefined;
}

function showExplanation(outcome: ReturnType<AdminPageOptions["explain"]>): Page {
  return "wrong" in outcome ? text(400, outcome.wrong) : asJson(outcome.explanation);
}

function showLocal(made: ReturnType<LocalPage>): Page {
  if ("wrong" in made) return text(400, made.wrong);
  if ("main" in made) return { status: 200, contentType: html, body: framePage(made.main), policy: framePolicy };
  const page = "json" in made ? asJson(made.json) : { ...text(200, ""), body: made.text };
  // Apart from 404, which means that there is no such page.
  return made.isAbsent === true ? { ...page, status: absentStatus } : page;
}

function text(status: number, lines: string): Page {
  return { status, contentType: "text/plain; charset=utf-8", body: `${lines}\n` };
}

function asJson(value: object): Page {
  return { status: 200, contentType: "application/json", body: `${JSON.stringify(value)}\n` };
}

const indexPage = `<!doctype html>
<html lang="en">
<title>nodens</title>
<h1>nodens</h1>
<ul>
  <li><a href="/metrics">/metrics</a>: numbers for Prometheus</li>
  <li><a href="/healthz">/healthz</a>: whether the process runs</li>
  <li><a href="/readyz">/readyz</a>: whether it wants queries, and if not, why</li>
  <li><a href="/version">/version</a>: what is running</li>
  <li><a href="/seen">/seen</a>, <a href="/top">/top</a>, <a href="/tail">/tail</a>: who asks, what, and who waited</li>
  <li><a href="/cache?name=kubernetes.default.svc.cluster.local">/cache?name=kubernetes.default.svc.cluster.local</a>: what is kept of a name</li>
  <li><a href="/explain?name=www.example.com">/explain?name=www.example.com</a>: what happens to a lookup</li>
</ul>
</html>
`;
