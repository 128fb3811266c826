/*
 * What nodens has put on the node, what is wrong with it, and what the kernel counted there.
 */
import { entriesOf } from "./metric-labels.ts";
import { counter, gauge, type Metric } from "./metric.ts";

/** Of the counters in the kernel, those that are worth a series. */
const interceptOutcomes = ["intercepted", "answered", "fell_back", "unserved", "tracked"] as const;

/** Metrics of the attachment. */
export const attachmentMetrics: readonly Metric[] = [
  counter(
    "nodens_setup_errors_total",
    ["kind"],
    "Problems with setting up the node, each counted when it appears: nft (missing, or rules refused), nft_owner (no tables with an owner), permission (no NET_ADMIN), address, listen (address taken), path (packets do not arrive), pods (a rule of the node drops packets of some pods), unseen (nothing arrives to be intercepted), admin (address for operators taken), config.",
    (sources, add) => {
      for (const [kind, count] of Object.entries(sources.setupErrors())) add({ kind }, count);
    },
  ),
  gauge("nodens_attach_mode", ["mode"], "1 for attach.mode as it is set, 0 for the others.", (sources, add) => {
    for (const mode of sources.names.attachModes) add({ mode }, Number(mode === sources.attachMode()));
  }),
  gauge("nodens_attached", [], "1 while everything that attach.mode asks for is in place.", (sources, add) =>
    add({}, Number(sources.isAttached())),
  ),
  gauge(
    "nodens_failopen",
    [],
    "1 while pods' questions go to kube-dns directly, although attach.mode brings them here: test packets are not answered, or nodens holds back.",
    (sources, add) => add({}, Number(sources.isFailOpen())),
  ),
  gauge(
    "nodens_has_fallback",
    [],
    "1 where others answer the pods of this node while nodens is away: kube-dns, or another node's nodens. 0 where nobody does: without the rules that send questions on to kube-dns, or where a question of nodens's own that they sent on was not answered, as with eBPF data planes.",
    (sources, add) => add({}, Number(sources.hasFallback())),
  ),
  gauge(
    "nodens_blocked_pods",
    ["packets"],
    "Pods that ask an address of nodens's own, and whose questions a rule of the node drops on their way in (questions), or the replies on their way out (replies); read every five seconds. Of what is intercepted, nodens_intercept_pods tells.",
    (sources, add) => {
      for (const [packets, pods] of entriesOf(sources.blockedPods())) add({ packets }, pods);
    },
  ),
  gauge(
    "nodens_intercepted_addresses",
    [],
    "Addresses of the kube-dns Service that are intercepted now. 0 unless attach.mode is intercept.",
    (sources, add) => add({}, sources.intercepted().addresses),
  ),
  counter(
    "nodens_intercept_packets_total",
    ["outcome"],
    "Packets as the kernel counted them for the interception, read once a minute: questions that were redirected (intercepted), replies that left (answered), questions left to kube-dns because no replies leave for their pod (fell_back) or because nodens would not answer their source (unserved), and redirected packets that were tracked although they should not be (tracked).",
    (sources, add) => {
      const { pods } = sources.intercepted();
      for (const outcome of interceptOutcomes) add({ outcome }, pods?.packets[outcome] ?? 0);
    },
  ),
  gauge(
    "nodens_intercept_pods",
    ["state"],
    "Pods that ask kube-dns because no replies leave for them (fallen), and whose packets are tracked because untracked replies do not leave (tracked), by their addresses; read once a minute.",
    (sources, add) => {
      const { pods } = sources.intercepted();
      add({ state: "fallen" }, pods?.fallenPods ?? 0);
      add({ state: "tracked" }, pods?.trackedPods ?? 0);
    },
  ),
];
