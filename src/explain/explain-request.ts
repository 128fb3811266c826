/*
 * Reads what `explain` is asked, by a command line or an admin request: a name, and the search list of the pod that looks it up.
 */
import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { maxNdots, maxSearchDomains } from "../settings/resolv-conf.ts";
import type { SearchPath } from "./lookup-plan.ts";
import { isHostLabel, nameFromText } from "../wire/name-text.ts";

/** A lookup to explain. */
export interface ExplainRequest {
  /** As it was written, final dot included. */
  readonly name: string;
  readonly path: SearchPath;
}

/** The same as text, as far as it was given. `search` overrides the search list that follows from `namespace`. */
export interface ExplainWords {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly search?: readonly string[] | undefined;
  readonly ndots?: string | undefined;
}

/** The `ndots` that kubelet writes into a pod's resolv.conf. */
const kubeletNdots = 5;

/** The longest search list that the Kubernetes API allows, in characters. */
const maxSearchLength = 2048;

/** Checks the words. `wrong` is a message that says which of them cannot be used, and why. Without `namespace`, it is "default". */
export function readExplainRequest(
  words: ExplainWords,
  clusterDomain: string,
): ExplainRequest | { readonly wrong: string } {
  const { name, namespace = "default", search, ndots } = words;
  const wrong =
    wrongName(name) ??
    wrongNamespace(namespace) ??
    (search === undefined ? undefined : wrongSearch(search)) ??
    (ndots === undefined ? undefined : wrongNdots(ndots));
  if (wrong !== undefined) return { wrong };
  const suffixes = search ?? podSearchList(namespace.toLowerCase(), clusterDomain);
  return { name, path: { suffixes, ndots: ndots === undefined ? kubeletNdots : Number(ndots) } };
}

/** The search list of a pod in `namespace`, without the suffixes of its node. */
export function podSearchList(namespace: string, clusterDomain: string): string[] {
  return [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
}

function wrongName(name: string): string | undefined {
  if (name === "") return "no name to explain";
  if (isIP(name) !== 0) return `'${name}' is an IP address: resolvers do not look those up`;
  const ascii = /[^ -~]/.test(name) ? domainToASCII(name) : "";
  if (ascii !== "") return `'${name}' is not ASCII: ask for ${ascii}`;
  if (isName(name) && name !== ".") return undefined;
  return `${show(name)} is not a name that programs look up: use labels of 1 to 63 characters, at most 253 in all`;
}

function wrongNamespace(namespace: string): string | undefined {
  if (isHostLabel(namespace)) return undefined;
  return `${show(namespace)} is not a namespace: use one label of 1 to 63 letters, digits and dashes`;
}

function wrongSearch(search: readonly string[]): string | undefined {
  if (search.length > maxSearchDomains) return `${search.length} suffixes are too many: at most ${maxSearchDomains}`;
  if (search.join(" ").length > maxSearchLength) return `the search list is longer than ${maxSearchLength} characters`;
  const bad = search.find((suffix) => suffix !== "." && !isName(suffix));
  return bad === undefined ? undefined : `${show(bad)} in the search list is not a domain name`;
}

function wrongNdots(ndots: string): string | undefined {
  if (/^\d{1,2}$/.test(ndots) && Number(ndots) <= maxNdots) return undefined;
  return `${show(ndots)} is not a value for ndots: use 0 to ${maxNdots}`;
}

/** Printable ASCII without escapes, since resolvers count dots in the text as written. */
function isName(text: string): boolean {
  return text.length <= 255 && /^[!-[\]-~]+$/.test(text) && nameFromText(text) !== undefined;
}

function show(text: string): string {
  const short = text.length <= 80 ? text : `${text.slice(0, 77)}...`;
  // The text ends up on a terminal.
  return `'${short.replaceAll(/[^ -~]/g, "?")}'`;
}
