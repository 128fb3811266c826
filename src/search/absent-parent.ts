/*
 * Search rule 2: a namespace or a Service that is denied for A or AAAA has nothing below it. This file says which parents a name
 * has, and which of them looks like the end of an outside name: that is asked in the name's place, because one denial of
 * `com.default.svc.Z` covers every `*.com` that the namespace will ask for.
 *
 * Only these two levels count: CoreDNS denies other names that have children (`_tcp.<service>`, `dns.Z`).
 */
import { type ClusterName, labelOffset } from "./cluster-name.ts";
import { readU8 } from "../wire/octets.ts";
import { labelText } from "./label-text.ts";

/** The two levels of parents, as the number of labels left of Z: the namespace node `ns.svc.Z`, and the Service node `s.ns.svc.Z`. */
export const ParentLevel = { namespace: 2, service: 3 } as const;

/** One of the two levels. */
export type ParentLevel = (typeof ParentLevel)[keyof typeof ParentLevel];

/** Both, the higher one first. */
export const parentLevels: readonly ParentLevel[] = [ParentLevel.namespace, ParentLevel.service];

/** Whether the name lies strictly below the node of this level. */
export function isBelow(view: ClusterName, level: ParentLevel): boolean {
  if (view.shape === "service") return level === ParentLevel.namespace;
  return view.shape === "endpoint" || view.shape === "port" || view.shape === "tooLong" ? isUnderServices(view) : false;
}

/** Whether the name is the node of this level, or lies below it. */
export function isNodeOrBelow(view: ClusterName, level: ParentLevel): boolean {
  const isNode = level === ParentLevel.service ? view.shape === "service" : view.shape === "namespace";
  return isBelow(view, level) || (isNode && isUnderServices(view));
}

/** The offset at which the parent starts in the name. Only for a name that is at or below the node of this level. */
export function parentOffset(view: ClusterName, level: ParentLevel): number {
  return labelOffset(view, level);
}

/**
 * The level at which the name looks like an outside one, with a top-level domain as its last label before the suffix; undefined if it does
 * not. In `baidu.com.svc.Z` that label takes the place of a namespace, in `baidu.com.default.svc.Z` that of a Service.
 */
export function outsideLevel(view: ClusterName, isTopLevelDomain: (label: string) => boolean): ParentLevel | undefined {
  for (const level of parentLevels) {
    if (isBelow(view, level) && startsOutsideName(view, level, isTopLevelDomain)) return level;
  }
  return undefined;
}

/** Whether the first label of this level's node is a top-level domain. Only for a name below it. */
export function startsOutsideName(
  view: ClusterName,
  level: ParentLevel,
  isTopLevelDomain: (label: string) => boolean,
): boolean {
  return isTopLevelDomain(labelText(view.octets, labelOffset(view, level)));
}

/** Whether the last label before one of the three usual suffixes (Z itself, `svc.Z`, `ns.svc.Z`) is a top-level domain. */
export function looksLikeOutsideName(view: ClusterName, isTopLevelDomain: (label: string) => boolean): boolean {
  if (view.shape === "foreign") return isTopLevelDomain(labelText(view.octets, labelOffset(view, 1)));
  return outsideLevel(view, isTopLevelDomain) !== undefined;
}

function isUnderServices(view: ClusterName): boolean {
  // Only "svc" and "pod" lead to these shapes, and they differ in the first letter.
  return readU8(view.octets, labelOffset(view, 1) + 1) === 0x73;
}
