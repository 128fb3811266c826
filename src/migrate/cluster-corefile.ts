/*
 * The Corefile of the cluster's own DNS, which makes names from Services and stays. nodens goes in front of it and forwards
 * everything there, so there is little to carry over.
 */
import { defaultSettings } from "../settings/settings-table.ts";
import { kubeDnsVariable } from "./corefile-placeholders.ts";
import { isAtOrBelow, isReverseZone, namesOf } from "./corefile-zones.ts";
import type { Directive, ServerBlock } from "./corefile.ts";
import type { Migration } from "./gathered-settings.ts";

/** Plugins that add names which do not come from Services. */
const addingPlugins = new Set(["hosts", "rewrite", "template", "file", "auto", "etcd", "k8s_external"]);

/** The line that makes this the cluster's own DNS, or undefined. */
export function findKubernetes(blocks: readonly ServerBlock[]): Directive | undefined {
  return blocks.flatMap(({ directives }) => directives).find(({ name }) => name === "kubernetes");
}

/** Sets which names are the cluster's, and its DNS as the server to ask. */
export function migrateClusterDns(blocks: readonly ServerBlock[], kubernetes: Directive, migration: Migration): void {
  const { line, block } = kubernetes;
  const home = blocks.find(({ directives }) => directives.includes(kubernetes));
  const named = kubernetes.arguments.length > 0 ? kubernetes.arguments : (home?.keys ?? []);
  const zones = named.flatMap((zone) => namesOf(zone.replace(/:\d+$/, "")) ?? []);
  const [domain = defaultSettings().cluster.domain, ...others] = zones.filter(
    (zone) => zone !== "." && !isReverseZone(zone),
  );
  migration.set("cluster.domain", domain, line);
  for (const zone of zones.filter(isReverseZone)) migration.add("cluster.reverseZones", zone, line);
  for (const zone of others) migration.set(`upstream.stubDomains.${zone}`, [kubeDnsVariable], line);
  migration.set("upstream.servers", [kubeDnsVariable], undefined);
  migration.explain("upstream", "The Corefile is that of the cluster's own DNS; nodens forwards everything there.");
  if (block.some(({ name }) => name === "multicluster")) migration.set("search.multicluster", true, line);
  const message = "this is the cluster's own DNS; keep it as it is, with its other lines: nodens forwards there";
  migration.note(line, "kubernetes", message);
  for (const directive of blocks.flatMap(({ directives }) => directives)) {
    if (addingPlugins.has(directive.name)) migrateAddition(directive, domain, migration);
  }
}

/**
 * Names that are added to the cluster's zone must not be denied without asking. Where they cannot be read, the reader has to
 * list them.
 */
function migrateAddition(
  { name, arguments: args, block, line }: Directive,
  domain: string,
  migration: Migration,
): void {
  const words = name === "hosts" ? block.flatMap((entry) => entry.arguments) : name === "rewrite" ? args : [];
  const names = words.flatMap((word) => namesOf(word) ?? []);
  const added = names.filter((word) => word !== domain && isAtOrBelow(word, domain) && /^[\w.-]+$/.test(word));
  for (const word of added) migration.add("search.exemptions", word, line);
  if (added.length > 0) return;
  migration.note(line, name, `stays there; list the names it adds below ${domain} in search.exemptions`);
}
