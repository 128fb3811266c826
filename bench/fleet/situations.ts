/*
 * What happens to the fleet. Every situation begins with a quiet time, by which the rest is judged.
 */
import type { Chance } from "./chance.ts";
import type { EventClock } from "./event-clock.ts";
import type { KubeDnsPod, KubeDnsService } from "./kube-dns.ts";
import type { FleetNode } from "./node.ts";

/** What a situation acts on. */
export interface Fleet {
  readonly clock: EventClock;
  readonly chance: Chance;
  readonly nodes: readonly FleetNode[];
  readonly service: KubeDnsService;
  /** The pods of kube-dns at the start. */
  readonly pods: readonly KubeDnsPod[];
  createPod(): KubeDnsPod;
}

/** A situation. Moments are seconds since the start. */
export interface Situation {
  readonly title: string;
  /** When it begins, and when what is over is over: the peak is looked for from a second after that on. */
  readonly beginsAtSecond: number;
  readonly overAtSecond: number;
  readonly endsAtSecond: number;
  /** How busy the nodes are then; 1 is the mean. Left out: always 1. */
  activity?(second: number): number;
  /** Sets going what happens. Called when it begins. */
  begin(fleet: Fleet): void;
}

/** When all nodens have started and their caches are as they will be. */
export const settledAtSecond = 40;

const beginsAtSecond = 60;
const outageSeconds = 60;
const rolloutSeconds = 60;

/** What CoreDNS goes on answering for after it was told to end. */
const lameDuckMs = 5000;

/** How many nodes update nodens at once, and how long each takes: a new pod to its readiness. */
const surgeShare = 0.1;
const leastUpdateMs = 5000;
const updateSpreadMs = 10_000;

/** Every situation, by its name on the command line. */
export const situations = {
  quiet: {
    title: "a quiet day, in a minute and a half",
    beginsAtSecond,
    overAtSecond: beginsAtSecond,
    endsAtSecond: beginsAtSecond + 90,
    activity: (second) => 1 + 0.5 * Math.sin((2 * Math.PI * Math.max(0, second - beginsAtSecond)) / 90),
    begin() {},
  },
  rollout: {
    title: "a rollout of kube-dns",
    beginsAtSecond,
    overAtSecond: beginsAtSecond,
    endsAtSecond: beginsAtSecond + rolloutSeconds + 30,
    begin: rollOut,
  },
  outage: {
    title: "kube-dns away for a minute",
    beginsAtSecond,
    overAtSecond: beginsAtSecond + outageSeconds,
    endsAtSecond: beginsAtSecond + outageSeconds + 65,
    begin({ clock, pods }) {
      for (const pod of pods) pod.isSilent = true;
      clock.after(outageSeconds * 1000, () => {
        for (const pod of pods) pod.isSilent = false;
      });
    },
  },
  gone: {
    title: "kube-dns without a pod for a minute",
    beginsAtSecond,
    overAtSecond: beginsAtSecond + outageSeconds,
    endsAtSecond: beginsAtSecond + outageSeconds + 65,
    begin({ clock, pods, service, createPod }) {
      for (const pod of pods) vanish(pod);
      service.setEndpoints([]);
      clock.after(outageSeconds * 1000, () => service.setEndpoints(pods.map(createPod)));
    },
  },
  update: {
    title: "an update of nodens",
    beginsAtSecond,
    overAtSecond: beginsAtSecond,
    endsAtSecond: beginsAtSecond + 130,
    begin: update,
  },
} as const satisfies Readonly<Record<string, Situation>>;

/** The name of a situation. */
export type SituationName = keyof typeof situations;

/**
 * Pods are replaced one by one. Every second one ends as it should: CoreDNS answers a while longer, and ends its connections. Of the
 * others nothing is heard any more, and nodes know of it only when they hear of the endpoints.
 */
function rollOut({ clock, service, pods, createPod }: Fleet): void {
  const endpoints = [...pods];
  const everyMs = (rolloutSeconds * 1000) / pods.length;
  for (const [index, pod] of pods.entries()) {
    clock.after(index * everyMs, () => {
      endpoints.splice(endpoints.indexOf(pod), 1);
      endpoints.push(createPod());
      service.setEndpoints([...endpoints]);
      if (index % 2 === 0) clock.after(lameDuckMs, () => end(pod));
      else vanish(pod);
    });
  }
}

function end(pod: KubeDnsPod): void {
  pod.isSilent = true;
  for (const tellOfEnd of [...pod.connections]) tellOfEnd();
}

function vanish(pod: KubeDnsPod): void {
  pod.isSilent = true;
}

/** So many nodes at a time; as soon as one is done, the next begins. */
function update({ clock, chance, nodes }: Fleet): void {
  const waiting = [...nodes];
  const next = () => {
    const node = waiting.shift();
    if (node === undefined) return;
    clock.after(leastUpdateMs + chance() * updateSpreadMs, () => {
      node.startNodens();
      next();
    });
  };
  for (let count = 0; count < Math.ceil(surgeShare * nodes.length); count += 1) next();
}
