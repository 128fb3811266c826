/*
 * What would make a lookup cheaper, or keep it from failing: advice on how the name is written, on the search list and on the image.
 */
import { inferringRules } from "../search/rules.ts";
import { countDots, muslMaxSearchLength } from "./lookup-plan.ts";
import { isTopLevelDomain } from "../search/top-level-domains.ts";
import { type ExplainedStep, type Explanation, knownVerdict, walkOf } from "./explain-lookup.ts";

/** Pieces of advice, each a sentence or two, the most useful first. Empty when there is nothing to say. */
export function adviceFor(explanation: Explanation): string[] {
  const { name, search } = explanation;
  const general = [switchedOff(explanation), muslStops(explanation), longSearchList(explanation)];
  // With a final dot nothing is searched, which is as it should be.
  const onTheName = name.endsWith(".") || search.length === 0 ? [] : adviceOnName(explanation);
  return [...onTheName, ...general].filter((text) => text !== undefined);
}

function adviceOnName(explanation: Explanation): (string | undefined)[] {
  const { name, search, ndots } = explanation;
  const { steps: reached, clientQueries } = walkOf(explanation, "glibc");
  const dots = countDots(name);
  if (dots >= ndots) {
    return [
      `musl (Alpine) never tries a suffix for a name with as many dots as ndots:${ndots}; a name that needs one does not resolve there.`,
    ];
  }
  if (reached === 1) return [`${name} is written well: the first suffix completes it.`];
  const isWalkedInVain = explanation.steps[reached - 1]?.suffix === "";
  if (!isWalkedInVain) return [manySuffixes(search)];
  const service = shorterServiceName(explanation);
  return [
    perhapsANamespace(explanation),
    service,
    `Write ${name}. with a final dot if the program accepts that: 2 queries instead of ${clientQueries}.`,
    service === undefined && dots > 0 ? ndotsAdvice(dots) : undefined,
    manySuffixes(search),
  ];
}

/** `web.shop`, `web.dev`: many namespaces have the name of a top-level domain. */
function perhapsANamespace({ name, steps, search, clusterDomain, likelyStep }: Explanation): string | undefined {
  const label = name.split(".").at(-1) ?? "";
  const index = search.indexOf(`svc.${clusterDomain}`);
  const step = steps[likelyStep];
  const isOpen = step !== undefined && knownVerdict(step) === undefined;
  if (countDots(name) !== 1 || index === -1 || !isOpen || !isTopLevelDomain(label) || usualDomains.has(label))
    return undefined;
  return (
    `${label} is also a public top-level domain, so ${name} is taken for an outside name. If there is a namespace ${label}, ` +
    `step ${index + 1} has the answer, and nodens sends one more query the first time.`
  );
}

/** Top-level domains that nobody would take for a namespace. */
const usualDomains = new Set(["com", "net", "org"]);

/** With the usual zone, a Service's full name has 4 dots, fewer than the usual ndots of 5. */
function shorterServiceName({ name, clusterDomain, search, ndots }: Explanation): string | undefined {
  const ending = `.svc.${clusterDomain}`;
  if (!name.toLowerCase().endsWith(ending)) return undefined;
  const labels = name.slice(0, -ending.length).split(".");
  const namespace = labels.at(-1)?.toLowerCase() ?? "";
  if (labels.length < 2) return undefined;
  const isOwn = search[0]?.toLowerCase() === `${namespace}${ending}`;
  const short = labels.slice(0, isOwn ? -1 : undefined).join(".");
  return (
    `A Service's full name has too few dots for ndots:${ndots} and walks the suffixes first. Write ${short} instead: ` +
    `${isOwn ? "the first suffix completes it" : "svc and the zone are appended, which completes it"}.`
  );
}

function ndotsAdvice(dots: number): string {
  const such = dots === 1 ? "with a dot, also for web.shop" : `with ${dots} dots or more`;
  return (
    `ndots:${dots} in the pod's dnsConfig would do the same for every such name. But then musl (Alpine) never tries a suffix ` +
    `for names ${such}.`
  );
}

function manySuffixes(search: readonly string[]): string | undefined {
  if (search.length <= 3) return undefined;
  return `${search.length} suffixes: each costs every outside name 2 queries. Those beyond the cluster's three come from the node's own resolv.conf.`;
}

function switchedOff({ rules }: Explanation): string | undefined {
  if (inferringRules.every((rule) => rules[rule])) return undefined;
  return (
    "Not all search rules are in use: search.shortCircuit excludes them, the zone has not shown its schema version " +
    "(dns-version, TXT), or a check against upstream has switched one off, in which case the log says so."
  );
}

function muslStops({ steps }: Explanation): string | undefined {
  const stopsMusl = (step: ExplainedStep) => ["noData", "failed"].includes(knownVerdict(step) ?? "");
  const stop = steps.find((step) => step.askedBy.includes("musl") && stopsMusl(step));
  if (stop === undefined) return undefined;
  if (knownVerdict(stop) === "failed")
    return `${stop.name} fails at present: musl (Alpine) gives up there after five seconds.`;
  return `${stop.name} exists but has no addresses: musl (Alpine) stops there, glibc goes on.`;
}

function longSearchList({ search }: Explanation): string | undefined {
  if (search.join(" ").length <= muslMaxSearchLength) return undefined;
  return `The search list is over ${muslMaxSearchLength} characters long: musl (Alpine) ignores all of it.`;
}
