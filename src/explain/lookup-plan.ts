/*
 * What a pod's own resolver does with a name: which names it asks, in which order, and which reply ends its walk. glibc and musl
 * differ in three places, each of which can decide whether a name resolves:
 *
 *   - a name with `ndots` dots or more: glibc asks it first and the suffixes after it, musl asks it alone;
 *   - NODATA and SERVFAIL: glibc goes on to the next suffix, musl stops;
 *   - a search list of over 255 octets: musl ignores it whole.
 */

import { maxNdots } from "../settings/resolv-conf.ts";

/** The two C libraries whose getaddrinfo is told apart. */
export const clientLibraries = ["glibc", "musl"] as const;

/** One of them. */
export type ClientLibrary = (typeof clientLibraries)[number];

/** The types that are asked for each name: both at once, and both must be answered. */
export const askedTypes = ["A", "AAAA"] as const;

/** One of them. */
export type AskedType = (typeof askedTypes)[number];

/** What resolv.conf says about searching. Suffixes are in presentation form, in their order. */
export interface SearchPath {
  readonly suffixes: readonly string[];
  readonly ndots: number;
}

/** One name that is asked, for A and AAAA. */
export interface LookupStep {
  /** In full, without the final dot. */
  readonly name: string;
  /** What was appended; empty for the name as it stands. */
  readonly suffix: string;
}

/** What the replies to one step's pair of queries say together; "failed" is SERVFAIL. */
export type StepVerdict = "data" | "noData" | "denied" | "failed";

/** The longest search list, with one space between suffixes, that musl has room for. */
export const muslMaxSearchLength = 255;

/** Without the octets for the root and the first length: the longest name that can be written. */
const maxNameTextLength = 253;

/**
 * The steps of a lookup of `name`, as the library takes them while every name is denied. Names that would be too long are not asked.
 * Empty for an empty name, the root, and a name that ends in two dots.
 */
export function planLookup(name: string, path: SearchPath, library: ClientLibrary): LookupStep[] {
  const isAbsolute = name.endsWith(".");
  const bareName = isAbsolute ? name.slice(0, -1) : name;
  if (bareName === "" || bareName.endsWith(".")) return [];
  const itself = { name: bareName, suffix: "" };
  if (isAbsolute) return [itself];
  const hasEnoughDots = countDots(name) >= Math.min(path.ndots, maxNdots);
  if (library === "musl") return hasEnoughDots ? [itself] : [...muslSteps(bareName, path.suffixes), itself];
  const suffixed = path.suffixes.map((suffix) => appendSuffix(bareName, suffix)).filter(fits);
  if (hasEnoughDots) return [itself, ...suffixed.filter(({ suffix }) => suffix !== "")];
  // A root in the search list is the name as it stands, and not asked again at the end.
  return suffixed.some(({ suffix }) => suffix === "") ? suffixed : [...suffixed, itself];
}

/** Whether the library goes on to its next step after these replies. */
export function goesOnAfter(library: ClientLibrary, verdict: StepVerdict): boolean {
  return verdict === "denied" || (verdict !== "data" && library === "glibc");
}

/** How many dots the libraries count in a name: every one, a final one included. */
export function countDots(name: string): number {
  return name.split(".").length - 1;
}

function muslSteps(name: string, suffixes: readonly string[]): LookupStep[] {
  if (suffixes.join(" ").length > muslMaxSearchLength) return [];
  const steps = suffixes.map((suffix) => appendSuffix(name, suffix));
  return steps.filter((step) => step.suffix !== "" && fits(step));
}

function appendSuffix(name: string, suffix: string): LookupStep {
  const bare = suffix.replace(/\.$/, "");
  return { name: bare === "" ? name : `${name}.${bare}`, suffix: bare };
}

function fits({ name }: LookupStep): boolean {
  return name.length <= maxNameTextLength;
}
