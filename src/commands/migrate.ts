/* `nodens migrate FILE`: settings from a Corefile, or from a ConfigMap with one or with kube-dns's own keys. */
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import { readCorefile } from "./corefile.ts";
import { ExitCode } from "./exit-code.ts";
import { migrateCorefile } from "./migrate-corefile.ts";
import { createMigration, type Migration } from "./migration.ts";

/** What `migrate` needs. Both functions get whole lines, with their line ends. */
export interface MigrateOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** Throws the system's error. "-" is standard input. */
  readonly readFile?: (path: string) => string;
}

/**
 * Writes settings, and as errors what was not carried over, a line each. Returns the exit code: 0, 65 when something was lost
 * that changes answers, 78 when the file cannot be read.
 */
export function migrate(path: string, { env, write, writeError, readFile = readText }: MigrateOptions): number {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    writeError(`nodens: cannot read ${path}: ${(error as Error).message}\n`);
    return ExitCode.configuration;
  }
  const migration = createMigration();
  const source = path === "-" ? "standard input" : path;
  const sources = findSources(text);
  if (sources.length === 0) {
    writeError(`${source}: has neither a Corefile nor stubDomains or upstreamNameservers\n`);
    return ExitCode.configuration;
  }
  for (const { kind, content } of sources) {
    const problem =
      kind === "Corefile" ? takeCorefile(content, env, migration) : takeKubeDnsKey(kind, content, migration);
    if (problem === undefined) continue;
    writeError(`${source}${problem}\n`);
    return ExitCode.configuration;
  }
  write(migration.toYaml(source));
  for (const { line, what, message, isLoss } of migration.remarks()) {
    const place = line === undefined ? source : `${source}:${line}`;
    writeError(`${place}: ${what}: ${isLoss ? "LOST: " : ""}${message}\n`);
  }
  return migration.remarks().some(({ isLoss }) => isLoss) ? ExitCode.incomplete : ExitCode.ok;
}

type SourceKind = "Corefile" | "stubDomains" | "upstreamNameservers" | "federations";
const kubeDnsKeys = ["stubDomains", "upstreamNameservers", "federations"] as const;

/** Lines count within the Corefile, also where it stands in a ConfigMap. */
function findSources(text: string): { kind: SourceKind; content: string }[] {
  const maps = configMapsIn(text);
  if (maps.length === 0) return /[{}]/.test(text) ? [{ kind: "Corefile", content: text }] : [];
  return maps.flatMap((data) => {
    const corefile = data["Corefile"];
    const keys = kubeDnsKeys.flatMap((kind) => {
      const content = data[kind];
      return typeof content === "string" ? [{ kind, content }] : [];
    });
    return typeof corefile === "string" ? [{ kind: "Corefile" as const, content: corefile }, ...keys] : keys;
  });
}

interface ManifestLike {
  readonly kind?: unknown;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly items?: readonly ManifestLike[];
}

/** The data of every ConfigMap in YAML or JSON; none when the text is something else. */
function configMapsIn(text: string): Readonly<Record<string, unknown>>[] {
  try {
    const documents = parseAllDocuments(text, { logLevel: "silent" });
    if (!Array.isArray(documents)) return [];
    const manifests = documents.flatMap((document): ManifestLike[] => {
      if (document.errors.length > 0) return [];
      const manifest = document.toJS() as ManifestLike | null;
      return typeof manifest === "object" && manifest !== null ? [manifest, ...(manifest.items ?? [])] : [];
    });
    return manifests.flatMap(({ kind, data }) => (kind === "ConfigMap" && typeof data === "object" ? [data] : []));
  } catch {
    return [];
  }
}

/** What is broken, from the place on; undefined when all could be read. */
function takeCorefile(text: string, env: MigrateOptions["env"], migration: Migration): string | undefined {
  const corefile = readCorefile(text, env);
  if (corefile.broken !== undefined) return `:${corefile.broken.line}: ${corefile.broken.message}`;
  if (corefile.blocks.length === 0) return ": the Corefile has no server block";
  migrateCorefile(corefile, migration);
  return undefined;
}

/** kube-dns has JSON in its keys: a map of zones to servers, a list of servers. */
function takeKubeDnsKey(
  kind: Exclude<SourceKind, "Corefile">,
  content: string,
  migration: Migration,
): string | undefined {
  if (kind === "federations") {
    migration.lose(undefined, kind, "there is nothing like it");
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(content);
    if (kind === "upstreamNameservers") migration.setServers("upstream.outsideServers", textsOf(value), 1);
    else {
      for (const [zone, servers] of Object.entries(value as object)) {
        migration.setServers(`upstream.stubDomains.${zone}`, textsOf(servers), 1);
      }
    }
    return undefined;
  } catch (error) {
    return `: ${kind} is not as kube-dns has it: ${(error as Error).message}`;
  }
}

function textsOf(value: unknown): string[] {
  if (!Array.isArray(value) || value.some((one) => typeof one !== "string"))
    throw new Error("a list of addresses is wanted");
  return value as string[];
}

const standardInput = 0;

function readText(path: string): string {
  return readFileSync(path === "-" ? standardInput : path, "utf8");
}
