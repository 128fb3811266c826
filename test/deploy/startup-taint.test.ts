/*
 * The pod that takes the startup taint away, as the manifests have it, and the page that says which taint that is.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { buildWith, type Container, objectOf, podOf, renderChart } from "../support/manifests/manifests.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const taint = "startup-taint.cluster-autoscaler.kubernetes.io/nodens";

interface StartupPod {
  readonly hostNetwork: boolean;
  readonly serviceAccountName: string;
  readonly tolerations: readonly object[];
  readonly nodeSelector: object;
  readonly initContainers: readonly [Container];
  readonly containers: readonly [Container];
}

describeWith(renderers, "the component startup-taint", () => {
  const objects = buildWith("base", ["link-local", "startup-taint"]);
  const { metadata, spec } = templateOf(objects);

  test("removes the taint of the pod's own node when the nodens of that node is ready", () => {
    const [{ args, env }] = spec.initContainers;
    expect(args).toEqual(["untaint", "--node=$(NODE_NAME)", `--taint=${taint}`, "--admin=$(HOST_IP)"]);
    expect(env.map(({ name, valueFrom }) => [name, valueFrom["fieldRef"]?.["fieldPath"]])).toEqual([
      ["HOST_IP", "status.hostIP"],
      ["NODE_NAME", "spec.nodeName"],
    ]);
  });

  test("runs on tainted nodes, as nodens does, and reaches the admin address past every firewall", () => {
    expect(spec.tolerations).toContainEqual({ operator: "Exists", effect: "NoSchedule" });
    expect(spec.hostNetwork).toBe(true);
  });

  test("may look at nodes and change them, and nothing else", () => {
    expect(objectOf(objects, "ClusterRole")["rules"]).toEqual([
      { apiGroups: [""], resources: ["nodes"], verbs: ["get", "patch"] },
    ]);
    const account = { kind: "ServiceAccount", name: spec.serviceAccountName, namespace: "kube-system" };
    expect(objectOf(objects, "ClusterRoleBinding")["subjects"]).toEqual([account]);
  });

  test("is not taken for nodens by what selects nodens's pods", () => {
    expect(metadata.labels).toEqual({ "app.kubernetes.io/name": "nodens-startup" });
  });

  test("follows the chart's release: namespace, image and secrets", () => {
    const image = { repository: "registry.example/nodens", tag: "1.2.3", pullPolicy: "Always" };
    const values = { startupTaint: { enabled: true }, image, imagePullSecrets: [{ name: "registry" }] };
    const rendered = renderChart(values, "dns");
    const pod = templateOf(rendered).spec;
    const used = { image: "registry.example/nodens:1.2.3", imagePullPolicy: "Always" };
    expect(pod).toMatchObject({
      initContainers: [used],
      containers: [used],
      imagePullSecrets: [{ name: "registry" }],
    });
    expect(objectOf(rendered, "ClusterRoleBinding")["subjects"]).toMatchObject([{ namespace: "dns" }]);
  });

  test("is refused where it would look for nodens at the wrong port", () => {
    const settings = { admin: { address: "${HOST_IP}:9254" } };
    expect(() => renderChart({ startupTaint: { enabled: true }, settings })).toThrow(/startupTaint\.enabled looks for/);
    expect(() => renderChart({ nodeReadiness: { enabled: true }, settings })).toThrow(
      /nodeReadiness\.enabled looks for/,
    );
  });
});

describeWith(renderers, "the component node-readiness", () => {
  const objects = buildWith("base", ["link-local", "node-readiness"]);
  const rule = ruleOf(objects);

  test("reports the condition that its rule waits for, of the pod's own node", () => {
    const [{ type, requiredStatus }] = rule.conditions;
    const [{ args }] = templateOf(objects).spec.initContainers;
    expect(args).toEqual(["report-ready", "--node=$(NODE_NAME)", `--condition=${type}`, "--admin=$(HOST_IP)"]);
    expect(requiredStatus).toBe("True");
  });

  test("taints the nodes that nodens is on, and no other", () => {
    const { nodeSelector, affinity } = podOf(objects) as unknown as {
      nodeSelector: object;
      affinity: { nodeAffinity: Record<string, { nodeSelectorTerms: object[] }> };
    };
    const terms = affinity.nodeAffinity["requiredDuringSchedulingIgnoredDuringExecution"]?.nodeSelectorTerms;
    const { matchLabels, ...more } = rule.nodeSelector;
    expect(matchLabels).toEqual(nodeSelector);
    expect([more]).toEqual(terms);
  });

  test("may change conditions of nodes, and nothing else", () => {
    expect(objectOf(objects, "ClusterRole")["rules"]).toEqual([
      { apiGroups: [""], resources: ["nodes/status"], verbs: ["patch"] },
    ]);
  });

  test("follows the chart's nodes, with rule and pods alike", () => {
    const nodeSelector = { "kubernetes.io/os": "linux", "nodens-trial": "on-these" };
    const rendered = renderChart({ nodeReadiness: { enabled: true }, nodeSelector });
    expect(ruleOf(rendered).nodeSelector.matchLabels).toEqual(nodeSelector);
    expect(templateOf(rendered).spec.nodeSelector).toEqual(nodeSelector);
  });

  test("does not go together with startup-taint", () => {
    const both = { nodeReadiness: { enabled: true }, startupTaint: { enabled: true } };
    expect(() => renderChart(both)).toThrow(/choose one/);
    expect(() => buildWith("base", ["startup-taint", "node-readiness"])).toThrow(/may not add resource/);
  });
});

test("docs/new-nodes.md names the taint that is removed, and no other", () => {
  const page = readFileSync(join(projectFolder, "docs/new-nodes.md"), "utf8");
  const named = page.match(/startup-taint\.cluster-autoscaler\.kubernetes\.io\/[\w-]+/g) ?? [];
  expect(new Set(named)).toEqual(new Set([taint]));
});

function ruleOf(objects: Parameters<typeof objectOf>[0]) {
  const { spec } = objectOf(objects, "NodeReadinessRule") as unknown as {
    spec: {
      conditions: [{ type: string; requiredStatus: string }];
      taint: { key: string };
      nodeSelector: { matchLabels: object };
    };
  };
  return spec;
}

function templateOf(objects: Parameters<typeof objectOf>[0]) {
  const { spec } = objectOf(objects, "DaemonSet", "nodens-startup") as unknown as {
    spec: { template: { metadata: { labels: object }; spec: StartupPod } };
  };
  return spec.template;
}
