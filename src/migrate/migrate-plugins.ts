/*
 * The lines of a Corefile's blocks apart from `forward` and `bind`: what becomes of each plugin.
 */
import { isIP, isIPv6 } from "node:net";
import { notesOf } from "../settings/table-entries.ts";
import type { Directive } from "./corefile.ts";
import { harmlessPlugins, lostPlugins } from "./corefile-plugins.ts";
import { migrateCache, secondsOf, wholeNumber } from "./migrate-cache.ts";
import type { Migration } from "./migration.ts";

/** Takes over one line. `isCluster`: it is in the block of the cluster's own names. */
export function migratePlugin(directive: Directive, isCluster: boolean, migration: Migration): void {
  switch (directive.name) {
    case "forward":
    case "bind":
      break;
    case "cache":
      migrateCache(directive, isCluster, migration);
      break;
    case "prometheus":
      migratePrometheus(directive, migration);
      break;
    case "health":
      migrateHealth(directive, migration);
      break;
    case "log":
      migrateLog(directive, migration);
      break;
    case "bufsize":
      migrateBufsize(directive, migration);
      break;
    default:
      remarkOnPlugin(directive, migration);
  }
}

function remarkOnPlugin({ name, line }: Directive, migration: Migration): void {
  const harmless = harmlessPlugins.get(name);
  if (harmless !== undefined) migration.note(line, name, harmless);
  else
    migration.lose(
      line,
      name,
      lostPlugins.get(name) ?? "no plugin that is known here; let the cluster's DNS do it, which is asked",
    );
}

/** Its other port, 9153 on loopback by default, is not worth a change of scrape configurations that expect ours. */
function migratePrometheus({ arguments: [address], line }: Directive, migration: Migration): void {
  const [, written = "", port = ""] = /^(.*):(\d+)$/.exec(address ?? "") ?? [];
  if (port === "") {
    migration.note(
      line,
      "prometheus",
      `metrics are at admin.address, by default ${String(notesOf("admin.address").default)}`,
    );
    return;
  }
  const host = written === "localhost" ? "127.0.0.1" : written.replace(/^\[(.*)\]$/, "$1");
  if (host === "") {
    migration.set("admin.address", `\${HOST_IP:-0.0.0.0}:${port}`, line);
    migration.explain("admin", "The node's own address, or all where it is not known: there are no passwords.");
  } else if (isIP(host) !== 0 || /^\$\{\w+\}$/.test(host)) {
    migration.set("admin.address", `${isIPv6(host) ? `[${host}]` : host}:${port}`, line);
  } else migration.note(line, "prometheus", `${host} is no IP address; set admin.address`);
}

function migrateHealth({ arguments: [address], block, line }: Directive, migration: Migration): void {
  const lameDuck = block.find(({ name }) => name === "lameduck");
  const seconds = lameDuck === undefined ? undefined : secondsOf(lameDuck.arguments[0] ?? "");
  if (seconds !== undefined) migration.set("shutdown.drainMs", seconds * 1000, lameDuck?.line);
  const at = address === undefined ? "" : `, not at ${address}`;
  migration.note(line, "health", `/healthz is at admin.address${at}; for probes there are files in probes.directory`);
}

/** Logging of failures alone is there without asking; logging of everything is expensive and has to be wanted. */
function migrateLog({ block, line }: Directive, migration: Migration): void {
  const classes = block.filter(({ name }) => name === "class").flatMap((option) => option.arguments);
  if (classes.length === 0 || classes.includes("all")) {
    migration.set("log.queries", true, line);
    migration.note(line, "log", "one JSON line for each query of every zone, in a form of its own");
  } else {
    migration.note(line, "log", "replies are not logged by class; log.queries: true logs all, and failures always are");
  }
}

function migrateBufsize({ arguments: [size = "1232"], line }: Directive, migration: Migration): void {
  const bytes = wholeNumber(size);
  if (bytes === undefined) migration.note(line, "bufsize", `${size} is no number of bytes`);
  else migration.setLowest("listen.maxUdpReplyBytes", bytes, line);
}
