/*
 * What changes in a cluster: Services that come and go, endpoints, settings, and an update that does not work.
 */
import { describe, expect, test } from "vitest";
import { kubeDnsAddress } from "./addresses.ts";
import { type Bed, kubeDnsPods, underLoad } from "./bed.ts";
import type { Answer } from "./lookups.ts";
import { nodensMetric, podsOf, rollOut } from "./nodens-in-cluster.ts";
import { waitFor } from "./places.ts";
import type { Loads } from "./rows-install.ts";

const way = "intercept";

/** Row 5. */
export function changeRows(bed: () => Bed, { ours, plain }: Loads): void {
  const ask = (name: string, server = kubeDnsAddress): Promise<Answer> => bed().pod.ask(server, { name, type: "A" });
  const apply = (object: object) => bed().cluster.kubectl(["apply", "-f", "-"], JSON.stringify(object));
  const secondsUntil = async (what: string, condition: () => Promise<boolean>): Promise<number> => {
    const began = performance.now();
    await waitFor(what, condition, 120_000, 100);
    return (performance.now() - began) / 1000;
  };
  /** Asks nodens and each pod of kube-dns until all say what they should, and returns by how many seconds nodens is behind the last. */
  const secondsBehind = async (what: string, name: string, isRight: (answer: Answer) => boolean): Promise<number> => {
    const until = (server: string) => secondsUntil(`${server}: ${what}`, async () => isRight(await ask(name, server)));
    const straight = (await kubeDnsPods(bed().cluster)).map(({ address }) => address);
    const [seconds, ...plain] = await Promise.all([until(kubeDnsAddress), ...straight.map((each) => until(each))]);
    const plainSeconds = Math.max(...plain);
    bed().report.note(`${what} after`, way, `${seconds.toFixed(1)} s`);
    bed().report.note(`${what} after`, "without nodens", `${plainSeconds.toFixed(1)} s`);
    return seconds - plainSeconds;
  };

  // Together: most of their time they wait for a lifetime to end.
  describe.concurrent("a name that changes", () => {
    test.each([
      ["a Service", "shop"],
      ["a Service in a new namespace", "opened"],
    ])(
      "%s that was asked before it existed is found within 5.5 s, and is gone when its answer has lived",
      async (what, namespace) => {
        const name = `late.${namespace}.svc.cluster.local`;
        // Both as applications ask and as rules learn: with the search list in front.
        expect((await ask(name)).rcode).toBe("NXDOMAIN");
        await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
        const asked = ask(name);
        await apply(serviceNamed("late", namespace));
        expect((await asked).rcode).toBe("NXDOMAIN");
        const exists = ({ records }: Answer) => records.length === 1;
        expect(await secondsBehind(`${what} found, asked all the time,`, name, exists)).toBeLessThan(5.5);
        await bed().cluster.kubectl(["-n", namespace, "delete", "service", "late"]);
        const isGone = ({ rcode }: Answer) => rcode === "NXDOMAIN";
        expect(await secondsBehind(`${what} deleted (TTL 30), gone`, name, isGone)).toBeLessThan(45);
      },
    );

    test("headless endpoints that change are seen within their TTL", async () => {
      const name = "moving.shop.svc.cluster.local";
      await apply({ ...serviceNamed("moving", "shop"), spec: { clusterIP: "None", ports: [{ port: 80 }] } });
      await apply(endpointsOf("moving", "10.244.9.11"));
      await waitFor(`${name} exists`, async () => (await ask(name)).records.join().includes("10.244.9.11"));
      await apply(endpointsOf("moving", "10.244.9.12"));
      const hasMoved = ({ records }: Answer) => records.join().includes("10.244.9.12");
      expect(await secondsBehind("a headless endpoint (TTL 30) has moved", name, hasMoved)).toBeLessThan(45);
    });
  });

  describe("settings", () => {
    test("that change in the ConfigMap are taken over, and bad ones are not", async () => {
      const { node } = bed();
      const reloads = async () => (await nodensMetric(node, "nodens_config_reloads_total")) ?? 0;
      const failures = async () => (await nodensMetric(node, "nodens_config_reload_failures_total")) ?? 0;
      const [reloadsBefore, failuresBefore] = [await reloads(), await failures()];
      const good = await readSettings(bed());
      const what = "settings changed, then broken, then mended";
      const row = { what, way, budget: { failed: 0, late: 5 }, beside: plain() } as const;
      await underLoad(bed(), ours(), row, async () => {
        await writeSettings(bed(), `${good}log:\n  level: debug\n`);
        const seconds = await secondsUntil(
          "new settings are taken over",
          async () => (await reloads()) > reloadsBefore,
        );
        bed().report.note(
          "settings taken over after kubelet has looked at the ConfigMap",
          way,
          `${seconds.toFixed(0)} s`,
        );
        await writeSettings(bed(), `${good}nonsense: [\n`);
        await secondsUntil("bad settings are refused", async () => (await failures()) > failuresBefore);
        expect(await nodensMetric(node, "nodens_config_last_reload_successful")).toBe(0);
        await writeSettings(bed(), good);
        const isWell = async () => (await nodensMetric(node, "nodens_config_last_reload_successful")) === 1;
        await secondsUntil("good settings are taken over", isWell);
      });
    });
  });

  test("an update that does not work stops at its first pod, and heals", { timeout: 240_000 }, async () => {
    const { cluster, node } = bed();
    const patch = (args: readonly string[]) =>
      cluster.kubectl([
        ...["-n", "kube-system", "patch", "daemonset", "nodens", "--type=json", "-p"],
        JSON.stringify([{ op: "replace", path: "/spec/template/spec/containers/0/args", value: args }]),
      ]);
    const what = "an update that ends at its start, and its undoing";
    const row = { what, way, budget: { failed: 0, late: 5 }, beside: plain(), isFailure: true } as const;
    await underLoad(bed(), ours(), row, async () => {
      const [old] = await podsOf(cluster, node);
      await patch(["serve", "--config", "/nowhere/nodens.yaml"]);
      await waitFor("the new pod has ended again", async () =>
        (await podsOf(cluster, node)).some(({ name, restarts }) => name !== old?.name && restarts > 0),
      );
      const pods = await podsOf(cluster, node);
      expect(pods.find(({ name }) => name === old?.name)).toMatchObject({ isReady: true });
      await patch(["serve", "--config", "/etc/nodens/nodens.yaml"]);
      await rollOut(cluster);
    });
  });
}

