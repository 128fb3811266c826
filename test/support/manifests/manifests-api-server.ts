/*
 * The judging parts of the Kubernetes API server, as a Go program: see test/fixtures/kubernetes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTool } from "./manifests-tools.ts";
import type { KubernetesObject } from "./manifests.ts";
import { projectFolder } from "../program/run-nodens.ts";

/** What the API server says about an object that somebody creates. */
export interface Verdict {
  /** Why it refuses it; empty when it does not. */
  readonly problems: readonly string[];
  /** The strictest Pod Security Standard that a DaemonSet's pods meet; absent for other objects. */
  readonly podSecurity?: "privileged" | "baseline" | "restricted";
}

/** A pod that somebody creates. */
export interface PodRequest {
  readonly namespace: {
    readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  };
  readonly pod: KubernetesObject;
}

/** The program, built. */
export interface ApiServer {
  /** One verdict for each object. */
  judge(objects: readonly KubernetesObject[]): Verdict[];
  /** What becomes of each pod where the objects exist. */
  admit(objects: readonly KubernetesObject[], requests: readonly PodRequest[]): KubernetesObject[];
  /** Removes the program. */
  remove(): void;
}

/** Builds the program, which takes minutes when Go's build cache is empty. Remove it at the end of the suite. */
export function buildApiServer(): ApiServer {
  const folder = mkdtempSync(join(tmpdir(), "nodens-api-server-"));
  const program = join(folder, "api-server");
  const source = join(projectFolder, "test/fixtures/kubernetes");
  // As install-deploy-tools.sh compiles it, and the programs of test/cluster: what they share is compiled once.
  const env = { ...process.env, CGO_ENABLED: "0" };
  runTool("go", ["build", "-buildvcs=false", "-trimpath", "-o", program, "."], { cwd: source, env });

  function ask(input: object): { verdicts: Verdict[]; pods: KubernetesObject[] } {
    const output = runTool(program, [], { input: JSON.stringify(input) });
    return JSON.parse(output) as { verdicts: Verdict[]; pods: KubernetesObject[] };
  }

  return {
    judge: (objects) => ask({ objects }).verdicts,
    admit: (objects, requests) => ask({ objects, requests }).pods,
    remove: () => rmSync(folder, { recursive: true }),
  };
}
