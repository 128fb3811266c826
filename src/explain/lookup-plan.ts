/*
 * What a pod's own resolver does with a name: which names it asks for, in which order, and which reply ends its walk. glibc and musl
 * differ in three ways, each of which can decide whether a name resolves:
 *
 *   - a name with `ndots` dots or more: glibc asks for it first and tries the suffixes afterwards, musl asks for nothing else;
 *   - NODATA and SERVFAIL: glibc goes on to the next suffix, musl stops;
 *   - a search list of more than 255 octets: musl ignores all of it.
 */

import { maxNdots } from "../settings/resolv-conf.ts";

/** The two C libraries whose getaddrinfo is explained. */
export const clientLibraries = ["glibc", "musl"] as const;

/** One of the C libraries. */
export type ClientLibrary = (typeof clientLibraries)[number];

/** The types that are asked for with each name: both at once, and both must be answered. */
export const askedTypes = ["A", "AAAA"] as const;

/** One of the two types. */
export type AskedType = (typeof askedTypes)[number];

/** What resolv.conf says about searching. Suffixes are in presentation form, in the file's order. */
export interface SearchPath {
  readonly suffixes: readonly string[];
  readonly ndots: number;
}

/** One name that is asked for, with A and AAAA. */
export interface LookupStep {
  /** In full, without the final dot. */
  readonly name: string;
  /** What was appended; empty for the name as it stands. */
  readonly suffix: string;
}

/** What the replies to one step's pair of queries say together; "failed" means SERVFAIL. */
export type StepVerdict = "data" | "noData" | "denied" | "failed";

/** The longest search list that musl has room for, in characters, with one space between suffixes. */
export const muslMaxSearchLength = 255;

/** The longest name that can be written: 255 octets without those for the root and the first length. */
const maxNameTextLength = 253;

/**
 * The steps that the library takes to look up `name`, if every name is denied. Names that would be too long are left out. Empty for an
 * empty name, the root, and a name that ends in two dots.
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
  // With a root in the search list, the name as it stands is asked for there, and not again at the end.
  return suffixed.some(({ suffix }) => suffix === "") ? suffixed : [...suffixed, itself];
}

/** Whether the library goes on to its next step after these replies. */
export function goesOnAfter(library: ClientLibrary, verdict: StepVerdict): boolean {
  return verdict === "denied" || (verdict !== "data" && library === "glibc");
}

/** How many dots the libraries count in a name: all of them, including a final one. */
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
