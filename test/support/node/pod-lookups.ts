/*
 * Lookups in a pod of a bed, with getaddrinfo and the pod's own resolv.conf.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BedHost } from "./node-bed.ts";
import { podSearchList } from "../servers/search-zone.ts";

/** A resolv.conf as kubelet writes it, in a folder that `remove` removes. */
export interface PodResolvConf {
  readonly path: string;
  remove(): void;
}

/** Writes one with `nameserver`, and with the search list of a pod in the namespace default or another one. `options` are added to kubelet's. */
export function writeResolvConf(
  nameserver: string,
  searchList: readonly string[] = podSearchList,
  options = "",
): PodResolvConf {
  const folder = mkdtempSync(join(tmpdir(), "nodens-resolv-"));
  const path = join(folder, "resolv.conf");
  writeFileSync(path, `nameserver ${nameserver}\nsearch ${searchList.join(" ")}\noptions ndots:5 ${options}\n`);
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Looks up `names` in the pod, one after the other: what the client printed for each, "ok ADDRESS …" or "error …". */
export async function lookUpInPod(
  pod: BedHost,
  client: string,
  resolvConf: PodResolvConf,
  names: readonly string[],
): Promise<string[]> {
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  const args = ["--mount", "sh", "-c", script, resolvConf.path, client, ...names];
  const { code, stdout, stderr } = await pod.run("unshare", args);
  if (code !== 0) throw new Error(`lookups in ${pod.namespace} failed: ${stderr}`);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.slice(line.indexOf(" ") + 1));
}
