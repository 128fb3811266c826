/*
 * The part of the interception that stands for each pod by itself: sets in which the kernel keeps what it saw of the pod's questions
 * and of the replies that left for it, and the chains that decide by them whether its next question comes here.
 */
import { type Family, protocol } from "./address-family.ts";

/** Whether packets of pods are tracked: `auto` begins without, and tracks those of pods whose untracked replies do not leave. */
export type Tracking = "never" | "auto" | "always";

/** How long an address stays among those that are alive after the reply to a test packet has left. */
export const aliveSeconds = 2;

/** Sets whose elements are pods in a state that people want to know of, for each family. */
export const podSets = { fallen: ["fallen4", "fallen6"], tracked: ["tracked4", "tracked6"] } as const;

/** The set of pods whose questions were left to kube-dns, and how many: longer than a client waits for a reply, also where one has come since. */
export const leftPods = { set: "left", seconds: 30 } as const;

/** How long a pod's questions may be without any reply before the next one is another matter: of one that had replies, and of others. */
const patienceSeconds = { known: 2, unknown: 1 } as const;
/** How many come here meanwhile; what is above asks kube-dns. */
const patienceQuestions = { known: 256, unknown: 32 } as const;
/** How often a pod without replies tries a question here, which is lost if nothing has changed: in its first minutes, and later. */
const retryRate = { lately: "4/minute", later: "12/hour" } as const;
/** How long a pod's packets are tracked before it is tried without. */
const trackedFor = "30m";
const setSize = 65_535;

/** The commands that declare the sets of a family. */
export function podSetsText(table: string, family: Family): string[] {
  const ip = protocol(family);
  const dynamic = (name: string, key: string, timeout: string, size: number) =>
    `add set inet ${table} ${name}${family} { typeof ${key}; flags dynamic,timeout; timeout ${timeout}; size ${size}; }`;
  const pods = (name: string, timeout: string) => dynamic(name, `${ip} saddr`, timeout, setSize);
  const ranges = (name: string) => `add set inet ${table} ${name}${family} { typeof ${ip} saddr; flags interval; }`;
  return [
    dynamic("alive", `${ip} saddr`, `${aliveSeconds}s`, 64),
    `add set inet ${table} ending${family} { typeof ${ip} daddr; flags timeout; timeout 30s; }`,
    ranges("allowed"),
    ranges("excepted"),
    pods("replied", "2s"),
    pods("known", "5m"),
    pods("waiting", "1h"),
    pods("young", `${patienceSeconds.unknown}s`),
    ...["few", "many"].map((name) => pods(name, "5s")),
    pods("lately", "5m"),
    // As long as a pod counts as waiting.
    ...["tries_lately", "tries_later"].map((name) => pods(name, "1h")),
    pods("tracked", trackedFor),
    pods("fallen", "1m"),
    pods(leftPods.set, `${leftPods.seconds}s`),
    dynamic("direct", `${ip} saddr . tcp sport`, "2m", setSize),
  ];
}

/**
 * The commands that add the chains of a family. `pod` is for questions, by UDP or as the SYN of a connection: what comes back from
 * it without a verdict is to be redirected. `replied` is for replies on their way out.
 *
 *     a reply in the last 2 s? ─ yes ─▶ here
 *     the first question without a reply, or soon after it? ─ yes ─▶ here, up to a number
 *     a question that is to try again? ─ yes ─▶ here
 *     with `auto`: not tracked yet? ─ yes ─▶ here, tracked from now on
 *     ─▶ kube-dns
 */
export function podChains(table: string, family: Family, tracking: Tracking): string[] {
  const ip = protocol(family);
  const over = (set: string, rate: string, burst: number) =>
    `update @${set}${family} { ${ip} saddr limit rate over ${rate} burst ${burst} packets }`;
  const isAuto = tracking === "auto";
  const next = isAuto ? "try_tracked" : "fall_back";
  const notKnown = `${ip} saddr != @known${family}`;
  const clear = ["waiting", "young", "few", "many", "lately", "tries_lately", "tries_later", "fallen"].map(
    (set) => `delete @${set}${family} { ${ip} daddr }`,
  );
  const noteReply = `update @replied${family} { ${ip} daddr }`;
  // Each chain before those that go to it.
  const chains: Readonly<Record<string, readonly string[]>> = {
    leave: [`tcp dport 53 update @direct${family} { ${ip} saddr . tcp sport } accept`, "accept"],
    fall_back: [
      `update @fallen${family} { ${ip} saddr }`,
      `update @${leftPods.set}${family} { ${ip} saddr counter }`,
      `counter name fell_back goto leave${family}`,
    ],
    ...(isAuto && {
      try_tracked: [
        `${ip} saddr @tracked${family} goto fall_back${family}`,
        `add @tracked${family} { ${ip} saddr }`,
        `update @young${family} { ${ip} saddr }`,
        "counter name turned_tracked",
      ],
      // What is not established is the reply to an untracked question: it left, so it was only late.
      replied_tracked: [`ct state != established delete @tracked${family} { ${ip} daddr }`, ...clear, noteReply],
    }),
    begin: [
      `add @waiting${family} { ${ip} saddr }`,
      `${notKnown} update @young${family} { ${ip} saddr }`,
      `${ip} saddr @known${family} update @young${family} { ${ip} saddr timeout ${patienceSeconds.known}s }`,
      `add @lately${family} { ${ip} saddr }`,
      // This one counts as a try.
      over("tries_lately", retryRate.lately, 1),
      over("tries_later", retryRate.later, 1),
    ],
    young_pod: [
      `${over("few", "1/second", patienceQuestions.unknown)} ${notKnown} goto fall_back${family}`,
      `${over("many", "1/second", patienceQuestions.known)} goto fall_back${family}`,
    ],
    pod: [
      `${ip} daddr != @alive${family} goto leave${family}`,
      `${ip} saddr != @allowed${family} counter name unserved goto leave${family}`,
      `${ip} saddr @excepted${family} goto leave${family}`,
      `${ip} saddr @replied${family} return`,
      `${ip} saddr != @waiting${family} jump begin${family}`,
      `${ip} saddr @young${family} goto young_pod${family}`,
      `${ip} saddr @lately${family} ${over("tries_lately", retryRate.lately, 1)} goto ${next}${family}`,
      `${ip} saddr @lately${family} return`,
      `${over("tries_later", retryRate.later, 1)} goto ${next}${family}`,
    ],
    replied: [
      "counter name answered",
      ...(isAuto ? [`${ip} daddr @tracked${family} goto replied_tracked${family}`] : []),
      // Most replies go to a pod that had one a moment ago, and is not waiting.
      `${ip} daddr @replied${family} ${noteReply} accept`,
      `update @known${family} { ${ip} daddr }`,
      ...clear,
      noteReply,
    ],
  };
  return Object.entries(chains).flatMap(([name, rules]) => [
    `add chain inet ${table} ${name}${family}`,
    ...rules.map((rule) => `add rule inet ${table} ${name}${family} ${rule}`),
  ]);
}
