/*
 * The onlooker: what nodens would do with queries that arrived now, without doing it. It asks each of the resolver's steps what the step
 * foresees, in the resolver's order.
 */
import { type ClientQuery, createQueryView, readQuery } from "../wire/query.ts";
import { composeQuery, ownQuestion, questionKey, questionOf } from "../wire/question.ts";
import type { SharedQuestions } from "./share-in-flight.ts";
import { noPlaces } from "./route-lane.ts";
import type { AssumedFlights, AssumedPlaces, ForeseeStep, Foresight } from "./step.ts";

/**
 * Foresees what would be done with a client's queries for `name`, one for each of `types`, sent at the same moment and in this order by
 * a plain client without EDNS that waits for nothing else. `name` is folded, in wire form. The result has the order of `types`.
 */
export type Foresee = (name: Uint8Array, types: readonly number[]) => Foresight[];

/** Creates the onlooker over all steps, in order. `hashSeed` is the one that keys the hashes of names in the cache. */
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

/** The address of a client that waits for nothing: no real client has it. */
const nobody = "";

function assumeFlights(shared: SharedQuestions): AssumedFlights {
  const assumed = new Set<string>();
  const onRoute = new Map<string, AssumedPlaces>();
  const rechecks = new Map<string, number>();
  const recheckCount = (route: string) => rechecks.get(route) ?? 0;
  const placesOn = (route: string) => onRoute.get(route) ?? noPlaces;
  return {
    has: (question) => assumed.has(questionKey(question)) || shared.find(question) !== undefined,
    add: (question) => void assumed.add(questionKey(question)),
    takePlaceOn(route, place) {
      const places = placesOn(route);
      onRoute.set(route, { ...places, [place]: places[place] + 1 });
    },
    placesOn,
    addRecheck: (route) => void rechecks.set(route, recheckCount(route) + 1),
    recheckCount,
  };
}

/** The query that a plain client would send. EDNS makes no difference here; only DO and CD would. */
function clientQuery(name: Uint8Array, type: number, hashSeed: number): ClientQuery {
  const packet = composeQuery(ownQuestion(name, type));
  const query = createQueryView(hashSeed);
  readQuery(packet, packet.length, query);
  return query;
}
