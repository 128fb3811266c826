/*
 * What pods lose while kube-dns is in trouble, within its budget (docs/benchmarks.md). The benchmark has all rows and what they are
 * compared with; here are those that chance has no part in.
 */
import { afterAll, beforeAll, test } from "vitest";
import { type Fault, faults, overBudget, runFault } from "../support/node/fault-runs.ts";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";

const tools = ["CI=true", "root", "ip", "nft", "iptables-restore", "conntrack", "curl", "gcc"];
const timeout = 120_000;

const certain: readonly Fault[] = ["both-silent-hits", "both-silent-expired", "none"];

describeWith(tools, "kube-dns in trouble", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  const rows = certain.flatMap((fault) =>
    (["link-local", "intercept"] as const).map((way) => ({ fault, way, title: faults[fault].title })),
  );
  test.concurrent.for(rows)("$title: $way keeps its budget", { timeout }, async ({ fault, way }, { expect }) => {
    const outcome = await runFault(way, fault, { client: client.path, coredns: "" });
    expect(overBudget(fault, outcome)).toEqual([]);
  });
});
