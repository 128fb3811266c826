/*
 * The suffixes that pods append besides those of the cluster: kubelet passes on those of the node's resolv.conf.
 */
import { readFileSync } from "node:fs";
import { parseResolvConf } from "./resolv-conf.ts";
import type { Settings } from "./settings-table.ts";

/**
 * The configured suffixes or, without any, those of the file `search.resolvConf`, without the cluster's own; in lower case.
 * None when there is no such file: a container may lack one, and then pods have no further suffix.
 */
export function hostSuffixes(
  { search, cluster }: Settings,
  readFile: (path: string) => string = (path) => readFileSync(path, "utf8"),
): readonly string[] {
  if (search.suffixes.length > 0 || search.resolvConf === "") return search.suffixes;
  const suffixes = parseResolvConf(readText(search.resolvConf, readFile), search.resolvConf).search;
  return suffixes
    .map((suffix) => suffix.toLowerCase())
    .filter((suffix) => suffix !== "." && !`.${suffix}`.endsWith(`.${cluster.domain}`));
}

function readText(path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path);
  } catch {
    return "";
  }
}
