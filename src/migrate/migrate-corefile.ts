/*
 * A Corefile of NodeLocal DNSCache, or of another CoreDNS, in settings of nodens: which zone is the cluster's, and in which order
 * the parts of the file are taken.
 */
import { defaultSettings } from "../settings/settings-table.ts";
import { fillPlaceholders } from "./corefile-placeholders.ts";
import { isPlugin } from "./corefile-plugins.ts";
import { isReverseZone, zonesOf, type ServedZone } from "./corefile-zones.ts";
import type { Corefile, ServerBlock } from "./corefile.ts";
import { findServiceAddress, migrateAddresses } from "./migrate-addresses.ts";
import { settleCache } from "./migrate-cache.ts";
import { findKubernetes, migrateClusterDns } from "./migrate-cluster-dns.ts";
import { placeRoutes, readRoutes, type Route } from "./migrate-forward.ts";
import { migratePlugin } from "./migrate-plugins.ts";
import type { Migration } from "./migration.ts";

/** Whether any line of it is a plugin's, or an import's that may be. Other texts have blocks and words, too. */
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
    migration.lose(line, "import", `${message}; put the text in its place and try again`);
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

/** A block whose keys are all unusable is left out with them. */
function readZones(block: ServerBlock, migration: Migration): ServedZone[] {
  const { zones, unusable } = zonesOf(block);
  for (const { key, why } of unusable) migration.lose(block.line, key, why);
  return zones;
}

const usualDomain = defaultSettings().cluster.domain;

/** The usual name, or else the only zone that is asked where the cluster's addresses are looked up. */
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
      `the cluster's zone has no block; it is taken to be ${usualDomain}, see cluster.domain`,
    );
  } else {
    const message = `which zone is the cluster's cannot be told; if it is not ${usualDomain}, set cluster.domain`;
    migration.lose(line, "zone", message);
  }
}

/** CoreDNS refuses what no plugin of a block answers. */
function noteUnanswered({ keys, directives, line }: ServerBlock, migration: Migration): void {
  if (directives.some(({ name }) => name === "forward" || !isPlugin(name))) return;
  migration.note(line, "zone", `no forward for ${keys.join(" ")}; nodens asks the cluster's DNS about these names`);
}
