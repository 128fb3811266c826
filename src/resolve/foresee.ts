/*
 * What nodens would do with queries that came in now, without doing it: the onlooker's faces of the resolver's steps, in the
 * resolver's order.
 */
import { type ClientQuery, createQueryView, readQuery } from "../wire/query.ts";
import { composeQuery, ownQuestion, questionKey, questionOf } from "../wire/question.ts";
import type { SharedQuestions } from "./share-in-flight.ts";
import { noPlaces } from "./route-lane.ts";
import type { AssumedFlights, AssumedPlaces, ForeseeStep, Foresight } from "./step.ts";

/**
 * Tells what would be done with queries of a client that asks them at the same moment, in this order: a plain client, without EDNS,
 * that waits for nothing else. `name` is folded, in wire form.
 */
export type Foresee = (name: Uint8Array, types: readonly number[]) => Foresight[];

/** Creates the onlooker over the steps. `hashSeed` keys the hashes of names in the cache. */
export function createForesight(steps: readonly ForeseeStep[], shared: SharedQuestions, hashSeed: number): Foresee {
  return (name, types) => {
    const assumed = assumeFlights(shared);
    return types.map((type) => foreseeOne(steps, clientQuery(name, type, hashSeed), assumed));
  };
}

function foreseeOne(steps: readonly ForeseeStep[], query: ClientQuery, assumed: AssumedFlights): Foresight {
  const question = questionOf(query);
  const asked = { query, question, key: questionKey(question), client: nobody };
  for (const foresee of steps) {
    const foresight = foresee(asked, assumed);
    if (foresight !== undefined) return foresight;
  }
  throw new Error("a bug in nodens: no step foresees anything");
}

/** The address of a client that waits for nothing yet. */
const nobody = "";

function assumeFlights(shared: SharedQuestions): AssumedFlights {
  const assumed = new Set<string>();
  const onRoute = new Map<string, AssumedPlaces>();
  const placesOn = (route: string) => onRoute.get(route) ?? noPlaces;
  return {
    has: (key) => assumed.has(key) || shared.find(key) !== undefined,
    add: (key) => void assumed.add(key),
    takePlaceOn(route, place) {
      const places = placesOn(route);
      onRoute.set(route, { ...places, [place]: places[place] + 1 });
    },
    placesOn,
  };
}

/** The query that a plain client would send. EDNS makes no difference here, only DO and CD would. */
function clientQuery(name: Uint8Array, type: number, hashSeed: number): ClientQuery {
  const packet = composeQuery(ownQuestion(name, type));
  const query = createQueryView(hashSeed);
  readQuery(packet, packet.length, query);
  return query;
}
