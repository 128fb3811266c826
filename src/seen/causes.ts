/*
 * What else moved when a pod waited. A wait by itself says where the time went; what the node's counters did in the same seconds says why. Only
 * what can explain the wait is told: a full connection table does not make upstream late.
 */
import { First } from "./repeats.ts";
import type { SecondRing } from "./second-ring.ts";
import type { MovedCause, Wait } from "./waits.ts";

/** A counter of the node or of nodens that explains waits: its name, what its growth means, and for which waits. */
export interface CauseRow {
  readonly label: string;
  readonly meaning: string;
  readonly firsts: readonly number[];
}

const lostOnTheWay = [First.answered, First.unseen] as const;

/** The counters, in the order in which they are sampled and told. */
export const causes = {
  conntrackDrop: {
    label: "conntrack_drop",
    meaning: "the connection table was full or refused an entry",
    firsts: lostOnTheWay,
  },
  conntrackInsertFailed: {
    label: "conntrack_insert_failed",
    meaning: "two packets raced for one entry of the connection table",
    firsts: lostOnTheWay,
  },
  conntrackEarlyDrop: {
    label: "conntrack_early_drop",
    meaning: "the connection table was full and threw out entries",
    firsts: lostOnTheWay,
  },
  receiveDrops: {
    label: "udp_receive_drops",
    meaning: "nodens's receive queue was full",
    firsts: [First.unseen],
  },
  eventLoopLate: {
    label: "event_loop_late",
    meaning: "nodens itself stood still for over 60 ms, seen by a timer or by queries that lay in the socket",
    firsts: [First.unseen, First.waiting, First.shed, First.answered],
  },
  failOpen: {
    label: "fail_open",
    meaning: "pods were sent to kube-dns, because nodens did not get through",
    firsts: lostOnTheWay,
  },
  upstreamLosses: {
    label: "upstream_losses",
    meaning: "upstream left questions without an answer",
    firsts: [First.waiting, First.shed, First.failed],
  },
} as const satisfies Record<string, CauseRow>;

/** What explains the waits of one pod alone: known of it by its address. */
export const podCauses = {
  leftToKubeDns: {
    label: "pod_left_to_kube_dns",
    meaning: "questions of the pod itself were left to kube-dns, because no replies left for it",
    firsts: lostOnTheWay,
  },
  questionsDropped: {
    label: "pod_questions_dropped",
    meaning: "a firewall rule or network policy of the node drops what the pod asks",
    firsts: [First.unseen],
  },
  repliesDropped: {
    label: "pod_replies_dropped",
    meaning: "a firewall rule or network policy of the node drops the replies to the pod",
    firsts: [First.answered],
  },
} as const satisfies Record<string, CauseRow>;

/** What is wrong for one pod: its address, by how many packets that shows, and how long ago the last of them came. */
export interface TroubledPod {
  readonly kind: keyof typeof podCauses;
  readonly host: string;
  readonly packets: number;
  readonly lastAgoMs: number;
}

/** The name of a cause. */
export type Cause = keyof typeof causes;

/** The names of the causes, in order. */
export const causeNames = Object.keys(causes) as readonly Cause[];

/** Around the moment at which the query was sent, packets and samples may lie this far apart. */
const slackMs = 1000;

/** What is wrong for one pod, as it is told. */
export interface ToldTrouble extends MovedCause {
  /** The pod. */
  readonly client: string;
  readonly secondsAgo: number;
}

/** What is wrong for single pods, as it is told. */
export function tellTroubles(troubled: readonly TroubledPod[]): ToldTrouble[] {
  return troubled.map(({ kind, host, packets, lastAgoMs }) => {
    const { label, meaning } = podCauses[kind];
    return { client: host, label, meaning, by: packets, secondsAgo: Math.round(lastAgoMs / 1000) };
  });
}

/** What explains the wait of a pod, of those that something is wrong for at `nowMs`: since its first query was sent, or just before. */
export function podCausesOf(wait: Wait, troubled: readonly TroubledPod[], nowMs: number): MovedCause[] {
  const sinceMs = wait.atMs - wait.afterMs - slackMs;
  return troubled.flatMap(({ kind, host, packets, lastAgoMs }) => {
    const { label, meaning, firsts }: CauseRow = podCauses[kind];
    const isOfWait = host === wait.client && firsts.includes(wait.first) && nowMs - lastAgoMs >= sinceMs;
    return isOfWait ? [{ label, meaning, by: packets }] : [];
  });
}

/**
 * What moved around the moment at which the first query of a wait was sent and, where nodens or upstream kept it waiting, until it came
 * again. `firstColumn` is where the causes begin in the ring.
 */
export function movedBy(
  wait: { readonly atMs: number; readonly afterMs: number; readonly first: number },
  ring: SecondRing,
  firstColumn: number,
): MovedCause[] {
  const sentAtMs = wait.atMs - wait.afterMs;
  const isLost = wait.first === First.answered || wait.first === First.unseen;
  const untilMs = (isLost ? sentAtMs : wait.atMs) + slackMs;
  return causeNames.flatMap((name, index) => {
    const { label, meaning, firsts }: CauseRow = causes[name];
    const by = firsts.includes(wait.first) ? ring.grownBetween(firstColumn + index, sentAtMs - slackMs, untilMs) : 0;
    return by > 0 ? [{ label, meaning, by }] : [];
  });
}
