/*
 * How often upstream is asked again about names that it failed to answer, while their stale answers serve. When kube-dns comes back, all
 * nodes of a cluster have all their names to ask again in the same second. So these questions have a budget:
 *
 *   - as many as are usually answered in the same time. With the usual questions that is twice the usual load at most, on a quiet node
 *     and on a busy one;
 *   - while nothing at all is answered, one every few seconds: it tells as much as many would, and whatever is on its way when kube-dns
 *     comes back is asked by all nodes at once.
 *
 * Each route has a budget of its own, because a stub domain without servers says nothing of kube-dns.
 */

/** What came of a question: an answer, a reply that is none, such as SERVFAIL, or no reply at all. */
export type AskOutcome = "answer" | "failure" | "silence";

/** A token bucket that time fills. All moments are monotonic milliseconds. */
export interface RecheckBudget {
  /** This came of a question. */
  noteResult(outcome: AskOutcome, nowMs: number): void;
  /** Whether upstream says nothing at all: a few questions in a row had no reply, whichever they were. */
  isAway(): boolean;
  /** Takes one question out of the budget, if it has room. `isAway`: it is known otherwise that nothing is answered. */
  take(nowMs: number, isAway?: boolean): boolean;
  /** Whether it has room, beside questions that are assumed to have been taken out. */
  hasRoom(nowMs: number, assumed: number, isAway?: boolean): boolean;
}

/** What is usual is measured over so long; what is found new counts for this share. */
const windowMs = 10_000;
const newsShare = 1 / 4;

/** What a node may ask that has asked next to nothing before: A and AAAA of a name at once, and one of them every two seconds. */
const leastBurst = 2;
const leastPerSecond = 0.5;

/** After so many failures in a row nothing is answered at all, and there is one try in this time. */
const failuresInRow = 4;
const tryEveryMs = 5000;

/** Creates a full budget for a node of which nothing is known. */
export function createRecheckBudget(): RecheckBudget {
  let usualPerSecond: number | undefined;
  let room = leastBurst;
  let filledAtMs: number | undefined;
  let failedInRow = 0;
  let silentInRow = 0;
  let nextTryAtMs = -Infinity;
  let window: { readonly sinceMs: number; answered: number; failed: number } | undefined;

  /** A time in which more failed than was answered says nothing of what is usual. */
  function closeWindow(nowMs: number): void {
    if (window === undefined || nowMs - window.sinceMs < windowMs) return;
    const { sinceMs, answered, failed } = window;
    window = undefined;
    if (failed >= answered) return;
    const perSecond = (answered * 1000) / (nowMs - sinceMs);
    usualPerSecond =
      usualPerSecond === undefined ? perSecond : usualPerSecond + (perSecond - usualPerSecond) * newsShare;
  }

  function fill(nowMs: number): void {
    const perSecond = Math.max(leastPerSecond, usualPerSecond ?? 0);
    const gained = ((nowMs - (filledAtMs ?? nowMs)) / 1000) * perSecond;
    // A second's worth at once.
    room = Math.min(Math.max(leastBurst, perSecond), room + gained);
    filledAtMs = nowMs;
  }

  function hasRoom(nowMs: number, assumed: number, isAway = false): boolean {
    if (isAway || failedInRow >= failuresInRow) return nowMs >= nextTryAtMs && assumed === 0;
    fill(nowMs);
    return room >= 1 + assumed;
  }

  return {
    hasRoom,
    noteResult(outcome, nowMs) {
      failedInRow = outcome === "answer" ? 0 : failedInRow + 1;
      silentInRow = outcome === "silence" ? silentInRow + 1 : 0;
      closeWindow(nowMs);
      window ??= { sinceMs: nowMs, answered: 0, failed: 0 };
      if (outcome === "answer") window.answered += 1;
      else window.failed += 1;
    },
    isAway: () => silentInRow >= failuresInRow,
    take(nowMs, isAway) {
      if (!hasRoom(nowMs, 0, isAway)) return false;
      nextTryAtMs = nowMs + tryEveryMs;
      room = Math.max(0, room - 1);
      return true;
    },
  };
}

/** Creates the budgets of all routes: a function from a route's name to its budget, which is full at first. */
export function createRecheckBudgets(): (route: string) => RecheckBudget {
  const budgets = new Map<string, RecheckBudget>();
  return (route) => {
    const known = budgets.get(route);
    if (known !== undefined) return known;
    const budget = createRecheckBudget();
    budgets.set(route, budget);
    return budget;
  };
}
