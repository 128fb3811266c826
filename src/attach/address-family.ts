/*
 * The address family of rules: what names of sets and chains end with, and how the protocol is called.
 */
import { isIPv6 } from "node:net";

/** "4" or "6". */
export type Family = "4" | "6";

/** Both. */
export const families: readonly Family[] = ["4", "6"];

/** The family of an address. What is not an IPv6 address is held to be an IPv4 one. */
export function familyOf(address: string): Family {
  return isIPv6(address) ? "6" : "4";
}

/** The protocol's name in rules. */
export function protocol(family: Family): "ip" | "ip6" {
  return family === "6" ? "ip6" : "ip";
}
