/*
 * Which zones deny names and not types: there NXDOMAIN for one address type holds for the other too. Elsewhere each denial is of its own
 * type, for there are servers that deny AAAA of names that have an address (RFC 4074 §4.2).
 */
import { isAtOrBelow } from "../wire/name.ts";
import type { ZoneKnowledge } from "./zone-knowledge.ts";

/** What is known of the cluster zone and the search suffixes. Names are folded, in wire form; those of no such zone share nothing. */
export interface NameDenials {
  /** Whether the zone of `name` has shown it: by its schema, or by NODATA for an address type. */
  areShownFor(name: Uint8Array): boolean;
  /** The same for a denial that came with the SOA of `owner`. What lies below the zone may be served by somebody else. */
  areShownBy(name: Uint8Array, owner: Uint8Array | undefined): boolean;
  /** A name has no record of an address type, and was not denied for that. */
  noteNoData(name: Uint8Array): void;
  /** A name is denied for one address type and exists by the other. */
  noteContradiction(name: Uint8Array): void;
}

/** So long after a contradiction nothing that the zone says makes up for it. */
const pauseMs = 10 * 60_000;

/** Creates the memory of these zones, none of which has shown anything. The first is the cluster's, of which `knowledge` tells. */
export function createNameDenials(
  [clusterZone, ...suffixes]: readonly [Uint8Array, ...Uint8Array[]],
  knowledge: Pick<ZoneKnowledge, "hasSchema">,
  nowMs: () => number,
): NameDenials {
  const zones = [clusterZone, ...suffixes]
    .map((zone) => ({ zone, isShown: false, notBeforeMs: -Infinity }))
    .toSorted((a, b) => b.zone.length - a.zone.length);

  const zoneOf = (name: Uint8Array) => zones.find(({ zone }) => isAtOrBelow(name, zone));

  function areShownFor(name: Uint8Array): boolean {
    const own = zoneOf(name);
    // Its schema says more than a Service that came or went between two questions.
    return own !== undefined && (own.isShown || (own.zone === clusterZone && knowledge.hasSchema()));
  }

  return {
    areShownFor,
    areShownBy(name, owner) {
      const own = zoneOf(name);
      return own !== undefined && areShownFor(name) && (owner === undefined || isAtOrBelow(own.zone, owner));
    },
    noteNoData(name) {
      const own = zoneOf(name);
      if (own !== undefined && nowMs() >= own.notBeforeMs) own.isShown = true;
    },
    noteContradiction(name) {
      const own = zoneOf(name);
      if (own === undefined) return;
      own.isShown = false;
      own.notBeforeMs = nowMs() + pauseMs;
    },
  };
}
