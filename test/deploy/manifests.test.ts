import { attachModes } from "../../src/attach/modes.ts";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadSettings } from "../../src/settings/load-settings.ts";
import { formatProblem } from "../../src/settings/problem.ts";
import type { Settings } from "../../src/settings/settings-table.ts";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { variantOf, variants, type Variant } from "../support/manifests/manifests-variants.ts";
import {
  buildFolder,
  buildWith,
  containerOf,
  dataOf,
  deployFolder,
  objectOf,
  podOf,
  renderChart,
  type KubernetesObject,
} from "../support/manifests/manifests.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const onHostNetwork = variants.filter(({ mode }) => ["host-ip", "link-local", "intercept", "observe"].includes(mode));
const onPodNetwork = variants.filter((variant) => !onHostNetwork.includes(variant));

describeWith(renderers, "every variant", () => {
  test.each(variants)(
    "$name: runs on every Linux node, from the cluster's first minute to its last",
    ({ kustomize }) => {
      expect(podOf(kustomize())).toMatchObject({
        priorityClassName: "system-node-critical",
        nodeSelector: { "kubernetes.io/os": "linux" },
        tolerations: expect.arrayContaining([
          { operator: "Exists", effect: "NoSchedule" },
          { operator: "Exists", effect: "NoExecute" },
        ]) as unknown,
      });
    },
  );

  test.each(variants)("$name: needs neither the API server nor the cluster's DNS", ({ kustomize }) => {
    expect(podOf(kustomize())).toMatchObject({
      dnsPolicy: "Default",
      automountServiceAccountToken: false,
      enableServiceLinks: false,
    });
  });

  test.each(variants)(
    "$name: has an account to which security policies can be bound, and no token",
    ({ kustomize }) => {
      const account = objectOf(kustomize(), "ServiceAccount", "nodens");
      expect(account["automountServiceAccountToken"]).toBe(false);
      expect(podOf(kustomize())["serviceAccountName"]).toBe(account.metadata.name);
    },
  );

  test.each(variants)(
    "$name: is locked up apart from what its mode needs",
    ({ kustomize, isNetworkAdmin, readsPackets }) => {
      const isRoot = isNetworkAdmin || readsPackets;
      const more = [...(isNetworkAdmin ? ["NET_ADMIN"] : []), ...(readsPackets ? ["NET_RAW"] : [])];
      expect(podOf(kustomize())["securityContext"]).toEqual({ seccompProfile: { type: "RuntimeDefault" } });
      expect(containerOf(kustomize()).securityContext).toEqual({
        runAsNonRoot: !isRoot,
        runAsUser: isRoot ? 0 : 65_532,
        runAsGroup: isRoot ? 0 : 65_532,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"], add: [...more, "NET_BIND_SERVICE"] },
      });
    },
  );

  test.each(variants)("$name: is updated without a gap, a tenth of the nodes at a time", ({ kustomize }) => {
    expect(objectOf(kustomize(), "DaemonSet", "nodens")["spec"]).toMatchObject({
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "10%", maxUnavailable: 0 } },
    });
  });

  test.each(variants)("$name: runs the version that this is", ({ kustomize }) => {
    const { version } = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8")) as { version: string };
    expect(containerOf(kustomize()).image).toBe(`ghcr.io/nodens-dns/nodens:${version}`);
  });

  test.each(variants)("$name: has a Service for scraping", ({ kustomize }) => {
    const service = objectOf(kustomize(), "Service", "nodens-metrics");
    expect(service["spec"]).toMatchObject({ clusterIP: "None", ports: [{ port: 9253, targetPort: 9253 }] });
    expect(settingsOf(kustomize()).admin.address.port).toBe(9253);
  });

  test.each(variants)("$name: is found by a Prometheus that goes by annotations", ({ kustomize }) => {
    const { spec } = objectOf(kustomize(), "DaemonSet", "nodens") as unknown as {
      spec: { template: { metadata: { annotations: object } } };
    };
    expect(spec.template.metadata.annotations).toEqual({
      "prometheus.io/scrape": "true",
      "prometheus.io/port": String(settingsOf(kustomize()).admin.address.port),
      "prometheus.io/path": "/metrics",
    });
  });

  test.each(variants)("$name: all objects have the labels, and a namespace if they can", ({ kustomize }) => {
    for (const { kind, metadata } of kustomize()) {
      const isOfTheCluster = /^(?:MutatingAdmission|ClusterRole|NodeReadiness)/.test(kind);
      expect(metadata.namespace, `${kind} ${metadata.name}`).toBe(isOfTheCluster ? undefined : "kube-system");
      expect(metadata.labels, `${kind} ${metadata.name}`).toMatchObject({
        "app.kubernetes.io/name": "nodens",
        "app.kubernetes.io/part-of": "nodens",
      });
    }
  });

  test.each(variants)("$name: nothing is selected by what selects NodeLocal DNSCache", ({ kustomize }) => {
    const { spec } = objectOf(kustomize(), "DaemonSet", "nodens") as unknown as {
      spec: { template: { metadata: { labels: object } } };
    };
    const all = [spec.template.metadata.labels, ...kustomize().map(({ metadata }) => metadata.labels ?? {})];
    expect(all.filter((labels) => Object.entries(labels).flat().includes("node-local-dns"))).toEqual([]);
  });

  test.each(variants)("$name: the selectors of DaemonSet and Services match the pods", ({ kustomize }) => {
    const { spec } = objectOf(kustomize(), "DaemonSet", "nodens") as unknown as {
      spec: { selector: { matchLabels: object }; template: { metadata: { labels: object } } };
    };
    expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels);
    for (const service of kustomize().filter(({ kind }) => kind === "Service")) {
      expect(spec.template.metadata.labels).toMatchObject((service["spec"] as { selector: object }).selector);
    }
  });
});