function serviceNamed(name: string, namespace: string): object {
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace }, spec: { ports: [{ port: 80 }] } };
}

function endpointsOf(service: string, address: string): object {
  const labels = { "kubernetes.io/service-name": service };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${service}-1`, namespace: "shop", labels },
    addressType: "IPv4",
    ports: [{ port: 80 }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  };
}

async function configMapOf({ cluster }: Bed): Promise<string> {
  const path = "jsonpath={.spec.template.spec.volumes[?(@.name=='settings')].configMap.name}";
  return cluster.kubectl(["-n", "kube-system", "get", "daemonset", "nodens", "-o", path]);
}

async function readSettings(bed: Bed): Promise<string> {
  const path = "jsonpath={.data.nodens\\.yaml}";
  return bed.cluster.kubectl(["-n", "kube-system", "get", "configmap", await configMapOf(bed), "-o", path]);
}

/** Changes the ConfigMap, and lets kubelet look at once, which it does when a pod changes; by itself it looks once a minute. */
async function writeSettings(bed: Bed, text: string): Promise<void> {
  const { cluster, node } = bed;
  const patch = JSON.stringify({ data: { "nodens.yaml": text } });
  await cluster.kubectl(["-n", "kube-system", "patch", "configmap", await configMapOf(bed), "-p", patch]);
  const [pod] = await podsOf(cluster, node);
  const changed = `changed-at=${Date.now()}`;
  await cluster.kubectl(["-n", "kube-system", "annotate", "--overwrite", "pod", pod?.name ?? "", changed]);
}
