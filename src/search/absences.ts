/*
 * The rules that deny a name about which upstream has said nothing, behind one question: is this name absent, and by which rule? Each
 * rule has a function in the table below; rules.ts has their order.
 */
import { isHostType, RrClass } from "../wire/codes.ts";
import type { SoaRecord } from "../wire/denial.ts";
import { textOfOctets } from "../wire/octets.ts";
import type { ClientQuery } from "../wire/query.ts";
import { isAbsentBySchema, isExempted, type SchemaLimits } from "./absent-by-schema.ts";
import { isBelow, ParentLevel, parentLevels, parentOffset, outsideLevel } from "./absent-parent.ts";
import { type ClusterName, createClusterName, readClusterName } from "./cluster-name.ts";
import { createParentMemory } from "./parent-memory.ts";
import {
  type InferringRule,
  inferringRules,
  isWanted,
  type SearchRule,
  searchRules,
  type ShortCircuit,
} from "./rules.ts";
import type { ZoneKnowledge } from "./zone-knowledge.ts";

/** Settings of the rules. They may change while queries run. */
export interface AbsenceLimits extends SchemaLimits {
  readonly shortCircuit: ShortCircuit;
  /** The longest life of a synthesised denial. */
  readonly maxDenialTtlSeconds: number;
}

/** Which search suffix the client probably appended to a denied name: the namespace's, `svc.Z`, or Z. */
export type SuffixKind = "namespace" | "svc" | "zone";

/** A denial that is not a message yet. One object for all queries, valid until the next one is judged. */
export interface Absence {
  rule: InferringRule;
  suffix: SuffixKind;
  soa: SoaRecord;
  /** The SOA's TTL in the reply, at least 1. */
  ttlSeconds: number;
}

/** What the cache knows about a name: the part of the query's folded name from `offset` on. Moments are monotonic milliseconds. */
export interface NameVerdicts {
  /** For how many seconds, rounded up, it is still denied for A and AAAA alike; 0 when it is not denied. */
  deniedForSeconds(query: ClientQuery, offset: number, nowMs: number): number;
  /** For how many seconds, rounded up, it is still known to exist; 0 when that is not known. */
  existsForSeconds(query: ClientQuery, offset: number, nowMs: number): number;
}

/** What createAbsences needs. Names are folded, in wire form; `limits` is read at each query. */
export interface AbsenceParts {
  readonly zone: Uint8Array;
  readonly limits: AbsenceLimits;
  readonly knowledge: ZoneKnowledge;
  readonly verdicts: NameVerdicts;
  isTopLevelDomain(label: string): boolean;
  /** What the process hashes names with. */
  readonly hashSeed: number;
}

/** Decides which names under the cluster zone are absent. Moments are monotonic milliseconds. */
export interface Absences {
  /** The denial of the query's name by a rule, for host types only (wire/codes); undefined if none applies. Counts and changes nothing. */
  find(query: ClientQuery, nowMs: number): Absence | undefined;
  /** Whether a rule is in use at this moment: the settings enable it and, if it infers, the zone has shown what it relies on. */
  isOn(rule: SearchRule, nowMs: number): boolean;
  /**
   * The offset in the query's name at which the parent starts that should be asked in its place (parent-memory says which). Undefined when
   * there is none, when the rule is not in use, or when it is known whether the parent exists.
   */
  parentToAsk(query: ClientQuery, nowMs: number): number | undefined;
  /**
   * Upstream has said whether the name (folded, wire form) exists. What that says of its parents is remembered for minutes: a namespace
   * called `dev` looks like a top-level domain, and asking for it before each of its Services would be a waste.
   */
  noteVerdict(name: Uint8Array, exists: boolean, nowMs: number): void;
  /**
   * The offsets at which the parents of a name (folded, wire form) start whose denial would deny it too, by the rule of the absent parent.
   * Empty where that rule is not in use, or passes over the name.
   */
  parentsThatDeny(name: Uint8Array, nowMs: number): number[];
  /** The offsets at which the name's parents start: the namespace node and the Service node, as far as the name lies below them. */
  parentsOf(query: ClientQuery): number[];
}

