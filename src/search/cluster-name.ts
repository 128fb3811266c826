/*
 * A name under the cluster zone Z, read as a CoreDNS `kubernetes` zone reads it, from right to left:
 *
 *      [endpoint | port protocol] service namespace svc Z
 *                             ip namespace pod Z
 *
 * On the hot path: one view is refilled for every name, and nothing is allocated.
 */
import { equalOctets } from "../wire/name.ts";
import { readU8 } from "../wire/octets.ts";

/** What a name can be in relation to Z. */
export type ClusterNameShape =
  /** Not at or below Z. */
  | "elsewhere"
  /** Z itself. */
  | "apex"
  /** The last label before Z is neither `svc` nor `pod`. */
  | "foreign"
  /** `svc.Z` or `pod.Z`. */
  | "branch"
  /** `namespace.svc.Z` or `namespace.pod.Z`. */
  | "namespace"
  /** `service.namespace.svc.Z`. */
  | "service"
  /** `endpoint.service.namespace.svc.Z`. */
  | "endpoint"
  /** `port.protocol.service.namespace.svc.Z`. */
  | "port"
  /** More labels than any Service name has. */
  | "tooLong"
  /** `ip.namespace.pod.Z`, with up to two labels before it that CoreDNS ignores. */
  | "pod";

/** A name taken apart. Valid until the next name is read into it, or the octets change. */
export interface ClusterName {
  shape: ClusterNameShape;
  /** The folded name that was read: the reader's array, not a copy, and how many of its octets are the name. */
  octets: Uint8Array;
  sizeBytes: number;
  /** Where each label left of Z starts (at its length octet), leftmost first. Only the first `labelCount` are valid. */
  readonly labelOffsets: Uint8Array;
  labelCount: number;
}

/** Creates an empty view. */
export function createClusterName(): ClusterName {
  return {
    shape: "elsewhere",
    octets: new Uint8Array(0),
    sizeBytes: 0,
    labelOffsets: new Uint8Array(128),
    labelCount: 0,
  };
}

/** Reads the well-formed folded name in the first `sizeBytes` of `octets`, relative to `zone` (folded, wire form), into `view`. */
export function readClusterName(octets: Uint8Array, sizeBytes: number, zone: Uint8Array, view: ClusterName): void {
  view.octets = octets;
  view.sizeBytes = sizeBytes;
  view.labelCount = 0;
  const zoneStart = sizeBytes - zone.length;
  let at = 0;
  while (at < zoneStart) {
    view.labelOffsets[view.labelCount] = at;
    view.labelCount += 1;
    at += 1 + readU8(octets, at);
  }
  view.shape = at === zoneStart && equalOctets(octets, at, zone) ? shapeOf(view) : "elsewhere";
}

/** The offset of the label `fromZone` places left of Z: 1 is `svc` or `pod`, 2 the namespace, 3 the Service. The name must have it. */
export function labelOffset(view: ClusterName, fromZone: number): number {
  return view.labelOffsets[view.labelCount - fromZone] as number;
}

/** Whether the label that starts at `offset` is `expected` (in wire form, see wireLabel). */
export function isLabel(view: ClusterName, offset: number, expected: Uint8Array): boolean {
  return equalOctets(view.octets, offset, expected);
}

/** Whether any label left of Z starts with "_". */
export function hasUnderscoreLabel(view: ClusterName): boolean {
  for (let index = 0; index < view.labelCount; index += 1) {
    const offset = view.labelOffsets[index] as number;
    if (readU8(view.octets, offset + 1) === underscore) return true;
  }
  return false;
}

/** Whether the pod label of a name of the shape "pod" looks like an address: hexadecimal digits and dashes, as in `10-0-0-1`. */
export function hasIpShapedPod(view: ClusterName): boolean {
  const offset = labelOffset(view, 3);
  const end = offset + 1 + readU8(view.octets, offset);
  let dashes = 0;
  for (let at = offset + 1; at < end; at += 1) {
    const octet = readU8(view.octets, at);
    if (octet === dash) dashes += 1;
    else if (!isHexDigit(octet)) return false;
  }
  // An IPv4 address has three dashes, an IPv6 address at least two ("--1").
  return dashes >= 2;
}

/** A label in wire form, a new array: its length, then its octets. `text` is ASCII in lower case, at most 63 characters. */
export function wireLabel(text: string): Uint8Array {
  return Uint8Array.from([text.length, ...text].map((part) => (typeof part === "number" ? part : part.charCodeAt(0))));
}

function shapeOf(view: ClusterName): ClusterNameShape {
  if (view.labelCount === 0) return "apex";
  const isService = isLabel(view, labelOffset(view, 1), svc);
  if (!isService && !isLabel(view, labelOffset(view, 1), pod)) return "foreign";
  if (view.labelCount === 1) return "branch";
  if (view.labelCount === 2) return "namespace";
  if (!isService) return view.labelCount <= 5 ? "pod" : "tooLong";
  if (view.labelCount === 3) return "service";
  if (view.labelCount === 4) return "endpoint";
  return view.labelCount === 5 ? "port" : "tooLong";
}

function isHexDigit(octet: number): boolean {
  return (octet >= 0x30 && octet <= 0x39) || (octet >= 0x61 && octet <= 0x66);
}

const underscore = 0x5f;
const dash = 0x2d;
const svc = wireLabel("svc");
const pod = wireLabel("pod");
