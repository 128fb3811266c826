import { expect, test } from "vitest";
import { explainPage } from "../../../src/explain/explain-page.ts";
import type { Foresight } from "../../../src/resolve/step.ts";

const state = {
  clusterDomain: "k8s.test",
  source: "running",
  rules: { absentParent: true, absentBySchema: true },
  foresee: (_name: Uint8Array, types: readonly number[]): Foresight[] => types.map(() => ({ kind: "shared" })),
} as const;

const ask = (query: string) => explainPage(new URLSearchParams(query), state);

test("a name alone is looked up by a pod of the namespace default", () => {
  expect(ask("name=web")).toMatchObject({
    explanation: {
      name: "web",
      search: ["default.svc.k8s.test", "svc.k8s.test", "k8s.test"],
      ndots: 5,
      clusterDomain: "k8s.test",
      source: "running",
      steps: [
        {
          name: "web.default.svc.k8s.test",
          queries: [
            { type: "A", now: { kind: "shared" } },
            { type: "AAAA", now: { kind: "shared" } },
          ],
        },
        {},
        {},
        { name: "web", suffix: "" },
      ],
    },
  });
});

test.each([
  ["name=web&namespace=Shop", ["shop.svc.k8s.test", "svc.k8s.test", "k8s.test"]],
  ["name=web&search=a.test+b.test", ["a.test", "b.test"]],
  ["name=web&search=a.test,b.test&namespace=shop", ["a.test", "b.test"]],
  ["name=web&search=", []],
])("%s: search %j", (query, search) => {
  expect(ask(query)).toMatchObject({ explanation: { search } });
});

const long = "x".repeat(64);
test.each([
  ["", "no name to explain"],
  ["name=", "no name to explain"],
  ["name=10.0.0.1", "'10.0.0.1' is an IP address: resolvers do not look those up"],
  ["name=b%C3%BCcher.test", "'bücher.test' is not ASCII: ask for xn--bcher-kva.test"],
  ["name=a..b", /^'a\.\.b' is not a name that programs look up/],
  ["name=.", /^'\.' is not a name/],
  ["name=a%5C.b", /is not a name/],
  ["name=a%1bb", /^'a\?b' is not a name/],
  [`name=${long}.test`, /is not a name/],
  [`name=${"x.".repeat(127)}xx`, /^'(x\.)+\.*' is not a name/],
  ["name=web&namespace=a.b", "'a.b' is not a namespace: use one label of 1 to 63 letters, digits and dashes"],
  ["name=web&namespace=", /^'' is not a namespace/],
  ["name=web&ndots=16", "'16' is not a value for ndots: use 0 to 15"],
  ["name=web&ndots=-1", "'-1' is not a value for ndots: use 0 to 15"],
  ["name=web&search=a..b", "'a..b' in the search list is not a domain name"],
  [`name=web&search=${Array.from({ length: 33 }, () => "a").join("+")}`, "33 suffixes are too many: at most 32"],
  [
    `name=web&search=${Array.from({ length: 32 }, () => long).join("+")}`,
    "the search list is longer than 2048 characters",
  ],
  ["name=a&name=b", "the parameter name was given more than once"],
  ["name=a&nmae=b", "unknown parameter 'nmae'; they are name, namespace, search, ndots"],
])("%s is wrong", (query, wrong) => {
  const outcome = ask(query);
  expect(outcome).toHaveProperty("wrong");
  if ("wrong" in outcome) expect(outcome.wrong).toMatch(wrong);
});
