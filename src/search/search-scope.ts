/*
 * Where search suffixes reach: under the cluster zone and the suffixes that pods append. Only there may a denial hold for A
 * and AAAA alike; elsewhere there are servers that wrongly deny AAAA of names that exist (RFC 4074 §4.2).
 */
import { isAtOrBelow } from "../wire/name.ts";

/** Whether a folded name in wire form lies at or below one of the zones. */
export type SearchScope = (name: Uint8Array) => boolean;

/** Creates the scope of these zones (folded, wire form). Without zones, nothing is in scope. */
export function createSearchScope(zones: readonly Uint8Array[]): SearchScope {
  return (name) => zones.some((zone) => isAtOrBelow(name, zone));
}
