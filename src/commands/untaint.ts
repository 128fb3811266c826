/*
 * `nodens untaint`: waits until the nodens of a node is ready, then takes away the taint that the node was registered with, so that
 * pods may come.
 */
import { type AskAboutNode, onceReady, type Outcome, type StartupFlags, type StartupOptions } from "./startup-pod.ts";

/** Flags of `untaint`, as they were typed. */
export interface UntaintFlags extends StartupFlags {
  /** The taint's key, whatever its value and effect. */
  readonly taint: string;
}

interface Node {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec: { readonly taints?: readonly { readonly key: string }[] };
}

/** Tries until it is done. Resolves with the exit code: 0, or 64 for what is not an admin address. */
export function untaint(flags: UntaintFlags, options: StartupOptions): Promise<number> {
  return onceReady(flags, options, "remove the taint", (ask) => removeTaint(flags, ask));
}

async function removeTaint({ node, taint }: UntaintFlags, ask: AskAboutNode): Promise<Outcome> {
  const found = await ask("");
  if (found.status !== 200) return { failure: `the API server says ${found.status} to a look at node ${node}` };
  const { metadata, spec } = JSON.parse(found.text) as Node;
  const { taints = [] } = spec;
  const others = taints.filter(({ key }) => key !== taint);
  if (others.length === taints.length) return `node ${node} has no taint ${taint}`;
  // Only on the node as it was seen: others add and remove taints at the same time.
  const body = [
    { op: "test", path: "/metadata/resourceVersion", value: metadata.resourceVersion },
    { op: "replace", path: "/spec/taints", value: others },
  ];
  const patched = await ask("", { type: "json-patch", body });
  if (patched.status !== 200) return { failure: `the API server says ${patched.status} to the change of node ${node}` };
  return `removed the taint ${taint} from node ${node}`;
}
