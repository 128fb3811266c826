/*
 * HTTP for operators and kubelet: metrics and health, read only. Pods can reach it on a node's address, so it must cost little
 * whatever they do: one request per connection, a connection lives for seconds, few are open, and the page of metrics is
 * rendered ten times a second at most.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { isIPv6, type Socket } from "node:net";
import type { Registry } from "prom-client";
import type { Clock } from "../runtime/clock.ts";
import { bindSharedSocket } from "../runtime/shared-socket.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { BuildInfo } from "./metric-sources.ts";

/** What the server shows, and where. */
export interface AdminServerOptions {
  /** Port 0 takes any free port. */
  readonly address: ServerAddress;
  readonly registry: Pick<Registry, "metrics" | "contentType">;
  readonly build: BuildInfo;
  isReady(): Readiness;
  /** Explains a lookup: what to show as JSON, or one line that says what is wrong with the parameters. Asks nobody. */
  explain(parameters: URLSearchParams): { readonly explanation: object } | { readonly wrong: string };
  readonly clock: Clock;
}

/** Whether nodens wants queries, and if not, why: one reason per line. */
interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** A server that listens. */
export interface AdminServer {
  /** With the port that was actually bound. */
  readonly address: ServerAddress;
  /** Takes no new connections, lets requests finish, ends the rest. Resolves within about a second. */
  close(): Promise<void>;
}

/** Open connections. One more closes the oldest idle one. */
export const maxConnections = 64;

/** How long a connection lives, whatever its client sends or reads: as long as Prometheus waits for a scrape. */
export const connectionLifeMs = 10_000;

/** How long a rendered page of metrics is reused. */
const metricsLifeMs = 100;

/** How long requests may take to finish once the server closes. */
const closeGraceMs = 1000;

const maxHeaderSizeBytes = 8192;

/** Listens. Rejects with the system's error when the address cannot be opened. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { address, clock } = options;
  const pages = createPages(options);
  // Oldest first.
  const idle = new Set<Socket>();
  const answering = new Set<Socket>();
  const server = createServer({ maxHeaderSize: maxHeaderSizeBytes }, (request, response) => {
    const { socket } = request;
    if (idle.delete(socket)) answering.add(socket);
    void respond(request, response, pages);
  });
  // One request each, even for clients that ask to keep the connection.
  server.maxRequestsPerSocket = 1;
  server.on("connection", (socket: Socket) => {
    if (idle.size + answering.size >= maxConnections) giveWay(socket);
    idle.add(socket);
    const cancel = clock.after(connectionLifeMs, () => socket.destroy());
    socket.once("close", () => {
      cancel();
      idle.delete(socket);
      answering.delete(socket);
    });
  });

  function giveWay(newcomer: Socket): void {
    const [oldest = newcomer] = idle;
    idle.delete(oldest);
    oldest.destroy();
  }

  const { host, port } = address;
  // Shared, so that a second nodens can start beside this one.
  const shared = port === 0 ? undefined : bindSharedSocket("tcp", address);
  server.listen(shared === undefined ? { host, port, ipv6Only: isIPv6(host), exclusive: true } : { fd: shared.fd });
  await once(server, "listening");
  // Without free descriptors, say: the connection is lost, the server is not.
  server.on("error", () => {});
  const bound = server.address();
  return {
    address: { host, port: typeof bound === "object" && bound !== null ? bound.port : port },
    close() {
      shared?.leave();
      return new Promise((resolve) => {
        const cancel = clock.after(closeGraceMs, () => server.closeAllConnections());
        server.close(() => {
          cancel();
          resolve();
        });
        for (const socket of idle) socket.destroy();
      });
    },
  };
}

interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

type Pages = ReadonlyMap<string, (parameters: URLSearchParams) => Page | Promise<Page>>;

const plainText = "text/plain; charset=utf-8";
const json = "application/json";

function createPages(options: AdminServerOptions): Pages {
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

  return new Map<string, (parameters: URLSearchParams) => Page | Promise<Page>>([
    ["/", () => ({ status: 200, contentType: "text/html; charset=utf-8", body: indexPage })],
    ["/metrics", async () => ({ status: 200, contentType: registry.contentType, body: await renderMetrics() })],
    ["/healthz", () => ({ status: 200, contentType: plainText, body: "ok\n" })],
    [
      "/readyz",
      () => {
        const { ready, reasons } = options.isReady();
        const lines = ready ? ["ok"] : reasons;
        return { status: ready ? 200 : 503, contentType: plainText, body: `${lines.join("\n")}\n` };
      },
    ],
    ["/version", () => ({ status: 200, contentType: json, body: `${JSON.stringify(build)}\n` })],
    ["/explain", (parameters) => showExplanation(options.explain(parameters))],
  ]);
}

function showExplanation(outcome: ReturnType<AdminServerOptions["explain"]>): Page {
  if ("wrong" in outcome) return { status: 400, contentType: plainText, body: `${outcome.wrong}\n` };
  return { status: 200, contentType: json, body: `${JSON.stringify(outcome.explanation)}\n` };
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
  <li><a href="/explain?name=www.example.com">/explain?name=www.example.com</a>: what happens to a lookup</li>
</ul>
</html>
`;

async function respond(request: IncomingMessage, response: ServerResponse, pages: Pages): Promise<void> {
  const { status, contentType, body } = await choosePage(request, pages);
  if (status === 405) response.setHeader("Allow", "GET, HEAD");
  response.writeHead(status, {
    "Content-Type": contentType,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    Connection: "close",
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

async function choosePage({ method, url }: IncomingMessage, pages: Pages): Promise<Page> {
  const target = url ?? "/";
  const queryStart = target.indexOf("?");
  const path = queryStart === -1 ? target : target.slice(0, queryStart);
  const page = pages.get(path);
  if (page === undefined) return { status: 404, contentType: plainText, body: "no such page; see /\n" };
  if (method !== "GET" && method !== "HEAD") {
    return { status: 405, contentType: plainText, body: "only GET and HEAD\n" };
  }
  try {
    return await page(new URLSearchParams(queryStart === -1 ? "" : target.slice(queryStart + 1)));
  } catch (error) {
    return { status: 500, contentType: plainText, body: `the page failed: ${String(error)}\n` };
  }
}
