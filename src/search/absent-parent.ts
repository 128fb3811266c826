/*
 * Search rule 2: a namespace or a Service that is denied for A or AAAA has nothing below it. Which parents a name has, and which
 * of them is worth asking in the name's place: for a name that looks like an outside one, because one denial of `com.default.svc.Z`
 * covers every `*.com` that the namespace will ask.
 *
 * Exactly these two levels: CoreDNS denies other names that have children (`_tcp.<service>`, `dns.Z`).
 */
import { type ClusterName, labelOffset } from "./cluster-name.ts";
import { readU8 } from "../wire/octets.ts";

/** How many labels left of Z a parent has: the namespace node `ns.svc.Z`, the Service node `s.ns.svc.Z`. */
export const ParentLevel = { namespace: 2, service: 3 } as const;

/** One of the two levels. */
export type ParentLevel = (typeof ParentLevel)[keyof typeof ParentLevel];

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

/** Where the parent's name starts in the name: the rest of it, from there on, is the parent. */
export function parentOffset(view: ClusterName, level: ParentLevel): number {
  return labelOffset(view, level);
}

/**
 * The level whose node is to be asked in the name's place, or undefined. The name looks like an outside one when its last label
 * before the suffix is a top-level domain: for `baidu.com.svc.Z` that is where a namespace stands, for `baidu.com.default.svc.Z`
 * where a Service does.
 */
export function parentToAsk(view: ClusterName, isTopLevelDomain: (label: string) => boolean): ParentLevel | undefined {
  for (const level of [ParentLevel.namespace, ParentLevel.service]) {
    if (isBelow(view, level) && isTopLevelDomain(labelText(view, labelOffset(view, level)))) return level;
  }
  return undefined;
}

/** Whether the last label before one of the three usual suffixes is a top-level domain: Z itself, `svc.Z`, or `ns.svc.Z`. */
export function looksLikeOutsideName(view: ClusterName, isTopLevelDomain: (label: string) => boolean): boolean {
  if (view.shape === "foreign") return isTopLevelDomain(labelText(view, labelOffset(view, 1)));
  return parentToAsk(view, isTopLevelDomain) !== undefined;
}

function isUnderServices(view: ClusterName): boolean {
  // "svc" and "pod" are the only labels that lead to these shapes, and they differ in the first letter.
  return readU8(view.octets, labelOffset(view, 1) + 1) === 0x73;
}

function labelText(view: ClusterName, offset: number): string {
  const size = readU8(view.octets, offset);
  return String.fromCharCode(...view.octets.subarray(offset + 1, offset + 1 + size));
}
