/*
 * What a client may find after a name is denied: the names that its resolver asks for next. A resolver appends the suffixes of its search list
 * one by one, and only the client knows which of them it appended to a name:
 *
 *      web.shop.apps.svc.Z     may be web.shop with apps.svc.Z, web.shop.apps with svc.Z, or web.shop.apps.svc with Z
 */
import { equalOctets, isAtOrBelow } from "../wire/name.ts";
import { createClusterName, isLabel, labelOffset, readClusterName, wireLabel } from "./cluster-name.ts";

/**
 * The names that a client may ask for once `name` is denied, by each reading of it: the later suffixes of the usual search list (those of
 * the zone, then `suffixes`, the pods' further ones, in their order), and the name without any. All names are folded, in wire form; those
 * returned are new arrays. Empty for a name under no suffix.
 */
export function laterNames(name: Uint8Array, zone: Uint8Array, suffixes: readonly Uint8Array[]): readonly Uint8Array[] {
  const list = [...zoneSuffixesOf(name, zone), ...suffixes];
  return list.flatMap((suffix, index) => {
    if (!isAtOrBelow(name, suffix) || equalOctets(name, 0, suffix)) return [];
    const base = name.subarray(0, name.length - suffix.length);
    return [...list.slice(index + 1), root].map((later) => withSuffix(base, later));
  });
}

const root = Uint8Array.of(0);

/** `ns.svc.Z`, `svc.Z` and Z, as far as the name ends in them. */
function zoneSuffixesOf(name: Uint8Array, zone: Uint8Array): Uint8Array[] {
  const view = createClusterName();
  readClusterName(name, name.length, zone, view);
  if (view.shape === "elsewhere") return [zone];
  const isUnderServices = view.labelCount >= 2 && isLabel(view, labelOffset(view, 1), svc);
  const deepest = isUnderServices ? Math.min(view.labelCount, 2) : 0;
  return [
    ...[2, 1].filter((labels) => labels <= deepest).map((labels) => name.subarray(labelOffset(view, labels))),
    zone,
  ];
}

const svc = wireLabel("svc");

/** The name of these labels (wire form, without the root) with a suffix, or the root, after them: a new array. */
export function withSuffix(labels: Uint8Array, rest: Uint8Array): Uint8Array {
  const name = new Uint8Array(labels.length + rest.length);
  name.set(labels);
  name.set(rest, labels.length);
  return name;
}
