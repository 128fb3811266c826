/*
 * The manifests name an image that nobody has published: whoever follows the documents must come by building it first.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { renderers } from "../support/manifests/manifests-tools.ts";
import { buildWith, containerOf, renderChart } from "../support/manifests/manifests.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const read = (path: string): string => readFileSync(join(projectFolder, path), "utf8");
const { version } = JSON.parse(read("package.json")) as { version: string };
const image = `ghcr.io/nodens-dns/nodens:${version}`;

describe.each(["README.md", "docs/install.md"])("%s", (path) => {
  const text = read(path);

  test("builds the image that the manifests name, and gets it to the nodes, before anything is applied", () => {
    const steps = [`docker build --tag ${image} .`, "images import nodens.tar", "kubectl apply", "helm install"];
    const places = steps.map((step) => text.indexOf(step));
    expect(places).not.toContain(-1);
    expect(places.slice(0, 3)).toEqual(places.slice(0, 3).toSorted((one, other) => one - other));
    expect(places[3]).toBeGreaterThan(places[1] ?? 0);
  });

  test("says that the image is not published", () => {
    expect(text.slice(0, text.indexOf(image) + 100)).toMatch(/not published yet|Nobody has published it yet/);
  });
});

describe("docs/install.md", () => {
  test.each(["buildah build", "kind load", "k3s ctr images import", "ctr -n k8s.io images import", "docker push"])(
    "knows %s",
    (command) => {
      expect(read("docs/install.md")).toContain(command);
    },
  );
});

test("the program that documents run in a pod is the image's own, with the same flags", () => {
  const [, entryPoint = "[]"] = /^ENTRYPOINT (.*)$/m.exec(read("Dockerfile")) ?? [];
  const script = read("deploy/image/nodens");
  expect(script).toContain(`\nexec ${(JSON.parse(entryPoint) as string[]).join(" ")} "$@"\n`);
  expect(statSync(join(projectFolder, "deploy/image/nodens")).mode & 0o111).toBe(0o111);
  expect(read("Dockerfile")).toContain("COPY deploy/image/nodens /out/usr/local/bin/nodens\n");
});

test.each(["README.md", "docs/install.md", "docs/see.md", "docs/observe.md", "docs/runbook.md"])(
  "%s runs no other program of nodens in a pod",
  (path) => {
    const programs = [...read(path).matchAll(/exec (?:POD|daemonset\/nodens)[^`\n]* -- (\S+)/g)].map(
      ([, name]) => name,
    );
    expect(programs.filter((name) => name !== "nodens" && name !== "nft")).toEqual([]);
  },
);

describeWith(renderers, "a registry of one's own", () => {
  const [, block = ""] = /```yaml\n(images:[^]*?)```/.exec(read("docs/install.md")) ?? [];
  const elsewhere = `registry.example/nodens:${version}`;

  test("is named with `images:` as docs/install.md shows", () => {
    const more = parse(block) as object;
    expect(containerOf(buildWith("overlays/intercept", [], more)).image).toBe(elsewhere);
  });

  test("is named with Helm's image.repository", () => {
    expect(containerOf(renderChart({ image: { repository: "registry.example/nodens" } })).image).toBe(elsewhere);
  });

  test("is asked only by nodes that do not have the image", () => {
    expect(containerOf(buildWith("overlays/intercept", []))["imagePullPolicy"]).toBe("IfNotPresent");
  });
});
