/*
 * Lookups in a pod of a bed at a steady rate, without any retry, each with what became of it (test/fixtures/clients/steady-lookups.c).
 */
import { once } from "node:events";
import type { BedHost } from "./node-bed.ts";

/** Which lookups. */
export interface LookupLoad {
  /** The address that is asked over UDP, on port 53. */
  readonly server: string;
  /** A "%" in it is replaced by the number of the lookup. */
  readonly name: string;
  readonly perSecond: number;
  /** They end by themselves after this long. */
  readonly seconds: number;
}

/** What became of one lookup. */
export interface LoggedLookup {
  /** Milliseconds on the system's monotonic clock, as monotonicMs gives them. */
  readonly startedAtMs: number;
  /** How long the reply took, or how long none came. */
  readonly tookMs: number;
  /** The code of the reply; -1 when none came. */
  readonly rcode: number;
}

/** Lookups that go on. */
export interface RunningLoad {
  /** Starts no more, waits for what was started, and resolves with all lookups. */
  end(): Promise<LoggedLookup[]>;
  /** The same once the load has ended by itself. */
  readonly ended: Promise<LoggedLookup[]>;
}

/** As long as a resolver in a C library waits before it asks again: whoever waits longer has given up. */
export const longestWaitMs = 5000;

/** Starts lookups in `pod`, with the compiled client at the path `client`. */
export function logLookups(
  pod: BedHost,
  client: string,
  { server, name, perSecond, seconds }: LookupLoad,
): RunningLoad {
  const numbers = [perSecond, seconds, longestWaitMs, 1].map(String);
  const child = pod.start(client, [server, "53", name, ...numbers, "udp", "each"]);
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (text) => (stdout += String(text)));
  child.stderr?.on("data", (text) => (stderr += String(text)));
  const ended = once(child, "close").then(() => {
    if (stdout === "") throw new Error(`the client in ${pod.namespace} failed: ${stderr}`);
    return readLog(stdout);
  });
  // Whoever asks for the end hears of it.
  ended.catch(() => {});
  return {
    ended,
    end() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** Now, on the clock that the client reads. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A line for each lookup; the last line sums up. */
function readLog(text: string): LoggedLookup[] {
  const lines = text.trimEnd().split("\n").slice(0, -1);
  return lines.map((line) => {
    const [, startedAtMs = NaN, tookMs = NaN, rcode = NaN] = line.split(" ").map(Number);
    return { startedAtMs, tookMs, rcode };
  });
}
