/*
 * The nftables table of nodens's own addresses, port 53, in the modes where pods ask those. It keeps questions and replies out of
 * connection tracking: each would be one more entry in a table that is full just when DNS is busy. And it falls open: while nobody
 * answers there, the kernel sends the questions on to the kube-dns Service. It leaves other traffic alone. It belongs to nobody and
 * stays when nodens ends, for that is when it is needed.
 *
 *     prerouting   a question to us, while we are alive                                    not tracked
 *                  one of a source that nodens would answer, while we are not              to the Service, noted in `moved`
 *     output       a question of the node itself, while we are not alive                   to the Service, noted in `moved`
 *                  our own question about that, always                                     to the Service, noted in `moved`
 *                  the reply to our own test packet                                        alive for two seconds more
 *                  a refusal, for nobody listens on the port                               no longer alive
 *                  replies                                                                 not tracked
 *     back         what the Service replies to pods' questions that were moved, behind NAT from our address
 *     home         the same for the node's own                                             from our address
 *     arrivals     behind all other rules: what was tracked although nothing should be     counted
 *
 * At the beginning and the end of both ways packets are noted by pod: what passes only the first was dropped (blocked-pods.ts).
 * A connection keeps its side: once its SYN was moved, all of it is; one to nodens ends with nodens. The two first hooks are just
 * before iptables' raw table: a rule there may give packets a zone, and then nothing keeps them out of tracking.
 *
 * A question of the node itself (a pod on the node's network, or a program of the node) has been given its route to us before it meets a
 * rule; kube-proxy's translation gives it another one. It comes from the address that it asks, as test packets do, which are known by what
 * they ask. An address that means something on this node alone is exchanged for the node's on the way out (`leaving`).
 */
import { createHash } from "node:crypto";
import { families, type Family, familyOf, protocol } from "./address-family.ts";
import { blockedPodSets, noteRule, passRule } from "./blocked-pods.ts";
import { aliveSeconds } from "./pod-switches.ts";

/** Names of the packet counters: questions that were sent on to the Service, and packets to us that were tracked all the same. */
export const ownAddressCounters = { fellOpen: "fell_open", tracked: "tracked" } as const;

/** The table's name. One table for all families; a second nodens on the node shares it. */
export const ownAddressTable = "nodens";

/** An address of nodens, and the Service address of the same family that answers in its place; undefined where there is none. */
export interface OwnAddress {
  readonly address: string;
  readonly service: string | undefined;
}

/** The first labels of names that nodens itself asks for, in lower case. */
export interface OwnLabels {
  /** Of test packets, which come to nodens whatever is known of it, and whose replies say that it is fit for pods. */
  readonly health: string;
  /** Of those that come to nodens too, and say nothing. */
  readonly watch: string;
  /** Of those that go to the Service as if nodens were away. */
  readonly away: string;
}

/** What the table depends on. */
export interface OwnAddressTableOptions {
  readonly own: readonly OwnAddress[];
  /** Whose questions the Service is asked for: those that nodens would answer. Address ranges with their prefix length. */
  readonly sources: readonly string[];
  /** Whether to keep the traffic out of connection tracking. */
  readonly notrack: boolean;
  /** Whether connection tracking is in use, so that what is tracked all the same can be counted: looking would start it. */
  readonly countsTracked: boolean;
  readonly ownLabels: OwnLabels;
}

/** How long a pod's port counts as moved after its last question: longer than any resolver waits for a reply. */
const movedTimeout = { udp: "30s", tcp: "2m" } as const;

/** The text of the table. Every set says `typeof`: with `type`, old releases of nft crash on what newer ones made. */
export function ownAddressTableText(options: OwnAddressTableOptions): string {
  const { own, notrack, countsTracked } = options;
  const body = [
    `counter ${ownAddressCounters.fellOpen} {\n  }`,
    ...(countsTracked && notrack ? [`counter ${ownAddressCounters.tracked} {\n  }`] : []),
    ...setsOf(options),
    chain(
      "prerouting",
      "prerouting priority raw - 10",
      own.flatMap((each, position) => questionRules(each, position, notrack)),
    ),
    chain(
      "output",
      "output priority raw - 10",
      own.flatMap((each, position) => [...ownQuestionRules(each, position, options), ...replyRules(each, options)]),
    ),
    chain("back", "postrouting priority srcnat + 200", backRules(own)),
    chain("home", "input priority filter + 290", homeRules(own)),
    // A chain of this type starts connection tracking.
    ...(countsTracked ? [chain("leaving", "postrouting priority srcnat - 10", own.flatMap(leavingRules), "nat")] : []),
    chain(
      "arrivals",
      "input priority filter + 300",
      own.flatMap((each) => arrivalRules(each, countsTracked && notrack)),
    ),
  ].join("\n  ");
  // What tells one nodens's table from that of another release, or of other settings.
  const mark = createHash("sha256").update(body).digest("hex").slice(0, 12);
  return `table inet ${ownAddressTable} {
  comment "nodens: DNS of this node's pods, or of kube-dns while nodens is away (${mark})"
  ${body}
}
`;
}

