/*
 * One request to the admin server of a running nodens, for commands.
 */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { ServerAddress, UnixSocketPath } from "./server-address.ts";

/** What the server said. */
export interface AdminReply {
  readonly status: number;
  readonly body: string;
}

/** Larger than any page: ten thousand queries, with as much of names as a page tells. */
const maxPageSizeBytes = 4 * 1024 * 1024;

/** Follows no redirects. Rejects when nobody answers, not in time, with more than any page is, or not in HTTP. */
export async function askAdmin(
  place: ServerAddress | UnixSocketPath,
  path: string,
  timeoutMs: number,
  maxReplySizeBytes = maxPageSizeBytes,
  method: "GET" | "POST" = "GET",
): Promise<AdminReply> {
  const target = "path" in place ? { socketPath: place.path } : place;
  const asking = request({ ...target, path, method, agent: false, signal: AbortSignal.timeout(timeoutMs) }).end();
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  // Piece by piece, so that octets and text of a large page are not both there at once.
  const decoder = new TextDecoder();
  let body = "";
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxReplySizeBytes) throw new Error(`its answer is over ${maxReplySizeBytes} octets`);
    body += decoder.decode(chunk, { stream: true });
  }
  return { status: response.statusCode ?? 0, body: body + decoder.decode() };
}

/** Why nobody answered, for people. */
export function describeSilence(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "AbortError") return `nothing within ${timeoutMs} ms`;
  const { code } = error as NodeJS.ErrnoException;
  // What the parser of HTTP says.
  if (code?.startsWith("HPE_") === true) return "what is there does not speak HTTP";
  return code ?? error.message;
}
