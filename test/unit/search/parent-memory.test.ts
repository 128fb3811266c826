import { describe, expect, test } from "vitest";
import { ParentLevel } from "../../../src/search/absent-parent.ts";
import { createParentMemory } from "../../../src/search/parent-memory.ts";
import { viewOf } from "./named-views.ts";

const startMs = 1_000_000;

function createMemory() {
  const memory = createParentMemory((label) => label === "com", 1);
  return {
    levelToAsk: (name: string, nowMs = startMs) => memory.levelToAsk(viewOf(name), nowMs),
    notes: (name: string, exists: boolean, nowMs = startMs) => memory.noteVerdict(viewOf(name), exists, nowMs),
  };
}

describe("a Service of which a name was denied", () => {
  test("is worth asking for ten minutes", () => {
    const { levelToAsk, notes } = createMemory();
    expect(levelToAsk("web.shop.default.svc.Z")).toBeUndefined();
    notes("db.shop.default.svc.Z", false);
    expect(levelToAsk("web.shop.default.svc.Z", startMs + 599_999)).toBe(ParentLevel.service);
    expect(levelToAsk("_http._tcp.shop.default.svc.Z")).toBe(ParentLevel.service);
    expect(levelToAsk("shop.default.svc.Z")).toBeUndefined();
    expect(levelToAsk("web.shop.other.svc.Z")).toBeUndefined();
    expect(levelToAsk("web.shop.default.svc.Z", startMs + 600_000)).toBeUndefined();
  });

  test("is not, as long as it is remembered that it exists", () => {
    const { levelToAsk, notes } = createMemory();
    notes("web.shop.default.svc.Z", true);
    notes("db.shop.default.svc.Z", false);
    expect(levelToAsk("db.shop.default.svc.Z")).toBeUndefined();
    notes("db.shop.default.svc.Z", false, startMs + 600_000);
    expect(levelToAsk("db.shop.default.svc.Z", startMs + 600_000)).toBe(ParentLevel.service);
  });
});

describe("a parent that was denied itself", () => {
  test.each([
    ["shop.svc.Z", ParentLevel.namespace],
    ["web.shop.svc.Z", ParentLevel.service],
  ])("%s is worth asking, whatever was known of it", (parent, level) => {
    const { levelToAsk, notes } = createMemory();
    notes(parent, true);
    notes(parent, false);
    expect(levelToAsk("pod-0.web.shop.svc.Z")).toBe(level);
    notes(parent, true);
    expect(levelToAsk("pod-0.web.shop.svc.Z")).toBeUndefined();
  });
});

test("a namespace is not worth asking because it lacks a Service, unless it looks like the end of an outside name", () => {
  const { levelToAsk, notes } = createMemory();
  notes("cart.shop.svc.Z", false);
  expect(levelToAsk("cart.shop.svc.Z")).toBeUndefined();
  expect(levelToAsk("baidu.com.svc.Z")).toBe(ParentLevel.namespace);
});

test("a flood of absent parents pushes out older ones, and none that exists", () => {
  const { levelToAsk, notes } = createMemory();
  notes("web.shop.com.svc.Z", true);
  for (let nth = 0; nth <= 40_000; nth += 1) notes(`x.nowhere-${nth}.default.svc.Z`, false, startMs + nth);
  expect(levelToAsk("x.nowhere-0.default.svc.Z")).toBeUndefined();
  expect(levelToAsk("x.nowhere-40000.default.svc.Z")).toBe(ParentLevel.service);
  expect(levelToAsk("web.shop.com.svc.Z")).toBeUndefined();
});

test("hundreds of Services are remembered one beside the other", () => {
  const { levelToAsk, notes } = createMemory();
  const services = Array.from({ length: 500 }, (_, nth) => `x.nowhere-${nth}.default.svc.Z`);
  for (const name of services) notes(name, false);
  expect(services.filter((name) => levelToAsk(name) === ParentLevel.service)).toEqual(services);
});
