/*
 * Which step of a lookup was probably meant: where the name exists, if it exists at all. A guess from the name's shape alone, for
 * explanations only.
 */
import { nameFromText } from "../wire/name-text.ts";
import {
  type ClusterName,
  createClusterName,
  hasIpShapedPod,
  hasUnderscoreLabel,
  readClusterName,
} from "../search/cluster-name.ts";
import type { LookupStep } from "./lookup-plan.ts";

/** Top-level domains in private use, or missing from public lists. */
const privateDomains = new Set(["arpa", "corp", "internal", "intranet", "lan", "local", "localdomain"]);

/**
 * The index of the step that was probably meant, or -1 without steps: a Service (`web`, `web.shop`, `web.shop.svc`) or one of its
 * endpoints if a suffixed name has that shape and does not look like an outside name, otherwise the name as it stands. `zone` is the
 * cluster zone, folded, in wire form.
 */
export function likelyStep(
  steps: readonly LookupStep[],
  zone: Uint8Array,
  isTopLevelDomain: (label: string) => boolean,
): number {
  const itself = steps.findIndex(({ suffix }) => suffix === "");
  const lastLabel = steps[itself]?.name.toLowerCase().split(".").slice(1).at(-1) ?? "";
  const view = createClusterName();
  let best = itself === -1 ? steps.length - 1 : itself;
  let bestRank = Infinity;
  steps.forEach((step, index) => {
    const name = nameFromText(step.name);
    if (name === undefined) return;
    readClusterName(name, name.length, zone, view);
    // `web.dev` may mean either; nodens, too, takes it for an outside name first.
    if (step.suffix !== "" && (isTopLevelDomain(lastLabel) || privateDomains.has(lastLabel))) return;
    const rank = rankOf(view);
    if (rank >= bestRank) return;
    best = index;
    bestRank = rank;
  });
  return best;
}

/** How well the name fits what a cluster zone holds: lower is better, Infinity not at all. */
function rankOf(view: ClusterName): number {
  switch (view.shape) {
    case "service":
      return 1;
    case "pod":
      return hasIpShapedPod(view) ? 1 : Infinity;
    case "port":
      return hasUnderscoreLabel(view) ? 1 : Infinity;
    case "endpoint":
      return 2;
    case "namespace":
      return 3;
    default:
      return Infinity;
  }
}
