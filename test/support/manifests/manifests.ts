/*
 * The manifests as they reach a cluster: rendered by kustomize from overlays and components, and by helm from values.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { runTool } from "./manifests-tools.ts";
import { projectFolder } from "../program/run-nodens.ts";

/** An object as it would be sent to the API server. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** The parts of the DaemonSet's pods that tests look at. */
export interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly [source: string]: unknown }[];
  readonly [field: string]: unknown;
}

/** A container of them. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly ports?: readonly unknown[];
  readonly env: readonly { readonly name: string; readonly valueFrom: Record<string, Record<string, string>> }[];
  readonly securityContext: SecurityContext;
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly [field: string]: unknown;
}

/** What its process may do. */
export interface SecurityContext {
  readonly runAsUser: number;
  readonly runAsGroup: number;
  readonly runAsNonRoot: boolean;
  readonly allowPrivilegeEscalation: boolean;
  readonly readOnlyRootFilesystem: boolean;
  readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
}

/** How kubelet asks after it. */
export interface Probe {
  readonly exec?: { readonly command: readonly string[] };
  readonly httpGet?: { readonly path: string; readonly port: number };
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

/** The folder of the manifests. */
export const deployFolder = join(projectFolder, "deploy");

/** What `kustomize build` makes of a folder below deploy/ ("overlays/intercept"). */
export function buildFolder(folder: string): KubernetesObject[] {
  return build(join(deployFolder, folder));
}

/** An overlay of one's own: what it builds on, components, more fields of its kustomization, and files beside that, by name. */
export function buildWith(
  base: string,
  components: readonly string[],
  more: object = {},
  files: Readonly<Record<string, string>> = {},
): KubernetesObject[] {
  const folder = mkdtempSync(join(tmpdir(), "nodens-overlay-"));
  const pathTo = (name: string): string => relative(folder, join(deployFolder, name));
  try {
    const kustomization = {
      apiVersion: "kustomize.config.k8s.io/v1beta1",
      kind: "Kustomization",
      resources: [pathTo(base)],
      components: components.map((name) => pathTo(`components/${name}`)),
      ...more,
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    writeFileSync(join(folder, "kustomization.yaml"), stringify(kustomization));
    return build(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What `helm template` makes of the chart, a folder or an archive, with these values. Throws with helm's words when it refuses them. */
export function renderChart(
  values: object,
  namespace = "kube-system",
  chart = join(deployFolder, "chart/nodens"),
): KubernetesObject[] {
  // A helm that Go built believes in an old Kubernetes.
  const flags = ["--namespace", namespace, "--kube-version", "1.36.0", "--values", "-"];
  return readObjects(runTool("helm", ["template", "nodens", chart, ...flags], { input: stringify(values) }));
}

/** The object of a kind, by its name without a hash where several have the kind. Throws when it is not there. */
export function objectOf(objects: readonly KubernetesObject[], kind: string, name?: string): KubernetesObject {
  const found = objects.find(
    (object) => object.kind === kind && (name === undefined || withoutHash(object.metadata.name) === name),
  );
  if (found === undefined) throw new Error(`no ${kind} ${name ?? ""} among ${objects.map(({ kind }) => kind).join()}`);
  return found;
}

/** The DaemonSet's pods. */
export function podOf(objects: readonly KubernetesObject[]): PodSpec {
  const { spec } = objectOf(objects, "DaemonSet", "nodens") as unknown as { spec: { template: { spec: PodSpec } } };
  return spec.template.spec;
}

/** Their only container. */
export function containerOf(objects: readonly KubernetesObject[]): Container {
  const [container, ...others] = podOf(objects).containers;
  if (container === undefined || others.length > 0) throw new Error("not one container");
  return container;
}

/** The data of a ConfigMap, by its name without a hash. */
export function dataOf(objects: readonly KubernetesObject[], name: string): Readonly<Record<string, string>> {
  return objectOf(objects, "ConfigMap", name)["data"] as Record<string, string>;
}

/** A name without the hash that kustomize appends to what it generated. */
export function withoutHash(name: string): string {
  return name.replace(/-[2456789bcdfghkmt]{10}$/, "");
}

function build(folder: string): KubernetesObject[] {
  return readObjects(runTool("kustomize", ["build", folder]));
}

function readObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);
}
