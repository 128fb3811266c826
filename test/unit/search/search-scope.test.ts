import { describe, expect, test } from "vitest";
import { createSearchScope } from "../../../src/search/search-scope.ts";
import { nameBytes } from "../../support/messages/messages.ts";

const inScope = createSearchScope([nameBytes("cluster.local"), nameBytes("corp.example")]);

describe("a search scope", () => {
  test.each([
    "cluster.local",
    "web.default.svc.cluster.local",
    "www.example.com.default.svc.cluster.local",
    "corp.example",
    "www.corp.example",
  ])("contains %s", (name) => {
    expect(inScope(nameBytes(name))).toBe(true);
  });

  test.each([
    ".",
    "local",
    "cluster",
    "xcluster.local",
    "cluster.local.example",
    "example",
    "other.example",
    "xcorp.example",
    "www.example.com",
  ])("does not contain %s", (name) => {
    expect(inScope(nameBytes(name))).toBe(false);
  });

  test("does not take a dot inside a label for a label boundary", () => {
    expect(inScope(nameBytes("x\\.cluster.local"))).toBe(false);
  });

  test("without zones contains nothing", () => {
    expect(createSearchScope([])(nameBytes("cluster.local"))).toBe(false);
  });

  test("of the root contains everything", () => {
    const everything = createSearchScope([nameBytes(".")]);
    expect([".", "a", "www.example.com"].map((name) => everything(nameBytes(name)))).toEqual([true, true, true]);
  });
});
