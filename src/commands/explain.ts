/*
 * `nodens explain NAME`: what a pod goes through to look up a name, and what nodens does with each of its queries.
 */
import { readFileSync } from "node:fs";
import { formatProblem } from "../settings/problem.ts";
import { defaultClusterDomain } from "../settings/command-defaults.ts";
import { parseResolvConf } from "../settings/resolv-conf.ts";
import { nameFromText, nameToText } from "../wire/name-text.ts";
import type { askExplanation } from "../explain/ask-explanation.ts";
import { adminPlaceFrom, wrongPlaceText } from "./admin-place.ts";
import { ExitCode } from "./exit-code.ts";
import type { Explanation } from "../explain/explain-lookup.ts";
import { type ExplainRequest, readExplainRequest } from "../explain/explain-request.ts";
import { printExplanation } from "../explain/print-explanation.ts";

/** The flags of `explain`, as the command line has them. */
export interface ExplainFlags {
  /** A resolv.conf to use in place of the one that kubelet would write. */
  readonly resolvConf?: string | undefined;
  readonly namespace: string;
  readonly clusterDomain?: string | undefined;
  /** "ADDR:PORT", an address alone, which means the default port, or the path of a Unix socket. */
  readonly against?: string | undefined;
  readonly json?: boolean | undefined;
  readonly color: boolean;
}

/** What `explain` needs from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface ExplainOptions {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** What explains. What serves has loaded most of it, so the process that runs this has it too, and need not load it once more. */
  readonly explainByRules: (request: ExplainRequest, clusterDomain: string) => Promise<Explanation>;
  readonly askExplanation: typeof askExplanation;
  /** Whether the output goes to a terminal that shows colours. */
  readonly hasColours: boolean;
  /** Throws what readFileSync throws. */
  readonly readFile?: (filePath: string) => string;
}

const timeoutMs = 3000;

/** Larger than any resolv.conf that a resolver reads whole. */
const maxFileLength = 65_536;

/**
 * Explains and prints. Resolves with the exit code: 0 with a picture or JSON written; 64 for a name, namespace or address that cannot
 * be used; 69 when no nodens explains at the admin address; 78 for a file that cannot be read. Doubtful lines of the file are
 * written as warnings.
 */
export async function explain(name: string, flags: ExplainFlags, options: ExplainOptions): Promise<number> {
  const outcome = await explainWith(name, flags, options);
  if ("failure" in outcome) {
    options.writeError(`nodens: ${outcome.failure}\n`);
    return outcome.exitCode;
  }
  const { explanation } = outcome;
  const text =
    flags.json === true
      ? `${JSON.stringify(explanation, undefined, 2)}\n`
      : printExplanation(explanation, options.hasColours && flags.color);
  options.write(text);
  return ExitCode.ok;
}

interface Failure {
  readonly failure: string;
  readonly exitCode: number;
}

async function explainWith(
  name: string,
  flags: ExplainFlags,
  options: ExplainOptions,
): Promise<{ readonly explanation: Explanation } | Failure> {
  const file = flags.resolvConf === undefined ? undefined : readResolvConf(flags.resolvConf, options);
  if (file !== undefined && "failure" in file) return file;
  const wanted = flags.clusterDomain ?? clusterDomainIn(file?.search ?? []) ?? defaultClusterDomain;
  const clusterDomain = domainFrom(wanted);
  if (clusterDomain === undefined) return usage(`'${wanted}' is not a domain name that a cluster can have`);
  const words = { name, namespace: flags.namespace, search: file?.search, ndots: file?.ndots };
  const request = readExplainRequest(words, clusterDomain);
  if ("wrong" in request) return usage(request.wrong);
  if (flags.against === undefined) return { explanation: await options.explainByRules(request, clusterDomain) };
  // When no flag says anything about the search list, the running nodens knows its cluster's domain better.
  const isOurSearch = file !== undefined || flags.clusterDomain !== undefined;
  return explainAgainst(flags.against, request, isOurSearch ? undefined : flags.namespace, options);
}

/** Asks the nodens at `against`. Given a namespace, it makes the search list itself. */
async function explainAgainst(
  against: string,
  { name, path }: ExplainRequest,
  namespace: string | undefined,
  { askExplanation }: ExplainOptions,
): Promise<{ readonly explanation: Explanation } | Failure> {
  const place = adminPlaceFrom(against);
  if (place === undefined) return usage(wrongPlaceText(against));
  const parameters = new URLSearchParams({ name, ndots: String(path.ndots) });
  if (namespace === undefined) parameters.set("search", path.suffixes.join(" "));
  else parameters.set("namespace", namespace);
  const asked = await askExplanation(place, parameters, timeoutMs);
  if ("explanation" in asked) return asked;
  return { failure: asked.failure, exitCode: asked.isRefused ? ExitCode.usage : ExitCode.unavailable };
}

function usage(failure: string): Failure {
  return { failure, exitCode: ExitCode.usage };
}

function readResolvConf(
  filePath: string,
  { readFile = (path) => readFileSync(path, "utf8"), writeError }: ExplainOptions,
): { readonly search: readonly string[]; readonly ndots: string } | Failure {
  let text: string;
  try {
    text = readFile(filePath);
  } catch (error) {
    return { failure: `cannot read ${filePath}: ${(error as Error).message}`, exitCode: ExitCode.configuration };
  }
  if (text.length > maxFileLength)
    return { failure: `${filePath} is not a resolv.conf: it is too long`, exitCode: ExitCode.configuration };
  const { search, options, problems } = parseResolvConf(text, filePath);
  for (const problem of problems) writeError(`${formatProblem(problem)} (warning)\n`);
  return { search, ndots: String(options.ndots) };
}

/** The Z of the suffix `svc.Z`, which every pod of a cluster has. */
function clusterDomainIn(search: readonly string[]): string | undefined {
  return search.find((suffix) => /^svc\./i.test(suffix))?.slice("svc.".length);
}

/** The domain in lower case, without its final dot; undefined for text that is not one. */
function domainFrom(text: string): string | undefined {
  const name = /^[!-[\]-~]+$/.test(text) && text !== "." ? nameFromText(text) : undefined;
  return name === undefined ? undefined : nameToText(name);
}
