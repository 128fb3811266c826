/*
 * A lookup taken apart: each name that a pod's resolver would ask for, what becomes of its queries, and how many of them go upstream.
 */
import type { Foresee } from "../resolve/foresee.ts";
import type { Foresight } from "../resolve/step.ts";
import type { InferringRule } from "../search/rules.ts";
import { likelyStep } from "./likely-step.ts";
import {
  type AskedType,
  askedTypes,
  type ClientLibrary,
  clientLibraries,
  goesOnAfter,
  planLookup,
  type StepVerdict,
} from "./lookup-plan.ts";
import { isTopLevelDomain } from "../search/top-level-domains.ts";
import { RrType } from "../wire/codes.ts";
import { nameFromText } from "../wire/name-text.ts";
import type { ExplainRequest } from "./explain-request.ts";

/** One query: what is done with it now and, if only the rules are known, what is done with it once everything it teaches is known. */
export interface ExplainedQuery {
  readonly type: AskedType;
  readonly now: Foresight;
  readonly later?: Foresight | undefined;
}

/** One name that is asked for, with its pair of queries. */
export interface ExplainedStep {
  readonly name: string;
  /** Empty for the name as it stands. */
  readonly suffix: string;
  readonly askedBy: readonly ClientLibrary[];
  readonly queries: readonly ExplainedQuery[];
}

/** A whole explanation: what a running nodens answers at /explain, and what is printed. Names are in presentation form. */
export interface Explanation {
  readonly name: string;
  readonly search: readonly string[];
  readonly ndots: number;
  readonly clusterDomain: string;
  /** "rules": no nodens was asked. "running": the state of a running nodens. */
  readonly source: "rules" | "running";
  /** Which of the rules that infer are in use. */
  readonly rules: Readonly<Record<InferringRule, boolean>>;
  /** In glibc's order, which contains musl's. */
  readonly steps: readonly ExplainedStep[];
  /** The index of the step that was probably meant, where the name is assumed to exist as long as nothing is known; -1 for no steps. */
  readonly likelyStep: number;
}

/** What an explanation is based on: the state now, and the state once what can be learned is known. */
export interface ExplainState {
  readonly clusterDomain: string;
  readonly source: Explanation["source"];
  readonly rules: Explanation["rules"];
  foresee: Foresee;
  /** Absent for a running nodens, whose future is not known. */
  readonly foreseeLater?: Foresee | undefined;
}

/** How far a library goes through the steps, and how many queries that takes. */
export interface Walk {
  /** How many steps are taken; the last of them ends the walk. */
  readonly steps: number;
  /** How the last step ended. */
  readonly end: StepVerdict;
  readonly clientQueries: number;
  /** Queries that go upstream as things are now. */
  readonly upstreamQueries: number;
  /** The same for the next name like it; undefined for a running nodens. */
  readonly laterUpstreamQueries: number | undefined;
}

/** Explains a lookup. A name that is not one, as planLookup sees it, has no steps. */
export function explainLookup({ name, path }: ExplainRequest, state: ExplainState): Explanation {
  const plans = clientLibraries.map((library) => ({ library, steps: planLookup(name, path, library) }));
  const [glibc] = plans;
  const steps = (glibc?.steps ?? []).map((step) => ({
    ...step,
    askedBy: plans
      .filter(({ steps: own }) => own.some((other) => other.name === step.name))
      .map(({ library }) => library),
    queries: explainQueries(step.name, state),
  }));
  const zone = nameFromText(state.clusterDomain) ?? Uint8Array.of(0);
  return {
    name,
    search: path.suffixes,
    ndots: path.ndots,
    clusterDomain: state.clusterDomain,
    source: state.source,
    rules: state.rules,
    steps,
    likelyStep: likelyStep(steps, zone, isTopLevelDomain),
  };
}

/** The walk of one library. Where nothing is known, the name is assumed to exist at the likely step and nowhere else. */
export function walkOf(explanation: Explanation, library: ClientLibrary): Walk {
  const taken: { readonly step: ExplainedStep; readonly exists: boolean }[] = [];
  let end: StepVerdict = "denied";
  for (const [index, step] of explanation.steps.entries()) {
    if (!step.askedBy.includes(library)) continue;
    end = knownVerdict(step) ?? assumedVerdict(explanation, index);
    taken.push({ step, exists: end === "data" || end === "noData" });
    if (!goesOnAfter(library, end)) break;
  }
  const count = (pick: (query: ExplainedQuery) => Foresight) =>
    taken.reduce((sum, { step, exists }) => sum + upstreamQueries(step.queries.map(pick), exists), 0);
  return {
    steps: taken.length,
    end,
    clientQueries: taken.reduce((sum, { step }) => sum + step.queries.length, 0),
    upstreamQueries: count(({ now }) => now),
    laterUpstreamQueries: explanation.source === "rules" ? count(({ now, later }) => later ?? now) : undefined,
  };
}

/** What the replies to a step would say together; undefined while that is not known. */
export function knownVerdict({ queries }: ExplainedStep): StepVerdict | undefined {
  const verdicts = new Set(queries.map(({ now }) => verdictOf(now)));
  if (verdicts.has("data")) return "data";
  if (verdicts.has("denied")) return "denied";
  if (verdicts.has("failed")) return "failed";
  // No records of one type: the name exists, and may have records of the other.
  if (verdicts.has("noData")) return verdicts.has(undefined) ? "data" : "noData";
  return undefined;
}

/** What the replies to the step at `index` are assumed to say as long as nothing is known. */
export function assumedVerdict({ likelyStep: likely }: Explanation, index: number): StepVerdict {
  return index === likely ? "data" : "denied";
}

function verdictOf(foresight: Foresight): StepVerdict | undefined {
  switch (foresight.kind) {
    case "cached":
      return foresight.verdict;
    case "denied":
      return "denied";
    case "outsideName":
      return "data";
    case "ownHost":
      return foresight.hasData ? "data" : "noData";
    case "refused":
      return "failed";
    case "looping":
    case "failed":
    case "awayUpstream":
    case "shed":
      return foresight.stale ?? "failed";
    default:
      return undefined;
  }
}

/** How many upstream queries a pair causes, given whether its name exists. */
function upstreamQueries(pair: readonly Foresight[], exists: boolean): number {
  return pair.reduce((sum, foresight) => {
    switch (foresight.kind) {
      case "forwarded":
        return sum + 1;
      case "waits":
        return sum + (exists ? 1 : 0);
      case "asksParent":
        return sum + (foresight.isOnItsWay ? 0 : 1) + (exists ? 1 : 0);
      case "outsideName":
        return sum + (foresight.isCached ? 0 : 1);
      default:
        return sum;
    }
  }, 0);
}

function explainQueries(name: string, state: ExplainState): ExplainedQuery[] {
  const wireName = nameFromText(name) ?? Uint8Array.of(0);
  const types = askedTypes.map((type) => RrType[type]);
  const now = state.foresee(wireName, types);
  const later = state.foreseeLater?.(wireName, types);
  return askedTypes.map((type, index) => ({
    type,
    now: now[index] ?? { kind: "refused" },
    ...(later === undefined ? {} : { later: later[index] }),
  }));
}
