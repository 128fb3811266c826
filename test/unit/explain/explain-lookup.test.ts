import { describe, expect, test } from "vitest";
import { mutableLimitsOf } from "../../../src/app/parts-of-settings.ts";
import { explainByRules } from "../../../src/explain/explain-by-rules.ts";
import { explainLookup, type Explanation, walkOf } from "../../../src/explain/explain-lookup.ts";
import { podSearchList } from "../../../src/explain/explain-request.ts";
import type { Foresight } from "../../../src/resolve/step.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";

const zone = "cluster.local";
const limits = mutableLimitsOf(defaultSettings());
const path = { suffixes: podSearchList("default", zone), ndots: 5 };

describe("by the rules: queries without nodens, with it the first time, and for the next name like it", () => {
  test.each([
    ["baidu.com", 8, 4, 2],
    ["www.baidu.com", 8, 3, 2],
    ["a.b.example.com", 8, 2, 2],
    ["web", 2, 2, 2],
    ["web.staging", 4, 3, 3],
    ["kubernetes.default.svc.cluster.local", 8, 2, 2],
    ["web.shop", 8, 4, 2],
    ["baidu.com.", 2, 2, 2],
  ])("%s: %i, %i, %i", async (name, straight, first, next) => {
    const walk = walkOf(await explainByRules({ name, path }, zone, limits), "glibc");
    expect([walk.clientQueries, walk.upstreamQueries, walk.laterUpstreamQueries]).toEqual([straight, first, next]);
    expect(walk.end).toBe("data");
  });

  test("the node's suffixes cost two queries each, and only the second type is saved there", async () => {
    const longer = { ...path, suffixes: [...path.suffixes, "ec2.internal"] };
    const walk = walkOf(await explainByRules({ name: "a.b.example.com", path: longer }, zone, limits), "glibc");
    expect([walk.clientQueries, walk.upstreamQueries]).toEqual([10, 4]);
  });
});

describe("against a running nodens", () => {
  const forwarded: Foresight = { kind: "forwarded", route: "cluster", transport: "tcp" };
  const cached = (verdict: "data" | "noData" | "denied"): Foresight => ({ kind: "cached", verdict, ttlSeconds: 3 });

  /** Foresights by step, for A and AAAA. */
  function explain(name: string, ...pairs: [Foresight, Foresight][]): Explanation {
    let step = 0;
    return explainLookup(
      { name, path },
      {
        clusterDomain: zone,
        source: "running",
        rules: { absentParent: true, absentBySchema: true },
        foresee: () => pairs[step++] ?? [forwarded, forwarded],
      },
    );
  }

  test("the walk ends where data is cached, for both libraries", () => {
    const explanation = explain(
      "web.staging",
      [cached("denied"), cached("denied")],
      [cached("data"), cached("noData")],
    );
    for (const library of ["glibc", "musl"] as const) {
      const walk = { steps: 2, end: "data", clientQueries: 4, upstreamQueries: 0, laterUpstreamQueries: undefined };
      expect(walkOf(explanation, library)).toEqual(walk);
    }
  });

  test("a name without addresses ends musl's walk, not glibc's", () => {
    const explanation = explain("web.staging", [cached("noData"), cached("noData")]);
    expect(walkOf(explanation, "musl")).toMatchObject({ steps: 1, end: "noData" });
    expect(walkOf(explanation, "glibc")).toMatchObject({ steps: 2, end: "data" });
  });

  test("so does a failure", () => {
    const failed: Foresight = { kind: "failed" };
    const explanation = explain("web.staging", [failed, forwarded]);
    expect(walkOf(explanation, "musl")).toMatchObject({ steps: 1, end: "failed" });
    expect(walkOf(explanation, "glibc")).toMatchObject({ steps: 2 });
  });

  test("if even the likely step is denied, the walk goes to the end", () => {
    const denied: [Foresight, Foresight] = [cached("denied"), cached("denied")];
    const explanation = explain("web", denied, denied, denied, denied);
    expect(walkOf(explanation, "glibc")).toMatchObject({ steps: 4, end: "denied", upstreamQueries: 0 });
  });

  test("of a pair in flight, nothing more goes upstream except the second type of a name that exists", () => {
    const explanation = explain("web", [{ kind: "shared" }, { kind: "waits", forType: "A" }]);
    expect(walkOf(explanation, "glibc")).toMatchObject({ steps: 1, upstreamQueries: 1 });
  });
});

test("musl's own walk for a name with many dots", async () => {
  const explanation = await explainByRules({ name: "web.staging", path: { ...path, ndots: 1 } }, zone, limits);
  expect(explanation.steps.map(({ suffix, askedBy }) => [suffix, askedBy.join(" ")])).toEqual([
    ["", "glibc musl"],
    ["default.svc.cluster.local", "glibc"],
    ["svc.cluster.local", "glibc"],
    ["cluster.local", "glibc"],
  ]);
  expect(walkOf(explanation, "glibc")).toMatchObject({ steps: 3, end: "data" });
  expect(walkOf(explanation, "musl")).toMatchObject({ steps: 1, end: "denied" });
});
