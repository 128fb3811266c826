/*
 * Lookups in a pod of a bed at a steady rate, while something happens to the node (test/fixtures/clients/steady-lookups.c).
 */
import { once } from "node:events";
import type { BedHost } from "./node-bed.ts";

/** Which lookups. */
export interface SteadyLookups {
  /** The address that is asked, on port 53. */
  readonly server: string;
  /** A "%" in it is replaced by the number of the lookup. */
  readonly name: string;
  readonly perSecond: number;
  /** How long an attempt waits for its reply, and how many attempts a lookup has. */
  readonly waitMs: number;
  readonly attempts: number;
  /** UDP unless said otherwise. */
  readonly transport?: "udp" | "tcp";
}

/** What the client saw. */
export interface SeenLookups {
  readonly started: number;
  readonly answered: number;
  readonly failed: number;
  /** Attempts that were refused, or whose connection was cut. */
  readonly refused: number;
  /** Replies from another address than the one that was asked. */
  readonly wrongSource: number;
  /** The longest time without an answer, over all lookups. */
  readonly longestGapMs: number;
  /** The time that the slowest lookup took. */
  readonly slowestMs: number;
}

/** Lookups that go on until `end`. */
export interface RunningLookups {
  /** Starts no more, waits for what was started, and resolves with what was seen. */
  end(): Promise<SeenLookups>;
}

/** They end by themselves after this long. */
const longestSeconds = 120;

/** Starts them in `pod`, with the compiled client at the path `client`. */
export function lookUpSteadily(pod: BedHost, client: string, lookups: SteadyLookups): RunningLookups {
  const { server, name, perSecond, waitMs, attempts, transport = "udp" } = lookups;
  const numbers = [perSecond, longestSeconds, waitMs, attempts].map(String);
  const child = pod.start(client, [server, "53", name, ...numbers, transport]);
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (text) => (stdout += String(text)));
  child.stderr?.on("data", (text) => (stderr += String(text)));
  const closed = once(child, "close");
  return {
    async end() {
      child.kill("SIGTERM");
      await closed;
      if (stdout === "") throw new Error(`the client in ${pod.namespace} failed: ${stderr}`);
      return JSON.parse(stdout) as SeenLookups;
    },
  };
}