/** The address families of these addresses. */
export function familiesOf(own: readonly OwnAddress[]): Family[] {
  return families.filter((family) => own.some(({ address }) => familyOf(address) === family));
}

function setsOf({ own, sources }: OwnAddressTableOptions): string[] {
  const present = familiesOf(own);
  return [
    ...present.map(
      (family) =>
        `set alive${family} {\n    typeof ${protocol(family)} daddr\n    size 16\n    flags dynamic,timeout\n  }`,
    ),
    ...present.map((family) => {
      const elements = sources.filter((range) => familyOf(range.split("/")[0] ?? "") === family);
      const list = elements.length === 0 ? "" : `\n    elements = { ${elements.join(", ")} }`;
      return `set served${family} {\n    typeof ${protocol(family)} saddr\n    flags interval${list}\n  }`;
    }),
    ...present.flatMap(blockedPodSets),
    ...own.flatMap(({ address, service }, position) =>
      service === undefined
        ? []
        : (["udp", "tcp"] as const).map(
            (transport) =>
              `set ${movedSet(transport, position)} {\n    typeof ${protocol(familyOf(address))} saddr . ${transport} sport\n    size 65535\n    flags dynamic,timeout\n    timeout ${movedTimeout[transport]}\n  }`,
          ),
    ),
  ];
}

function questionRules({ address, service }: OwnAddress, position: number, notrack: boolean): string[] {
  const family = familyOf(address);
  const ip = protocol(family);
  const untracked = notrack ? "notrack " : "";
  const toUs = `${ip} daddr ${address} meta l4proto { tcp, udp } th dport 53`;
  const crossingLo = [
    `iif lo ${toUs} ${untracked}accept`,
    `iif lo ${ip} saddr ${address} meta l4proto { tcp, udp } th sport 53 ${untracked}accept`,
  ];
  const stays = `${toUs} ${untracked}accept`;
  const note = noteRule(address, "questions");
  if (service === undefined) return [...crossingLo, note, stays];
  const moves = moveRule({ address, service }, position);
  const served = `${ip} saddr @served${family}`;
  return [
    ...crossingLo,
    moves("tcp", `tcp dport 53 ${ip} saddr . tcp sport @${movedSet("tcp", position)} `),
    `${ip} daddr @alive${family} ${note}`,
    `${toUs} ${ip} daddr @alive${family} ${untracked}accept`,
    moves("udp", `udp dport 53 ${served} `),
    moves("tcp", `tcp dport 53 tcp flags & (syn|ack) == syn ${served} `),
    stays,
  ];
}

const countFellOpen = `counter name ${ownAddressCounters.fellOpen} `;

/** The rule that sends on to the Service what `match` says of packets to the address. */
function moveRule({ address, service }: OwnAddress, position: number) {
  const ip = protocol(familyOf(address));
  return (transport: "udp" | "tcp", match: string, count = countFellOpen): string => {
    const asker = `${ip} saddr . ${transport} sport`;
    const moved = movedSet(transport, position);
    return `${ip} daddr ${address} ${match}update @${moved} { ${asker} } ${count}${ip} daddr set ${service} accept`;
  };
}

