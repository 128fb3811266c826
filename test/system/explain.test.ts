/* `nodens explain` as a person runs it: by the rules alone, and against a running nodens. */
import { mkdtempSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { askUdp } from "../support/messages/ask.ts";
import { buildQuery, Type } from "../support/messages/messages.ts";
import { type RunningNodens, runNodens, runToEnd } from "../support/program/run-nodens.ts";

/** An address of this machine that is not loopback. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

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

test("against the Unix socket of its folder for probes it is told the same, on a node's address nothing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "nodens-explain-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const settings = { admin: { address: `${ownAddress ?? "127.0.0.1"}:0` }, probes: { directory } };
  const other = await runNodens({ settings });
  onTestFinished(async () => void (await other.stop()));
  const told = await runToEnd(["explain", "web", "--against", join(directory, "admin.sock"), "--json"]);
  expect([told.code, JSON.parse(told.stdout)]).toMatchObject([0, { name: "web" }]);
  if (ownAddress === undefined) return;
  const refused = await runToEnd(["explain", "web", "--against", new URL(other.adminUrl).host]);
  expect([refused.code, refused.stderr]).toEqual([64, expect.stringContaining("names are told only on loopback")]);
});

test("numbers are shown to clients of listen.allow alone, whether nodens is ready to everybody", async () => {
  const listen = { addresses: ["127.0.0.1:0"], allow: ["192.0.2.0/24"] };
  const other = await runNodens({ settings: { listen, admin: { address: "0.0.0.0:0" } } });
  onTestFinished(async () => void (await other.stop()));
  const statusOf = async (path: string) =>
    (await fetch(`${other.adminUrl.replace("0.0.0.0", "127.0.0.1")}${path}`)).status;
  expect([await statusOf("/metrics"), await statusOf("/explain?name=a"), await statusOf("/readyz")]).toEqual([
    403, 403, 200,
  ]);
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
