/*
 * The lines of a Corefile's blocks apart from `forward` and `bind`: what becomes of each plugin.
 */
import { isIP, isIPv6 } from "node:net";
import { closingMs } from "../settings/operator-settings.ts";
import { defaultSettings } from "../settings/settings-table.ts";
import { limitsOf, notesOf } from "../settings/table-entries.ts";
import type { Directive } from "./corefile.ts";
import { harmlessPlugins, lostPlugins } from "./corefile-plugins.ts";
import { migrateCache, secondsOf, wholeNumber } from "./cache-lines.ts";
import type { Migration } from "./gathered-settings.ts";

/** Carries over one line. `isCluster`: the block is that of the cluster's own names. */
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
      lostPlugins.get(name) ??
        "nodens migrate does not know this plugin. Leave it to the cluster's DNS; nodens forwards there",
    );
}

/** A line without an address (port 9153 on loopback) keeps the default of nodens, which scrape configurations of nodens expect. */
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
    migration.explain(
      "admin",
      "The node's own address, or all addresses where it is not known. There are no passwords.",
    );
  } else if (isIP(host) !== 0 || /^\$\{\w+\}$/.test(host)) {
    migration.set("admin.address", `${isIPv6(host) ? `[${host}]` : host}:${port}`, line);
  } else migration.note(line, "prometheus", `${host} is not an IP address; set admin.address`);
}

function migrateHealth({ arguments: [address], block, line }: Directive, migration: Migration): void {
  const lameDuck = block.find(({ name }) => name === "lameduck");
  const seconds = lameDuck === undefined ? undefined : secondsOf(lameDuck.arguments[0] ?? "");
  if (seconds !== undefined) migrateLameDuck(seconds, migration, lameDuck?.line);
  const at = address === undefined ? "" : `, not at ${address}`;
  migration.note(line, "health", `/healthz is at admin.address${at}; exec probes read the files in probes.directory`);
}

/** The pod has to wait as long. */
function migrateLameDuck(seconds: number, migration: Migration, line: number | undefined): void {
  migration.set("shutdown.drainMs", seconds * 1000, line);
  const drainSeconds = Math.min(seconds, limitsOf("shutdown.drainMs").max / 1000);
  if (drainSeconds * 1000 + closingMs <= defaultSettings().shutdown.gracePeriodSeconds * 1000) return;
  const gracePeriodSeconds = Math.ceil(drainSeconds) + 10;
  migration.set("shutdown.gracePeriodSeconds", gracePeriodSeconds, line);
  const message = `set the pod's terminationGracePeriodSeconds to ${gracePeriodSeconds}, as shutdown.gracePeriodSeconds`;
  migration.note(line, "health", message);
}

/** nodens always logs failures; logging everything is expensive, so only a line that asks for everything turns it on. */
function migrateLog({ block, line }: Directive, migration: Migration): void {
  const classes = block.filter(({ name }) => name === "class").flatMap((option) => option.arguments);
  if (classes.length === 0 || classes.includes("all")) {
    migration.set("log.queries", true, line);
    migration.note(line, "log", "nodens logs the queries of every zone, one JSON line each, in its own format");
  } else {
    migration.note(
      line,
      "log",
      "nodens does not log replies by class; log.queries: true logs all of them, and failures are always logged",
    );
  }
}

function migrateBufsize({ arguments: [size = "1232"], line }: Directive, migration: Migration): void {
  const bytes = wholeNumber(size);
  if (bytes === undefined) migration.note(line, "bufsize", `${size} is not a number of bytes`);
  else migration.setLowest("listen.maxUdpReplyBytes", bytes, line);
}
