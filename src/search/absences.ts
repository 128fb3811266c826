/*
 * The search rules behind one question: is this name certainly absent, and who says so? The order is that of certainty: what
 * follows from the name alone, then what was learned a moment ago.
 */
import type { SoaRecord } from "../wire/denial.ts";
import { RrClass, RrType } from "../wire/codes.ts";
import type { ClientQuery } from "../wire/query.ts";
import { isAbsentBySchema, isExempted, type SchemaLimits } from "./absent-by-schema.ts";
import { isNodeOrBelow, isBelow, ParentLevel, parentOffset, parentToAsk } from "./absent-parent.ts";
import { type ClusterName, createClusterName, readClusterName } from "./cluster-name.ts";
import type { ZoneKnowledge } from "./zone-knowledge.ts";

/** Which rules are used (settings: search.shortCircuit). */
export type ShortCircuit = "off" | "certain" | "learned";

/** Settings of the rules; may be changed while queries run. */
export interface AbsenceLimits extends SchemaLimits {
  readonly shortCircuit: ShortCircuit;
  /** No synthesised denial lives longer. */
  readonly maxDenialTtlSeconds: number;
}

/** Which suffix a denied query probably came with: the namespace's, `svc.Z`, or Z. */
export type SuffixKind = "namespace" | "svc" | "zone";

/** A denial without a message. One object, valid until the next query is judged. */
export interface Absence {
  rule: "schema" | "learned";
  suffix: SuffixKind;
  soa: SoaRecord;
  ttlSeconds: number;
}

/** How many seconds a name is denied (positive) or known to exist (negative); see AnswerCache.addressVerdict. */
export type AddressVerdict = (query: ClientQuery, offset: number, nowMs: number) => number;

/** Judges names under the cluster zone. */
export interface Absences {
  /** The rule that denies the query's name, for A and AAAA only, or undefined. */
  find(query: ClientQuery, nowMs: number): Absence | undefined;
  /**
   * Where in the query's name the parent starts that is to be asked in its place, or undefined: when the name does not look like
   * an outside one, the rule is not in use, or it is known whether the parent exists.
   */
  parentToAsk(query: ClientQuery, nowMs: number): number | undefined;
  /**
   * Upstream has said that the name (folded, wire form) exists, or that it does not. Parents that exist are remembered for
   * minutes: a namespace called `dev` looks like a top-level domain, and asking for it before each of its Services would be waste.
   */
  noteVerdict(name: Uint8Array, exists: boolean, nowMs: number): void;
  /** Where the parents start that the learned rule goes by: the namespace's and the Service's node, as far as the name has them. */
  parentsOf(query: ClientQuery): number[];
}

/** More namespaces and Services than the pods of one node talk to. */
const maxExistingParents = 4096;

/** How long a parent that exists is not asked for in the place of what is below it. */
const parentMemoryMs = 10 * 60_000;

/** Creates the judge of one zone (folded, wire form). */
export function createAbsences(
  zone: Uint8Array,
  limits: AbsenceLimits,
  knowledge: ZoneKnowledge,
  addressVerdict: AddressVerdict,
  isTopLevelDomain: (label: string) => boolean,
): Absences {
  const view = createClusterName();
  // Until when a parent is taken to exist, by the octets of its name, one character each.
  const existingParents = new Map<string, number>();
  let absence: Absence | undefined;

  function find(query: ClientQuery, nowMs: number): Absence | undefined {
    if (limits.shortCircuit === "off" || !isAddressQuery(query)) return undefined;
    readClusterName(query.name.octets, query.name.sizeBytes, zone, view);
    if (view.shape === "elsewhere") return undefined;
    if (knowledge.mayUse("schema", nowMs) && isAbsentBySchema(view, limits)) {
      return makeAbsence("schema", limits.maxDenialTtlSeconds, nowMs);
    }
    if (limits.shortCircuit !== "learned" || !knowledge.mayUse("learned", nowMs)) return undefined;
    const lifeSeconds = Math.max(
      denialAt(ParentLevel.namespace, query, nowMs),
      denialAt(ParentLevel.service, query, nowMs),
    );
    if (lifeSeconds <= 0 || isExempted(view, limits)) return undefined;
    // Data or NODATA that is still given for the other type: musl throws it away beside NXDOMAIN. What is true now, upstream says.
    if (addressVerdict(query, 0, nowMs) < 0) return undefined;
    return makeAbsence("learned", lifeSeconds, nowMs);
  }

  function denialAt(level: ParentLevel, query: ClientQuery, nowMs: number): number {
    return isBelow(view, level) ? addressVerdict(query, parentOffset(view, level), nowMs) : 0;
  }

  function parentToAskOf(query: ClientQuery, nowMs: number): number | undefined {
    if (limits.shortCircuit !== "learned" || !isAddressQuery(query) || !knowledge.mayUse("learned", nowMs))
      return undefined;
    readClusterName(query.name.octets, query.name.sizeBytes, zone, view);
    const level = parentToAsk(view, isTopLevelDomain);
    if (level === undefined || isExempted(view, limits)) return undefined;
    const offset = parentOffset(view, level);
    const parent = textOf(query.name.octets.subarray(offset, query.name.sizeBytes));
    if (nowMs < (existingParents.get(parent) ?? 0)) return undefined;
    return addressVerdict(query, offset, nowMs) === 0 ? offset : undefined;
  }

  function noteVerdict(name: Uint8Array, exists: boolean, nowMs: number): void {
    readClusterName(name, name.length, zone, view);
    if (!exists) {
      existingParents.delete(textOf(name));
      return;
    }
    for (const level of [ParentLevel.namespace, ParentLevel.service]) {
      if (!isNodeOrBelow(view, level)) continue;
      existingParents.set(textOf(name.subarray(parentOffset(view, level))), nowMs + parentMemoryMs);
      if (existingParents.size > maxExistingParents) forgetOldest(existingParents);
    }
  }

  function parentsOf(query: ClientQuery): number[] {
    readClusterName(query.name.octets, query.name.sizeBytes, zone, view);
    const levels = [ParentLevel.namespace, ParentLevel.service].filter((level) => isBelow(view, level));
    return levels.map((level) => parentOffset(view, level));
  }

  function makeAbsence(rule: "schema" | "learned", lifeSeconds: number, nowMs: number): Absence | undefined {
    const soa = knowledge.soa();
    if (soa === undefined) return undefined;
    const ttlSeconds = Math.min(lifeSeconds, limits.maxDenialTtlSeconds, knowledge.soaLifeSeconds(nowMs));
    if (ttlSeconds <= 0) return undefined;
    const suffix = suffixKindOf(view);
    absence ??= { rule, suffix, soa, ttlSeconds };
    absence.rule = rule;
    absence.suffix = suffix;
    absence.soa = soa;
    absence.ttlSeconds = ttlSeconds;
    return absence;
  }

  function suffixKindOf(name: ClusterName): SuffixKind {
    if (name.shape === "foreign") return "zone";
    return parentToAsk(name, isTopLevelDomain) === ParentLevel.namespace ? "svc" : "namespace";
  }

  return { find, parentToAsk: parentToAskOf, noteVerdict, parentsOf };
}

function textOf(name: Uint8Array): string {
  return String.fromCharCode(...name);
}

function forgetOldest(texts: Map<string, number>): void {
  for (const text of texts.keys()) {
    texts.delete(text);
    return;
  }
}

function isAddressQuery(query: ClientQuery): boolean {
  return query.class === RrClass.IN && (query.type === RrType.A || query.type === RrType.AAAA);
}
