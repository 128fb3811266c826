/*
 * Runs the load generator (load.c) against a server, and the upstream behind the servers (upstream.c).
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { findFreePort } from "../../test/support/servers/free-port.ts";
import { endProcess, processors, startPinned } from "./pinned-process.ts";
import type { Tools } from "./tools.ts";

/** How to ask. One of `window` and `perSecond` is given. */
export interface Load {
  readonly file: string;
  readonly port: number;
  /** udp, tcp with a connection for each client, tcp1 with one for each query. */
  readonly mode?: "udp" | "tcp" | "tcp1";
  /** So many lookups at once. */
  readonly window?: number;
  /** So many lookups a second, whatever comes back. */
  readonly perSecond?: number;
  readonly seconds?: number;
  /** Lookups at most. */
  readonly most?: number;
  readonly clients?: number;
  /** The first client's address; the next has the next one. */
  readonly from?: string;
  readonly timeoutMs?: number;
  /** From this lookup of the file on. */
  readonly offset?: number;
  /** Ahead of the machine's other work. */
  readonly isHurried?: boolean;
  /** Never sleeps, so that the server does not pay for waking what asks it. */
  readonly isAwake?: boolean;
}

/** What came of it. Times are in microseconds, of lookups that were answered to their end. */
export interface LoadReport {
  readonly seconds: number;
  readonly lookups: number;
  readonly lostLookups: number;
  readonly unfound: number;
  readonly asked: number;
  readonly answered: number;
  readonly lost: number;
  readonly skipped: number;
  readonly noError: number;
  readonly nxDomain: number;
  readonly servFail: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly most: number;
}

/** Runs it to its end. */
export async function runLoad(tools: Tools, load: Load): Promise<LoadReport> {
  const options: readonly (readonly [string, string | number | undefined])[] = [
    ["-a", "127.0.0.1"],
    ["-p", load.port],
    ["-f", load.file],
    ["-m", load.mode ?? "udp"],
    ["-w", load.window],
    ["-r", load.perSecond],
    ["-s", load.seconds ?? 600],
    ["-n", load.most],
    ["-c", load.clients ?? 10],
    ["-b", load.from],
    ["-t", load.timeoutMs ?? 5000],
    ["-x", load.offset],
  ];
  const words = options
    .flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)]))
    .concat(load.isAwake === true ? ["-y"] : []);
  const child = startPinned(processors.load, [tools.load, ...words], {
    pipes: true,
    urgency: load.isHurried === true ? 1 : 0,
  });
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  return JSON.parse(text) as LoadReport;
}

/** What upstream was asked since it was last looked at. */
export interface UpstreamCounts {
  readonly udp: number;
  readonly tcp: number;
  /** Different sockets that they came from. */
  readonly flows: number;
}

/** The server behind all that are measured. */
export interface Upstream {
  readonly port: number;
  /** Tells the counts and begins anew. */
  take(): Promise<UpstreamCounts>;
  close(): Promise<void>;
}

/** Starts it. It answers after `pauseMs`. */
export async function startUpstream(tools: Tools, pauseMs: number): Promise<Upstream> {
  const port = await findFreePort();
  const line = [tools.upstream, "127.0.0.1", String(port), String(Math.round(pauseMs * 1000))];
  // Ahead of what asks the servers: that may never sleep.
  const child = startPinned(processors.load, line, { pipes: true, urgency: 2 });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("no pipes to upstream");
  const lines = createInterface(stdout)[Symbol.asyncIterator]();
  const take = async () => {
    stdin.write("\n");
    const { value } = await lines.next();
    return JSON.parse(String(value)) as UpstreamCounts;
  };
  await take();
  return { port, take, close: () => endProcess(child) };
}
