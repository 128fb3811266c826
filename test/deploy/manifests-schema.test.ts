import { describe, expect, test } from "vitest";
import { schemaProblems } from "../support/manifests/kubernetes-schema.ts";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { variants } from "../support/manifests/manifests-variants.ts";
import type { KubernetesObject } from "../support/manifests/manifests.ts";
import { describeWith } from "../support/program/requirements.ts";

describeWith(renderers, "every object is one of Kubernetes 1.36, without unknown fields", () => {
  test.each(variants)("$name, by kustomize", ({ kustomize }) => {
    expect(problemsOf(kustomize())).toEqual([]);
  });

  test.each(variants)("$name, by helm", ({ helm }) => {
    expect(problemsOf(helm())).toEqual([]);
  });
});

describeWith(renderers, "the check itself", () => {
  test("finds an unknown field wherever it stands", () => {
    const objects = variants.flatMap(({ kustomize }) => kustomize());
    const overlooked = objects.flatMap((object) =>
      pathsOfObjects(object)
        .filter((path) => !holdsFreeNames(object, path))
        .filter((path) => !problemsOf([withField(object, path)]).some((problem) => problem.includes("misspelled")))
        .map((path) => `${object.kind} ${path.join(".")}`),
    );
    expect(objects.length).toBeGreaterThan(20);
    expect(overlooked).toEqual([]);
  });
});

describe("the check itself", () => {
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "a" }, spec: { ports: [{ port: 53 }] } };

  test("is content with a sound object", () => {
    expect(schemaProblems(service)).toEqual([]);
  });

  test.each([
    ["a value of another type", { ...service, spec: { ports: [{ port: "53" }] } }, /\/spec\/ports\/0\/port type/],
    ["a missing field", { ...service, spec: { ports: [{}] } }, /\/spec\/ports\/0 required .*"port"/],
    ["a value that is not in a list", { ...service, spec: { type: "None" } }, /\/spec\/type enum/],
    ["an unknown field", { ...service, spec: { port: [] } }, /\/spec\/port is not a field/],
    ["a kind without a schema", { ...service, kind: "Servce" }, /v1 Servce: there is no schema/],
  ])("finds %s", (_, object, problem) => {
    expect(schemaProblems(object)).toEqual([expect.stringMatching(problem)]);
  });
});

function problemsOf(objects: readonly KubernetesObject[]): string[] {
  return objects.flatMap((object) => schemaProblems(object).map((problem) => `${object.kind}: ${problem}`));
}

type Path = readonly (string | number)[];

/** Where in an object there are objects. */
function pathsOfObjects(node: unknown, path: Path = []): Path[] {
  if (Array.isArray(node)) return node.flatMap((item: unknown, index) => pathsOfObjects(item, [...path, index]));
  if (typeof node !== "object" || node === null) return [];
  return [path, ...Object.entries(node).flatMap(([key, value]) => pathsOfObjects(value, [...path, key]))];
}

/** Whether it is a map whose keys are no fields. */
function holdsFreeNames({ kind }: KubernetesObject, path: Path): boolean {
  const maps = ["labels", "annotations", "data", "matchLabels", "nodeSelector", "requests", "limits"];
  if (kind === "Service") maps.push("selector");
  return maps.includes(String(path.at(-1)));
}

function withField(object: KubernetesObject, path: Path): KubernetesObject {
  const copy = structuredClone(object);
  const node = path.reduce<unknown>((parent, step) => (parent as Record<string | number, unknown>)[step], copy);
  (node as Record<string, unknown>)["misspelled"] = "1";
  return copy;
}
