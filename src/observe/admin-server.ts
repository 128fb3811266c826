/*
 * HTTP for operators and kubelet: metrics and health. Pods can reach it on a node's address, so it must cost little
 * whatever they do: one request per connection, a connection lives for seconds, and few are open.
 */
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { dirname } from "node:path";
import { bindSharedSocket, type SharedSocket } from "../runtime/shared-socket.ts";
import type { ServerAddress, UnixSocketPath } from "../runtime/server-address.ts";
import { type AdminPageOptions, choosePage, type Client, createPages, type Pages } from "./admin-pages.ts";

/** What the server shows, where, and to whom. */
export interface AdminServerOptions extends AdminPageOptions {
  /** An address, of which port 0 takes any free port, or the path of a Unix socket that only this user and root may open. */
  readonly place: ServerAddress | UnixSocketPath;
  /** Whether a client (an IP literal, as sockets report it) may see more than whether nodens runs. Asked at every request. */
  isAllowed(client: string): boolean;
}

/** A server that listens. */
export interface AdminServer {
  /** Where, with the port that was actually bound. */
  readonly place: ServerAddress | UnixSocketPath;
  /** Takes no new connections, lets requests finish, ends the rest. Resolves within about a second. */
  close(): Promise<void>;
}

/** Open connections. One more closes the oldest idle one. */
export const maxConnections = 64;

/** How long a connection lives, whatever its client sends or reads: as long as Prometheus waits for a scrape. */
export const connectionLifeMs = 10_000;

/** How long requests may take to finish once the server closes. */
const closeGraceMs = 1000;

const maxHeaderSizeBytes = 8192;

/** Listens. Rejects with the system's error when the address cannot be opened. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { place, clock } = options;
  const pages = createPages(options);
  // Oldest first.
  const idle = new Set<Socket>();
  const answering = new Set<Socket>();
  const server = createServer({ maxHeaderSize: maxHeaderSizeBytes }, (request, response) => {
    const { socket } = request;
    if (idle.delete(socket)) answering.add(socket);
    void respond(request, response, pages, clientOf(request, options));
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

  const shared = listen(server, place);
  await once(server, "listening");
  // Without free descriptors, say: the connection is lost, the server is not.
  server.on("error", () => {});
  const bound = server.address();
  return {
    place: "path" in place || typeof bound !== "object" || bound === null ? place : { ...place, port: bound.port },
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

/** Returns the socket that is shared with other processes, if it is. */
function listen(server: Server, place: ServerAddress | UnixSocketPath): SharedSocket | undefined {
  if ("path" in place) {
    mkdirSync(dirname(place.path), { recursive: true });
    // Left by an earlier process in the same place.
    rmSync(place.path, { force: true });
    server.listen({ path: place.path, readableAll: false, writableAll: false });
    return undefined;
  }
  const { host, port } = place;
  // Shared, so that a second nodens can start beside this one.
  const shared = port === 0 ? undefined : bindSharedSocket("tcp", place);
  server.listen(shared === undefined ? { host, port, ipv6Only: isIPv6(host), exclusive: true } : { fd: shared.fd });
  return shared;
}

/**
 * On loopback both ends are: a node's other addresses can be reached from elsewhere, and forged. And the page was asked for by a name of
 * loopback: a browser on this machine can be made to ask by another name that leads here, on behalf of whoever owns that name.
 */
function clientOf({ socket, headers }: IncomingMessage, { place, isAllowed }: AdminServerOptions): Client {
  const { remoteAddress = "", localAddress = "" } = socket;
  const isPage = headers.origin !== undefined;
  if ("path" in place) return { isLocal: true, isAllowed: true, isPage };
  const isLocal = isLoopback(remoteAddress) && isLoopback(localAddress) && isLoopbackName(headers.host);
  return { isLocal, isAllowed: isAllowed(remoteAddress), isPage };
}

function isLoopbackName(host: string | undefined): boolean {
  return host === undefined || /^(localhost|127\.[\d.]+|\[::1\])(:\d+)?$/i.test(host);
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

async function respond(
  { method, url }: IncomingMessage,
  response: ServerResponse,
  pages: Pages,
  client: Client,
): Promise<void> {
  const { status, contentType, body, policy, allow } = await choosePage(pages, client, method ?? "", url ?? "/");
  if (allow !== undefined) response.setHeader("Allow", allow);
  response.writeHead(status, {
    "Content-Type": contentType,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "Content-Security-Policy": policy ?? "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    Connection: "close",
  });
  response.end(method === "HEAD" ? undefined : body);
}
