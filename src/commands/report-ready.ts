/*
 * `nodens report-ready`: waits until the nodens of a node is ready, then says so in a condition of the node, for a controller that makes
 * taints of conditions. It says that nodens has been ready there, which stays true, and not what it is later.
 */
import { wallTime } from "../runtime/clock.ts";
import { type AskAboutNode, onceReady, type Outcome, type StartupFlags, type StartupOptions } from "./startup-pod.ts";

/** Flags of `report-ready`, as they were typed. */
export interface ReportReadyFlags extends StartupFlags {
  /** The condition's type. */
  readonly condition: string;
}

/** Tries until it is done. Resolves with the exit code: 0, or 64 for what is not an admin address. */
export function reportReady(flags: ReportReadyFlags, options: StartupOptions): Promise<number> {
  return onceReady(flags, options, "report the condition", (ask) => setCondition(flags, ask));
}

async function setCondition({ node, condition: type }: ReportReadyFlags, ask: AskAboutNode): Promise<Outcome> {
  const now = wallTime().toISOString().replace(/\.\d+/, "");
  const condition = {
    type,
    status: "True",
    reason: "NodensBecameReady",
    message: "nodens has been ready on this node; its metrics tell what it is now",
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  };
  // Merged by type into those that others report, so the node need not be looked at before.
  const patched = await ask("/status", {
    type: "strategic-merge-patch",
    body: { status: { conditions: [condition] } },
  });
  if (patched.status !== 200) return { failure: `the API server says ${patched.status} to the change of node ${node}` };
  return `node ${node} has the condition ${type}`;
}
