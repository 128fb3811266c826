import { expect, test } from "vitest";
import { printEffectiveSettings, settingsThatNeedRestart } from "../../../src/settings/effective-settings.ts";
import { loadSettings } from "../../../src/settings/load-settings.ts";
import { settingsSchema, type Settings } from "../../../src/settings/settings-table.ts";
import { tableEntries } from "../../../src/settings/table-entries.ts";

const everythingChanged = `
listen:
  addresses: ["[fd00::1]:53", 127.0.0.2:0]
  allow: ["fd00::/8", 192.0.2.1]
  maxUdpReplyBytes: 512
  tcp: { maxConnections: 1, idleTimeoutMs: 101, maxPipelined: 2, maxWriteBufferBytes: 65537 }
attach: { mode: intercept, addresses: [169.254.20.11, "fd00:20::10"], virtualAddresses: ["10.96.0.10"], interceptPort: 2000, notrack: false }
admin: { address: "[::1]:80" }
probes: { directory: /run/nodens }
cluster: { domain: Other.Example., reverseZones: [] }
upstream:
  servers: ["fd00::a", 192.0.2.1:5353]
  outsideServers: [192.0.2.2]
  stubDomains: { Corp.Example: ["[fd00::b]:54"], 1.2.in-addr.arpa: [192.0.2.3] }
  clusterTransport: udp
  outsideTransport: tcp
  embeddedOutside: built-in
  maxSends: 2
  deadlineMs: 4000
  tcp: { maxFlows: 4, maxDepth: 5, connectTimeoutMs: 6, queryTimeoutMs: 70, idleTimeoutMs: 800, maxAgeSeconds: 9, maxQueries: 10 }
  udp: { maxFlows: 4, retransmitMs: 50, maxAgeSeconds: 6, maxQueries: 7, maxWrongReplies: 8 }
  health: { probeIntervalMs: 51, maxBackoffMs: 52, failuresUntilDown: 4 }
search:
  shortCircuit: certain
  exemptions: [static.cluster.local]
  multicluster: true
  checkOneIn: 10
  answerOutsideName: true
  suffixes: [corp.example]
  resolvConf: /host/resolv.conf
cache:
  answersBytes: 1MiB
  denialsBytes: 512KiB
  maxTtlSeconds: 100
  maxDenialTtlSeconds: 10
  maxClusterDenialTtlSeconds: 0
  failureTtlSeconds: 2
  maxFailureTtlSeconds: 3
  staleSeconds: 0
  staleAfterMs: 1
  prefetch: false
limits: { maxInFlight: 1, maxWaiters: 5, maxWaitersPerQuestion: 3, maxWaitersPerClient: 4 }
log: { level: silent, queries: true }
metrics: { compat: "off" }
shutdown: { drainMs: 0 }
`.replace("connectTimeoutMs: 6,", "connectTimeoutMs: 60,");

const defaults: Settings = settingsSchema.parse({});

function read(text: string): Settings {
  const loaded = loadSettings({ filePath: "n.yaml", env: {}, readFile: () => text });
  if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems, undefined, 1));
  return loaded.settings;
}

test("the sample for these tests changes every setting", () => {
  const changed = read(everythingChanged);
  const valueAt = (settings: Settings, path: string): unknown =>
    path.split(".").reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], settings);
  for (const { path, notes } of tableEntries.values()) {
    if (notes !== undefined) expect(valueAt(changed, path), path).not.toEqual(valueAt(defaults, path));
  }
});

test.each([
  ["the defaults", ""],
  ["changed settings", everythingChanged],
])("%s are printed as a file that gives the same settings", (_name, text) => {
  const settings = read(text);
  expect(read(printEffectiveSettings(settings))).toEqual(settings);
});

test("addresses, ranges and zones are printed as people write them", () => {
  const printed = printEffectiveSettings(read(everythingChanged));
  expect(printed).toContain('- "[fd00::1]:53"');
  expect(printed).toContain("- 192.0.2.1/32");
  expect(printed).toContain("domain: other.example\n");
  expect(printed).toContain("answersBytes: 1048576\n");
});

test("equal settings need no restart, however they were written", () => {
  expect(
    settingsThatNeedRestart(read("cache: { answersBytes: 32MiB }"), read("cache: { answersBytes: 33554432 }")),
  ).toEqual([]);
});

test("exactly the changed settings that are marked so need a restart", () => {
  const marked = [...tableEntries.values()].filter(({ notes }) => notes?.effect === "restart").map(({ path }) => path);
  expect(settingsThatNeedRestart(defaults, read(everythingChanged))).toEqual(marked);
  expect(settingsThatNeedRestart(defaults, read("log: { level: debug }\nadmin: { address: '127.0.0.1:1' }"))).toEqual([
    "admin.address",
  ]);
});
