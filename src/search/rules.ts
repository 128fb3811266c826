/*
 * The search rules as data. One more rule is a row here, a file beside this one that finds out whether it applies (joined in
 * absences.ts), and what the compiler then asks for.
 */

/** Which rules are used (settings: search.shortCircuit), from none to all. */
export const shortCircuits = ["off", "certain", "learned"] as const;

/** One of them. */
export type ShortCircuit = (typeof shortCircuits)[number];

interface RuleRow {
  /** Its name where people see it: in metrics and in the log. */
  readonly label: string;
  /** The settings with which it is used. */
  readonly usedWith: readonly ShortCircuit[];
  /**
   * "reply": it spreads what upstream said of this very name. "inference": upstream said nothing of this name, so the zone must have
   * shown its schema, and denials of the rule are checked.
   */
  readonly evidence: "reply" | "inference";
  /** Why a name is denied by it, in a few words. */
  readonly because: string;
  /** Whether what it goes by is good for some seconds only. */
  readonly expires: boolean;
}

/** Every search rule, in the order in which they act: the most certain first. docs/search.md numbers them like this. */
export const searchRules = {
  deniedName: {
    label: "denied_name",
    usedWith: ["certain", "learned"],
    evidence: "reply",
    because: "the name is absent for the other address type",
    expires: true,
  },
  absentParent: {
    label: "learned",
    usedWith: ["learned"],
    evidence: "inference",
    because: "its parent is absent",
    expires: true,
  },
  absentBySchema: {
    label: "schema",
    usedWith: ["certain", "learned"],
    evidence: "inference",
    because: "no cluster zone can have this name",
    expires: false,
  },
} as const satisfies Record<string, RuleRow>;

/** The name of a rule. */
export type SearchRule = keyof typeof searchRules;

/** A rule that denies a name of which upstream said nothing. */
export type InferringRule = {
  [Rule in SearchRule]: (typeof searchRules)[Rule]["evidence"] extends "inference" ? Rule : never;
}[SearchRule];

/** The rules of which upstream said nothing, in their order. */
export const inferringRules = (Object.keys(searchRules) as SearchRule[]).filter(isInferring);

/** Whether the settings want a rule. */
export function isWanted(rule: SearchRule, shortCircuit: ShortCircuit): boolean {
  const { usedWith }: RuleRow = searchRules[rule];
  return usedWith.includes(shortCircuit);
}

/** One value for each inferring rule. */
export function forEachInferringRule<Value>(create: (rule: InferringRule) => Value): Record<InferringRule, Value> {
  return Object.fromEntries(inferringRules.map((rule) => [rule, create(rule)])) as Record<InferringRule, Value>;
}

function isInferring(rule: SearchRule): rule is InferringRule {
  return searchRules[rule].evidence === "inference";
}
