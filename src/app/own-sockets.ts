/*
 * nodens's own sockets facing pods: those in the settings, those that the attachment opens in addition, and how to stop using them without
 * losing what the kernel has queued.
 */
import type { Front } from "../listen/front.ts";
import type { Listener } from "../listen/listener.ts";
import { openListeners } from "../listen/open-listeners.ts";
import { type Answerer, askOwnSocket } from "../listen/self-query.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import type { Settings } from "../settings/settings-table.ts";
import { isSameAddress, ownAddresses } from "./parts-of-settings.ts";

/** All sockets facing pods. */
export interface OwnSockets {
  /** The listeners, those in the settings first. */
  readonly listeners: readonly Listener[];
  /** Opens UDP and TCP on an address, unless they are open already. Rejects with a ListenError, whose message is for people. */
  open(address: ServerAddress): Promise<void>;
  /** Whether nodens's own question to this address is answered, by this process or by another that shares the address. */
  answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean>;
  /** Whether kube-dns answers a question to port 53 of this address that the node's rules send on to it. */
  answersAway(host: string): Promise<boolean>;
  /** Whether one question to one of the addresses that pods ask is answered: to the next one at each call. False if there is none. */
  nextAnswers(): Promise<boolean>;
  /** Why pods that ask over UDP might get no answer, after a close look, as a message for people; undefined if nothing is wrong. */
  findSilence(): Promise<string | undefined>;
  /** Accepts nothing new, and answers what the kernel had queued, for a second at most. */
  leave(): Promise<void>;
  /** Closes every socket. */
  close(): Promise<void>;
}

/** A lost SYN is sent again after a second, so TCP gets more time. */
const selfQueryTimeoutMs = { udp: 1000, tcp: 2500 };
/** Each comes from its own port, and the kernel spreads them over all that share the address: this many hardly ever miss one of two. */
const questionsPerLook = 16;
/** A busy machine loses one now and then. A process that hangs takes its share, so that it hides behind so few hardly ever. */
const lostByChance = 1;
const drainPollMs = 20;
const emptyQueuesMs = 1000;

/** Opens the addresses in the settings. If one cannot be opened, rejects with a ListenError and leaves nothing open. */
export async function openOwnSockets(settings: Settings, front: Front, clock: Clock, log: Log): Promise<OwnSockets> {
  const listeners: Listener[] = [];
  let lookCount = 0;
  await openAll(ownAddresses(settings));
  const atStart = listeners.length;

  async function openAll(addresses: readonly ServerAddress[]): Promise<void> {
    const opened = await openListeners(addresses, front, settings.listen);
    listeners.push(...opened);
    for (const { address, protocol, isShared } of opened) {
      if (!isShared || protocol !== "udp") continue;
      const message = "another process of this user answers here too, as in a rolling update; both get queries";
      log.info({ address: formatServerAddress(address) }, message);
    }
  }

  async function answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean> {
    const options = { protocol, timeoutMs: selfQueryTimeoutMs[protocol] };
    return (await askOwnSocket(address, front.health, options, clock)) !== undefined;
  }

  /** Over UDP, and without a hold on pods: nodens may be unfit for them. */
  function watch(address: ServerAddress): Promise<Answerer | undefined> {
    const asked = { ...front.health, question: front.health.watch };
    return askOwnSocket(address, asked, { protocol: "udp", timeoutMs: selfQueryTimeoutMs.udp }, clock);
  }

  /** The addresses that pods ask. Those that take intercepted packets are closed to questions that were not intercepted. */
  function askedAddresses(): ServerAddress[] {
    return listeners
      .filter(({ protocol, address }, position) => protocol === "udp" && (position < atStart || address.port === 53))
      .map(({ address }) => address);
  }

  async function lookAt(address: ServerAddress): Promise<(Answerer | undefined)[]> {
    return Promise.all(Array.from({ length: questionsPerLook }, () => watch(address)));
  }

  /** Waits until the kernel's queues yield nothing more. */
  async function emptyQueues(): Promise<void> {
    const giveUpAtMs = clock.nowMs() + emptyQueuesMs;
    const takenCount = () => listeners.reduce((sum, listener) => sum + listener.takenCount(), 0);
    for (let before = -1; before !== takenCount() && clock.nowMs() < giveUpAtMs; await clock.pause(drainPollMs)) {
      before = takenCount();
    }
  }

  return {
    listeners,
    async open(address) {
      if (!listeners.some((listener) => isSameAddress(listener.address, address))) await openAll([address]);
    },
    answers,
    async answersAway(host) {
      const asked = { ...front.health, question: front.health.away };
      const options = { protocol: "udp", timeoutMs: selfQueryTimeoutMs.udp } as const;
      return (await askOwnSocket({ host, port: 53 }, asked, options, clock)) !== undefined;
    },
    async nextAnswers() {
      const addresses = askedAddresses();
      const address = addresses[lookCount % addresses.length];
      lookCount += 1;
      return address !== undefined && (await watch(address)) !== undefined;
    },
    async findSilence() {
      const addresses = askedAddresses();
      if (addresses.length === 0) return "no address is open";
      return whatSilenceSays(await Promise.all(addresses.map(lookAt)));
    },
    async leave() {
      for (const listener of listeners) listener.leave();
      await emptyQueues();
      for (const listener of listeners) listener.drain();
    },
    async close() {
      await Promise.all(listeners.map((listener) => listener.close()));
    },
  };
}

/**
 * What is wrong according to who answered each question of one look, address by address, as a message for people; undefined if nothing
 * is. An address that is silent as a whole does not count beside others: it may be gone from the machine, or its family switched off.
 */
export function whatSilenceSays(looks: readonly (readonly (Answerer | undefined)[])[]): string | undefined {
  const heard = looks.filter((answerers) => answerers.some((answerer) => answerer !== undefined));
  if (heard.length === 0) return "a query to nodens's own socket was not answered";
  for (const answerers of heard) {
    const silent = answerers.filter((answerer) => answerer === undefined).length;
    if (silent > lostByChance)
      return `${silent} of ${answerers.length} queries to nodens's own address were not answered; is another nodens hanging there?`;
  }
  // Another process may answer all of them by chance, or because this one cannot be reached.
  return heard.some((answerers) => answerers.includes("self"))
    ? undefined
    : "queries to nodens's own socket were answered only by another process";
}
