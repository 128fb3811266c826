/*
 * Prometheus beside a cluster, in the world outside of its nodes, as the manual and the manifests tell it to look for nodens.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { serverUrl } from "./addresses.ts";
import type { Cluster } from "./cluster.ts";
import { commandIn } from "./places.ts";
import { projectFolder } from "../support/program/run-nodens.ts";
import { type PrometheusServer, startPrometheus } from "../support/servers/prometheus-server.ts";

/** A scrape config that finds its targets at the API server. */
export interface DiscoveringJob {
  readonly job_name: string;
  readonly kubernetes_sd_configs: readonly object[];
  readonly relabel_configs: readonly object[];
}

/** Of a program: its clock runs this many times as fast, so that an alert of ten minutes fires after twenty seconds. */
export const ruleSpeed = 30;

/** Starts a Prometheus that finds nodens by `job`, with nodens's rules, `ruleSpeed` times as fast. Stop it before the cluster is closed. */
export async function startMonitoring(cluster: Cluster, job: DiscoveringJob): Promise<PrometheusServer> {
  const access = await accessToPods(cluster);
  const discovery = job.kubernetes_sd_configs.map((each) => ({ ...each, ...access }));
  return startPrometheus({
    program: "prometheus-with-pods",
    scrapeConfigs: [{ ...job, kubernetes_sd_configs: discovery }],
    rules: fastRules(),
    enter: (command) => commandIn(cluster.world, command, ["--net"]),
  });
}

/** The address of the API server and a service account that may read what Prometheus discovers by. */
async function accessToPods({ folder, kubectl }: Cluster): Promise<object> {
  const named = { name: "prometheus", namespace: "kube-system" };
  const role = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "prometheus" },
    rules: [
      { apiGroups: [""], resources: ["pods", "services"], verbs: ["get", "list", "watch"] },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["get", "list", "watch"] },
    ],
  };
  const binding = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "prometheus" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "prometheus" },
    subjects: [{ kind: "ServiceAccount", ...named }],
  };
  const items = [{ apiVersion: "v1", kind: "ServiceAccount", metadata: named }, role, binding];
  await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  const token = join(folder, "prometheus.token");
  writeFileSync(token, await kubectl(["-n", "kube-system", "create", "token", "prometheus"]), { mode: 0o600 });
  return {
    api_server: serverUrl,
    tls_config: { ca_file: join(folder, "keys", "ca.crt") },
    authorization: { credentials_file: token },
  };
}

/** The rules of deploy/, in which every span of time is shorter. */
function fastRules(): object {
  const path = join(projectFolder, "deploy", "components", "monitoring", "prometheus-rule.yaml");
  interface Rule {
    readonly expr: string;
    readonly for?: string;
  }
  const { spec } = parse(readFileSync(path, "utf8")) as { spec: { groups: { name: string; rules: Rule[] }[] } };
  return {
    groups: spec.groups.map(({ name, rules }) => ({
      name,
      rules: rules.map((rule) => ({
        ...rule,
        expr: faster(rule.expr),
        ...(rule.for === undefined ? {} : { for: faster(rule.for) }),
      })),
    })),
  };
}

function faster(text: string): string {
  return text.replaceAll(/\b(\d+)([mh])\b/g, (_, count: string, unit: string) => {
    const seconds = Number(count) * (unit === "h" ? 3600 : 60);
    return `${seconds / ruleSpeed}s`;
  });
}

/** The scrape config that the manual has for a Prometheus without operator. */
export function jobOfManual(): DiscoveringJob {
  const manual = readFileSync(join(projectFolder, "docs", "install.md"), "utf8");
  const [, block = ""] = /```yaml\n(scrape_configs:\n[^`]*)```/.exec(manual) ?? [];
  const [job] = (parse(block) as { scrape_configs: DiscoveringJob[] } | null)?.scrape_configs ?? [];
  if (job === undefined) throw new Error("docs/install.md has no scrape config");
  return job;
}

/** What the Prometheus operator makes of our ServiceMonitor: it finds nodens through the Service that this selects. */
export function jobOfServiceMonitor(): DiscoveringJob {
  interface Relabeling {
    readonly action: string;
    readonly targetLabel: string;
    readonly sourceLabels?: readonly string[];
    readonly replacement?: string;
  }
  const path = join(projectFolder, "deploy", "components", "monitoring", "service-monitor.yaml");
  const monitor = parse(readFileSync(path, "utf8")) as {
    metadata: { namespace: string };
    spec: {
      selector: { matchLabels: Record<string, string> };
      endpoints: { port: string; path: string; relabelings: Relabeling[] }[];
    };
  };
  const [endpoint] = monitor.spec.endpoints;
  if (endpoint === undefined) throw new Error("the ServiceMonitor has no endpoint");
  const discovered = (name: string) => `__meta_kubernetes_${name.replaceAll(/[./-]/g, "_")}`;
  return {
    job_name: `serviceMonitor/${monitor.metadata.namespace}/nodens/0`,
    kubernetes_sd_configs: [{ role: "endpointslice", namespaces: { names: [monitor.metadata.namespace] } }],
    relabel_configs: [
      ...Object.entries(monitor.spec.selector.matchLabels).map(([label, regex]) => ({
        source_labels: [discovered(`service_label_${label}`)],
        regex,
        action: "keep",
      })),
      { source_labels: [discovered("endpointslice_port_name")], regex: endpoint.port, action: "keep" },
      { source_labels: [discovered("namespace")], target_label: "namespace" },
      { source_labels: [discovered("service_name")], target_label: "service" },
      { source_labels: [discovered("pod_name")], target_label: "pod" },
      { target_label: "endpoint", replacement: endpoint.port },
      { target_label: "__metrics_path__", replacement: endpoint.path },
      ...endpoint.relabelings.map(({ action, targetLabel, sourceLabels, replacement }) => ({
        action,
        target_label: targetLabel,
        ...(sourceLabels === undefined ? {} : { source_labels: sourceLabels }),
        ...(replacement === undefined ? {} : { replacement }),
      })),
    ],
  };
}
