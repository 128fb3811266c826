/*
 * What a step of the chain is: two faces on one matter, side by side in one file, so that what is foreseen cannot drift from what is
 * done.
 */
import type { Transport } from "../upstream/transport.ts";
import type { InferringRule } from "../search/rules.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Question } from "../wire/question.ts";
import type { Answer } from "./answer.ts";

/** A client's question on its way through the chain. */
export interface Asked {
  /** The client's query: the asker's own copy where a step acts. */
  readonly query: ClientQuery;
  readonly question: Question;
  /** The question's key (wire/question). */
  readonly key: string;
  /** The client's address, for its bounds. */
  readonly client: string;
}

/** A step of the chain. */
export interface Step {
  /** The answer, now or later; undefined: the next step. The promise never rejects. */
  act(asked: Asked): Answer | Promise<Answer> | undefined;
  /** What `act` would do, done to nobody: nothing is asked, counted, stored, or moved in any order. */
  foresee: ForeseeStep;
}

/** The onlooker's face of a step. `assumed` are the questions that others, asked before this one, would have set in flight. */
export type ForeseeStep = (asked: Asked, assumed: AssumedFlights) => Foresight | undefined;

/** Which way a question would take. */
export interface RouteTaken {
  readonly route: string;
  readonly transport: Transport;
}

/** What would be done with one query. */
export type Foresight =
  /** Never looked up: a transfer, another class. */
  | { readonly kind: "refused" }
  /** In the cache, for so long. "denied" is NXDOMAIN, "noData" a name without records of the type. */
  | { readonly kind: "cached"; readonly verdict: "data" | "noData" | "denied"; readonly ttlSeconds: number }
  /** A name of this very host, answered here: with its address, or without records of the type. */
  | { readonly kind: "ownHost"; readonly hasData: boolean }
  /** NXDOMAIN by a search rule. */
  | { readonly kind: "denied"; readonly rule: InferringRule; readonly ttlSeconds: number }
  /** Denied, and answered all the same: with the outside name behind the suffix query, if that has data. */
  | { readonly kind: "outsideName"; readonly outside: string; readonly isCached: boolean }
  /** The upstream leads back here: a stale answer if one is held, otherwise SERVFAIL. */
  | { readonly kind: "looping"; readonly hasStale: boolean }
  /** Failed a moment ago: a stale answer if one is held, otherwise the failure again. */
  | { readonly kind: "failed"; readonly hasStale: boolean }
  /** The same question is on its way already. */
  | { readonly kind: "shared" }
  /** The other address type is on its way: if it denies the name, that answers both. */
  | { readonly kind: "waits"; readonly forType: "A" | "AAAA" }
  /** The parent is asked, or awaited, in the name's place. Only if it exists the name is asked itself. */
  | ({ readonly kind: "asksParent"; readonly parent: string; readonly isOnItsWay: boolean } & RouteTaken)
  | ({ readonly kind: "forwarded" } & RouteTaken)
  /** A bound stands against it: a stale answer if one is held, otherwise none, or SERVFAIL over TCP. */
  | { readonly kind: "shed"; readonly hasStale: boolean };

/** Questions that are taken to be in flight, though nobody has asked them. */
export interface AssumedFlights {
  /** Whether a question is on its way, really or as assumed. */
  has(key: string): boolean;
  /** From here on it is assumed to be. */
  add(key: string): void;
  /** And the client is assumed to have one more place on a route: an `added` one, or one `taken` from another client. */
  takePlaceOn(route: string, place: keyof AssumedPlaces): void;
  placesOn(route: string): AssumedPlaces;
}

/** Places on a route that the client is assumed to have, though it has them not. */
export interface AssumedPlaces {
  readonly added: number;
  readonly taken: number;
}
