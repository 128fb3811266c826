/*
 * The zones of a Corefile: the keys of server blocks (scheme, name or address range, port) in the form that settings take.
 */
import { isIP } from "node:net";
import { reverseZonesOf } from "../settings/reverse-zones.ts";
import { isZone } from "../settings/zone-name.ts";
import { isVariable } from "./corefile-placeholders.ts";
import type { ServerBlock } from "./corefile.ts";

/** A zone that a block is for. The root is "."; others are in lower case without the last dot. */
export interface ServedZone {
  readonly zone: string;
  readonly port: number;
  readonly block: ServerBlock;
}

/** A key that settings cannot express, and why. */
interface UnusableKey {
  readonly key: string;
  readonly why: string;
}

/** The zones of a block, and the keys that cannot be used. */
export function zonesOf(block: ServerBlock): { zones: ServedZone[]; unusable: UnusableKey[] } {
  const zones: ServedZone[] = [];
  const unusable: UnusableKey[] = [];
  for (const key of block.keys) {
    const [, scheme = "dns", rest = ""] = /^(?:(\w+):\/\/)?(.*)$/s.exec(key) ?? [];
    const [, name = "", port = "53"] = /^(.*?)(?::(\d+))?$/s.exec(rest) ?? [];
    const names = namesOf(name);
    if (scheme !== "dns") unusable.push({ key, why: "nodens answers over UDP and TCP only" });
    else if (Number(port) === 0 || Number(port) > 65_535) unusable.push({ key, why: "there is no such port" });
    else if (names === undefined) unusable.push({ key, why: "it is not a range of addresses" });
    else if (!names.every(isServable)) unusable.push({ key, why: "it is not a domain name that settings accept" });
    else zones.push(...names.map((zone) => ({ zone, port: Number(port), block })));
  }
  return { zones, unusable };
}

/** Whether a block can be for it: a zone as settings take them, the root, or a variable. */
export function isServable(zone: string): boolean {
  return zone === "." || isVariable(zone) || isZone(zone);
}

/** Whether names below the zone stand for addresses. */
export function isReverseZone(zone: string): boolean {
  return /(?:^|\.)(?:in-addr|ip6)\.arpa$/.test(zone);
}

/** Whether a zone is `parent` or lies below it. */
export function isAtOrBelow(zone: string, parent: string): boolean {
  return parent === "." || zone === parent || zone.endsWith(`.${parent}`);
}

/** The zones that a name or a range of addresses stands for; undefined when the prefix is longer than the address. */
export function namesOf(name: string): string[] | undefined {
  const [, address = "", lengthText = ""] = /^([^/]+)\/(\d{1,3})$/.exec(name) ?? [];
  if (isIP(address) !== 0) return reverseZonesOf(address, Number(lengthText));
  const text = isVariable(name) ? name : name.toLowerCase();
  return [text.replace(/(?<=.)\.$/s, "") || "."];
}
