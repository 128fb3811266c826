/*
 * The outside name in a query with a search suffix: `www.example.com` in `www.example.com.default.svc.Z`. Only the first suffix of a
 * pod's search list counts, the one with its namespace: the later ones are tried only if that one was denied.
 */
import { type ClusterName, createClusterName, labelOffset, readClusterName } from "./cluster-name.ts";
import { withSuffix } from "./later-names.ts";
import { ParentLevel, outsideLevel } from "./absent-parent.ts";

/**
 * The names that a client with the usual search list would ask for next, in its order, and the outside name itself, which comes last:
 * folded, in wire form, new arrays. `name`, `zone` and `suffixes`, the pods' further suffixes, are folded and in wire form too.
 * Undefined when the name does not have the first suffix, or does not end in a top-level domain before it.
 */
export function laterSteps(
  name: Uint8Array,
  zone: Uint8Array,
  suffixes: readonly Uint8Array[],
  isTopLevelDomain: (label: string) => boolean,
): { readonly suffixed: readonly Uint8Array[]; readonly outside: Uint8Array } | undefined {
  const view = createClusterName();
  readClusterName(name, name.length, zone, view);
  if (!hasNamespaceSuffix(view, isTopLevelDomain)) return undefined;
  const base = name.subarray(0, labelOffset(view, ParentLevel.namespace));
  const svcAndZone = name.subarray(labelOffset(view, 1));
  const suffixed = [svcAndZone, zone, ...suffixes].map((suffix) => withSuffix(base, suffix));
  return { suffixed, outside: withSuffix(base, Uint8Array.of(0)) };
}

/** If the suffix were `svc.Z` or Z, the top-level domain would be where the namespace is, or nearer to Z. */
function hasNamespaceSuffix(view: ClusterName, isTopLevelDomain: (label: string) => boolean): boolean {
  return outsideLevel(view, isTopLevelDomain) === ParentLevel.service;
}
