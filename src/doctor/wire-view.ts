/*
 * What copies of packets show of pods and kube-dns, as the doctor is told it. Whoever reads the copies is handed in.
 */

/** A query that came again. */
export interface WireWait {
  readonly client: string;
  readonly name: string;
  readonly type: string;
  readonly afterMs: number;
  /** What had become of the first: one of the names of First (`seen/repeats`). */
  readonly first: string;
  /** What connection tracking dropped in the same second, "insert_failed +2"; "" for nothing. */
  readonly dropped: string;
}

/** What was seen so far. */
export interface WireReport {
  /** Why there are no copies; undefined where there are. */
  readonly problem: string | undefined;
  readonly seconds: number;
  readonly queries: number;
  readonly pods: number;
  /** Those of the queries that nodens would not have asked kube-dns. */
  readonly savedQueries: number;
  /** Entries of connection tracking that the queries took. */
  readonly conntrackEntries: number;
  /** Queries that got no reply. */
  readonly unanswered: number;
  /** Copies for which there was no room. */
  readonly droppedCopies: number;
  /** How many queries came again, and the last of them. */
  readonly waited: number;
  readonly waits: readonly WireWait[];
}

/** Watches. */
export interface WireWatch {
  report(): WireReport;
  close(): void;
}

/** Begins to watch what is asked at these addresses (IP literals), until it is closed. `zone` is the cluster's, as text. Never throws. */
export type WatchWire = (addresses: readonly string[], zone: string) => WireWatch;
