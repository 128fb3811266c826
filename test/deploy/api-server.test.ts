/*
 * The manifests before the code that a Kubernetes 1.36 API server would judge them with, and pods before the policy that injects.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  buildApiServer,
  type ApiServer,
  type PodRequest,
  type Verdict,
} from "../support/manifests/manifests-api-server.ts";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { variants } from "../support/manifests/manifests-variants.ts";
import {
  buildFolder,
  buildWith,
  containerOf,
  objectOf,
  type KubernetesObject,
} from "../support/manifests/manifests.ts";
import { describeWith } from "../support/program/requirements.ts";

const buildTimeoutMs = 20 * 60_000;

describeWith(["go", ...renderers], "a Kubernetes 1.36 API server", () => {
  let server: ApiServer;
  beforeAll(() => {
    server = buildApiServer();
  }, buildTimeoutMs);
  afterAll(() => server.remove());

  describe("judges the manifests", () => {
    test.each(variants)("and takes every object: $name, by kustomize", ({ kustomize }) => {
      expect(problemsOf(kustomize())).toEqual([]);
    });

    test.each(variants)("and takes every object: $name, by helm", ({ helm }) => {
      expect(problemsOf(helm())).toEqual([]);
    });

    test.each(variants)("by the Pod Security Standards: $name", ({ kustomize, mode }) => {
      const verdicts = server.judge(kustomize());
      const levels = verdicts.flatMap(({ podSecurity }) => podSecurity ?? []);
      const level = mode === "service" || mode === "cilium-local-redirect" ? "restricted" : "privileged";
      expect(new Set(levels)).toEqual(new Set([level]));
    });

    test.each([
      ["an unknown field", { spec: { selectors: {} } }, /unknown field "spec.selectors"/],
      ["a value that it does not know", { spec: { trafficDistribution: "SameNode" } }, /trafficDistribution/],
      ["a port that is none", { spec: { ports: [{ port: 70_000 }] } }, /must be between 1 and 65535/],
    ])("and would refuse %s", (_, wrong, problem) => {
      const service = { apiVersion: "v1", kind: "Service", metadata: { name: "a", namespace: "b" }, ...wrong };
      expect(server.judge([service])[0]?.problems.join()).toMatch(problem);
    });

    test("and makes a port of the node of each port that a pod in its network declares", () => {
      const wrong = structuredClone(objectOf(buildFolder("overlays/host-ip"), "DaemonSet"));
      Object.assign(containerOf([wrong]), { ports: [{ containerPort: 53, hostPort: 54 }] });
      expect(server.judge([wrong])[0]?.problems.join()).toContain(
        "must match `containerPort` when `hostNetwork` is true",
      );
    });

    function problemsOf(objects: readonly KubernetesObject[]): string[] {
      const isOfOthers = (kind: string): boolean =>
        ["ServiceMonitor", "PrometheusRule", "CiliumLocalRedirectPolicy", "NodeReadinessRule"].includes(kind);
      const own = objects.filter(({ kind }) => !isOfOthers(kind));
      const verdicts: readonly Verdict[] = server.judge(own);
      return own.flatMap(({ kind }, index) => (verdicts[index]?.problems ?? []).map((text) => `${kind}: ${text}`));
    }
  });

  describe("injects", () => {
    /** The component, with other parameters where given ("ndots=3"). */
    const objects = (parameters: readonly string[] = []): KubernetesObject[] =>
      buildWith("overlays/managed-cluster", [], {
        configMapGenerator: [
          { name: "nodens-inject", namespace: "kube-system", behavior: "merge", literals: parameters },
        ],
      });

    test("nodens's address, the pod's own namespace and the usual options", () => {
      expect(dnsOf(pod({}))).toEqual({
        dnsPolicy: "None",
        dnsConfig: {
          nameservers: ["169.254.20.10"],
          searches: ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"],
          options: [
            { name: "ndots", value: "5" },
            { name: "timeout", value: "2" },
            { name: "attempts", value: "2" },
          ],
        },
      });
    });

    test.each<[string, PodRequest]>([
      ["a pod that says nothing", pod({})],
      ["a pod that asks for ClusterFirst", pod({ dnsPolicy: "ClusterFirst" })],
      ["a pod in the node's network that asks for the cluster's DNS", hostPod("ClusterFirstWithHostNet")],
      ["an ordinary pod that asks for ClusterFirstWithHostNet", pod({ dnsPolicy: "ClusterFirstWithHostNet" })],
      ["a pod that says it is for Linux", pod({ os: { name: "linux" } })],
      ["a pod that selects Linux nodes", pod({ nodeSelector: { "kubernetes.io/os": "linux", type: "gpu" } })],
      ["a pod that needs a Linux node", pod(needing("kubernetes.io/os", "In", ["linux"]))],
      ["a pod that needs no Windows node", pod(needing("kubernetes.io/os", "NotIn", ["windows"]))],
      ["a pod that needs a node with a label", pod(needing("kubernetes.io/os", "Exists"))],
      ["a pod that tolerates everything", pod({ tolerations: [{ operator: "Exists" }] })],
      ["a pod whose label says nothing against it", pod({}, { labels: { "node-local-dns-injection": "enabled" } })],
    ])("into %s", (_, request) => {
      expect(dnsOf(request)).toMatchObject({ dnsPolicy: "None", dnsConfig: { nameservers: ["169.254.20.10"] } });
    });

    test.each<[string, PodRequest]>([
      ["a pod in the node's network that kubelet gives the node's DNS", hostPod("ClusterFirst")],
      ["a pod that asks for the node's DNS", pod({ dnsPolicy: "Default" })],
      ["a pod with a DNS configuration of its own", pod({ dnsConfig: { options: [{ name: "ndots", value: "2" }] } })],
      ["a pod with a DNS of its own", pod({ dnsPolicy: "None", dnsConfig: { nameservers: ["192.0.2.1"] } })],
      ["a pod for Windows", pod({ os: { name: "windows" } })],
      ["a pod that selects Windows nodes", pod({ nodeSelector: { "kubernetes.io/os": "windows" } })],
      ["a pod that selects Windows nodes as of old", pod({ nodeSelector: { "beta.kubernetes.io/os": "windows" } })],
      ["a pod that needs a Windows node", pod(needing("kubernetes.io/os", "In", ["windows"]))],
      ["a pod that needs a node without Linux", pod(needing("kubernetes.io/os", "NotIn", ["linux"]))],
      ["a pod that selects virtual nodes", pod({ nodeSelector: { type: "virtual-kubelet" } })],
      ["a pod that needs a virtual node", pod(needing("type", "In", ["virtual-kubelet"]))],
      [
        "a pod that tolerates virtual nodes",
        pod({ tolerations: [{ key: "virtual-kubelet.io/provider", operator: "Exists" }] }),
      ],
      ["a pod that is labelled to be left alone", pod({}, { labels: { "node-local-dns-injection": "disabled" } })],
      ["a pod of a namespace without the label", pod({}, { namespace: "shop", namespaceLabels: {} })],
      [
        "a pod of a namespace that is switched off",
        pod({}, { namespaceLabels: { "node-local-dns-injection": "disabled" } }),
      ],
      ["a pod of kube-system, whatever its label", pod({}, { namespace: "kube-system" })],
      ["a pod of kube-public, whatever its label", pod({}, { namespace: "kube-public" })],
      ["a pod of kube-node-lease, whatever its label", pod({}, { namespace: "kube-node-lease" })],
    ])("not into %s", (_, request) => {
      const { spec } = request.pod as unknown as { spec: Partial<Dns> };
      const { dnsPolicy = "ClusterFirst", dnsConfig } = spec;
      expect(dnsOf(request)).toEqual({ dnsPolicy, dnsConfig });
    });

    test("two nameservers, where that is wanted", () => {
      const dns = dnsOf(pod({}), objects(["nameservers=169.254.20.10, 10.96.0.10"]));
      expect(dns.dnsConfig?.nameservers).toEqual(["169.254.20.10", "10.96.0.10"]);
    });

    test("another zone, more search domains, other options", () => {
      const changed = ["clusterDomain=k8s.example", "extraSearches=ec2.internal, corp.example", "ndots=3", "timeout=1"];
      expect(dnsOf(pod({}), objects(changed)).dnsConfig).toEqual({
        nameservers: ["169.254.20.10"],
        searches: ["shop.svc.k8s.example", "svc.k8s.example", "k8s.example", "ec2.internal", "corp.example"],
        options: [
          { name: "ndots", value: "3" },
          { name: "timeout", value: "1" },
          { name: "attempts", value: "2" },
        ],
      });
    });

    test("nothing, and refuses no pod, while its parameters are missing", () => {
      const without = objects().filter(
        ({ metadata }) => metadata.name !== "nodens-inject" || metadata.namespace === undefined,
      );
      expect(without).toHaveLength(objects().length - 1);
      expect(dnsOf(pod({}), without)).toEqual({ dnsPolicy: "ClusterFirst", dnsConfig: undefined });
    });

    test("with nothing but nameservers to go by", () => {
      const given = objects().map((object) =>
        object.kind === "ConfigMap" && object.metadata.name === "nodens-inject"
          ? { ...object, data: { nameservers: "169.254.20.10" } }
          : object,
      );
      expect(dnsOf(pod({}), given)).toEqual(dnsOf(pod({})));
    });

    test("from another namespace, when nodens has moved there", () => {
      const moved = buildWith("overlays/managed-cluster", [], { namespace: "dns" });
      expect(dnsOf(pod({}), moved).dnsPolicy).toBe("None");
    });

    function dnsOf(request: PodRequest, given = objects()): Dns {
      const [admitted] = server.admit(given, [request]);
      const { dnsPolicy, dnsConfig } = (admitted as unknown as { spec: Dns }).spec;
      return { dnsPolicy, dnsConfig };
    }
  });
});

interface Dns {
  readonly dnsPolicy: string;
  readonly dnsConfig: { readonly nameservers: string[] } | undefined;
}

interface Circumstances {
  readonly labels?: Record<string, string>;
  readonly namespace?: string;
  readonly namespaceLabels?: Record<string, string>;
}

/** A pod that is created in a namespace which has opted in. */
function pod(spec: object, { labels = {}, namespace = "shop", namespaceLabels }: Circumstances = {}): PodRequest {
  const optedIn = namespaceLabels ?? { "node-local-dns-injection": "enabled" };
  return {
    namespace: { metadata: { name: namespace, labels: { "kubernetes.io/metadata.name": namespace, ...optedIn } } },
    pod: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web", namespace, labels },
      spec: { containers: [{ name: "web", image: "web" }], ...spec },
    },
  };
}

/** What a pod's spec has to say to need nodes with such a label, beside others that do not matter. */
function needing(key: string, operator: string, values?: string[]): object {
  const other = { matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] };
  const wanted = { matchExpressions: [{ key, operator, values }] };
  const nodeSelectorTerms = [other, wanted];
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } };
}

function hostPod(dnsPolicy: string): PodRequest {
  return pod({ hostNetwork: true, dnsPolicy });
}
