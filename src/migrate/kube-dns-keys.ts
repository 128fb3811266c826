/*
 * The ConfigMap of kube-dns: keys that hold JSON, such as a map from zones to servers, or a list of servers.
 */
import { parseUpstreamServer } from "../settings/setting-kinds.ts";
import { normaliseZone } from "../settings/zone-name.ts";
import { kubeDnsVariable } from "./corefile-placeholders.ts";
import { isServable } from "./corefile-zones.ts";
import type { Migration } from "./gathered-settings.ts";

/** The keys that kube-dns knows. */
export const kubeDnsKeys = ["stubDomains", "upstreamNameservers", "federations"] as const;

/** One of them. */
export type KubeDnsKey = (typeof kubeDnsKeys)[number];

/** Carries over one key. Lines count within `content`. Returns what is broken, or undefined. */
export function migrateKubeDnsKey(key: KubeDnsKey, content: string, migration: Migration): string | undefined {
  if (migration.valueOf("upstream.servers") === undefined)
    migration.set("upstream.servers", [kubeDnsVariable], undefined);
  if (key === "federations") {
    migration.lose(
      1,
      key,
      "nodens does not answer names of federations. Leave it to the cluster's DNS; nodens forwards there",
    );
    return undefined;
  }
  const value = parseJson(content);
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
  const lists = key === "upstreamNameservers" ? [["", value] as const] : isMap ? Object.entries(value) : undefined;
  if (lists === undefined) return `${key} is not a JSON map from zones to servers`;
  for (const [zone, servers] of lists) {
    if (!isListOfText(servers)) return `${key}${zone === "" ? "" : ` of ${zone}`} is not a JSON list of addresses`;
    const line = lineOf(zone, content);
    const name = normaliseZone(zone);
    if (zone !== "" && (name === "" || !isServable(name))) {
      migration.lose(line, key, `${JSON.stringify(zone)} is not a domain name that settings accept`);
      continue;
    }
    const path = zone === "" ? "upstream.outsideServers" : (`upstream.stubDomains.${name}` as const);
    migration.setServers(path, usable(servers, key, line, migration), line);
  }
  return undefined;
}

function usable(servers: readonly string[], key: string, line: number, migration: Migration): string[] {
  return [...new Set(servers)].filter((server) => {
    if (parseUpstreamServer(server) !== undefined) return true;
    migration.lose(
      line,
      key,
      `${server} is not an IP address that can be asked; nodens cannot look up its own servers, so name their addresses`,
    );
    return false;
  });
}

/** JSON.parse does not keep places; searching for the quoted key is good enough. */
function lineOf(zone: string, content: string): number {
  return content.slice(0, Math.max(0, content.indexOf(JSON.stringify(zone)))).split("\n").length;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isListOfText(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