describeWith(renderers, "changing between host-ip, link-local and intercept", () => {
  test.each(["kustomize", "helm"] as const)("rolls like an update: only the settings differ, by %s", (renderer) => {
    const [hostIp, linkLocal, intercept] = ["host-ip", "link-local", "intercept"].map((mode) => {
      const objects = variantOf(mode)[renderer]();
      const { name } = objectOf(objects, "ConfigMap", "nodens").metadata;
      return JSON.stringify(objectOf(objects, "DaemonSet", "nodens")["spec"]).replaceAll(name, "nodens");
    });
    expect([linkLocal, intercept]).toEqual([hostIp, hostIp]);
  });
});

describeWith(renderers, "in the node's network", () => {
  test.each(onHostNetwork)(
    "$name: declares no port, which would keep the second pod of an update away",
    ({ kustomize }) => {
      expect(podOf(kustomize()).hostNetwork).toBe(true);
      expect(containerOf(kustomize()).ports).toBeUndefined();
    },
  );

  test.each(onHostNetwork)("$name: probes nothing that the other pod of an update could answer", ({ kustomize }) => {
    const { startupProbe, readinessProbe, livenessProbe } = containerOf(kustomize());
    for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
      expect(Object.keys(probe)).toContain("exec");
      expect(Object.keys(probe)).not.toContain("httpGet");
    }
    expect(startupProbe.periodSeconds).toBe(1);
  });

  test.each(onHostNetwork)(
    "$name: the probes look where nodens writes, in memory of the pod's own",
    ({ kustomize }) => {
      const { directory } = settingsOf(kustomize()).probes;
      const { readinessProbe, livenessProbe } = containerOf(kustomize());
      const mounts = containerOf(kustomize())["volumeMounts"];
      expect(readinessProbe.exec?.command).toContain(`${directory}/ready`);
      expect(livenessProbe.exec?.command.at(-1)).toContain(`${directory}/alive`);
      expect(mounts).toContainEqual({ name: "run", mountPath: directory });
      expect(podOf(kustomize()).volumes).toContainEqual({
        name: "run",
        emptyDir: { medium: "Memory", sizeLimit: "1Mi" },
      });
    },
  );
});

/** From kubelet's word to EndpointSlice, kube-proxy, which looks once a second, and conntrack: 1 to 2 s on a quiet cluster, three times that here. */
const letGoMs = 6000;

