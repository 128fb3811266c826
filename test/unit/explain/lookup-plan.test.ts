import { describe, expect, test } from "vitest";
import { type ClientLibrary, goesOnAfter, planLookup, type StepVerdict } from "../../../src/explain/lookup-plan.ts";

const podPath = { suffixes: ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"], ndots: 5 };

function namesOf(name: string, library: ClientLibrary, path: { suffixes: string[]; ndots: number } = podPath) {
  return planLookup(name, path, library).map((step) => step.name);
}

describe("with fewer dots than ndots", () => {
  test.each(["glibc", "musl"] as const)("%s asks with every suffix in order, then the name as it stands", (library) => {
    expect(planLookup("example.com", podPath, library)).toEqual([
      { name: "example.com.shop.svc.cluster.local", suffix: "shop.svc.cluster.local" },
      { name: "example.com.svc.cluster.local", suffix: "svc.cluster.local" },
      { name: "example.com.cluster.local", suffix: "cluster.local" },
      { name: "example.com", suffix: "" },
    ]);
  });

  test.each(["glibc", "musl"] as const)("%s treats a single label no differently", (library) => {
    expect(namesOf("web", library)).toEqual([
      "web.shop.svc.cluster.local",
      "web.svc.cluster.local",
      "web.cluster.local",
      "web",
    ]);
  });

  test("a Service's full name has four dots, which is too few", () => {
    expect(namesOf("web.shop.svc.cluster.local", "musl").at(-1)).toBe("web.shop.svc.cluster.local");
    expect(namesOf("web.shop.svc.cluster.local", "musl")).toHaveLength(4);
  });

  test("without suffixes, only the name itself is asked for", () => {
    expect(namesOf("web", "glibc", { suffixes: [], ndots: 5 })).toEqual(["web"]);
  });
});

describe("with ndots dots or more", () => {
  const path = { suffixes: ["a.test", "b.test"], ndots: 1 };

  test("glibc asks for the name first and tries the suffixes afterwards", () => {
    expect(namesOf("web.shop", "glibc", path)).toEqual(["web.shop", "web.shop.a.test", "web.shop.b.test"]);
  });

  test("musl asks for the name only", () => {
    expect(namesOf("web.shop", "musl", path)).toEqual(["web.shop"]);
  });

  test("that holds for every name with ndots:0", () => {
    expect(namesOf("web", "musl", { ...path, ndots: 0 })).toEqual(["web"]);
    expect(namesOf("web", "glibc", { ...path, ndots: 0 })[0]).toBe("web");
  });

  test("an ndots over 15 counts as 15", () => {
    const name = "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16";
    expect(namesOf(name, "musl", { ...path, ndots: 99 })).toEqual([name]);
  });
});

describe("a final dot", () => {
  test.each(["glibc", "musl"] as const)("%s asks only that name", (library) => {
    expect(planLookup("web.", podPath, library)).toEqual([{ name: "web", suffix: "" }]);
  });

  test.each(["", ".", "..", "web.."])("of %j there is nothing to ask", (name) => {
    expect(namesOf(name, "glibc")).toEqual([]);
    expect(namesOf(name, "musl")).toEqual([]);
  });
});

describe("odd search lists", () => {
  test("musl ignores one of 256 characters and uses one of 255", () => {
    const label = "x".repeat(63);
    const suffixes = [`${label}.${label}`, `${label}.${label}`];
    expect(suffixes.join(" ")).toHaveLength(255);
    expect(namesOf("web", "musl", { suffixes, ndots: 5 })).toHaveLength(3);
    const longer = { suffixes: [...suffixes, "y"], ndots: 5 };
    expect(namesOf("web", "musl", longer)).toEqual(["web"]);
    expect(namesOf("web", "glibc", longer)).toHaveLength(4);
  });

  test("a root in one is the name as it stands for glibc, and nothing for musl", () => {
    const path = { suffixes: ["a.test", ".", "b.test"], ndots: 5 };
    expect(namesOf("web", "glibc", path)).toEqual(["web.a.test", "web", "web.b.test"]);
    expect(namesOf("web", "musl", path)).toEqual(["web.a.test", "web.b.test", "web"]);
  });

  test("a suffix that makes the name too long is passed over", () => {
    const long = `${"x".repeat(61)}.`.repeat(4).slice(0, -1);
    expect(namesOf("web.test", "glibc", { suffixes: [long, "a.test"], ndots: 5 })).toEqual([
      "web.test.a.test",
      "web.test",
    ]);
    expect(namesOf("web.test", "musl", { suffixes: [long, "a.test"], ndots: 5 })).toEqual([
      "web.test.a.test",
      "web.test",
    ]);
  });
});

test.each<[StepVerdict, boolean, boolean]>([
  ["data", false, false],
  ["denied", true, true],
  ["noData", true, false],
  ["failed", true, false],
])("after %s glibc goes on: %s, musl: %s", (verdict, glibc, musl) => {
  expect([goesOnAfter("glibc", verdict), goesOnAfter("musl", verdict)]).toEqual([glibc, musl]);
});
