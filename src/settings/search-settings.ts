/* Settings of `search`: what nodens answers of a pod's search list without asking. */
import { filePath, group, oneOf, wholeNumber, yesOrNo, zones } from "./setting-kinds.ts";

/** The group `search`. */
export const search = group("Which queries of a search list nodens answers without asking.", {
  shortCircuit: oneOf(["learned", "certain", "off"], {
    default: "learned",
    effect: "live",
    help: "Which rules may deny a cluster name for A and AAAA without asking. `certain`: what a CoreDNS zone cannot hold. `learned`: also what lies below a namespace or Service that was denied a moment ago. Both need a zone that shows its schema version. `off`: none.",
  }),
  exemptions: zones({
    default: [],
    effect: "live",
    help: "Cluster names at or below which nothing is denied without asking: those that `hosts`, `rewrite` or `template` lines of the cluster's DNS add.",
  }),
  multicluster: yesOrNo({
    default: false,
    effect: "live",
    help: "Whether the zone has names with a cluster in them (`cluster.service.namespace.svc`), as CoreDNS's multicluster zones do.",
  }),
  checkOneIn: wholeNumber("denials", {
    default: 64,
    between: [0, 1_000_000],
    effect: "live",
    help: "One in this many of these denials is checked: asked upstream too, after the client has its answer. A contradiction switches the rule off. 0 checks none.",
  }),
  answerOutsideName: yesOrNo({
    default: false,
    effect: "live",
    help: "Whether the first suffix query of an outside name is answered with that name, as an alias, once every other suffix is known to be absent. This saves clients the other queries; they see a CNAME.",
  }),
  suffixes: zones({
    default: [],
    effect: "restart",
    help: "Suffixes that pods append besides those of the cluster zone, such as a cloud's internal zone. Under them a denied name is denied for A and AAAA alike if their zone denies names and not types, and nothing else. Empty means those of `search.resolvConf`.",
  }),
  resolvConf: filePath({
    default: "/etc/resolv.conf",
    effect: "restart",
    help: "The node's resolv.conf, whose search list pods inherit. Read at start, for `search.suffixes`.",
  }),
});
