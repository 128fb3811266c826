/*
 * A real Prometheus that scrapes a busy nodens, and its own opinion of the exposition.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { askAll } from "../support/messages/ask-many.ts";
import { buildQuery, Type } from "../support/messages/messages.ts";
import { answerFromOutside } from "../support/servers/outside-world.ts";
import { startPrometheus, staticJob } from "../support/servers/prometheus-server.ts";
import { describeWith, findCommand } from "../support/program/requirements.ts";
import { type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
import { type ScriptedUpstream, startScriptedUpstream, until } from "../support/servers/scripted-upstream.ts";

describeWith(["prometheus", "promtool"], "Prometheus", () => {
  let outside: ScriptedUpstream;
  let nodens: RunningNodens;

  beforeAll(async () => {
    outside = await startScriptedUpstream(answerFromOutside);
    nodens = await runNodens({ settings: { upstream: { outsideServers: [outside.address] } } });
    await keepBusy(nodens);
  });
  afterAll(async () => {
    await nodens.stop();
    await outside.close();
  });

  test("promtool finds nothing to object to in the metrics of a busy nodens", async () => {
    const exposition = await (await fetch(`${nodens.adminUrl}/metrics`)).text();
    expect(exposition.split("\n").length).toBeGreaterThan(200);
    expect(await checkMetrics(exposition)).toEqual({ code: 0, output: "" });
  });

  test("promtool would object to something", async () => {
    expect(await checkMetrics("# TYPE requests counter\nrequests 1\n")).toMatchObject({ code: 3 });
  });

  test("Prometheus shows the target as up and counts what was asked", async () => {
    const prometheus = await startPrometheus({ scrapeConfigs: [staticJob("nodens", new URL(nodens.adminUrl).host)] });
    onTestFinished(prometheus.stop);
    const valueOf = async (expression: string) => (await prometheus.query(expression))[0]?.value;
    await until("Prometheus shows nodens as up", async () => (await valueOf("up")) === 1, 30_000);
    // Busy again, so that there is something to see a rise of.
    await keepBusy(nodens);
    await until(
      "Prometheus has counted every query",
      async () => {
        const [udp, tcp] = [await valueOf(requests("udp")), await valueOf(requests("tcp"))];
        return udp === 2 * queries.length && tcp === 2 * queries.length;
      },
      20_000,
    );
    expect(await valueOf("sum(coredns_cache_hits_total)")).toBeGreaterThan(0);
    expect(await valueOf('sum(nodens_upstream_flows_open{proto="tcp"})')).toBeLessThanOrEqual(3);
    expect(await valueOf('nodens_life_cycle_state{state="ready"}')).toBe(1);
  });
});

/** Only types that nodens does not ask itself through its own socket. */
const queries = Array.from({ length: 100 }, (_, index) => {
  const names = ["web.shop.svc.cluster.local", "www.example.test", `absent${index}.example.test`, "large.example.test"];
  return buildQuery(names[index % names.length] as string, index % 3 === 0 ? Type.AAAA : Type.A);
});

function requests(protocol: "udp" | "tcp"): string {
  return `sum(coredns_dns_requests_total{proto="${protocol}", type=~"A|AAAA"})`;
}

/** Every kind of traffic once: hits and misses, denials, truncation, both transports. */
async function keepBusy(nodens: RunningNodens): Promise<void> {
  const server = { host: "127.0.0.1", port: nodens.port };
  for (const protocol of ["udp", "tcp"] as const) {
    const replies = await askAll(server, protocol, queries, { concurrency: 10 });
    if (replies.includes(undefined)) throw new Error(`a query over ${protocol} was not answered`);
  }
}

/** Gives an exposition to `promtool check metrics`. */
async function checkMetrics(exposition: string): Promise<{ code: number | null; output: string }> {
  const child = execFile(findCommand("promtool") as string, ["check", "metrics"]);
  let output = "";
  child.stdout?.on("data", (text: string) => (output += text));
  child.stderr?.on("data", (text: string) => (output += text));
  child.stdin?.end(exposition);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}
