/*
 * The nodens that runs on this node, if one does: whether pods reach it, and what it has seen of them.
 */
import type { Finding } from "./finding.ts";
import type { readSeen, ReadSeen } from "./read-seen.ts";

/** Asks the running nodens for a page; undefined if it does not say 200. */
export type AskPage = (path: string) => Promise<string | undefined>;

/** What the running nodens says at one moment. */
export interface RunningLook {
  readonly metrics: string;
  /** Undefined for a page that is not what this version says. */
  readonly seen: ReadSeen | undefined;
}

/** Asks it; undefined if there is none. */
export async function lookAtRunning(ask: AskPage, read: typeof readSeen): Promise<RunningLook | undefined> {
  const metrics = await ask("/metrics");
  const seen = await ask("/seen");
  return metrics === undefined || seen === undefined ? undefined : { metrics, seen: read(seen) };
}

/** What came of two looks at it; one finding if there is none. */
export function checkRunning(
  before: RunningLook | undefined,
  now: RunningLook | undefined,
  where: string,
  overSeconds: number,
): Finding[] {
  if (now === undefined) return [{ check: "nodens", state: "ok", found: `no nodens at ${where}`, link: "install.md" }];
  const { metrics, seen } = now;
  if (seen === undefined)
    return [{ check: "nodens", state: "unknown", found: `${where} answers /seen, but not as this version does` }];
  return [
    attachment(seen, metrics),
    ...podsFinding(before?.metrics ?? metrics, metrics, overSeconds),
    waitsFinding(seen),
    wasteFinding(seen),
  ];
}

function attachment({ mode, isReady, isFailOpen, queriesPerSecond }: ReadSeen, metrics: string): Finding {
  const isAttached = sampleOf(metrics, "nodens_attached") === 1;
  const base = { check: "nodens-attached", state: "bad" } as const;
  const rate = `${queriesPerSecond.toFixed(1)} queries a second`;
  if (isFailOpen) {
    return {
      ...base,
      found: `mode ${mode}: fail-open, ${rate}`,
      why: "test packets are not answered, or nodens holds back, so pods ask kube-dns, as without it",
      cure: ["kubectl -n kube-system logs POD | grep -i intercept"],
      link: "runbook.md#nodensfailopen",
    };
  }
  if (!isReady) {
    return {
      ...base,
      found: `mode ${mode}: not ready, ${rate}`,
      why: "pods do without it, or wait, until it has what it needs",
      cure: ["curl http://127.0.0.1:9253/readyz    # says why"],
      link: "runbook.md#nodensnotready",
    };
  }
  if (!isAttached) {
    return {
      ...base,
      found: `mode ${mode}: not everything is in place, ${rate}`,
      why: "what the mode asks for on the node is missing in part, so that pods may do without nodens",
      cure: ["kubectl -n kube-system logs POD | grep warn    # says what"],
      link: "runbook.md#nodensnotattached",
    };
  }
  return { ...base, state: "ok", found: `mode ${mode}: in place, ${rate}` };
}

/** nodens reads the kernel's counts once a minute: over less than that, their growth says nothing. */
const countedEverySeconds = 60;

function podsFinding(before: string, now: string, overSeconds: number): Finding[] {
  const total = (outcome: string) => sampleOf(now, `nodens_intercept_packets_total{outcome="${outcome}"}`);
  if ((total("intercepted") ?? 0) === 0) return [];
  const isLong = overSeconds >= countedEverySeconds;
  const count = (outcome: string) => {
    const earlier = sampleOf(before, `nodens_intercept_packets_total{outcome="${outcome}"}`) ?? 0;
    return (total(outcome) ?? 0) - (isLong ? earlier : 0);
  };
  const [taken, answered, left] = [count("intercepted"), count("answered"), count("fell_back")];
  const fallen = sampleOf(now, 'nodens_intercept_pods{state="fallen"}') ?? 0;
  const since = isLong ? `in ${overSeconds} s` : "since it started (--watch 60s: in a minute)";
  const found = `${taken} questions of pods taken, ${answered} replies left for them, ${left} questions left to kube-dns ${since}; ${fallen} pods ask kube-dns now`;
  if (fallen === 0) return [{ check: "nodens-pods", state: "ok", found }];
  return [
    {
      check: "nodens-pods",
      state: "warn",
      found,
      why: "no reply of nodens leaves for these pods: a policy or firewall drops it",
      cure: ["nft list ruleset | grep -n drop    # which rule drops untracked replies from port 53"],
      link: "runbook.md#nodenspodsfallback",
    },
  ];
}

function waitsFinding({ waits }: ReadSeen): Finding {
  const { last15Minutes, recent } = waits;
  if (last15Minutes === 0) return { check: "waits", state: "ok", found: "no pod asked again in the last 15 minutes" };
  const [last] = recent;
  const example =
    last === undefined ? "" : `; the last: ${last.client} after ${(last.afterMs / 1000).toFixed(1)} s for ${last.name}`;
  return {
    check: "waits",
    state: "bad",
    found: `pods asked again ${last15Minutes} times in 15 minutes${example}`,
    why: last === undefined ? "their lookups took seconds" : `the first query: ${last.meaning}`,
    cure: ["nodens top --once --tab waits"],
    link: "runbook.md#nodenspodswait",
  };
}

/** A client that asks so often and mostly in vain is worth a change. */
const wasteFrom = { perSecond: 1, share: 0.5 } as const;

function wasteFinding({ clients }: ReadSeen): Finding {
  const wasteful = clients.filter(
    ({ perSecond, wasteShare }) => perSecond >= wasteFrom.perSecond && wasteShare >= wasteFrom.share,
  );
  const [most] = wasteful.toSorted((one, other) => other.perSecond * other.wasteShare - one.perSecond * one.wasteShare);
  if (most === undefined)
    return {
      check: "search-waste",
      state: "ok",
      found: "no client asks mostly for names that its search list makes up",
    };
  const who = most.namespace === "" ? most.client : `${most.client} (namespace ${most.namespace}, guessed)`;
  return {
    check: "search-waste",
    state: "warn",
    found: `${wasteful.length === 1 ? "1 client asks" : `${wasteful.length} clients ask`} mostly in vain; ${who}: ${Math.round(most.wasteShare * 100)} % of ${most.perSecond.toFixed(0)} q/s`,
    why: "names under search suffixes that do not exist are asked before the name that is meant",
    cure: ["nodens advise"],
    link: "why-timeouts.md#3-eight-queries-for-one-name",
  };
}

/** The value of one sample in Prometheus's text format. `series` is its name, with all of its labels in their order. */
function sampleOf(metrics: string, series: string): number | undefined {
  const line = metrics.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}
