/*
 * What pods lose while kube-dns is in trouble, within its budget (docs/benchmarks.md). Where chance has a part in it, CoreDNS with
 * NodeLocal DNSCache's settings has the same trouble at the same time, on a node of its own.
 */
import { afterAll, beforeAll, test } from "vitest";
import { bedTools } from "../support/node/node-bed.ts";
import { buildCoredns } from "../support/node/coredns-on-node.ts";
import { type Fault, type FaultOutcome, faults, overBudget, runFault } from "../support/node/fault-runs.ts";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";

const tools = [...bedTools, "gcc"];
const timeout = 120_000;
const longestBuildMs = 15 * 60_000;

const certain: readonly Fault[] = [
  "both-blackholed-hits",
  "both-silent-hits",
  "both-silent-expired",
  "both-silent-misses",
];
const byChance: readonly Fault[] = ["one-silent", "one-blackholed", "one-replaced", "loss"];
const ways = ["link-local", "intercept"] as const;

describeWith(tools, "kube-dns in trouble", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  const rows = certain.flatMap((fault) => ways.map((way) => ({ fault, way, title: faults[fault].title })));
  test.concurrent.for(rows)("$title: $way keeps its budget", { timeout }, async ({ fault, way }, { expect }) => {
    const outcome = await runFault(way, fault, { client: client.path, coredns: "" });
    expect(overBudget(fault, outcome)).toEqual([]);
  });

  // Alone: 2,500 lookups a second, and their clients, take all that two processors have.
  test.for(ways)("no fault, 10,000 names: %s keeps its budget", { timeout }, async (way, { expect }) => {
    const outcome = await runFault(way, "none", { client: client.path, coredns: "" });
    expect(overBudget("none", outcome)).toEqual([]);
  });
});

describeWith(tools, "kube-dns in trouble, beside CoreDNS where Go can build it", () => {
  let client: CompiledClient;
  let coredns: string | undefined;

  beforeAll(async () => {
    coredns = await buildCoredns().catch(() => undefined);
    client = await compileClient("steady-lookups", "gcc");
  }, longestBuildMs);
  afterAll(() => client?.remove());

  const rows = byChance.map((fault) => ({ fault, title: faults[fault].title }));
  test.for(rows)("$title: nodens keeps its budget, in both modes", { timeout }, async ({ fault }, { expect }) => {
    const programs = { client: client.path, coredns: coredns ?? "" };
    const [peer, ...outcomes] = await Promise.all([
      coredns === undefined ? undefined : runFault("coredns", fault, programs),
      ...ways.map((way) => runFault(way, fault, programs)),
    ]);
    for (const outcome of outcomes) {
      const judged = peer === undefined ? outcome : relativeTo(peer, outcome, fault);
      expect(overBudget(fault, judged)).toEqual([]);
    }
  });
});

/**
 * What was no slower than the peer's, or half as slow under loss, keeps the budget for slowness, which a busy machine does not
 * (docs/benchmarks.md). What was lost stands.
 */
function relativeTo(peer: FaultOutcome, outcome: FaultOutcome, fault: Fault): FaultOutcome {
  return outcome.p99Ms <= peer.p99Ms / (fault === "loss" ? 2 : 1) ? { ...outcome, p99Ms: 0 } : outcome;
}
