/*
 * Who looks on while queries are answered, and has no part in it.
 */
import type { SocketAddress } from "../runtime/socket-address.ts";
import type { FoldedName } from "../wire/name.ts";
import type { ClientQuery } from "../wire/query.ts";

/** Notes what passes, in integers. `client`, `query` and `name` are valid only during the call. */
export interface Onlooker {
  /**
   * A client's query has come. Returns a number that stands for it below; numbers under 0 stand for queries that were not shown. `nowMs` is a
   * whole number, which is passed on without an allocation.
   */
  received(client: SocketAddress, query: ClientQuery, isTcp: boolean, nowMs: number): number;
  /** A client's query has come and has got a reply that was made here, as hits do: both in one, with the same arguments. */
  answeredAtOnce(
    client: SocketAddress,
    query: ClientQuery,
    isTcp: boolean,
    nowMs: number,
    rcode: number,
    source: number,
    durationMs: number,
  ): void;
  /** A query has got a reply. `source` is a ReplySource. `durationMs` leaves out what a reply of the same batch took. */
  answered(number: number, name: FoldedName, rcode: number, source: number, durationMs: number): void;
  /** It gets none. */
  dropped(number: number): void;
}

/** The number of a query that the onlooker was not shown. */
export const unseen = -1;