describeWith(renderers, "in the pod network", () => {
  test.each(onPodNetwork)("$name: has the ports that its settings open, and ordinary probes", ({ kustomize }) => {
    const settings = settingsOf(kustomize());
    const { ports, readinessProbe, livenessProbe } = containerOf(kustomize());
    expect(podOf(kustomize()).hostNetwork).toBeUndefined();
    expect(new Set(settings.listen.addresses.map(({ port }) => port))).toEqual(new Set([5353]));
    expect(ports).toEqual([
      { name: "dns", containerPort: 5353, protocol: "UDP" },
      { name: "dns-tcp", containerPort: 5353, protocol: "TCP" },
      { name: "metrics", containerPort: settings.admin.address.port, protocol: "TCP" },
    ]);
    expect(readinessProbe.httpGet).toEqual({ path: "/readyz", port: 9253 });
    expect(livenessProbe.httpGet).toEqual({ path: "/healthz", port: 9253 });
  });

  test.each(onPodNetwork)(
    "$name: is known not to be ready, and its UDP flows let go of, well before it stops answering",
    ({ kustomize }) => {
      const { shutdown } = settingsOf(kustomize());
      const { periodSeconds, failureThreshold } = containerOf(kustomize()).readinessProbe;
      const seenMs = periodSeconds * failureThreshold * 1000;
      expect(shutdown.drainMs).toBeGreaterThanOrEqual(seenMs + letGoMs);
    },
  );

  test("the Service prefers the client's node and leads to the port that is open", () => {
    expect(objectOf(buildWith("base", ["service"]), "Service", "nodens")["spec"]).toMatchObject({
      trafficDistribution: "PreferSameNode",
      ports: [
        { port: 53, targetPort: 5353, protocol: "UDP" },
        { port: 53, targetPort: 5353, protocol: "TCP" },
      ],
    });
  });

  test("Cilium does not redirect what nodens itself asks", () => {
    expect(objectOf(buildWith("base", ["cilium-local-redirect"]), "CiliumLocalRedirectPolicy")["spec"]).toMatchObject({
      redirectFrontend: { serviceMatcher: { serviceName: "kube-dns", namespace: "kube-system" } },
      skipRedirectFromBackend: true,
    });
  });
});

describeWith(renderers, "the settings in the ConfigMap", () => {
  test.each(variants)("$name: load without problems and without doubts", ({ kustomize }) => {
    const loaded = load(kustomize());
    expect("problems" in loaded ? loaded.problems.map(formatProblem) : []).toEqual([]);
    expect("warnings" in loaded ? loaded.warnings.map(formatProblem) : []).toEqual([]);
  });

  test.each(["host-ip", "link-local", "intercept", "observe", "service", "cilium-local-redirect"])(
    "where there is IPv6 only, mode %s needs the Service's address and one of nodens's own, and nothing else",
    (mode) => {
      const attach = mode in attachModes && mode !== "host-ip" ? { attach: { addresses: ["fd00:20::10"] } } : {};
      const loaded = load(renderChart({ mode, clusterDNS: { serviceIP: "fd96::a" }, settings: attach }), "fd00::7");
      expect(loaded).toMatchObject({
        settings: { admin: { address: { host: "fd00::7" } }, upstream: { servers: [{ host: "fd96::a", port: 53 }] } },
        warnings: [],
      });
    },
  );

  test.each(variants)("$name: are those of the mode, in front of the cluster's DNS", ({ name, kustomize, mode }) => {
    const { attach, listen, upstream, cluster } = settingsOf(kustomize());
    const host = name.includes("managed-cluster") ? "172.20.0.10" : "10.96.0.10";
    expect(attach.mode).toBe(mode in attachModes ? mode : "none");
    expect(upstream.servers).toEqual([{ host, port: 53 }]);
    expect(cluster.domain).toBe("cluster.local");
    if (mode === "host-ip") expect(listen.addresses).toEqual([{ host: "10.1.2.3", port: 53 }]);
  });

  test.each(variants)("$name: leave the time between SIGTERM and the end that they need", ({ kustomize }) => {
    const { shutdown, upstream } = settingsOf(kustomize());
    const { terminationGracePeriodSeconds } = podOf(kustomize());
    expect(shutdown.gracePeriodSeconds).toBe(terminationGracePeriodSeconds);
    expect(terminationGracePeriodSeconds * 1000).toBeGreaterThan(shutdown.drainMs + upstream.deadlineMs);
  });

  test.each(variants)("$name: are the file that the program is given", ({ kustomize }) => {
    const { args } = containerOf(kustomize());
    const { metadata } = objectOf(kustomize(), "ConfigMap", "nodens");
    expect(args).toEqual(["serve", "--config", "/etc/nodens/nodens.yaml"]);
    expect(containerOf(kustomize())["volumeMounts"]).toContainEqual({
      name: "settings",
      mountPath: "/etc/nodens",
      readOnly: true,
    });
    expect(podOf(kustomize()).volumes).toContainEqual({
      name: "settings",
      configMap: { name: metadata.name, items: [{ key: "nodens.yaml", path: "nodens.yaml" }] },
    });
  });
});

