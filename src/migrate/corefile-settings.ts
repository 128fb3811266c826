/*
 * A Corefile of NodeLocal DNSCache, or of another CoreDNS, as settings of nodens: which zone is the cluster's, and in which order
 * the parts of the file are carried over.
 */
import { defaultSettings } from "../settings/settings-table.ts";
import { fillPlaceholders } from "./corefile-placeholders.ts";
import { isPlugin } from "./corefile-plugins.ts";
import { isReverseZone, zonesOf, type ServedZone } from "./corefile-zones.ts";
import type { Corefile, ServerBlock } from "./corefile.ts";
import { findServiceAddress, migrateAddresses } from "./bound-addresses.ts";
import { settleCache } from "./cache-lines.ts";
import { findKubernetes, migrateClusterDns } from "./cluster-corefile.ts";
import { placeRoutes, readRoutes, type Route } from "./forward-lines.ts";
import { migratePlugin } from "./plugin-lines.ts";
import type { Migration } from "./gathered-settings.ts";

/** Whether any line is that of a plugin, or an import that may hold one. Other texts have blocks and words too. */
export function looksLikeCorefile({ blocks, unresolved }: Corefile): boolean {
  return blocks.some(({ directives }) => unresolved.length > 0 || directives.some(({ name }) => isPlugin(name)));
}

/** Adds what the Corefile says to `migration`. */
export function migrateCorefile(corefile: Corefile, migration: Migration): void {
  const serviceAddress = findServiceAddress(fillPlaceholders(corefile.blocks, ""));
  const blocks = fillPlaceholders(corefile.blocks, serviceAddress);
  const kubernetes = findKubernetes(blocks);
  if (kubernetes !== undefined) return migrateClusterDns(blocks, kubernetes, migration);
  for (const { line, message } of corefile.unresolved) {
    migration.lose(line, "import", `${message}; put its text in place of the line and try again`);
  }
  migrateForwarder(blocks, serviceAddress, migration);
}

function migrateForwarder(blocks: readonly ServerBlock[], serviceAddress: string, migration: Migration): void {
  const zones = blocks.flatMap((block) => readZones(block, migration));
  const routes = readRoutes(zones, migration);
  const clusterDomain = findClusterDomain(zones, routes, serviceAddress);
  setClusterDomain(clusterDomain, zones, migration);
  placeRoutes(routes, clusterDomain, serviceAddress, migration);
  const ofCluster = new Set(zones.filter(({ zone }) => zone === clusterDomain).map(({ block }) => block));
  for (const block of new Set(zones.map((zone) => zone.block))) {
    const isCluster = ofCluster.has(block);
    for (const directive of block.directives) migratePlugin(directive, isCluster, migration);
    noteUnanswered(block, migration);
  }
  settleCache(migration);
  const asked = migration.valueOf("upstream.servers");
  migrateAddresses(zones, Array.isArray(asked) ? asked : [], migration);
}

/** A block without a usable key is left out. */
function readZones(block: ServerBlock, migration: Migration): ServedZone[] {
  const { zones, unusable } = zonesOf(block);
  for (const { key, why } of unusable) migration.lose(block.line, key, why);
  return zones;
}

const usualDomain = defaultSettings().cluster.domain;

/** The usual name or, without it, the only zone whose servers are those of the cluster's reverse zones. */
function findClusterDomain(
  zones: readonly ServedZone[],
  routes: readonly Route[],
  serviceAddress: string,
): string | undefined {
  const candidates = namedZones(zones);
  if (candidates.includes(usualDomain)) return usualDomain;
  const reverse = routes.filter(({ zone }) => isReverseZone(zone)).flatMap(({ servers }) => servers);
  const clusterServers = new Set([serviceAddress, ...reverse]);
  const likely = routes.filter(
    ({ zone, servers }) => candidates.includes(zone) && servers.some((server) => clusterServers.has(server)),
  );
  return likely.length === 1 ? likely[0]?.zone : undefined;
}

function namedZones(zones: readonly ServedZone[]): string[] {
  return [...new Set(zones.map(({ zone }) => zone))].filter((zone) => zone !== "." && !isReverseZone(zone));
}

function setClusterDomain(domain: string | undefined, zones: readonly ServedZone[], migration: Migration): void {
  const [candidate] = namedZones(zones);
  const line = zones.find(({ zone }) => zone === (domain ?? candidate ?? zone))?.block.line;
  if (domain !== undefined) migration.set("cluster.domain", domain, line);
  else if (candidate === undefined) {
    migration.note(
      line,
      "zone",
      `no block is for the cluster's zone; nodens takes it to be ${usualDomain}, see cluster.domain`,
    );
  } else {
    const message = `cannot tell which zone is the cluster's; if it is not ${usualDomain}, set cluster.domain`;
    migration.lose(line, "zone", message);
  }
}

/** CoreDNS refuses questions that no plugin of the block answers. */
function noteUnanswered({ keys, directives, line }: ServerBlock, migration: Migration): void {
  if (directives.some(({ name }) => name === "forward" || !isPlugin(name))) return;
  migration.note(line, "zone", `no forward for ${keys.join(" ")}; nodens forwards these names to the cluster's DNS`);
}
