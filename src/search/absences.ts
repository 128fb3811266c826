/*
 * The rules that deny a name of which upstream said nothing, behind one question: is this name absent, and which rule says so? Each
 * rule has a function in the table below; rules.ts has their order.
 */
import { isHostType, RrClass } from "../wire/codes.ts";
import type { SoaRecord } from "../wire/denial.ts";
import type { ClientQuery } from "../wire/query.ts";
import { isAbsentBySchema, isExempted, type SchemaLimits } from "./absent-by-schema.ts";
import { isBelow, isNodeOrBelow, ParentLevel, parentOffset, parentToAsk } from "./absent-parent.ts";
import { type ClusterName, createClusterName, readClusterName } from "./cluster-name.ts";
import {
  type InferringRule,
  inferringRules,
  isWanted,
  type SearchRule,
  searchRules,
  type ShortCircuit,
} from "./rules.ts";
import type { ZoneKnowledge } from "./zone-knowledge.ts";

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
  rule: InferringRule;
  suffix: SuffixKind;
  soa: SoaRecord;
  ttlSeconds: number;
}

/** What the cache knows of the name that a query's folded name ends with, from `offset` on. */
export interface NameVerdicts {
  /** For how many whole seconds it is denied for A and AAAA alike; 0 when it is not. */
  deniedForSeconds(query: ClientQuery, offset: number, nowMs: number): number;
  /** For how many whole seconds it is known to exist; 0 when it is not. */
  existsForSeconds(query: ClientQuery, offset: number, nowMs: number): number;
}

/** What the judge needs. Names are folded, in wire form. */
export interface AbsenceParts {
  readonly zone: Uint8Array;
  readonly limits: AbsenceLimits;
  readonly knowledge: ZoneKnowledge;
  readonly verdicts: NameVerdicts;
  isTopLevelDomain(label: string): boolean;
}

/** Judges names under the cluster zone. */
export interface Absences {
  /** The rule that denies the query's name, for host types only (wire/codes), or undefined. Counts and changes nothing. */
  find(query: ClientQuery, nowMs: number): Absence | undefined;
  /** Whether a rule is in use at this moment: wanted by the settings and, where it infers, backed by what the zone has shown. */
  isOn(rule: SearchRule, nowMs: number): boolean;
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
  /** Where the parents start that the rule goes by: the namespace's and the Service's node, as far as the name has them. */
  parentsOf(query: ClientQuery): number[];
}

/** More namespaces and Services than the pods of one node talk to. */
const maxExistingParents = 4096;

/** How long a parent that exists is not asked for in the place of what is below it. */
const parentMemoryMs = 10 * 60_000;

const levels = [ParentLevel.namespace, ParentLevel.service];

/** Creates the judge of one zone. */
export function createAbsences({ zone, limits, knowledge, verdicts, isTopLevelDomain }: AbsenceParts): Absences {
  const view = createClusterName();
  // Until when a parent is taken to exist, by the octets of its name, one character each.
  const existingParents = new Map<string, number>();
  // Programs ask for `web.default.svc.cluster.local` without the final dot, and so with every suffix.
  const ownLastLabel = lastLabelOf(zone);
  let absence: Absence | undefined;

  /** For how many seconds a rule denies the name in `view`; 0 when it does not. */
  const judges: Record<InferringRule, (query: ClientQuery, nowMs: number) => number> = {
    absentParent: lifeOfAbsentParent,
    absentBySchema: () => (isAbsentBySchema(view, limits, endsSearchedName) ? limits.maxDenialTtlSeconds : 0),
  };

  /**
   * Whether a label ends names that go through a search list without being meant for what the suffix makes of them: `com`, `local` of
   * a whole name, `svc` of a Service with its namespace.
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
    // Data or NODATA that is still given for the other type: musl throws it away beside NXDOMAIN. What is true now, upstream says.
    return verdicts.existsForSeconds(query, 0, nowMs) > 0 ? 0 : lifeSeconds;
  }

  function denialAt(level: ParentLevel, query: ClientQuery, nowMs: number): number {
    return isBelow(view, level) ? verdicts.deniedForSeconds(query, parentOffset(view, level), nowMs) : 0;
  }

  function parentToAskOf(query: ClientQuery, nowMs: number): number | undefined {
    if (!mayBeJudged(query) || !isOn("absentParent", nowMs)) return undefined;
    readClusterName(query.name.octets, query.name.sizeBytes, zone, view);
    const level = parentToAsk(view, isTopLevelDomain);
    if (level === undefined || isExempted(view, limits)) return undefined;
    const offset = parentOffset(view, level);
    const parent = textOf(query.name.octets.subarray(offset, query.name.sizeBytes));
    if (nowMs < (existingParents.get(parent) ?? 0)) return undefined;
    const isKnown =
      verdicts.deniedForSeconds(query, offset, nowMs) > 0 || verdicts.existsForSeconds(query, offset, nowMs) > 0;
    return isKnown ? undefined : offset;
  }

  function noteVerdict(name: Uint8Array, exists: boolean, nowMs: number): void {
    readClusterName(name, name.length, zone, view);
    if (!exists) {
      existingParents.delete(textOf(name));
      return;
    }
    for (const level of levels) {
      if (!isNodeOrBelow(view, level)) continue;
      existingParents.set(textOf(name.subarray(parentOffset(view, level))), nowMs + parentMemoryMs);
      if (existingParents.size > maxExistingParents) forgetOldest(existingParents);
    }
  }

  function parentsOf(query: ClientQuery): number[] {
    readClusterName(query.name.octets, query.name.sizeBytes, zone, view);
    return levels.filter((level) => isBelow(view, level)).map((level) => parentOffset(view, level));
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
    return parentToAsk(name, isTopLevelDomain) === ParentLevel.namespace ? "svc" : "namespace";
  }

  return { find, isOn, parentToAsk: parentToAskOf, noteVerdict, parentsOf };
}

/** The label before the root, "" for the root itself. */
function lastLabelOf(name: Uint8Array): string {
  let last = "";
  for (let at = 0; (name[at] ?? 0) > 0; at += 1 + (name[at] as number))
    last = textOf(name.subarray(at + 1, at + 1 + (name[at] as number)));
  return last;
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

/** TXT and SRV have rules of their own in CoreDNS, and what nobody asks for hosts is not worth a judgement. */
function mayBeJudged(query: ClientQuery): boolean {
  return query.class === RrClass.IN && isHostType(query.type);
}