function ownQuestionRules(
  { address, service }: OwnAddress,
  position: number,
  { notrack, ownLabels }: OwnAddressTableOptions,
): string[] {
  if (service === undefined) return [];
  const family = familyOf(address);
  const ip = protocol(family);
  const moves = moveRule({ address, service }, position);
  const dead = `${ip} daddr != @alive${family} `;
  const own = `${ip} saddr ${address}`;
  const stays = [ownLabels.health, ownLabels.watch].map(
    (label) => `${own} ${ip} daddr ${address} udp dport 53 ${asksFor(label)} ${notrack ? "notrack " : ""}accept`,
  );
  return [
    ...stays,
    moves("udp", `udp dport 53 ${own} ${asksFor(ownLabels.away)} `, ""),
    moves("tcp", `tcp dport 53 ${ip} saddr . tcp sport @${movedSet("tcp", position)} `),
    moves("udp", `udp dport 53 ${dead}`),
    moves("tcp", `tcp dport 53 tcp flags & (syn|ack) == syn ${dead}`),
  ];
}

/** Where a question's name begins, behind the headers of UDP and DNS, in octets. */
const testNameAt = 8 + 12;

/** What a rule says of a name's first label: as it stands in the name, behind its length (RFC 1035 §3.1). */
function asksFor(label: string): string {
  const octets = Buffer.from([label.length, ...Buffer.from(label)]);
  return `@th,${testNameAt * 8},${octets.length * 8} 0x${octets.toString("hex")}`;
}

function replyRules({ address }: OwnAddress, { notrack, ownLabels }: OwnAddressTableOptions): string[] {
  const family = familyOf(address);
  const ip = protocol(family);
  const testReply = `${ip} saddr ${address} ${ip} daddr ${address} udp sport 53 ${asksFor(ownLabels.health)}`;
  const both = ["s", "d"].map(
    (side) => `${ip} ${side}addr ${address} meta l4proto { tcp, udp } th ${side}port 53 notrack`,
  );
  return [
    `${testReply} update @alive${family} { ${ip} saddr timeout ${aliveSeconds}s }`,
    // A question met a closed port, of a nodens that has ended: the next one goes to the Service at once.
    `${ip} saddr ${address} ${refusal[family]} delete @alive${family} { ${ip} saddr }`,
    ...(notrack ? both : []),
    noteRule(address, "replies"),
  ];
}

/** "Nobody listens there", as the kernel tells it to whoever asked. */
const refusal = {
  "4": "icmp type destination-unreachable icmp code port-unreachable",
  "6": "icmpv6 type destination-unreachable icmpv6 code port-unreachable",
} as const;

/** Every packet of the node comes by: most should not meet more than two rules. */
function backRules(own: readonly OwnAddress[]): string[] {
  const passes = own.map(({ address }) => passRule(address, "replies"));
  return ["meta l4proto != { tcp, udp } accept", "th sport != 53 accept", ...passes, ...own.flatMap(fromServiceRules)];
}

/** Replies to the node itself: kube-proxy's translation is undone by now, and no socket has been looked for yet. */
function homeRules(own: readonly OwnAddress[]): string[] {
  return ["meta l4proto != { tcp, udp } accept", "th sport != 53 accept", ...own.flatMap(fromServiceRules)];
}

/** What the Service replies to questions that were moved gets our address. */
function fromServiceRules({ address, service }: OwnAddress, position: number): string[] {
  const ip = protocol(familyOf(address));
  return service === undefined
    ? []
    : (["udp", "tcp"] as const).map(
        (transport) =>
          `${ip} saddr ${service} ${transport} sport 53 ${ip} daddr . ${transport} dport @${movedSet(transport, position)} ${ip} saddr set ${address}`,
      );
}

/** Where the address is the node's own it needs no other, and is exchanged for itself at most. Ports in order could clash with those of others. */
function leavingRules({ address, service }: OwnAddress): string[] {
  const ip = protocol(familyOf(address));
  return service === undefined
    ? []
    : [`ct original ${ip} daddr ${service} ${ip} saddr ${address} meta l4proto { tcp, udp } masquerade fully-random`];
}

function arrivalRules({ address }: OwnAddress, countsTracked: boolean): string[] {
  const ip = protocol(familyOf(address));
  const toUs = `${ip} daddr ${address} meta l4proto { tcp, udp } th dport 53`;
  const tracked = `${toUs} ct state != untracked counter name ${ownAddressCounters.tracked}`;
  return [...(countsTracked ? [tracked] : []), passRule(address, "questions")];
}

function chain(name: string, hook: string, rules: readonly string[], type: "filter" | "nat" = "filter"): string {
  return `chain ${name} {\n    type ${type} hook ${hook}; policy accept;\n    ${rules.join("\n    ")}\n  }`;
}

function movedSet(transport: "udp" | "tcp", position: number): string {
  return `moved_${transport}_${position}`;
}
