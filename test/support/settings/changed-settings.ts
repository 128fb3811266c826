/* Settings of which every one differs from its default. */
import { loadSettings } from "../../../src/settings/load-settings.ts";
import { defaultSettings, type Settings } from "../../../src/settings/settings-table.ts";

/** The text of a settings file that is valid as a whole. */
export const everythingChanged = `
listen:
  addresses: ["[fd00::1]:53", 127.0.0.2:0]
  allow: ["fd00::/8", 192.0.2.1]
  maxUdpReplyBytes: 512
  batch: "off"
  tcp: { maxConnections: 1, maxConnectionsPerClient: 2, idleTimeoutMs: 101, maxPipelined: 2, maxWriteBufferBytes: 65537 }
attach: { mode: intercept, addresses: [169.254.20.11, "fd00:20::10"], virtualAddresses: ["10.96.0.10"], interceptPort: 2000, except: [10.9.0.0/16], notrack: false }
admin: { address: "[::1]:80", allow: [192.0.2.2] }
probes: { directory: /run/nodens }
cluster: { domain: Other.Example., reverseZones: [] }
upstream:
  servers: ["fd00::a", 192.0.2.1:5353]
  outsideServers: [192.0.2.2]
  stubDomains: { Corp.Example: ["[fd00::b]:54"], 1.2.in-addr.arpa: [192.0.2.3] }
  clusterTransport: udp
  outsideTransport: tcp
  embedded: true
  embeddedOutside: built-in
  maxSends: 2
  deadlineMs: 4000
  tcp: { maxFlows: 4, maxDepth: 5, connectTimeoutMs: 60, queryTimeoutMs: 70, idleTimeoutMs: 800, maxAgeSeconds: 9, maxQueries: 10 }
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
  dynamicZones: [Consul.]
  failureTtlSeconds: 2
  maxFailureTtlSeconds: 3
  staleSeconds: 0
  staleAfterMs: 1
  prefetch: false
limits: { maxInFlight: 1, maxWaiters: 5, maxWaitersPerClient: 4 }
seen: { recordedQueries: 0, names: "off" }
log: { level: debug, queries: true }
metrics: { compat: "off" }
shutdown: { drainMs: 0, gracePeriodSeconds: 14 }
`;

/** The settings of a file's text. Throws when it has problems. */
export function settingsOfText(text: string): Settings {
  const loaded = loadSettings({ filePath: "n.yaml", env: {}, readFile: () => text });
  if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems, undefined, 1));
  return loaded.settings;
}

/** The value of one setting. */
export function valueAt(settings: Settings, path: string): unknown {
  return path.split(".").reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], settings);
}

/** The defaults, with these settings as they are in the text above. They may contradict the others. */
export function defaultsBut(...paths: string[]): Settings {
  const settings = structuredClone(defaultSettings());
  const changed = settingsOfText(everythingChanged);
  for (const path of paths) {
    const [name = "", ...groups] = path.split(".").toReversed();
    const group = valueAt(settings, groups.toReversed().join(".")) as Record<string, unknown>;
    group[name] = valueAt(changed, path);
  }
  return settings;
}
