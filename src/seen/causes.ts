/*
 * What else moved when a pod waited. A wait by itself says where the time went; what the node's counters did in the same seconds says why. Only
 * what can explain the wait is told: a full connection table does not make upstream late.
 */
import { First } from "./repeats.ts";
import type { SecondRing } from "./second-ring.ts";

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
    meaning: "nodens itself stood still for over 100 ms",
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

/** The name of a cause. */
export type Cause = keyof typeof causes;

/** The names of the causes, in order. */
export const causeNames = Object.keys(causes) as readonly Cause[];

/** One that moved. */
export interface MovedCause {
  readonly label: string;
  readonly meaning: string;
  readonly by: number;
}

/** Around the moment at which the query was sent, packets and samples may lie this far apart. */
const slackMs = 1000;

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
