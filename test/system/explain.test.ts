/* `nodens explain` as a person runs it: by the rules alone, and against a running nodens. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { askUdp } from "../support/messages/ask.ts";
import { buildQuery, Type } from "../support/messages/messages.ts";
import { type RunningNodens, runNodens, runToEnd } from "../support/program/run-nodens.ts";

let nodens: RunningNodens;
let adminAddress: string;

beforeAll(async () => {
  nodens = await runNodens();
  adminAddress = new URL(nodens.adminUrl).host;
});
afterAll(async () => {
  await nodens.stop();
});

test("by the rules alone it shows each suffix, what becomes of it, and what that saves", async () => {
  const { code, stdout, stderr } = await runToEnd(["explain", "www.example.com"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const suffix of ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]) {
    expect(stdout).toContain(`www.example.com + ${suffix}`);
  }
  expect(stdout).toMatch(/without nodens\s+8 /);
  expect(stdout).toMatch(/through nodens, the first time\s+3 /);
});

test("against a running nodens it shows what that knows now, and changes nothing", async () => {
  const name = "web.shop.svc.cluster.local";
  await askUdp(nodens.port, buildQuery(name, Type.A));
  const before = await nodens.metric("coredns_cache_requests_total");
  const { code, stdout } = await runToEnd(["explain", "web", "--namespace", "shop", "--against", adminAddress]);
  expect(code).toBe(0);
  expect(stdout).toContain("cache");
  expect(await nodens.metric("coredns_cache_requests_total")).toEqual(before);
});

test("--json prints the same for programs", async () => {
  const { code, stdout } = await runToEnd(["explain", "web", "--against", adminAddress, "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ name: "web" });
});

test.each([
  ["a name that is none", ["explain", "a..b"], 64],
  ["nobody at the admin address", ["explain", "web", "--against", "127.0.0.1:1"], 69],
  ["a resolv.conf that is not there", ["explain", "web", "--resolv-conf", "/nowhere/resolv.conf"], 78],
])("%s is one clear line", async (_what, args, code) => {
  const ended = await runToEnd(args);
  expect(ended.code).toBe(code);
  expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
});
