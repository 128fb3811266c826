/*
 * The last questions that went upstream: by which route, to which server, over which transport, how often they were sent, and how long that
 * took. A recorded query is joined to its trip when somebody looks, so that queries that need no trip pay nothing.
 */

/** A question's way upstream and back. Moments are monotonic milliseconds. */
export interface Trip {
  /** The hash of its name, by which queries are found that it served. */
  readonly nameHash: number;
  readonly type: number;
  readonly route: string;
  /** Who answered or, without an answer, who was asked last: "ADDR:PORT"; "" if nobody was asked. */
  readonly server: string;
  readonly transport: string;
  /** How many packets were sent for it. */
  readonly sends: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Why there was no answer; "" if there was one. */
  readonly failure: string;
}

/** Remembers trips. */
export interface Trips {
  note(trip: Trip): void;
  /** How many there were since the start. */
  total(): number;
  /** Those that are remembered, newest first: copies. */
  recent(): readonly Trip[];
  /** Returns a function that finds the trip that was under way, or just over, between two moments: the latest, of those remembered now. */
  finder(): (nameHash: number, type: number, fromMs: number, toMs: number) => Trip | undefined;
}

type KeptTrip = { -readonly [Key in keyof Trip]: Trip[Key] };

function copyTrip(from: Trip, to: KeptTrip): void {
  to.nameHash = from.nameHash;
  to.type = from.type;
  to.route = from.route;
  to.server = from.server;
  to.transport = from.transport;
  to.sends = from.sends;
  to.startedAtMs = from.startedAtMs;
  to.endedAtMs = from.endedAtMs;
  to.failure = from.failure;
}

/** Creates a memory of `maxTrips` trips, of some 100 octets each. */
export function createTrips(maxTrips: number): Trips {
  // Written over and over: new ones would each live so long that the collector of short-lived objects has to keep them.
  const kept: KeptTrip[] = [];
  let total = 0;

  function recent(): Trip[] {
    const next = total % maxTrips;
    return [...kept.slice(next), ...kept.slice(0, next)].map((trip) => ({ ...trip })).toReversed();
  }

  return {
    note(trip) {
      const own = kept[total % maxTrips];
      if (own === undefined) kept.push({ ...trip });
      else copyTrip(trip, own);
      total += 1;
    },
    total: () => total,
    recent,
    finder() {
      const byQuestion = Map.groupBy(recent(), ({ nameHash, type }) => `${nameHash} ${type}`);
      return (nameHash, type, fromMs, toMs) =>
        byQuestion
          .get(`${nameHash} ${type}`)
          ?.find(({ startedAtMs, endedAtMs }) => startedAtMs <= toMs && endedAtMs >= fromMs);
    },
  };
}
