import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parser } from "@prometheus-io/lezer-promql";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parse, stringify } from "yaml";
import { askAll } from "../support/messages/ask-many.ts";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { buildWith, deployFolder, objectOf } from "../support/manifests/manifests.ts";
import { buildQuery, Type } from "../support/messages/messages.ts";
import { type PrometheusServer, startPrometheus, staticJob } from "../support/servers/prometheus-server.ts";
import { describeWith, findCommand } from "../support/program/requirements.ts";
import { projectFolder, type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
import { until } from "../support/servers/scripted-upstream.ts";

interface Recording {
  readonly record: string;
  readonly expr: string;
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

interface Endpoint {
  readonly port: string;
  readonly path: string;
  readonly relabelings: readonly { readonly targetLabel: string; readonly replacement?: string }[];
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: unknown;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly Target[];
}

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: unknown;
}

const monitoringFolder = join(deployFolder, "components/monitoring");
const read = (path: string): string => readFileSync(join(projectFolder, path), "utf8");
const { spec: scrape } = parse(read("deploy/components/monitoring/service-monitor.yaml")) as {
  spec: { selector: { matchLabels: object }; endpoints: Endpoint[] };
};
const service = parse(read("deploy/base/metrics-service.yaml")) as {
  metadata: { labels: Record<string, string> };
  spec: { ports: { name: string }[] };
};
/** What the ServiceMonitor calls the job. */
const job = scrape.endpoints[0]?.relabelings.find(({ targetLabel }) => targetLabel === "job")?.replacement ?? "";
const { spec: rules } = parse(readFileSync(join(monitoringFolder, "prometheus-rule.yaml"), "utf8")) as {
  spec: { groups: { name: string; rules: (Rule | Recording)[] }[] };
};
const allRules = rules.groups.flatMap((group) => group.rules);
const alerts = allRules.filter((rule) => "alert" in rule);
const alertTests = read("test/fixtures/alerts/alerts.test.yaml");
const dashboard = JSON.parse(readFileSync(join(monitoringFolder, "nodens-dashboard.json"), "utf8")) as {
  templating: { list: { name: string; query: unknown }[] };
  panels: Panel[];
};
const panels = dashboard.panels.filter(({ type }) => type !== "row");
const targets = panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
const expressions = [...targets.map(({ expr }) => withVariables(expr)), ...allRules.map(({ expr }) => expr)];

describe("the ServiceMonitor", () => {
  test("selects the Service for metrics, and the path that nodens has", () => {
    expect(service.metadata.labels).toMatchObject(scrape.selector.matchLabels);
    expect(service.spec.ports.map(({ name }) => name)).toEqual(scrape.endpoints.map(({ port }) => port));
    expect(scrape.endpoints.map(({ path }) => path)).toEqual(["/metrics"]);
  });

  test("calls the job as dashboards and alerts for node-local DNS caches do", () => {
    expect(job).toBe("node-local-dns");
  });
});

describeWith(renderers, "the dashboard's ConfigMap", () => {
  test("is the file, under the label that Grafana's sidecar looks for, and small enough for kubectl apply", () => {
    const configMap = objectOf(buildWith("base", ["monitoring"]), "ConfigMap", "nodens-dashboard");
    const text = readFileSync(join(monitoringFolder, "nodens-dashboard.json"), "utf8");
    expect(configMap.metadata.labels).toMatchObject({ grafana_dashboard: "1" });
    expect(configMap["data"]).toEqual({ "nodens-dashboard.json": text });
    // kubectl keeps what it applied in an annotation, and all annotations together hold 256 KiB.
    expect(JSON.stringify(configMap).length).toBeLessThan(256 * 1024 - 4096);
  });
});

describe("the alerts' texts", () => {
  test.each(alerts)("tell only labels that $alert has: $labels.severity", ({ expr, annotations }) => {
    const kept = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, names = ""]) => names.split(/,\s*/));
    const labels = kept.length > 0 ? kept : ["node", "instance"];
    const told = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, name]) => name);
    expect(labels).toEqual(expect.arrayContaining(told));
  });
});

describe("an alert that pages", () => {
  const paging = alerts.filter(({ labels }) => labels.severity === "critical");

  test.each(paging)("does so once for a cluster: $alert: $expr", ({ expr }) => {
    const isOfOneNode = /max by \([^)]*\bnode\b/.test(expr);
    expect(expr).toMatch(isOfOneNode ? /unless on \([^)]*\)\s+nodens:many_nodes/ : /^absent\(|nodens:many_nodes/);
  });
});

