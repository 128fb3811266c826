/*
 * The `cache` lines of a Corefile. CoreDNS has one cache for each block, nodens one for all: where times differ the shortest
 * wins, so that nothing is remembered for longer than before.
 */
import { defaultSettings } from "../settings/settings-table.ts";
import { limitsOf } from "../settings/table-entries.ts";
import type { Directive } from "./corefile.ts";
import type { Migration } from "./gathered-settings.ts";

/** How long CoreDNS remembers at most where the line has no number. */
const defaultTtlSeconds = { success: 3600, denial: 1800 } as const;

/** Carries over one line. `isCluster`: the block is that of the cluster's own names. */
export function migrateCache(cache: Directive, isCluster: boolean, migration: Migration): void {
  const [first = ""] = cache.arguments;
  const overall = wholeNumber(first);
  if (cache.arguments.length > (overall === undefined ? 0 : 1)) {
    migration.note(cache.line, "cache", "nodens does not tell the zones of a block apart; this holds for all of them");
  }
  migrateTtl("success", cache, overall, isCluster, migration);
  migrateTtl("denial", cache, overall, isCluster, migration);
  for (const option of cache.block) migrateOption(option, isCluster, migration);
  if (!cache.block.some(({ name }) => name === "serve_stale")) {
    const { staleSeconds } = defaultSettings().cache;
    const message = `nodens gives stale answers for up to ${staleSeconds} s when the upstream fails; cache.staleSeconds: 0 turns that off`;
    migration.note(cache.line, "cache", message);
  }
}

/** Settings refuse denials that outlive answers, as the default would with a short life of answers. */
export function settleCache(migration: Migration): void {
  const longest = migration.valueOf("cache.maxTtlSeconds");
  const denials = migration.valueOf("cache.maxDenialTtlSeconds") ?? defaultSettings().cache.maxDenialTtlSeconds;
  if (typeof longest === "number" && Number(denials) > longest) migration.cap("cache.maxDenialTtlSeconds", longest);
}

type Kind = keyof typeof defaultTtlSeconds;

function migrateTtl(
  kind: Kind,
  cache: Directive,
  overall: number | undefined,
  isCluster: boolean,
  migration: Migration,
): void {
  const option = cache.block.find(({ name }) => name === kind);
  const line = option?.line ?? cache.line;
  const own = option?.arguments[1];
  const written = own === undefined ? overall : wholeNumber(own);
  if (own !== undefined && written === undefined) {
    migration.lose(line, `cache ${kind}`, `"${own}" is not a number of seconds`);
  } else if (written !== undefined) setTtl(kind, written, isCluster, line, migration);
  // For the cluster's own names the default of nodens is shorter.
  else if (kind === "success" || !isCluster) setTtl(kind, defaultTtlSeconds[kind], isCluster, line, migration);
}

function setTtl(kind: Kind, seconds: number, isCluster: boolean, line: number, migration: Migration): void {
  if (kind === "success") migration.setLowest("cache.maxTtlSeconds", seconds, line);
  else if (isCluster) migration.setLowest("cache.maxClusterDenialTtlSeconds", seconds, line);
  else migration.setLowest("cache.maxDenialTtlSeconds", seconds, line);
}

function migrateOption(option: Directive, isCluster: boolean, migration: Migration): void {
  const { name, line } = option;
  switch (name) {
    case "success":
    case "denial":
      noteCapacity(option, migration);
      break;
    case "prefetch":
      if (option.arguments[0] === "0") break;
      migration.set("cache.prefetch", true, line);
      migration.note(line, "cache prefetch", "nodens decides by itself which names are hot");
      break;
    case "serve_stale":
      migrateStale(option, migration);
      break;
    case "servfail": {
      const seconds = readSeconds(option.arguments[0] ?? "", line, name, migration);
      if (seconds === undefined) break;
      migration.setLowest("cache.maxFailureTtlSeconds", seconds, line);
      const leastSeconds = limitsOf("cache.maxFailureTtlSeconds").min;
      if (seconds < leastSeconds)
        migration.note(line, "cache servfail", `nodens remembers a failure for at least ${leastSeconds} s`);
      break;
    }
    case "disable":
      migrateDisable(option, isCluster, migration);
      break;
    case "keepttl":
      migration.lose(line, "cache keepttl", "clients always see the TTL that is left");
      break;
    case "serve_stale_policy":
      migration.note(
        line,
        "cache serve_stale_policy",
        "nodens gives stale answers only when the upstream fails or is slow",
      );
      break;
    default:
      migration.lose(line, `cache ${name}`, "nodens migrate does not know this option");
  }
}

function noteCapacity({ name, line, arguments: [, , leastTtl] }: Directive, migration: Migration): void {
  const message = "nodens counts bytes, not entries; see cache.answersBytes and cache.denialsBytes";
  migration.note(line, `cache ${name}`, message);
  if (leastTtl !== undefined) {
    migration.note(line, `cache ${name}`, "nodens does not raise short TTLs");
  }
}

function migrateStale({ arguments: [duration = "1h", mode], line }: Directive, migration: Migration): void {
  const seconds = readSeconds(duration, line, "serve_stale", migration);
  if (seconds !== undefined) migration.setLowest("cache.staleSeconds", seconds, line);
  if (mode?.toLowerCase() === "verify") return;
  const message =
    "nodens gives a stale answer when the upstream fails or takes longer than cache.staleAfterMs, not at once";
  migration.note(line, "cache serve_stale", message);
}

function migrateDisable(
  { arguments: [kind, ...zones], line }: Directive,
  isCluster: boolean,
  migration: Migration,
): void {
  if (kind === "denial" && zones.length === 0) setTtl("denial", 0, isCluster, line, migration);
  else migration.lose(line, "cache disable", "nodens always remembers answers, for as long as their TTL says");
}

function readSeconds(text: string, line: number, option: string, migration: Migration): number | undefined {
  const seconds = secondsOf(text);
  if (seconds === undefined) migration.lose(line, `cache ${option}`, `"${text}" is not a duration`);
  return seconds;
}

/** Go's durations ("1h30m", "5s", "0") in whole seconds, or undefined. */
export function secondsOf(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/.test(text)) return undefined;
  const factors: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };
  const parts = [...text.matchAll(/([\d.]+)(h|ms|m|s)/g)];
  return Math.round(parts.reduce((sum, [, amount, unit = "s"]) => sum + Number(amount) * (factors[unit] ?? 1), 0));
}

/** A number as CoreDNS writes it, or undefined. */
export function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