/** Creates the judge of one zone. */
export function createAbsences(parts: AbsenceParts): Absences {
  const { zone, limits, knowledge, verdicts, isTopLevelDomain } = parts;
  const view = createClusterName();
  const parents = createParentMemory(isTopLevelDomain, parts.hashSeed);
  // Programs ask for `web.default.svc.cluster.local` without the final dot, and their resolver appends every suffix.
  const ownLastLabel = lastLabelOf(zone);
  let absence: Absence | undefined;

  /** By rule: for how many seconds it denies the name in `view`; 0 when it does not. */
  const judges: Record<InferringRule, (query: ClientQuery, nowMs: number) => number> = {
    absentParent: lifeOfAbsentParent,
    absentBySchema: () => (isAbsentBySchema(view, limits, endsSearchedName) ? limits.maxDenialTtlSeconds : 0),
  };

  /**
   * Whether a name that ends in this label gets search suffixes that its sender did not mean: `com`, `local` in a complete cluster name,
   * `svc` in a Service with its namespace.
   */
  function endsSearchedName(label: string): boolean {
    return label === ownLastLabel || label === "svc" || label === "pod" || isTopLevelDomain(label);
  }

  function find(query: ClientQuery, nowMs: number): Absence | undefined {
    if (limits.shortCircuit === "off" || !mayBeJudged(query)) return undefined;
    readClusterName(query.name.octets, query.name.sizeBytes, zone, view);
    if (view.shape === "elsewhere") return undefined;
    for (const rule of inferringRules) {
      if (!isOn(rule, nowMs)) continue;
      const lifeSeconds = judges[rule](query, nowMs);
      if (lifeSeconds > 0) return makeAbsence(rule, lifeSeconds, nowMs);
    }
    return undefined;
  }

  function isOn(rule: SearchRule, nowMs: number): boolean {
    if (!isWanted(rule, limits.shortCircuit)) return false;
    return searchRules[rule].evidence === "reply" || knowledge.mayUse(rule as InferringRule, nowMs);
  }

  function lifeOfAbsentParent(query: ClientQuery, nowMs: number): number {
    const lifeSeconds = Math.max(
      denialAt(ParentLevel.namespace, query, nowMs),
      denialAt(ParentLevel.service, query, nowMs),
    );
    if (lifeSeconds <= 0 || isExempted(view, limits)) return 0;
    // Data or NODATA is still given for a type of this name, and musl throws it away if NXDOMAIN comes for the other: let upstream say.
    return verdicts.existsForSeconds(query, 0, nowMs) > 0 ? 0 : lifeSeconds;
  }

  function denialAt(level: ParentLevel, query: ClientQuery, nowMs: number): number {
    return isBelow(view, level) ? verdicts.deniedForSeconds(query, parentOffset(view, level), nowMs) : 0;
  }

  function parentToAskOf(query: ClientQuery, nowMs: number): number | undefined {
    if (!mayBeJudged(query) || !isOn("absentParent", nowMs)) return undefined;
    readClusterName(query.name.octets, query.name.sizeBytes, zone, view);
    if (isExempted(view, limits)) return undefined;
    const level = parents.levelToAsk(view, nowMs);
    if (level === undefined) return undefined;
    const offset = parentOffset(view, level);
    const isKnown =
      verdicts.deniedForSeconds(query, offset, nowMs) > 0 || verdicts.existsForSeconds(query, offset, nowMs) > 0;
    return isKnown ? undefined : offset;
  }

  function noteVerdict(name: Uint8Array, exists: boolean, nowMs: number): void {
    readClusterName(name, name.length, zone, view);
    parents.noteVerdict(view, exists, nowMs);
  }

  function parentsThatDeny(name: Uint8Array, nowMs: number): number[] {
    if (!isOn("absentParent", nowMs)) return [];
    readClusterName(name, name.length, zone, view);
    return isExempted(view, limits) ? [] : parentsInView();
  }

  function parentsOf(query: ClientQuery): number[] {
    readClusterName(query.name.octets, query.name.sizeBytes, zone, view);
    return parentsInView();
  }

  function parentsInView(): number[] {
    return parentLevels.filter((level) => isBelow(view, level)).map((level) => parentOffset(view, level));
  }

  function makeAbsence(rule: InferringRule, lifeSeconds: number, nowMs: number): Absence | undefined {
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
    return outsideLevel(name, isTopLevelDomain) === ParentLevel.namespace ? "svc" : "namespace";
  }

  return { find, isOn, parentToAsk: parentToAskOf, noteVerdict, parentsThatDeny, parentsOf };
}

/** The label before the root; "" for the root itself. */
function lastLabelOf(name: Uint8Array): string {
  let last = "";
  for (let at = 0; (name[at] ?? 0) > 0; at += 1 + (name[at] as number))
    last = textOfOctets(name.subarray(at + 1, at + 1 + (name[at] as number)));
  return last;
}

/** CoreDNS treats TXT and SRV differently, and types that are not asked for hosts are not worth judging. */
function mayBeJudged(query: ClientQuery): boolean {
  return query.class === RrClass.IN && isHostType(query.type);
}
