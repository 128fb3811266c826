/*
 * What stands behind every socket that pods ask.
 */
import type { MissQueue } from "../resolve/miss-queue.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { Clock } from "../runtime/clock.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { AccessList } from "./access-list.ts";
import type { HealthQuestion } from "./health-question.ts";
import type { Onlooker } from "./onlooker.ts";

/** What all listening sockets share. The first three may be replaced while queries run. */
export interface Front {
  accessList: AccessList;
  /** The largest UDP reply, whatever size the client offers. */
  maxUdpReplySizeBytes: number;
  /** Called for every reply, if there is a query log. */
  queryLog: QueryLog | undefined;
  /** Sees every query of a client and what becomes of it. */
  readonly onlooker: Onlooker | undefined;
  readonly resolver: Resolver;
  readonly misses: MissQueue;
  /** What nodens asks its own sockets. */
  readonly health: HealthQuestion;
  readonly clock: Clock;
  /** Keys the hashes of names: random per process. */
  readonly hashSeed: number;
}

/** Writes one line about a reply. `source` is a ReplySource. `query` is valid only during the call. */
export type QueryLog = (
  client: string,
  protocol: "udp" | "tcp",
  query: ClientQuery,
  rcode: number,
  source: number,
  durationMs: number,
  sizeBytes: number,
) => void;
