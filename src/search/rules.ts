/*
 * The search rules as data. To add one: a row here, a file beside this one that finds out whether the rule applies (called in
 * absences.ts), and whatever the compiler then asks for.
 */

/** The values of the setting search.shortCircuit, from no rule to all of them. */
export const shortCircuits = ["off", "certain", "learned"] as const;

/** Which rules are used: a value of search.shortCircuit. */
export type ShortCircuit = (typeof shortCircuits)[number];

interface RuleRow {
  /** Its name in metrics and in the log. */
  readonly label: string;
  /** The values of search.shortCircuit with which it is used. */
  readonly usedWith: readonly ShortCircuit[];
  /**
   * "reply": it extends what upstream said about this very name. "inference": upstream has said nothing about this name, so the zone
   * must have shown its schema, and the rule's denials are checked.
   */
  readonly evidence: "reply" | "inference";
  /** Why it denies a name, in a few words for people. */
  readonly because: string;
  /** Whether what it relies on is valid only for some seconds. */
  readonly expires: boolean;
}

/** Every search rule, in the order in which they act: the most certain first. docs/search.md numbers them in this order. */
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

/** A rule that denies names about which upstream has said nothing. */
export type InferringRule = {
  [Rule in SearchRule]: (typeof searchRules)[Rule]["evidence"] extends "inference" ? Rule : never;
}[SearchRule];

/** The rules that infer, in their order. */
export const inferringRules = (Object.keys(searchRules) as SearchRule[]).filter(isInferring);

/** Whether a rule is used with this value of search.shortCircuit. */
export function isWanted(rule: SearchRule, shortCircuit: ShortCircuit): boolean {
  const { usedWith }: RuleRow = searchRules[rule];
  return usedWith.includes(shortCircuit);
}

/** A new record with one value for each inferring rule. */
export function forEachInferringRule<Value>(create: (rule: InferringRule) => Value): Record<InferringRule, Value> {
  return Object.fromEntries(inferringRules.map((rule) => [rule, create(rule)])) as Record<InferringRule, Value>;
}

function isInferring(rule: SearchRule): rule is InferringRule {
  return searchRules[rule].evidence === "inference";
}
