import { expect, test } from "vitest";
import { cheaperLookup } from "../../../src/explain/cheaper-lookup.ts";
import { explainLookup, type Explanation } from "../../../src/explain/explain-lookup.ts";
import { readExplainRequest } from "../../../src/explain/explain-request.ts";
import type { Foresight } from "../../../src/resolve/step.ts";
import { nameToText } from "../../../src/wire/name-text.ts";

/** The lookup of a pod in the namespace shop, where only `existing` has addresses. */
function explained(name: string, ...existing: string[]): Explanation {
  const request = readExplainRequest({ name, namespace: "shop" }, "cluster.local");
  if ("wrong" in request) throw new Error(request.wrong);
  const foresee = (asked: Uint8Array, types: readonly number[]): Foresight[] => {
    const verdict = existing.includes(nameToText(asked)) ? "data" : "denied";
    return types.map(() => ({ kind: "cached", verdict, ttlSeconds: 9 }));
  };
  return explainLookup(request, {
    clusterDomain: "cluster.local",
    source: "running",
    rules: { absentParent: true, absentBySchema: true },
    foresee,
  });
}

test("an outside name spares three of four queries with a final dot", () => {
  expect(cheaperLookup(explained("www.example.com", "www.example.com"))).toMatchObject({
    sentence: expect.stringMatching(/^Write www\.example\.com\. with a final dot/) as string,
    savedShare: 0.75,
  });
});

test("a name that a later suffix completes is best written in full", () => {
  expect(cheaperLookup(explained("db.data", "db.data.svc.cluster.local"))).toEqual({
    sentence: "Write db.data.svc.cluster.local. in full, with a final dot.",
    savedShare: 0.5,
  });
});

test("a name that nothing has costs all of its queries in vain", () => {
  expect(cheaperLookup(explained("legacy"))?.savedShare).toBe(1);
});

test("what the first suffix completes costs the least already, and so does a name with a final dot", () => {
  expect(cheaperLookup(explained("web", "web.shop.svc.cluster.local"))).toBeUndefined();
  expect(cheaperLookup(explained("www.example.com.", "www.example.com"))).toBeUndefined();
});
