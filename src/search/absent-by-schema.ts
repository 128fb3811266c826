/*
 * Search rule 3: names that no CoreDNS `kubernetes` zone can hold, whatever Services and pods there are. The name alone
 * decides, so the rule is used only where the zone has shown that it is such a zone, and never for:
 *
 *   - a name with a label that starts with "_": ports, and the zonal names of newer CoreDNS;
 *   - `dns.Z`, `dns-version.Z` and what is below them: names that belong to the zone itself;
 *   - names at or below an exempted name (settings): whatever a `hosts`, `rewrite` or `template` line adds;
 *   - `x.y.service.namespace.svc.Z` in a multicluster zone, where y is a cluster;
 *   - a name that does not look like an outside one. CoreDNS does not make `registry.Z` from a Service either, but a `hosts`,
 *     `template` or `rewrite` line may, so it is asked once, like any name. A name that comes from a search list ends in a public
 *     top-level domain before the suffix.
 */
import { looksLikeOutsideName } from "./absent-parent.ts";
import { isAtOrBelow } from "../wire/name.ts";
import { readU8 } from "../wire/octets.ts";
import {
  type ClusterName,
  hasIpShapedPod,
  hasUnderscoreLabel,
  isLabel,
  labelOffset,
  wireLabel,
} from "./cluster-name.ts";

/** What the settings tell the rule about the zone. */
export interface SchemaLimits {
  /** Names (folded, wire form) at or below which nothing is denied. */
  readonly exemptions: readonly Uint8Array[];
  /** Whether the zone has names with a cluster in them, where a protocol would be. */
  readonly isMulticluster: boolean;
}

/** Whether the zone cannot hold a host of this name, and the name looks as if a search list had made it. */
export function isAbsentBySchema(
  view: ClusterName,
  limits: SchemaLimits,
  isTopLevelDomain: (label: string) => boolean,
): boolean {
  if (!isImpossibleShape(view, limits.isMulticluster) || hasUnderscoreLabel(view)) return false;
  return looksLikeOutsideName(view, isTopLevelDomain) && !isExempted(view, limits);
}

/** Whether the name is at or below an exempted one, so that no rule may deny it. */
export function isExempted(view: ClusterName, { exemptions }: SchemaLimits): boolean {
  if (exemptions.length === 0) return false;
  const name = view.octets.subarray(0, view.sizeBytes);
  return exemptions.some((exemption) => isAtOrBelow(name, exemption));
}

function isImpossibleShape(view: ClusterName, isMulticluster: boolean): boolean {
  switch (view.shape) {
    case "foreign":
      return !ownLabels.some((label) => isLabel(view, labelOffset(view, 1), label));
    case "tooLong":
      return true;
    case "port":
      return !isMulticluster && !hasKnownProtocol(view);
    case "pod":
      return !hasIpShapedPod(view);
    default:
      return false;
  }
}

/** Whether the protocol label of a name of the shape "port" is one that CoreDNS knows. CoreDNS accepts it without its "_". */
function hasKnownProtocol(view: ClusterName): boolean {
  const offset = labelOffset(view, 4);
  return readU8(view.octets, offset) === 0 || protocols.some((label) => isLabel(view, offset, label));
}

const protocols = ["tcp", "udp", "sctp"].map(wireLabel);
const ownLabels = ["dns", "dns-version"].map(wireLabel);
