/* Numbers of a running nodens, for tests that compare them before and after. */
import type { RunningNodens } from "./run-nodens.ts";

/** The sum of a metric's samples whose labels match, as it is now: what happened before the call is in it. */
export async function metricSum(nodens: RunningNodens, name: string, labels: RegExp = /^/): Promise<number> {
  const samples = await nodens.metric(name);
  if (samples.size === 0) throw new Error(`no metric ${name}`);
  return [...samples].reduce((sum, [text, value]) => (labels.test(text) ? sum + value : sum), 0);
}