describeWith(["promtool"], "the alerts", () => {
  test("are rules that promtool accepts", () => {
    expect(runPromtool(["check", "rules", "rules.yaml"], rules)).toMatchObject({ status: 0 });
  });

  test("fire when their unit tests say so, and not otherwise", () => {
    expect(runPromtool(["test", "rules", "alerts.test.yaml"], rules)).toMatchObject({ status: 0 });
  });

  test.each(alerts.map((rule) => [rule.alert, rule.labels.severity, rule] as const))(
    "the unit tests notice a %s (%s) that never fires, and one that fires without a reason",
    (alert, _severity, rule) => {
      const args = ["test", "rules", "alerts.test.yaml"];
      for (const expr of ["vector(0) > 1", `(${rule.expr}) or vector(1)`]) {
        expect(runPromtool(args, withExpression(rule, expr), testsOf(alert)).status, expr).toBe(1);
      }
    },
  );
});

describe("the runbook", () => {
  const runbook = read("docs/runbook.md");

  test("has a section for each alert, in their order, and no other", () => {
    const sections = [...runbook.matchAll(/^## (Nodens\w+)$/gm)].map(([, alert]) => alert);
    expect(sections).toEqual([...new Set(alerts.map(({ alert }) => alert))]);
  });

  test.each(alerts)("is where $alert points to", ({ alert, annotations }) => {
    const page = "https://github.com/nodens-dns/nodens/blob/main/docs/runbook.md";
    expect(annotations).toEqual({
      summary: expect.any(String) as string,
      description: expect.any(String) as string,
      runbook_url: `${page}#${alert.toLowerCase()}`,
    });
  });

  test("says of each alert what it means, how to look, and what to do", () => {
    for (const section of runbook.split(/^## (?=Nodens)/m).slice(1)) {
      expect(section).toMatch(/\*\*Meaning\.\*\*[^]+\*\*Look\.\*\*[^]+\*\*Do\.\*\*/);
    }
  });

  test("names only metrics that there are", () => {
    const page = read("docs/metrics.md");
    const names = runbook.match(/\b(?:nodens|coredns)_\w+(?<!_)\b/g) ?? [];
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

describe("the dashboard", () => {
  test.each(panels)("says what $title is: description, unit, and where from", (panel) => {
    const fromVariable = { type: "prometheus", uid: "${datasource}" };
    expect(panel.title).not.toBe("");
    expect(panel.description).toMatch(/^[A-Z0-9a-z].{30,}\.$/);
    expect(panel.fieldConfig?.defaults.unit).toMatch(/^\w+$/);
    expect(panel.datasource).toEqual(fromVariable);
    for (const target of panel.targets ?? []) expect(target.datasource).toEqual(fromVariable);
    expect(panel.targets).not.toHaveLength(0);
  });

  test("has panels that do not overlap, with numbers and titles of their own", () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.x + gridPos.w))).toBe(24);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  });

  test("has the variables that its expressions use", () => {
    const known = dashboard.templating.list.map(({ name }) => name);
    const used = JSON.stringify(dashboard).matchAll(/\$\{?([a-z]\w*)/g);
    expect(new Set([...used].map(([, name]) => name))).toEqual(new Set(known));
  });

  test.each(targets)("has a sound expression for $title: $expr", ({ expr }) => {
    expect(syntaxErrors(withVariables(expr))).toEqual([]);
    expect(selectorsOf(withVariables(expr)).length).toBeGreaterThan(0);
  });

  test("shows every metric of our own that no alert watches, but for those that are for a closer look", () => {
    const used = expressions.join(" ");
    const names = [...read("docs/metrics.md").matchAll(/^\| `(nodens_\w+)`/gm)].map(([, name = ""]) => name);
    const unused = names.filter((name) => !new RegExp(`\\b${name}(?:_bucket|_sum|_count)?\\b`).test(used));
    expect(new Set(unused)).toEqual(forACloserLook);
  });

  test("is judged by a parser that finds errors", () => {
    expect(syntaxErrors("sum(rate(a_total[1m])")).not.toEqual([]);
    expect(syntaxErrors("a_total b_total")).not.toEqual([]);
  });
});

describeWith(["prometheus"], "a Prometheus that scrapes nodens", () => {
  let nodens: RunningNodens;
  let prometheus: PrometheusServer;

  beforeAll(async () => {
    nodens = await runNodens();
    // Once before Prometheus is there: series that exist only then are counted as risen by nothing.
    await ask(nodens);
    const target = new URL(nodens.adminUrl).host;
    const labels = { namespace: "kube-system", cluster: "east", node: "worker-1" };
    prometheus = await startPrometheus({ scrapeConfigs: [staticJob(job, target, labels)], rules });
    const isFresh = "count_over_time(up[1m]) >= 2";
    await until("Prometheus has scraped", async () => (await prometheus.query(isFresh)).length > 0, 30_000);
    await ask(nodens);
    const hasRisen = "sum(rate(nodens_short_circuit_total[9m])) > 0 and sum(rate(coredns_cache_hits_total[9m])) > 0";
    await until("Prometheus sees a rise", async () => (await prometheus.query(hasRisen)).length > 0, 30_000);
  }, 120_000);
  afterAll(async () => {
    await prometheus?.stop();
    await nodens?.stop();
  });

  test("has every series that dashboard and alerts select", async () => {
    const selectors = [...new Set(expressions.flatMap(selectorsOf))].filter((text) => !isOfOthers(text));
    const found = await Promise.all(selectors.map(async (text) => (await prometheus.query(text)).length));
    expect(selectors.length).toBeGreaterThan(40);
    expect(selectors.filter((_, index) => found[index] === 0)).toEqual([]);
  });

  test.each(targets)("shows something in $title: $expr", async ({ expr, legendFormat }) => {
    const samples = await prometheus.query(withVariables(expr));
    expect(samples).not.toHaveLength(0);
    // A label that the expression does not leave would be shown as nothing.
    for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      expect(samples.filter(({ metric }) => !(label in metric) && !isEmptyLabel(label, metric))).toEqual([]);
    }
  });

  test("offers jobs and nodes to choose from", async () => {
    const choices = JSON.stringify(dashboard.templating).matchAll(/"definition":"label_values\((.+?), (\w+)\)"/g);
    const found = await Promise.all(
      [...choices].map(async ([, selector = "", label = ""]) => {
        const [sample] = await prometheus.query(withVariables(selector.replaceAll('\\"', '"')));
        return [label, sample?.metric[label]] as const;
      }),
    );
    const instance = new URL(nodens.adminUrl).host;
    expect(Object.fromEntries(found)).toEqual({ cluster: "east", job, node: "worker-1", instance });
  });

  test("shows numbers in the overview", async () => {
    const overview = panels.filter(({ type }) => type === "stat");
    const values = await Promise.all(
      overview.map(async ({ title, targets: [target] = [] }) => {
        const samples = await prometheus.query(withVariables(target?.expr ?? ""));
        return [title, samples.map(({ value }) => value)] as const;
      }),
    );
    const number = (from: number, to: number) => expect.toSatisfy((value: number) => value >= from && value <= to);
    expect(Object.fromEntries(values)).toEqual({
      "Pods ask": [number(0.001, 1e6)],
      "Answered here": [number(0.01, 1)],
      Median: [number(0, 10)],
      p99: [number(0, 10)],
      "Sent upstream": [number(0.001, 1e6)],
      "Upstream median": [number(0, 10)],
      "Upstream p99": [number(0, 10)],
      "Fail-open": [0],
      Nodes: [1],
      "Not ready": [0],
      "Not attached": [0],
      "Upstream down": [number(0, 1)],
      SERVFAIL: [0],
      "Lost in queues": [number(0, 1e6)],
      Shed: [0],
      "Setup errors, 1 h": [0],
    });
  });

  test("evaluates every alert, and raises none for a nodens that is well", async () => {
    await until("every rule was evaluated", async () =>
      (await healthOfRules()).every((health) => health !== "unknown"),
    );
    expect(new Set(await healthOfRules())).toEqual(new Set(["ok"]));
    const sure = alerts.filter(({ alert }) => !dependingOnMachine.has(alert));
    for (const { expr } of sure) expect(await prometheus.query(expr), expr).toEqual([]);
  });

  async function healthOfRules(): Promise<string[]> {
    const { groups } = (await prometheus.get("/api/v1/rules")) as { groups: { rules: { health: string }[] }[] };
    const health = groups.flatMap((group) => group.rules.map((rule) => rule.health));
    return health.length === allRules.length ? health : ["unknown"];
  }
});

/** What pods ask: Services and outside names with every search suffix, each twice, so that some are in the cache. */
async function ask({ port }: RunningNodens): Promise<void> {
  const suffixes = ["", ".default.svc.cluster.local", ".svc.cluster.local", ".cluster.local"];
  const names = ["kubernetes.default.svc.cluster.local", ...suffixes.map((suffix) => `www.example.com${suffix}`)];
  const queries = names.flatMap((name) => [Type.A, Type.AAAA].map((type) => buildQuery(name, type)));
  for (const protocol of ["udp", "udp", "tcp"] as const) await askAll({ host: "127.0.0.1", port }, protocol, queries);
}

/** Metrics of our own in no panel and no alert. */
const forACloserLook: ReadonlySet<string> = new Set([
  "nodens_client_malformed_total",
  "nodens_client_forgotten_queries_total",
  "nodens_truncated_replies_total",
  "nodens_tcp_connections_open",
  "nodens_tcp_connections_accepted_total",
  "nodens_tcp_connections_evicted_total",
  "nodens_tcp_connections_overflowed_total",
  "nodens_stale_seconds",
  "nodens_unkept_replies_total",
  "nodens_outside_answers_total",
  "nodens_rule_on",
  "nodens_inflight",
  "nodens_waiters",
  "nodens_upstream_flows_opened_total",
  "nodens_config_reloads_total",
  "nodens_config_reload_failures_total",
]);

/** On a machine that is busy with something else these may be true. */
const dependingOnMachine: ReadonlySet<string> = new Set([
  "NodensLatencyHigh",
  "NodensCacheLatencyHigh",
  "NodensForwardLatencyHigh",
  "NodensForwardHealthcheckFailures",
  "NodensForwardHealthcheckBroken",
  "NodensUdpDrops",
  "NodensEventLoopDelay",
]);

/** Whether a selector is for what kube-state-metrics exports, or for what rules record, most of which is there in trouble only. */
function isOfOthers(selector: string): boolean {
  return selector.startsWith("kube_") || selector.startsWith("nodens:");
}

/** An expression as Grafana sends it when everything is chosen. */
function withVariables(expr: string): string {
  const values: Readonly<Record<string, string>> = {
    // Long, so that a slow machine still sees the rise.
    $__rate_interval: "9m",
    $job: job,
    $cluster: ".*",
    $node: ".*",
    $instance: ".*",
  };
  return expr.replaceAll(/\$\w+/g, (name) => values[name] ?? name);
}

/** The places where an expression cannot be parsed. */
function syntaxErrors(expression: string): string[] {
  const errors: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ type, from }) => void (type.isError && errors.push(expression.slice(from, from + 20))),
  });
  return errors;
}

