/*
 * What a step of the chain is: it acts, and it foresees what it would do. Both are in one file, side by side, so that what is foreseen cannot
 * drift from what is done.
 */
import type { Transport } from "../wire/transport.ts";
import type { InferringRule } from "../search/rules.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Question } from "../wire/question.ts";
import type { Answer } from "./answer.ts";
import type { Tell } from "./share-in-flight.ts";
import type { StaleVerdict } from "./stale-answers.ts";

/** A client's question on its way through the chain. */
export interface Asked {
  /** The client's query: a copy that a step may keep when it acts. */
  readonly query: ClientQuery;
  readonly question: Question;
  /** The question's key (wire/question). */
  readonly key: string;
  /** The client's address, for its bounds. */
  readonly client: string;
}

/** A step of the chain. */
export interface Step {
  /** The answer; "later" if `tell` will be told it, once, and never before this returns; or undefined to go on to the next step. */
  act(asked: Asked, tell: Tell): Answer | "later" | undefined;
  /** What `act` would do, without doing it: nothing is asked, counted, stored, or reordered. */
  foresee: ForeseeStep;
}

/** What a step foresees, or undefined to go on to the next step. `assumed`: the flights that earlier queries would have started. */
export type ForeseeStep = (asked: Asked, assumed: AssumedFlights) => Foresight | undefined;

/** The route that a question would take, by name, and its transport. */
export interface RouteTaken {
  readonly route: string;
  readonly transport: Transport;
}

/** What would be done with one query. */
export type Foresight =
  /** Never looked up: a transfer, or another class. */
  | { readonly kind: "refused" }
  /** In the cache, for `ttlSeconds` more. "denied" is NXDOMAIN, "noData" a name without records of the type. */
  | { readonly kind: "cached"; readonly verdict: "data" | "noData" | "denied"; readonly ttlSeconds: number }
  /** A name of the local host, answered here: with its records, or with NODATA. */
  | { readonly kind: "ownHost"; readonly hasData: boolean }
  /** NXDOMAIN by a search rule. */
  | { readonly kind: "denied"; readonly rule: InferringRule; readonly ttlSeconds: number }
  /** Denied, but answered with the outside name behind the suffix query, if that has data. */
  | { readonly kind: "outsideName"; readonly outside: string; readonly isCached: boolean }
  /** The upstream leads back to nodens: a stale answer if there is one, otherwise SERVFAIL. */
  | { readonly kind: "looping"; readonly stale?: StaleVerdict | undefined }
  /** Failed a moment ago: a stale answer if there is one, otherwise the failure again. */
  | { readonly kind: "failed"; readonly stale?: StaleVerdict | undefined }
  /** Upstream answers nobody, and there is a stale answer. `again`: the question is asked all the same, which nobody waits for. */
  | { readonly kind: "awayUpstream"; readonly stale: StaleVerdict; readonly again: boolean }
  /** The same question is already in flight. */
  | { readonly kind: "shared" }
  /** The other address type is in flight: if the name is denied, that answers both. */
  | { readonly kind: "waits"; readonly forType: "A" | "AAAA" }
  /** The parent is asked for, or awaited, first. The name itself is asked for only if the parent exists. */
  | ({ readonly kind: "asksParent"; readonly parent: string; readonly isOnItsWay: boolean } & RouteTaken)
  /** Asked upstream. */
  | ({ readonly kind: "forwarded" } & RouteTaken)
  /** Shed, for want of room: a stale answer if there is one, otherwise SERVFAIL over TCP and nothing over UDP. */
  | { readonly kind: "shed"; readonly stale?: StaleVerdict | undefined };

/** Questions that are assumed to be in flight, though nobody has asked them. */
export interface AssumedFlights {
  /** Whether a question is in flight, really or by assumption. */
  has(question: Question): boolean;
  /** Assumes from now on that a question is in flight. */
  add(question: Question): void;
  /** Assumes that the client has one more place on a route: an `added` one, or one `taken` from another client. */
  takePlaceOn(route: string, place: keyof AssumedPlaces): void;
  /** The places that the client is assumed to have on a route. */
  placesOn(route: string): AssumedPlaces;
  /** Questions that are assumed to have come out of a route's budget for asking again. */
  addRecheck(route: string): void;
  recheckCount(route: string): number;
}

/** How many places on a route the client is assumed to have that it does not really have. */
export interface AssumedPlaces {
  readonly added: number;
  readonly taken: number;
}
