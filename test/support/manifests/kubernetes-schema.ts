/*
 * Objects against the schemas of Kubernetes 1.36 and of the Prometheus operator, which npm packages carry as compiled validators.
 * Those allow unknown fields. But a validator looks at every field that its schema has, so a field that it never looked at is
 * unknown.
 */
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
import { MutatingAdmissionPolicy } from "kubernetes-models/admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";
import { MutatingAdmissionPolicyBinding } from "kubernetes-models/admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding";
import { DaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import { ClusterRole } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRole";
import { ClusterRoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRoleBinding";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Service } from "kubernetes-models/v1/Service";
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import { z } from "zod";
import type { KubernetesObject } from "./manifests.ts";

/** A model's validator looks at `this`, and throws what it found. */
interface Model {
  readonly apiVersion: string;
  readonly kind: string;
  readonly prototype: { validate(): void };
}

interface Finding {
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: unknown;
}

const models: readonly Model[] = [
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  DaemonSet,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  PrometheusRule,
  Service,
  ServiceAccount,
  ServiceMonitor,
];

/** Everything about an object that its schema does not allow: one sentence each. An object of another kind is one problem. */
export function schemaProblems(object: KubernetesObject): string[] {
  const byHand = byKind.get(object.kind);
  if (byHand !== undefined) return problemsBy(byHand, object);
  const model = models.find(({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind);
  if (model === undefined) return [`${object.apiVersion} ${object.kind}: there is no schema of it here`];
  const { watched, unseen } = watchReads(object);
  const faults = findingsOf(() => model.prototype.validate.call(watched)).map(
    ({ instancePath, keyword, params }) => `${instancePath} ${keyword} ${JSON.stringify(params)}`,
  );
  return [...faults, ...unseen().map((path) => `${path} is not a field`)];
}

function findingsOf(validate: () => void): readonly Finding[] {
  try {
    validate();
    return [];
  } catch (error) {
    const { errors } = error as { errors?: readonly Finding[] };
    if (errors === undefined) throw error;
    return errors;
  }
}

/** A copy of a tree that remembers what of it was read, and the paths of the fields that were not. */
function watchReads(tree: object): { readonly watched: object; unseen(): string[] } {
  const read = new WeakMap<object, Set<PropertyKey>>();

  function watch<Node extends object>(node: Node): Node {
    const seen = new Set<PropertyKey>();
    read.set(node, seen);
    return new Proxy(node, {
      get(target, key) {
        seen.add(key);
        const value: unknown = Reflect.get(target, key);
        return typeof value === "object" && value !== null ? watch(value) : value;
      },
    });
  }

  function unseenBelow(node: object, path: string): string[] {
    return Object.entries(node).flatMap(([key, value]: [string, unknown]) => {
      if (read.get(node)?.has(key) !== true) return [`${path}/${key}`];
      return typeof value === "object" && value !== null ? unseenBelow(value, `${path}/${key}`) : [];
    });
  }

  return { watched: watch(tree), unseen: () => unseenBelow(tree, "") };
}

const port = z.strictObject({
  name: z.string().regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/),
  port: z.string().regex(/^[1-9]\d{0,4}$/),
  protocol: z.enum(["TCP", "UDP"]),
});

const labels = z.record(z.string(), z.string());

/** The fields of the resource definition that are used here, kept by hand: no package carries it. */
const localRedirectPolicy = z.strictObject({
  apiVersion: z.literal("cilium.io/v2"),
  kind: z.literal("CiliumLocalRedirectPolicy"),
  metadata: z.strictObject({ name: z.string(), namespace: z.string(), labels }),
  spec: z.strictObject({
    redirectFrontend: z.strictObject({
      serviceMatcher: z.strictObject({ serviceName: z.string(), namespace: z.string() }),
    }),
    redirectBackend: z.strictObject({
      localEndpointSelector: z.strictObject({ matchLabels: labels }),
      toPorts: z.array(port),
    }),
    skipRedirectFromBackend: z.boolean(),
  }),
});

/** The same for that of the Node Readiness Controller, with what it wants of the taint's key and that some nodes are selected. */
const nodeReadinessRule = z.strictObject({
  apiVersion: z.literal("readiness.node.x-k8s.io/v1alpha1"),
  kind: z.literal("NodeReadinessRule"),
  metadata: z.strictObject({ name: z.string(), labels }),
  spec: z.strictObject({
    conditions: z
      .array(
        z.strictObject({
          type: z.string().min(1).max(316),
          requiredStatus: z.enum(["True", "False", "Unknown"]),
        }),
      )
      .min(1)
      .max(32),
    enforcementMode: z.enum(["bootstrap-only", "continuous"]),
    taint: z.strictObject({
      key: z.string().regex(/^readiness\.k8s\.io\/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/),
      effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    }),
    nodeSelector: z.strictObject({
      matchLabels: labels.refine((some) => Object.keys(some).length > 0),
      matchExpressions: z.array(
        z.strictObject({
          key: z.string(),
          operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
          values: z.array(z.string()),
        }),
      ),
    }),
  }),
});

const byKind: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  ["CiliumLocalRedirectPolicy", localRedirectPolicy],
  ["NodeReadinessRule", nodeReadinessRule],
]);

function problemsBy(schema: z.ZodType, object: KubernetesObject): string[] {
  const issues = schema.safeParse(object).error?.issues ?? [];
  return issues.map(({ path, message }) => `/${path.join("/")} ${message}`);
}