/** The selectors of an expression, each an expression of its own. */
function selectorsOf(expression: string): string[] {
  const selectors: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ name, from, to }) => void (name === "VectorSelector" && selectors.push(expression.slice(from, to))),
  });
  return selectors;
}

/** Prometheus drops labels without a value. */
function isEmptyLabel(label: string, { rule }: Readonly<Record<string, string>>): boolean {
  return label === "suffix" && rule === "denied_name";
}

function withExpression(changed: Rule, expr: string): object {
  const groups = rules.groups.map((group) => ({
    ...group,
    rules: group.rules.map((rule) => (rule === changed ? { ...rule, expr } : rule)),
  }));
  return { groups };
}

/** The unit tests that speak of an alert: all of them, for every alert, would take a minute. */
function testsOf(alert: string): string {
  const { tests, ...head } = parse(alertTests) as { tests: object[] };
  return stringify({ ...head, tests: tests.filter((one) => JSON.stringify(one).includes(alert)) });
}

/** Runs promtool where these rules are rules.yaml and the unit tests alerts.test.yaml. */
function runPromtool(
  args: readonly string[],
  ruleGroups: object,
  unitTests = alertTests,
): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), "nodens-alerts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "rules.yaml"), stringify(ruleGroups));
  writeFileSync(join(folder, "alerts.test.yaml"), unitTests);
  const { status, stdout, stderr } = spawnSync(findCommand("promtool") as string, args, {
    cwd: folder,
    encoding: "utf8",
  });
  return { status, output: stdout + stderr };
}
