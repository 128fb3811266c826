/*
 * What was seen on the wire: which pods waited, how long, and on which side of their link the packet was lost.
 */
import type { Finding } from "./finding.ts";
import { noNodeNamespace } from "./node-namespace.ts";
import type { ReadSeen } from "./read-seen.ts";
import type { WireReport, WireWait } from "./wire-view.ts";

/** What else is known of the node. */
export interface WireSetting {
  readonly isNode: boolean;
  /** Whether a nodens runs here, so that what it would save is saved. */
  readonly isRunning: boolean;
  /** What the one that runs knows to be wrong for single pods. */
  readonly troubles: ReadSeen["troubles"];
}

/** How many pods that waited are named. */
const mostNamed = 8;

/** Above this share of queries without a reply it is not the replies that are missing, but the copies of them. */
const blindFrom = 0.9;

/** What the copies say. */
export function checkWire(report: WireReport, { isNode, isRunning, troubles }: WireSetting): Finding[] {
  const { problem, queries, droppedCopies } = report;
  const check = "wire";
  if (problem !== undefined) return [{ check, state: "unknown", found: problem, link: "observe.md#what-it-reads" }];
  if (queries === 0 && !isNode) return [{ check, state: "unknown", found: noNodeNamespace }];
  return [
    ...waitFindings(report, troubles),
    savings(report, isRunning),
    ...unanswered(report),
    ...(droppedCopies === 0
      ? []
      : [
          {
            check: "wire-copies",
            state: "unknown" as const,
            found: `${droppedCopies} copies of packets found no room: what is told is of a part, and waits may be losses of copies`,
            link: "observe.md#what-it-reads",
          },
        ]),
  ];
}

/** What had become of the first query, for people; and where to look. */
const meanings: Readonly<Record<string, { readonly why: string; readonly cure: string }>> = {
  answered: {
    why: "a reply had passed the node's link to the pod: it was lost behind that, in the pod's own namespace",
    cure: "nsenter -n -t PID nstat -az UdpRcvbufErrors UdpInErrors; nsenter -n -t PID nft list ruleset    # PID: of the pod",
  },
  waiting: {
    why: "no reply had come back: the query or its reply was lost on the node or on the way, or kube-dns was late",
    cure: "tcpdump -lni any udp port 53    # did the query go on to kube-dns, and did its reply come back?",
  },
  failed: {
    why: "the reply was an error, after which musl waits as if there had been none",
    cure: "kubectl -n kube-system logs -l k8s-app=kube-dns | grep -i error",
  },
  unseen: {
    why: "its twin for the other address type came, and it did not: it was lost in the pod's own namespace or on its link",
    cure: "nsenter -n -t PID nft list ruleset    # PID: of the pod",
  },
};

function waitFindings({ waited, waits }: WireReport, troubles: WireSetting["troubles"]): Finding[] {
  const check = "wire-waits";
  if (waited === 0) return [];
  const byClient = Map.groupBy(waits, ({ client, first }) => `${client} ${first}`);
  const groups = [...byClient.values()].toSorted((one, other) => other.length - one.length);
  const told = groups.slice(0, mostNamed).map((group) => waitFinding(check, group, troubles));
  const left = groups.slice(mostNamed);
  if (left.length === 0) return told;
  const clients = new Set(left.flatMap((group) => group.map(({ client }) => client)));
  const found = `${clients.size} more pods waited`;
  return [...told, { ...waitFinding(check, left[0] ?? [], []), found }];
}

/** What the node does to a packet explains waits whose reply had not come back, or whose query was not seen; not those that had their reply. */
const ofNode = new Set(["waiting", "unseen"]);

function waitFinding(check: string, group: readonly WireWait[], troubles: WireSetting["troubles"]): Finding {
  const [longest] = group.toSorted((one, other) => other.afterMs - one.afterMs);
  const { why = "", cure = "" } = meanings[longest?.first ?? ""] ?? {};
  const dropped = group.find((wait) => wait.dropped !== "")?.dropped;
  const times = group.length === 1 ? "once" : `${group.length} times`;
  const own = troubles.filter(({ client }) => client === longest?.client && ofNode.has(longest.first));
  const podCauses = own.map(({ meaning, label, by }) => `; ${meaning} (${label} +${by})`).join("");
  const tracking = dropped === undefined ? "" : `; in the same second connection tracking dropped packets: ${dropped}`;
  return {
    check,
    state: "bad",
    found: `${longest?.client} asked again ${times}, after ${((longest?.afterMs ?? 0) / 1000).toFixed(1)} s for ${longest?.name} ${longest?.type}`,
    why: why + podCauses + tracking,
    ...cureOf(own.length > 0, dropped !== undefined, cure),
  };
}

function cureOf(isOwn: boolean, isTracking: boolean, otherwise: string): Pick<Finding, "cure" | "link"> {
  if (isOwn) {
    const cure = ["nft list ruleset | grep -n drop    # and network policies: which rule drops port 53 of this pod"];
    return { cure, link: "runbook.md#nodenspodswait" };
  }
  if (!isTracking) return { cure: [otherwise], link: "why-timeouts.md#one-minute-in-a-pod" };
  return {
    cure: ["keep DNS out of connection tracking: nodens in host-ip, link-local or intercept mode"],
    link: "why-timeouts.md#1-the-race",
  };
}

function savings(report: WireReport, isRunning: boolean): Finding {
  const { queries, pods, seconds, savedQueries, conntrackEntries } = report;
  const check = "wire";
  if (queries === 0) return { check, state: "ok", found: `no question of a pod passed in ${seconds} s` };
  const asked = `${pods === 1 ? "1 pod" : `${pods} pods`} asked ${queries} questions in ${seconds} s over ${conntrackEntries} entries of connection tracking`;
  const share = Math.round((savedQueries / queries) * 100);
  const saved = `nodens would have spared kube-dns ${savedQueries} of them (${share} %), and all but a handful of entries`;
  return { check, state: "ok", found: isRunning ? asked : `${asked}; ${saved}` };
}

function unanswered({ queries, unanswered: count, waited }: WireReport): Finding[] {
  const check = "wire-replies";
  if (count >= queries * blindFrom && count > waited && queries > 0) {
    return [
      {
        check,
        state: "unknown",
        found: `replies do not pass where copies are taken: none was seen to ${count} of ${queries} questions`,
        link: "observe.md#what-it-reads",
      },
    ];
  }
  if (count <= waited) return [];
  return [
    {
      check,
      state: "warn",
      found: `${count} of ${queries} questions got no reply within 15 s, or before they came again`,
      why: "whoever asked them waited until it gave up",
      cure: ["tcpdump -lni any udp port 53    # did they go on to kube-dns?"],
      link: "why-timeouts.md#one-minute-in-a-pod",
    },
  ];
}
