/*
 * resolv.conf as the resolvers in pods read it: one keyword a line, in the first column; the last `search` or `domain` wins;
 * comments are lines of their own. What a resolver would silently skip is reported: whoever wrote it expected it to work.
 */
import { isIP } from "node:net";
import { type Problem, showValue } from "./problem.ts";

/** The options of resolv.conf, defaults included. */
export interface ResolvOptions {
  readonly ndots: number;
  readonly timeoutSeconds: number;
  readonly attempts: number;
  /** Options without a number, in their order: "use-vc", "single-request", "edns0" … */
  readonly switches: readonly string[];
}

/** What a resolv.conf says. */
export interface ResolvConf {
  /** The first three, as IP literals: resolvers do not ask more. */
  readonly nameservers: readonly string[];
  /** Suffixes in their order, without final dots ("." for the root). */
  readonly search: readonly string[];
  readonly options: ResolvOptions;
  /** What was skipped, or means less than it says, from top to bottom. */
  readonly problems: readonly Problem[];
}

const maxNameservers = 3;

/** The most suffixes that a search list may have; the Kubernetes API allows as many. */
export const maxSearchDomains = 32;

/** The largest ndots that resolvers take; more counts as this. */
export const maxNdots = 15;

/** The numbered options, with their defaults and the most that glibc takes. */
const numbers = {
  ndots: { default: 1, most: maxNdots },
  timeout: { default: 5, most: 30 },
  attempts: { default: 2, most: 5 },
} as const;

/** Switches that glibc knows. musl reads only `ndots`, `timeout` and `attempts`. */
const knownSwitches = new Set([
  "debug",
  "edns0",
  "inet6",
  "insecure1",
  "insecure2",
  "no-aaaa",
  "no-check-names",
  "no-reload",
  "no-tld-query",
  "rotate",
  "single-request",
  "single-request-reopen",
  "trust-ad",
  "use-vc",
]);

/** Reads the text of a resolv.conf. Never throws: what cannot be used is in `problems`, with its line in `file`. */
export function parseResolvConf(text: string, file: string): ResolvConf {
  const problems: Problem[] = [];
  const nameservers: string[] = [];
  const values: Record<keyof typeof numbers, number> = {
    ndots: numbers.ndots.default,
    timeout: numbers.timeout.default,
    attempts: numbers.attempts.default,
  };
  const switches = new Set<string>();
  let search: readonly string[] = [];
  let line = 0;

  for (const content of text.split("\n")) {
    line += 1;
    readLine(content.replace(/\r$/, ""));
  }
  const { ndots, timeout, attempts } = values;
  const options = { ndots, timeoutSeconds: timeout, attempts, switches: [...switches] };
  return { nameservers, search, options, problems };

  function report(setting: string, wrong: string, allowed?: string): void {
    problems.push({ place: { file, line }, setting, wrong, ...(allowed === undefined ? {} : { allowed }) });
  }

  function readLine(content: string): void {
    if (content.trim() === "" || /^\s*[#;]/.test(content)) return;
    if (/^\s/.test(content)) return report("", "begins with a space, so resolvers skip the line");
    const [keyword = "", ...words] = content.trim().split(/\s+/);
    const args = withoutComment(keyword, words);
    if (args.length === 0) return report(keyword, "has no value");
    if (keyword === "nameserver") return readNameserver(args[0] ?? "");
    if (keyword === "search") return readSearch(args);
    if (keyword === "domain") return readSearch(args.slice(0, 1));
    if (keyword === "options") return args.forEach(readOption);
    // glibc reads it; nothing here depends on it.
    if (keyword === "sortlist") return;
    return report(
      "",
      `has the keyword ${showValue(keyword)}, which resolvers do not know`,
      "nameserver, search, domain, options",
    );
  }

  function withoutComment(keyword: string, words: readonly string[]): readonly string[] {
    const start = words.findIndex((word) => /^[#;]/.test(word));
    if (start === -1) return words;
    report(keyword, "is followed by a comment, which resolvers would read as values; nodens skips it");
    return words.slice(0, start);
  }

  function readNameserver(address: string): void {
    if (isIP(address) === 0) return report("nameserver", `is ${showValue(address)}`, "an IP address");
    if (nameservers.length < maxNameservers) nameservers.push(address);
    else report("nameserver", `is not among the first ${maxNameservers}; resolvers ask only those`);
    return undefined;
  }

  function readSearch(domains: readonly string[]): void {
    const good = domains.filter((domain) => {
      const isGood = isDomain(domain);
      if (!isGood) report("search", `has ${showValue(domain)}`, "domain names");
      return isGood;
    });
    if (good.length > maxSearchDomains) report("search", `has ${good.length} domains`, `at most ${maxSearchDomains}`);
    search = good.slice(0, maxSearchDomains).map((domain) => (domain === "." ? domain : domain.replace(/\.$/, "")));
  }

  function readOption(word: string): void {
    const [, name = word, digits] = /^([a-z-]+):(\d{1,9})$/.exec(word) ?? [];
    if (isNumbered(name)) {
      const { most } = numbers[name];
      if (digits === undefined) return report(`options ${name}`, `is ${showValue(word)}`, `${name}: and a number`);
      const value = Number(digits);
      if (value > most) report(`options ${name}`, `is ${value}, and counts as ${most}`, `0 to ${most}`);
      values[name] = Math.min(value, most);
      return undefined;
    }
    // glibc's old spelling.
    if (word === "ip6-dotint" || word === "no-ip6-dotint") return undefined;
    if (!knownSwitches.has(word)) return report("options", `has ${showValue(word)}, which resolvers do not know`);
    switches.add(word);
    return undefined;
  }
}

function isNumbered(name: string): name is keyof typeof numbers {
  return Object.hasOwn(numbers, name);
}

/** Printable ASCII, labels of 1 to 63, at most 253 in all. */
function isDomain(text: string): boolean {
  if (text === ".") return true;
  const bare = text.replace(/\.$/, "");
  return bare.length <= 253 && /^[!-~]+$/.test(bare) && bare.split(".").every((label) => /^.{1,63}$/.test(label));
}
