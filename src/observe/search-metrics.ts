/*
 * What the search rules deny without asking, and what checks of them found.
 */
import { entriesOf } from "./metric-labels.ts";
import { counter, gauge, type Metric } from "./metric.ts";

/** Metrics of the search rules. */
export const searchMetrics: readonly Metric[] = [
  counter(
    "nodens_short_circuit_total",
    ["rule", "suffix"],
    "Suffix queries denied without asking, by rule and by the suffix that the query probably came with. The rule denied_name is a denial of the other address type; it has no suffix.",
    (sources, add) => {
      const { searchRules } = sources.names;
      add({ rule: searchRules.deniedName.label, suffix: "" }, sources.cache().counters.sharedDenialHits);
      for (const [rule, bySuffix] of entriesOf(sources.resolver().denials)) {
        for (const [suffix, count] of Object.entries(bySuffix)) add({ rule: searchRules[rule].label, suffix }, count);
      }
    },
  ),
  counter(
    "nodens_outside_answers_total",
    [],
    "Suffix queries answered with the outside name (settings: search.answerOutsideName).",
    (sources, add) => add({}, sources.resolver().outsideAnswers),
  ),
  counter("nodens_rule_checks_total", ["rule"], "Denials by a rule that were also asked upstream.", (sources, add) => {
    const { searchRules } = sources.names;
    for (const [rule, { checks }] of entriesOf(sources.searchRules().counters))
      add({ rule: searchRules[rule].label }, checks);
  }),
  counter(
    "nodens_rule_disagreements_total",
    ["rule"],
    "Checks in which upstream had the name that a rule denied. Each switches its rule off for ten minutes.",
    (sources, add) => {
      const { searchRules } = sources.names;
      for (const [rule, { disagreements }] of entriesOf(sources.searchRules().counters))
        add({ rule: searchRules[rule].label }, disagreements);
    },
  ),
  gauge(
    "nodens_rule_on",
    ["rule"],
    "1 while a rule is in use: the settings allow it, the zone has shown its schema, and nothing has contradicted the rule.",
    (sources, add) => {
      const { counters, isOn } = sources.searchRules();
      for (const [rule] of entriesOf(counters))
        add({ rule: sources.names.searchRules[rule].label }, isOn(rule) ? 1 : 0);
    },
  ),
];