describeWith(renderers, "an overlay of one's own", () => {
  test("replaces the settings and the DNS Service's address as the README shows, and the change rolls out", () => {
    const readme = readFileSync(join(deployFolder, "README.md"), "utf8");
    const [, block = ""] = /```yaml\n([^]*?)```/.exec(readme) ?? [];
    const { resources, ...more } = parse(block) as { resources: string[] };
    expect(resources).toEqual([expect.stringMatching(/\/deploy\/overlays\/link-local$/)]);
    const changed = buildWith("overlays/link-local", [], more, { "nodens.yaml": "log: { level: debug }\n" });
    expect(dataOf(changed, "nodens")).toEqual({
      KUBE_DNS_IP: "10.43.0.10",
      CLUSTER_DOMAIN: "cluster.local",
      "nodens.yaml": "log: { level: debug }\n",
    });
    const before = objectOf(buildFolder("overlays/link-local"), "ConfigMap", "nodens").metadata.name;
    expect(objectOf(changed, "ConfigMap", "nodens").metadata.name).not.toBe(before);
  });

  test("takes another image", () => {
    const images = [{ name: "ghcr.io/nodens-dns/nodens", newName: "registry.example/nodens", newTag: "1.2.3" }];
    expect(containerOf(buildWith("overlays/intercept", [], { images })).image).toBe("registry.example/nodens:1.2.3");
  });

  test("moves to another namespace with everything that refers to it", () => {
    const objects = buildWith("overlays/managed-cluster", [], { namespace: "dns" });
    const binding = objectOf(objects, "MutatingAdmissionPolicyBinding");
    expect(new Set(objects.map(({ metadata }) => metadata.namespace))).toEqual(new Set(["dns"]));
    expect(binding["spec"]).toMatchObject({ paramRef: { name: "nodens-inject", namespace: "dns" } });
  });
});

describe("the folders", () => {
  const overlays = readdirSync(join(deployFolder, "overlays"));

  test("there is an overlay for each of the usual cases", () => {
    expect(overlays.toSorted()).toEqual(["host-ip", "intercept", "link-local", "managed-cluster", "observe"]);
  });

  test.each(overlays)("overlay %s selects, and patches nothing", (name) => {
    expect(readdirSync(join(deployFolder, "overlays", name))).toEqual(["kustomization.yaml"]);
    const text = readFileSync(join(deployFolder, "overlays", name, "kustomization.yaml"), "utf8");
    const allowed = ["apiVersion", "kind", "resources", "components", "configMapGenerator"];
    expect(allowed).toEqual(expect.arrayContaining(Object.keys(parse(text) as object)));
  });

  test("the address of the cluster's DNS is told in one place, and the components use it", () => {
    const settingsFiles = ["base", "components/link-local", "components/intercept", "components/pod-network"];
    for (const folder of settingsFiles) {
      const text = readFileSync(join(deployFolder, folder, "nodens.yaml"), "utf8");
      expect(text).toContain('servers: ["${KUBE_DNS_IP}"]');
      expect(text).toContain('domain: "${CLUSTER_DOMAIN}"');
    }
  });
});

/** The ConfigMap's settings as the container would load them, on a node and in a pod with these addresses. */
function load(objects: readonly KubernetesObject[], address = "10.1.2.3"): ReturnType<typeof loadSettings> {
  const data = dataOf(objects, "nodens");
  const env = Object.fromEntries(
    containerOf(objects).env.map(({ name, valueFrom: { fieldRef, configMapKeyRef } }) => {
      if (configMapKeyRef === undefined)
        return [name, fieldRef?.["fieldPath"]?.endsWith("IP") === true ? address : "n1"];
      return [name, data[configMapKeyRef["key"] ?? ""]];
    }),
  );
  return loadSettings({ filePath: "nodens.yaml", env, readFile: () => data["nodens.yaml"] ?? "" });
}

function settingsOf(objects: ReturnType<Variant["kustomize"]>): Settings {
  const loaded = load(objects);
  if ("problems" in loaded) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return loaded.settings;
}
