/*
 * A real Prometheus without the operator, in front of an API server that lists the pods which the manifests make: what it finds with
 * the scrape configs that are usual, and with those of the manual.
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { variantOf } from "../support/manifests/manifests-variants.ts";
import { objectOf, type KubernetesObject } from "../support/manifests/manifests.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder, type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
import { type ListedPod, type PodListServer, startPodListServer } from "../support/servers/pod-list-server.ts";
import { type PrometheusServer, startPrometheus } from "../support/servers/prometheus-server.ts";
import { until } from "../support/servers/scripted-upstream.ts";

interface ScrapeConfig {
  readonly job_name: string;
  readonly kubernetes_sd_configs: readonly object[];
  readonly relabel_configs: readonly object[];
}

interface Target {
  readonly scrapeUrl: string;
  readonly scrapePool: string;
  readonly labels: Readonly<Record<string, string>>;
}

const manual = readFileSync(join(projectFolder, "docs/install.md"), "utf8");
const [, section = ""] = /^## Prometheus$([^]*?)^## /m.exec(manual) ?? [];
const [moreRules, documented] = [...section.matchAll(/```yaml\n([^]*?)```/g)].map(
  ([, block = ""]) => parse(block) as object[] | { scrape_configs: [ScrapeConfig] },
) as [object[], { scrape_configs: [ScrapeConfig] }];

const annotation = (name: string): string => `__meta_kubernetes_pod_annotation_prometheus_io_${name}`;
const byAnnotations = [
  { source_labels: [annotation("scrape")], action: "keep", regex: "true" },
  { source_labels: [annotation("path")], regex: "(.+)", target_label: "__metrics_path__" },
];

/** As in Prometheus's own example, and as in the chart of its community. */
const usualJobs: readonly ScrapeConfig[] = [
  {
    job_name: "example",
    kubernetes_sd_configs: [{ role: "pod" }],
    relabel_configs: [
      ...byAnnotations,
      {
        source_labels: ["__address__", annotation("port")],
        regex: "([^:]+)(?::\\d+)?;(\\d+)",
        replacement: "$1:$2",
        target_label: "__address__",
      },
    ],
  },
  {
    job_name: "community",
    kubernetes_sd_configs: [{ role: "pod" }],
    relabel_configs: [
      ...byAnnotations,
      {
        source_labels: [annotation("port"), "__meta_kubernetes_pod_ip"],
        regex: "(\\d+);(([A-Fa-f0-9]{1,4}::?){1,7}[A-Fa-f0-9]{1,4})",
        replacement: "[$2]:$1",
        target_label: "__address__",
      },
      {
        source_labels: [annotation("port"), "__meta_kubernetes_pod_ip"],
        regex: "(\\d+);((([0-9]+?)(\\.|$)){4})",
        replacement: "$2:$1",
        target_label: "__address__",
      },
    ],
  },
];

describeWith(["prometheus-with-pods", ...renderers], "a Prometheus that finds pods", () => {
  // 9253 of an address that is nobody else's.
  const podAddress = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  let nodens: RunningNodens;
  let apiServer: PodListServer;
  let prometheus: PrometheusServer;
  let targets: readonly Target[];

  beforeAll(async () => {
    nodens = await runNodens({ settings: { admin: { address: `${podAddress}:9253` } } });
    apiServer = await startPodListServer([
      podOf(variantOf("intercept").kustomize(), "nodens-1", podAddress),
      podOf(variantOf("service").helm(), "nodens-2", "127.0.0.2"),
      podOf(variantOf("host-ip").kustomize(), "nodens-6", "fd00::6"),
      { metadata: { name: "web", namespace: "shop", labels: {} }, ...statusOf("127.0.0.3") },
    ]);
    const configs = [...usualJobs, ...usualJobs.map(withMoreRules), ...documented.scrape_configs];
    const scrapeConfigs = configs.map((config) => atApiServer(config, apiServer.url));
    prometheus = await startPrometheus({ program: "prometheus-with-pods", scrapeConfigs });
    await until("Prometheus has scraped by every job", async () => {
      const up = await prometheus.query(`count by (job) (up{instance="${podAddress}:9253"} == 1)`);
      targets = ((await prometheus.get("/api/v1/targets")) as { activeTargets: Target[] }).activeTargets;
      return up.length === 3 && new Set(targets.map(({ scrapePool }) => scrapePool)).size === configs.length;
    });
  }, 60_000);
  afterAll(async () => {
    await prometheus?.stop();
    await apiServer?.stop();
    await nodens?.stop();
  });

  test.each(["example", "community", "node-local-dns"])(
    "scrapes each pod once, at the port of the metrics: job %s",
    (job) => {
      const urls = targets.filter(({ scrapePool }) => scrapePool === job).map(({ scrapeUrl }) => scrapeUrl);
      const expected = [`http://${podAddress}:9253/metrics`, "http://127.0.0.2:9253/metrics"];
      // The example knows no IPv6.
      if (job !== "example") expected.push("http://[fd00::6]:9253/metrics");
      expect(urls.filter((url) => !url.includes("fd00") || job !== "example").toSorted()).toEqual(expected.toSorted());
    },
  );

  test.each(["example, as the manual completes it", "community, as the manual completes it", "node-local-dns"])(
    "calls the job as alerts and dashboards do, and names the node: %s",
    async (pool) => {
      const found = targets.filter(({ scrapePool }) => scrapePool === pool).map(({ labels }) => labels);
      expect(found).toContainEqual(expect.objectContaining({ job: "node-local-dns", node: "worker-1" }));
    },
  );

  test("has nodens's metrics", async () => {
    expect(await prometheus.query('nodens_build_info{job="node-local-dns", node="worker-1"}')).not.toEqual([]);
  });
});

/** A pod that the DaemonSet among the objects makes. */
function podOf(objects: readonly KubernetesObject[], name: string, address: string): ListedPod {
  const { spec } = objectOf(objects, "DaemonSet", "nodens") as unknown as {
    spec: { template: { metadata: object; spec: object } };
  };
  const status = statusOf(address);
  return {
    metadata: { ...spec.template.metadata, name, namespace: "kube-system" },
    ...status,
    spec: { ...spec.template.spec, ...status.spec },
  };
}

function statusOf(address: string): { readonly spec: object; readonly status: object } {
  return { spec: { nodeName: "worker-1" }, status: { phase: "Running", podIP: address, hostIP: address } };
}

function withMoreRules(config: ScrapeConfig): ScrapeConfig {
  return {
    ...config,
    job_name: `${config.job_name}, as the manual completes it`,
    relabel_configs: [...config.relabel_configs, ...moreRules],
  };
}

function atApiServer(config: ScrapeConfig, url: string): ScrapeConfig {
  const discoveries = config.kubernetes_sd_configs.map((discovery) => ({ ...discovery, api_server: url }));
  return { ...config, kubernetes_sd_configs: discoveries };
}
