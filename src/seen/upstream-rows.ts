/*
 * How upstream is doing by path, from the questions that went there lately and from what each path says of itself.
 */
import type { Trip } from "./trips.ts";

/** A path to a server, as upstream knows it. */
export interface PathState {
  readonly route: string;
  /** "ADDR:PORT". */
  readonly server: string;
  readonly transport: string;
  readonly isUp: boolean;
  readonly isFailed: boolean;
  readonly openFlows: number;
  /** Flows that were left because they were silent, and questions that were lost, since the start. */
  readonly silentFlows: number;
}

/** A path with what its questions took. */
export interface UpstreamRow extends PathState {
  /** Questions of the last minute, and those of them that were sent more than once. */
  readonly questions: number;
  readonly sentAgain: number;
  /** Of those that were answered; undefined if none was. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** The last failure that is remembered, "timeout 40 s ago"; "" if there is none. */
  readonly lastFailure: string;
}

const lookBackMs = 60_000;

/** Joins paths to the trips that took them. */
export function upstreamRows(paths: readonly PathState[], trips: readonly Trip[], nowMs: number): UpstreamRow[] {
  return paths.map((path) => {
    const own = trips.filter(
      ({ route, server, transport }) => route === path.route && server === path.server && transport === path.transport,
    );
    const lately = own.filter(({ endedAtMs }) => nowMs - endedAtMs <= lookBackMs);
    const took = lately
      .filter(({ failure }) => failure === "")
      .map(({ startedAtMs, endedAtMs }) => endedAtMs - startedAtMs)
      .toSorted((one, other) => one - other);
    const failed = own.find(({ failure }) => failure !== "");
    return {
      ...path,
      questions: lately.length,
      sentAgain: lately.filter(({ sends }) => sends > 1).length,
      p50Ms: took[Math.floor(took.length * 0.5)],
      p99Ms: took[Math.floor(took.length * 0.99)],
      lastFailure:
        failed === undefined ? "" : `${failed.failure} ${Math.round((nowMs - failed.endedAtMs) / 1000)} s ago`,
    };
  });
}
