import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { defaultSettings } from "../../src/settings/settings-table.ts";
import { tableEntries } from "../../src/settings/table-entries.ts";
import { renderers, runTool } from "../support/manifests/manifests-tools.ts";
import { variants } from "../support/manifests/manifests-variants.ts";
import {
  containerOf,
  dataOf,
  deployFolder,
  objectOf,
  podOf,
  renderChart,
  withoutHash,
  type KubernetesObject,
} from "../support/manifests/manifests.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const chartFolder = join(deployFolder, "chart/nodens");

describeWith(renderers, "the chart", () => {
  test.each(variants)("renders what kustomize renders: $name", ({ kustomize, helm }) => {
    const [byKustomize, byHelm] = [comparable(kustomize()), comparable(helm())];
    expect([...byHelm.keys()].toSorted()).toEqual([...byKustomize.keys()].toSorted());
    for (const [name, object] of byKustomize) expect(byHelm.get(name), name).toEqual(object);
  });

  test("lays settings over those of the mode", () => {
    const objects = renderChart({
      mode: "intercept",
      settings: { cache: { answersBytes: "64MiB" }, log: { level: "warn" } },
    });
    const settings = parse(dataOf(objects, "nodens")["nodens.yaml"] ?? "") as Record<string, unknown>;
    expect(settings).toMatchObject({
      attach: { mode: "intercept" },
      cache: { answersBytes: "64MiB" },
      log: { level: "warn" },
      upstream: { servers: ["${KUBE_DNS_IP}"] },
    });
  });

  test("lets settings be empty, zero or false", () => {
    const settings = { probes: { directory: "" }, attach: { notrack: false }, cache: { staleSeconds: 0 } };
    const objects = renderChart({ mode: "intercept", settings });
    expect(parse(dataOf(objects, "nodens")["nodens.yaml"] ?? "")).toMatchObject(settings);
  });

  test.each([
    ["settings", { settings: { log: { level: "warn" } } }],
    ["an address of the DNS Service", { clusterDNS: { serviceIP: "10.0.0.10" } }],
  ])("gives changed %s a ConfigMap of their own, so that they roll out with the pods", (_, values) => {
    const nameIn = (objects: KubernetesObject[]): string => objectOf(objects, "ConfigMap", "nodens").metadata.name;
    const changed = renderChart(values);
    const name = nameIn(changed);
    const usedBy = JSON.stringify(podOf(changed)).match(/"nodens-[0-9a-z]{10}"/g);
    expect(name).not.toBe(nameIn(renderChart({})));
    expect(new Set(usedBy)).toEqual(new Set([`"${name}"`]));
    expect(usedBy).toHaveLength(3);
  });

  test("leaves the ConfigMap of the pods that are not replaced yet as it is, where it is", () => {
    const configMap = objectOf(renderChart({}), "ConfigMap", "nodens");
    expect(configMap).toMatchObject({ immutable: true });
    expect(configMap.metadata.annotations).toEqual({ "helm.sh/resource-policy": "keep" });
  });

  test("gives the pods more environment and init containers", () => {
    const extraEnv = [{ name: "POOL", valueFrom: { fieldRef: { fieldPath: "metadata.labels['pool']" } } }];
    const extraInitContainers = [{ name: "wait", image: "busybox", command: ["true"] }];
    const objects = renderChart({ extraEnv, extraInitContainers });
    expect(podOf(objects)).toMatchObject({ initContainers: extraInitContainers });
    expect(containerOf(objects).env).toEqual([...containerOf(renderChart({})).env, ...extraEnv]);
  });

  test("moves Service, probes and ports with the ports that the settings name", () => {
    const settings = { admin: { address: "0.0.0.0:9254" }, listen: { addresses: ["0.0.0.0:5300", "[::]:5300"] } };
    const objects = renderChart({ mode: "service", settings });
    const { ports, ...container } = containerOf(objects);
    expect(ports).toMatchObject([{ containerPort: 5300 }, { containerPort: 5300 }, { containerPort: 9254 }]);
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"] as const)
      expect(container[probe].httpGet?.port).toBe(9254);
    const portsOf = (name: string) => (objectOf(objects, "Service", name)["spec"] as { ports: object[] }).ports;
    expect(portsOf("nodens-metrics")).toMatchObject([{ port: 9254, targetPort: 9254 }]);
    expect(JSON.stringify(objectOf(objects, "DaemonSet", "nodens"))).toContain('"prometheus.io/port":"9254"');
    expect(portsOf("nodens")).toMatchObject([
      { port: 53, targetPort: 5300 },
      { port: 53, targetPort: 5300 },
    ]);
  });

  test("redirects to the port that the settings name", () => {
    const settings = { listen: { addresses: ["0.0.0.0:5300"] } };
    const { spec } = objectOf(
      renderChart({ mode: "cilium-local-redirect", settings }),
      "CiliumLocalRedirectPolicy",
    ) as unknown as { spec: { redirectBackend: object } };
    expect(spec.redirectBackend).toMatchObject({ toPorts: [{ port: "5300" }, { port: "5300" }] });
  });

  test.each(["intercept", "link-local"])("mode %s: needs an address of the DNS Service's family", (mode) => {
    const clusterDNS = { serviceIP: "fd96::a" };
    const missing = /settings\.attach\.addresses needs an address of the family of clusterDNS\.serviceIP \(fd96::a\)/;
    expect(() => renderChart({ mode, clusterDNS })).toThrow(missing);
    const settings = { attach: { addresses: ["169.254.20.10", "fd00:20::10"] } };
    const objects = renderChart({ mode, clusterDNS, settings, inject: { enabled: true } });
    expect(dataOf(objects, "nodens-inject")["nameservers"]).toBe("fd00:20::10");
  });

  test.each([
    ["as by default", "link-local", {}, 15],
    ["as the mode has it", "service", {}, 20],
    ["as the mode has it, beside other settings", "service", { upstream: { deadlineMs: 4000 } }, 20],
    ["which a long drain lengthens", "link-local", { shutdown: { drainMs: 30_000 } }, 39],
    ["which a drain lengthens beyond the mode's", "service", { shutdown: { drainMs: 30_000 } }, 39],
    ["which patience with upstream lengthens", "link-local", { upstream: { deadlineMs: 20_000 } }, 30],
    ["as the settings name it", "service", { shutdown: { gracePeriodSeconds: 60 } }, 60],
  ])("gives pod and program the same time to end, %s", (_name, mode, settings, seconds) => {
    const objects = renderChart({ mode, settings });
    const written = parse(dataOf(objects, "nodens")["nodens.yaml"] ?? "") as { shutdown?: Record<string, unknown> };
    expect(podOf(objects).terminationGracePeriodSeconds).toBe(seconds);
    expect(written.shutdown?.["gracePeriodSeconds"] ?? defaultSettings().shutdown.gracePeriodSeconds).toBe(seconds);
  });

  test("refuses a drain that is longer than the time to end", () => {
    const settings = { shutdown: { drainMs: 14_000, gracePeriodSeconds: 15 } };
    expect(() => renderChart({ mode: "link-local", settings })).toThrow(/drainMs \(14000\) leaves less than 2000 ms/);
  });

  test("puts everything where the release is", () => {
    const objects = renderChart({ mode: "link-local", inject: { enabled: true } }, "dns");
    const namespaces = objects.map(({ metadata }) => metadata.namespace).filter((name) => name !== undefined);
    expect(new Set(namespaces)).toEqual(new Set(["dns"]));
    expect(objectOf(objects, "MutatingAdmissionPolicyBinding")["spec"]).toMatchObject({
      paramRef: { namespace: "dns" },
    });
  });

  test("takes an image by digest, and secrets to fetch it with", () => {
    const digest = `sha256:${"0".repeat(64)}`;
    const objects = renderChart({ image: { digest }, imagePullSecrets: [{ name: "registry" }] });
    expect(containerOf(objects).image).toBe(`ghcr.io/nodens-dns/nodens@${digest}`);
    expect(podOf(objects)["imagePullSecrets"]).toEqual([{ name: "registry" }]);
  });

  test("uses another account, made or given", () => {
    const name = "node-dns";
    const made = renderChart({ serviceAccount: { name, annotations: { "example.com/a": "b" } } });
    expect(objectOf(made, "ServiceAccount", name).metadata.annotations).toEqual({ "example.com/a": "b" });
    const given = renderChart({ serviceAccount: { name, create: false } });
    expect(given.filter(({ kind }) => kind === "ServiceAccount")).toEqual([]);
    expect([podOf(made), podOf(given)]).toMatchObject([{ serviceAccountName: name }, { serviceAccountName: name }]);
  });

  test("injects the Service's address where that is what pods ask", () => {
    const objects = renderChart({ mode: "service", service: { clusterIP: "10.96.0.53" }, inject: { enabled: true } });
    expect(objectOf(objects, "Service", "nodens")["spec"]).toMatchObject({ clusterIP: "10.96.0.53" });
    expect(dataOf(objects, "nodens-inject")).toMatchObject({ nameservers: "10.96.0.53" });
  });

  test.each(["host-ip", "service", "cilium-local-redirect"])("does not guess what to inject with mode %s", (mode) => {
    expect(() => renderChart({ mode, inject: { enabled: true } })).toThrow(/inject\.nameservers is needed/);
  });

  test.each([
    ["a misspelled value", { mod: "intercept" }, /mod/],
    ["a misspelled value in a group", { inject: { enable: true } }, /enable/],
    ["a misspelled group of settings", { settings: { caches: {} } }, /caches/],
    ["a misspelled resource", { resources: { limits: { memmory: "1Gi" } } }, /memmory/],
    ["an unknown mode", { mode: "hostip" }, /mode/],
    ["a name where an address is needed", { clusterDNS: { serviceIP: "kube-dns" } }, /serviceIP/],
    ["no address", { clusterDNS: { serviceIP: "" } }, /serviceIP/],
    ["four nameservers", { inject: { nameservers: "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4" } }, /nameservers/],
    ["an update that would surge by nothing", { maxSurge: 0 }, /maxSurge/],
    ["metrics without a port", { settings: { admin: { address: "${HOST_IP}" } } }, /settings\.admin\.address must end/],
  ])("refuses %s", (_, values, reason) => {
    expect(() => renderChart(values)).toThrow(reason);
  });

  test.each([
    ["IPv6", { clusterDNS: { serviceIP: "fd00::a" }, settings: { attach: { addresses: ["fd00:20::10"] } } }],
    ["two nameservers", { inject: { nameservers: "169.254.20.10, 10.96.0.10" } }],
    ["a number of nodes to update at a time", { maxSurge: 1 }],
    ["annotations of the pods", { podAnnotations: { "example.com/a": "b" } }],
  ])("accepts %s", (_, values) => {
    expect(() => renderChart(values)).not.toThrow();
  });

  test("has no fault that helm finds", () => {
    expect(runTool("helm", ["lint", "--strict", chartFolder])).toContain("0 chart(s) failed");
  });

  test("is whole when packaged, although it shares files with kustomize", () => {
    const folder = mkdtempSync(join(tmpdir(), "nodens-chart-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    runTool("helm", ["package", chartFolder, "--destination", folder]);
    const [archive = ""] = readdirSync(folder);
    const values = { mode: "service", inject: { enabled: true, nameservers: "10.96.0.53" } };
    expect(renderChart(values, "kube-system", join(folder, archive))).toEqual(renderChart(values));
  });
});

describeWith(renderers, "what helm says after the installation", () => {
  const injected = { enabled: true, nameservers: "192.0.2.53" };

  test.each([
    ["host-ip", {}, /answers on port 53 of each node's own address/],
    ["link-local", {}, /answers on 169\.254\.20\.10 of every node.*kubelet names.*, or inject\.enabled is true\./s],
    ["link-local", injected, /or its namespace has the label below\..*get 192\.0\.2\.53 as nameserver/s],
    ["intercept", {}, /What pods ask 10\.96\.0\.10 is answered by it.*nodens_failopen/s],
    ["observe", {}, /beside the DNS Service.*answers nobody.*nodens top --once/s],
    ["service", {}, /-n dns get service nodens/],
    ["cilium-local-redirect", {}, /-n dns get ciliumlocalredirectpolicy nodens/],
  ])("%s, %j", (mode, inject, text) => {
    expect(notesOf({ mode, inject })).toMatch(text);
  });

  /** helm shows the notes only when it installs, so they are put where it renders them. */
  function notesOf(values: object): string {
    const folder = mkdtempSync(join(tmpdir(), "nodens-notes-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    cpSync(chartFolder, folder, { recursive: true, dereference: true });
    renameSync(join(folder, "templates/NOTES.txt"), join(folder, "notes.txt"));
    const object = 'kind: Notes\nmetadata: { name: notes }\ntext: {{ tpl (.Files.Get "notes.txt") . | quote }}\n';
    writeFileSync(join(folder, "templates/notes.yaml"), object);
    return String(objectOf(renderChart(values, "dns", folder), "Notes")["text"]);
  }
});

describe("the chart's files", () => {
  test("have the project's version", () => {
    const { version } = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8")) as { version: string };
    expect(parse(readFileSync(join(chartFolder, "Chart.yaml"), "utf8"))).toMatchObject({
      version,
      appVersion: version,
    });
  });

  test("the schema knows every value, and every group of settings", () => {
    const schema = JSON.parse(readFileSync(join(chartFolder, "values.schema.json"), "utf8")) as Schema;
    const values = parse(readFileSync(join(chartFolder, "values.yaml"), "utf8")) as object;
    expect(Object.keys(schema.properties ?? {}).toSorted()).toEqual([...Object.keys(values), "global"].toSorted());
    const groups = [...tableEntries.keys()].filter((path) => !path.includes("."));
    expect(Object.keys(schema.properties?.["settings"]?.properties ?? {})).toEqual(groups);
  });
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Objects by kind and name, without what has to differ: the hashes in names, and what the chart tells helm. */
function comparable(objects: readonly KubernetesObject[]): Map<string, unknown> {
  const generated = objects.filter(({ kind }) => kind === "ConfigMap").map(({ metadata }) => metadata.name);
  return new Map(
    objects.map((object) => {
      let text = JSON.stringify(object);
      for (const name of generated) text = text.replaceAll(`"${name}"`, `"${withoutHash(name)}"`);
      const plain = JSON.parse(text) as KubernetesObject;
      return [`${plain.kind} ${plain.metadata.name}`, withoutHelmAnnotations(plain)];
    }),
  );
}

function withoutHelmAnnotations(object: KubernetesObject): KubernetesObject {
  const { annotations = {}, ...metadata } = object.metadata;
  const others = Object.entries(annotations).filter(([name]) => !name.startsWith("helm.sh/"));
  return { ...object, metadata: others.length === 0 ? metadata : { ...metadata, annotations } };
}
