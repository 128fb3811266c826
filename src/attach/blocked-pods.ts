/*
 * Pods whose way to an address of nodens's own is blocked on this node: by a firewall, or by a network policy that the node enforces. Every
 * rule of the node comes between two chains of nodens's own table, so a packet that passed the first and not the second was dropped:
 *
 *     prerouting  noted in `stopped_in`   ── rules of others, on the way in ──▶   arrivals  taken out again, noted in `came_in`
 *     output      noted in `stopped_out`  ── rules of others, on the way out ─▶   back      taken out again, noted in `went_out`
 *
 * For two seconds after one has passed, the pod's next ones are not noted: most packets cost two lookups. By transport, for a rule may be
 * against one of them. What is dropped outside of these hooks, by an eBPF program or in the pod's own namespace, is not seen here.
 */
import { type Family, familyOf, protocol } from "./address-family.ts";
import type { SetElement } from "../runtime/netfilter.ts";
import { hostText } from "../runtime/socket-address.ts";
import type { SetupProblem } from "./setup-problem.ts";

/** How many pods are blocked, by what is dropped. */
export interface BlockedPods {
  /** What they ask does not get to nodens. */
  readonly questions: number;
  /** What nodens replies does not get to them. */
  readonly replies: number;
}

/** None. */
export const noBlockedPods: BlockedPods = { questions: 0, replies: 0 };

/** So many packets in a row, over one transport, are no chance: one may be on its way just when the table is read. */
const packetsUntilBlocked = 3;

const directions = {
  questions: { pod: "saddr", port: "dport 53", stopped: "stopped_in", passed: "came_in" },
  replies: { pod: "daddr", port: "sport 53", stopped: "stopped_out", passed: "went_out" },
} as const;
type Direction = keyof typeof directions;

/** A pod that asks once a minute stays among those that are blocked. */
const stoppedSeconds = 60;

/** The sets of a family. */
export function blockedPodSets(family: Family): string[] {
  const set = (name: string, timeout: string) =>
    `set ${name}${family} {\n    typeof ${protocol(family)} saddr . meta l4proto\n    size 65535\n    flags dynamic,timeout\n    timeout ${timeout}\n  }`;
  return Object.values(directions).flatMap(({ stopped, passed }) => [
    set(stopped, `${stoppedSeconds}s`),
    set(passed, "2s"),
  ]);
}

/** The rule at the beginning of the way: it decides nothing. */
export function noteRule(address: string, direction: Direction): string {
  const { stopped } = directions[direction];
  const { match, pod, isNew, family } = partsOf(address, direction);
  return `${match} ${isNew} update @${stopped}${family} { ${pod} counter }`;
}

/** The rule at its end. It decides nothing either. */
export function passRule(address: string, direction: Direction): string {
  const { stopped, passed } = directions[direction];
  const { match, pod, isNew, family } = partsOf(address, direction);
  return `${match} ${isNew} delete @${stopped}${family} { ${pod} } update @${passed}${family} { ${pod} }`;
}

function partsOf(address: string, direction: Direction) {
  const { pod: side, port, passed } = directions[direction];
  const family = familyOf(address);
  const ip = protocol(family);
  const pod = `${ip} ${side} . meta l4proto`;
  // What crosses lo is the node's own.
  const [elsewhere, own] = direction === "questions" ? ["iif != lo", "daddr"] : ["oif != lo", "saddr"];
  const match = `${elsewhere} ${ip} ${own} ${address} meta l4proto { tcp, udp } th ${port}`;
  return { match, pod, isNew: `${pod} != @${passed}${family}`, family };
}

/** Reads them from the elements of the sets; undefined where the kernel does not tell those. */
export function askBlockedPods(
  elements: (set: string) => readonly SetElement[] | undefined,
  present: readonly Family[],
): BlockedPods | undefined {
  const count = (direction: Direction) => {
    const pods = new Set<string>();
    for (const family of present) {
      const blocked = stoppedPods(elements, direction, family);
      if (blocked === undefined) return undefined;
      for (const { host } of blocked) pods.add(host);
    }
    return pods.size;
  };
  const [questions, replies] = [count("questions"), count("replies")];
  return questions === undefined || replies === undefined ? undefined : { questions, replies };
}

/** The pods of a family whose packets are dropped, with how many were and how long ago the last was, by transport; undefined as above. */
export function stoppedPods(
  elements: (set: string) => readonly SetElement[] | undefined,
  direction: Direction,
  family: Family,
): { host: string; packets: number; lastAgoMs: number }[] | undefined {
  return elements(`${directions[direction].stopped}${family}`)
    ?.filter(({ packets }) => packets >= packetsUntilBlocked)
    .map(({ key, packets, expiresInMs }) => ({
      // The key is the address and four octets for the transport.
      host: hostText(Buffer.from(key.slice(0, -8), "hex")),
      packets,
      lastAgoMs: stoppedSeconds * 1000 - (expiresInMs ?? stoppedSeconds * 1000),
    }));
}

/** Reads them from the table as nft lists it. */
export function readBlockedPods(listed: string): BlockedPods {
  const count = (direction: Direction) => {
    const sets = listed.matchAll(
      new RegExp(`set ${directions[direction].stopped}[46] \\{[^}]*elements = \\{([^}]*)\\}`, "g"),
    );
    const elements = [...sets].flatMap(([, list = ""]) => list.split(","));
    const blocked = elements.filter((element) => packetsOf(element) >= packetsUntilBlocked);
    return new Set(blocked.map((element) => element.trim().split(" ")[0])).size;
  };
  return { questions: count("questions"), replies: count("replies") };
}

function packetsOf(element: string): number {
  return Number(/counter packets (\d+)/.exec(element)?.[1] ?? 0);
}

/** What is wrong by them. `table` is for whoever looks further. */
export function blockedPodProblems({ questions, replies }: BlockedPods, table: string): SetupProblem[] {
  const who = (set: string) =>
    `a firewall rule or network policy of this node drops them; "nft list set inet ${table} ${set}4" (or ${set}6) names the pods`;
  return [
    ...(questions > 0
      ? [
          {
            kind: "pods",
            message: `questions of some pods do not get to nodens: ${who(directions.questions.stopped)}`,
          } as const,
        ]
      : []),
    ...(replies > 0
      ? [
          {
            kind: "pods",
            message: `replies to some pods do not leave this node: ${who(directions.replies.stopped)}`,
          } as const,
        ]
      : []),
  ];
}
