/*
 * What nodens puts on the node, from the settings `attach.*`: addresses, sockets on them, rules. They are put in place at the start
 * and checked every minute, more often while something is wrong. Nothing here ends nodens or stops it from serving where it can.
 */
import { isIP } from "node:net";
import { type Clock, toNextBeatMs } from "../runtime/clock.ts";
import type { Netfilter } from "../runtime/netfilter.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { type Interception, startInterception } from "./interception.ts";
import type { InterceptedSources, InterceptTarget } from "./intercept-table.ts";
import { families } from "./address-family.ts";
import { elementsOf } from "./address-ranges.ts";
import { type BlockedPods, blockedPodProblems } from "./blocked-pods.ts";
import { type FallOpen, startFallOpen } from "./fall-open.ts";
import { ensureAddresses } from "./local-addresses.ts";
import { type AttachMode, attachModes } from "./modes.ts";
import type { OpenNftSession } from "./nft-session.ts";
import { keepOwnAddressTable } from "./keep-own-address-table.ts";
import { type OwnAddress, ownAddressTable, type OwnLabels } from "./own-address-table.ts";
import type { PodCounts } from "./pod-counts.ts";
import { type PodTrouble, readPodTroubles } from "./pods-in-trouble.ts";
import type { Tracking } from "./pod-switches.ts";
import { notStarted, type RunProgram } from "./run-program.ts";
import {
  isNotPermitted,
  type SetupProblem,
  type SetupProblemKind,
  setupProblemKinds,
  trackedProblem,
} from "./setup-problem.ts";
import { readStandingPorts, type StandingPort } from "./standing-ports.ts";

/** What to put in place (settings: attach), and the means to do so. */
export interface AttachmentOptions {
  readonly mode: AttachMode;
  readonly addresses: readonly string[];
  /** Where nodens listens whatever the mode (settings: listen.addresses). */
  readonly listenAddresses: readonly ServerAddress[];
  readonly virtualAddresses: readonly string[];
  readonly interceptPort: number;
  /** Whether pods' packets are kept out of connection tracking; `auto` where their replies leave all the same. */
  readonly notrack: boolean | "auto";
  /** Whose questions are intercepted, as the settings say now. */
  sources(): InterceptedSources;
  readonly clock: Clock;
  readonly run: RunProgram;
  readonly openSession: OpenNftSession;
  readonly netfilter: Netfilter;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
  /** The first labels of the names that nodens's own questions ask for. */
  readonly ownLabels: OwnLabels;
  /** Whether this node tracks connections at all. */
  isTrackingInUse(): boolean;
  /** Whether this node has the address now. Asked ten times a second, or once where changes are heard. */
  hasAddress(host: string): boolean;
  /** Calls `onChange` when addresses of this node come or go. Returns what ends that; undefined where it cannot be heard. */
  hearAddressChanges(onChange: () => void): (() => void) | undefined;
  /** Whether this node has IPv6. */
  hasIpv6(): boolean;
  /** Opens UDP and TCP on the address, unless it is open already. Rejects with a message for people. */
  listen(address: ServerAddress): Promise<void>;
  /** Whether a question of our own to this address was answered. */
  answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean>;
  /**
   * Whether a question to port 53 of this address was answered that the rules send on to the Service, as if nodens were away; undefined
   * where silence says nothing, because the Service is down.
   */
  answersAway(host: string, service: string): Promise<boolean | undefined>;
  /** Whether nodens is fit for pods at all: ready, and not in a loop. */
  isFit(): boolean;
  /** Whether pods that ask this Service address would find no more there than nodens does. */
  mayIntercept(virtualAddress: string): boolean;
}

/** What nodens has put on the node, and keeps there. */
export interface Attachment {
  /** Whether everything the mode asks for is in place. Always true for a mode that puts nothing on the node. */
  isComplete(): boolean;
  /** Whether the sockets that pods need are open. */
  areSocketsOpen(): boolean;
  /** Whether pods ask kube-dns directly although the mode brings them here: by test packets, and where the rules for it are in place. */
  isFailOpen(): boolean;
  /**
   * Whether others answer the pods of this node while nodens is away: the rules for that are in place, and a question that they sent on was
   * answered, the last time one was asked.
   */
  hasFallback(): boolean;
  /** Pods that ask an address of nodens's own, and whose packets a rule of the node dropped at the last look. */
  blockedPods(): BlockedPods;
  /** The pods that something is wrong for now, as far as the kernel tells: asked anew at each call. */
  podTroubles(): PodTrouble[];
  /** How many Service addresses are intercepted now, and what was seen of pods at the last look. */
  intercepted(): { readonly addresses: number; readonly pods: PodCounts | undefined };
  /** What is wrong now. */
  problems(): readonly SetupProblem[];
  /** How many problems have appeared since the start, by kind. */
  problemCounts(): Readonly<Record<SetupProblemKind, number>>;
  /** Lets new questions from pods go to kube-dns, where the mode can do that. The addresses and their table stay. */
  release(): Promise<void>;
  /** Stops the checks, and the interception. */
  close(): Promise<void>;
}

const checkMs = 60_000;
const retryMs = 5000;
/** How soon rules are back that somebody flushed, and how soon it is told that others drop pods' packets. */
const rulesMs = 5000;
/** Pods without an answer notice after a second or more. Where the kernel tells of changes, it is a second look at what it may have left out. */
const watchMs = { unheard: 100, heard: 1000 } as const;

/** Puts in place whatever it can, and keeps it there. Resolves after the first try, whether or not that succeeded. */
export async function attach(options: AttachmentOptions): Promise<Attachment> {
  const { mode, notrack, clock, run, log } = options;
  const { placesAddresses, intercepts } = attachModes[mode];
  // Where the node has no IPv6, no pod of it can need that.
  const addresses = options.addresses.filter((address) => isIP(address) === 4 || options.hasIpv6());
  const counts = Object.fromEntries(setupProblemKinds.map((kind) => [kind, 0])) as Record<SetupProblemKind, number>;
  const targets = intercepts ? targetsOf({ ...options, addresses }, await readStandingPorts(run).catch(() => [])) : [];
  const countsTracked = options.isTrackingInUse();
  const own = ownAddressesOf({ ...options, addresses });
  const canFallOpen = own.some(({ service }) => service !== undefined);
  const needsTable = notrack !== false || canFallOpen;
  const table = keepOwnAddressTable(wantedTable, run, options.netfilter);
  const openSockets = new Set<string>();
  /** What pods of this node ask: with an interception the Service, whose questions have ports of their own. */
  const needed = intercepts ? targets : addresses.map((host) => ({ host, port: 53 }));
  let nodeProblems: readonly SetupProblem[] = [];
  let interceptProblems: readonly SetupProblem[] = [];
  let fallOpenProblems: readonly SetupProblem[] = [];
  let podProblems: readonly SetupProblem[] = [];
  let interception: Interception | undefined;
  let fallOpen: FallOpen | undefined;
  const mayMakeRules = own.length > 0 && (await canMakeRules());
  let isPlaced = own.length === 0;
  /** Whether what was put in place has been seen to work since. */
  let isSeenToWork = false;
  let isReleased = false;
  let isChecking = false;
  let cancelCheck = () => {};
  let cancelRulesWatch = () => {};
  let cancelWatch = () => {};
  let stopHearing: (() => void) | undefined;
  /** Those that were there when they were last looked for. */
  let present: readonly string[] = [];

  if (own.length > 0) {
    await check();
    if (placesAddresses) {
      stopHearing = options.hearAddressChanges(look);
      watch(stopHearing === undefined ? watchMs.unheard : watchMs.heard);
    }
    if (intercepts) interception = intercept();
    else if (canFallOpen && mayMakeRules) fallOpen = beat();
    if (mayMakeRules && needsTable) watchRules();
  }

  /** Without the rules pods have no DNS should nodens end, and are tracked. What is wrong with them is told with everything else. */
  function watchRules(): void {
    cancelRulesWatch = clock.after(rulesMs, () => {
      void (isChecking ? Promise.resolve([]) : makeRules(table.glance).catch(unexpected)).then(() => {
        if (!isReleased) watchRules();
      });
    });
  }

  function wantedTable() {
    if (!needsTable) return undefined;
    const { allowed } = options.sources();
    const sources = families.flatMap((family) => elementsOf(allowed, family));
    return { own, sources, notrack: notrack !== false, countsTracked, ownLabels: options.ownLabels };
  }

  function watch(intervalMs: number): void {
    look();
    cancelWatch = clock.after(toNextBeatMs(clock, intervalMs), () => watch(intervalMs));
  }

  /** Acts at once when an address was taken away. One that cannot be put back is tried again with everything else. */
  function look(): void {
    if (isReleased || isChecking) return;
    const now = addresses.filter((address) => options.hasAddress(address));
    const lost = present.filter((address) => !now.includes(address));
    present = now;
    if (lost.length === 0) return;
    log.warn({ addresses: lost }, "somebody took an address of nodens off this node; it is put back");
    cancelCheck();
    void check();
  }

  async function check(): Promise<void> {
    isChecking = true;
    nodeProblems = compare(nodeProblems, await place().catch(unexpected));
    isPlaced = nodeProblems.every(({ isMinor }) => isMinor);
    isChecking = false;
    await interception?.verify();
    await fallOpen?.verify();
    cancelCheck();
    if (!isReleased) cancelCheck = clock.after(isPlaced && isSeenToWork ? checkMs : retryMs, () => void check());
  }

  /** A bug in nodens, or output of `ip` or `nft` that nobody expected, must not end nodens. */
  function unexpected(error: unknown): SetupProblem[] {
    return [{ kind: "path", message: `cannot check the node: ${String(error)}` }];
  }

  async function place(): Promise<SetupProblem[]> {
    const problems = placesAddresses ? await ensureAddresses(addresses, run).catch(unexpected) : [];
    // Rules first: questions that reach the socket before the rules are there would be tracked.
    if (mayMakeRules) problems.push(...(await makeRules()));
    const placed = placesAddresses ? own.map(({ address: host }) => ({ host, port: 53 })) : [];
    for (const { host, port } of [...placed, ...targets]) {
      // A socket opened while nodens is ending would never be closed.
      if (isReleased) return problems;
      try {
        await options.listen({ host, port });
        openSockets.add(formatServerAddress({ host, port }));
      } catch (error) {
        // With an interception, port 53 is for pods that were pointed here in another mode.
        const isMinor = intercepts && port === 53 ? ({ isMinor: true } as const) : {};
        problems.push({ kind: "listen", message: (error as Error).message, ...isMinor });
      }
    }
    if (problems.every(({ isMinor }) => isMinor)) problems.push(...(await findSilence()));
    return problems;
  }

  async function makeRules(look = table.verify): Promise<SetupProblem[]> {
    const { wasChanged, problem } = await look();
    podProblems = compare(podProblems, blockedPodProblems(table.blockedPods(), ownAddressTable));
    if (wasChanged) log.warn({}, "somebody changed or removed the nftables table of nodens; it has been put back");
    if (problem === undefined) return [];
    // Where packets are tracked anyway, the table only lets pods fall open: nodens serves them without it.
    return [notrack === false ? { ...problem, isMinor: true } : problem];
  }

  /** A mode that places nothing works without rules too. Then nodens says once what that costs, and leaves it at that. */
  async function canMakeRules(): Promise<boolean> {
    if (placesAddresses) return true;
    const { code, stderr } = await run("nft", ["list", "tables"]);
    if (code !== notStarted && !isNotPermitted(stderr)) return true;
    const why = code === notStarted ? "without the program nft" : "without the capability NET_ADMIN";
    const cost =
      "each socket that a pod asks from takes an entry of connection tracking, and pods of this node have no DNS while nodens is away";
    log.info({ mode }, `${why} ${cost}`);
    return false;
  }

  /** The only proof that an address works is an answer from it. */
  async function findSilence(): Promise<SetupProblem[]> {
    if (!options.isFit()) return [];
    isSeenToWork = true;
    const problems: SetupProblem[] = [];
    for (const { address: host } of own) {
      const address = { host, port: 53 };
      if (placesAddresses && !openSockets.has(formatServerAddress(address))) continue;
      for (const protocol of ["udp", "tcp"] as const) {
        if (await options.answers(address, protocol)) continue;
        // Somebody took the address a moment ago, which is noticed by itself.
        if (placesAddresses && !options.hasAddress(host)) continue;
        const message = `a question to ${formatServerAddress(address)} over ${protocol.toUpperCase()} was not answered; is there a firewall rule?`;
        problems.push({ kind: "path", message });
      }
    }
    const isTracked = mayMakeRules && table.countTracked() > 0;
    if (isTracked) problems.push(trackedProblem(`packets to ${own.map(({ address }) => address).join(", ")} port 53`));
    return problems;
  }

  function intercept(): Interception {
    return startInterception({
      targets,
      sources: options.sources,
      tracking: trackingOf(notrack, countsTracked),
      countsTracked,
      clock,
      run,
      openSession: options.openSession,
      answers: options.answers,
      mayIntercept: (target) => isPlacedFor(target) && options.isFit() && options.mayIntercept(target.virtualAddress),
      report(problems) {
        interceptProblems = compare(interceptProblems, problems);
      },
    });
  }

  function beat(): FallOpen {
    return startFallOpen({
      own,
      clock,
      answers: options.answers,
      answersAway: options.answersAway,
      mayAnswer: (service) => options.isFit() && options.mayIntercept(service),
      report(problems) {
        fallOpenProblems = compare(fallOpenProblems, problems);
      },
      tellAway(isAnswered, message) {
        if (isAnswered) log.info({ mode }, message);
        else log.warn({ mode }, message);
      },
    });
  }

  /** Without its socket an interception would only lose packets. */
  function isPlacedFor(target: InterceptTarget): boolean {
    return openSockets.has(formatServerAddress(target));
  }

  /** Whether the rules that send pods' questions on to the Service were in place at the last look, and do so. */
  function canReachService(): boolean {
    return fallOpen !== undefined && fallOpen.isServiceReached() && !nodeProblems.some(isOfRules);
  }

  function stopLooking(): void {
    isReleased = true;
    cancelCheck();
    cancelRulesWatch();
    cancelWatch();
    stopHearing?.();
    stopHearing = undefined;
    fallOpen?.close();
  }

  /** Counts and logs what is new, and logs what is over. */
  function compare(before: readonly SetupProblem[], now: readonly SetupProblem[]): readonly SetupProblem[] {
    const has = (list: readonly SetupProblem[], one: SetupProblem) =>
      list.some(({ message }) => message === one.message);
    for (const problem of now) {
      if (has(before, problem)) continue;
      counts[problem.kind] += 1;
      log.warn({ kind: problem.kind, mode }, problem.message);
    }
    for (const problem of before) {
      if (!has(now, problem)) log.info({ kind: problem.kind, mode }, `no longer: ${problem.message}`);
    }
    return now;
  }

  return {
    isComplete: () => isPlaced && (interception === undefined || interception.isInForce()),
    areSocketsOpen: () => !placesAddresses || needed.every((address) => openSockets.has(formatServerAddress(address))),
    isFailOpen: () => interception?.isInForce() === false || (canReachService() && fallOpen?.isAnswering() === false),
    hasFallback: () => !attachModes[mode].fallsOpen || canReachService(),
    blockedPods: table.blockedPods,
    podTroubles: () => readPodTroubles(options.netfilter, interception?.table),
    intercepted: () => ({ addresses: interception?.inForceCount() ?? 0, pods: interception?.podCounts() }),
    problems: () => [...nodeProblems, ...interceptProblems, ...fallOpenProblems, ...podProblems],
    problemCounts: () => counts,
    async release() {
      stopLooking();
      await interception?.withdraw();
    },
    async close() {
      stopLooking();
      await interception?.close();
    },
  };
}

/** nodens's own addresses, each with the first Service address of its family where the mode falls open to that. */
function ownAddressesOf({ mode, addresses, listenAddresses, virtualAddresses }: AttachmentOptions): OwnAddress[] {
  const { own, fallsOpen } = attachModes[mode];
  const listed = { "attach.addresses": addresses, "listen.addresses": listenAddresses.flatMap(askedByPods) };
  return (own === undefined ? [] : listed[own]).map((address) => {
    const service = virtualAddresses.find((other) => isIP(other) === isIP(address) && other !== address);
    return { address, service: fallsOpen ? service : undefined };
  });
}

/** Of where nodens listens, what a pod can have as its nameserver: port 53 of one address that is not the node's alone. */
function askedByPods({ host, port }: ServerAddress): string[] {
  const isForPods = port === 53 && !/^(?:127\.|0\.0\.0\.0$|::1?$)/.test(host);
  return isForPods ? [host] : [];
}

/**
 * Each Service address with its ports on our address of the same family: the port that it has already, or the first from `interceptPort`
 * up that no address of the family has; and for test packets one as far below. Whatever the order: another nodens may share the ports.
 */
export function targetsOf(
  {
    virtualAddresses,
    addresses,
    interceptPort,
  }: Pick<AttachmentOptions, "virtualAddresses" | "addresses" | "interceptPort">,
  standing: readonly StandingPort[],
): InterceptTarget[] {
  const taken = [...standing];
  return virtualAddresses.flatMap((virtualAddress) => {
    const family = isIP(virtualAddress);
    const host = addresses.find((address) => isIP(address) === family);
    if (host === undefined) return [];
    const inFamily = taken.filter((one) => isIP(one.virtualAddress) === family && one.port >= interceptPort);
    const kept = inFamily.find((one) => one.virtualAddress === virtualAddress);
    const port = kept?.port ?? firstFree(interceptPort, inFamily);
    taken.push({ virtualAddress, port });
    return [{ virtualAddress, host, port, probePort: 2 * interceptPort - 1 - port }];
  });
}

/** Whether a problem may mean that rules, or the addresses that they are for, are not there. */
function isOfRules({ kind }: SetupProblem): boolean {
  return kind === "nft" || kind === "permission" || kind === "address";
}

function firstFree(from: number, taken: readonly StandingPort[]): number {
  return taken.some(({ port }) => port === from) ? firstFree(from + 1, taken) : from;
}

/** On a node that tracks nothing, no rule can ask for a known connection. */
function trackingOf(notrack: boolean | "auto", isInUse: boolean): Tracking {
  if (notrack === false) return "always";
  return notrack === "auto" && isInUse ? "auto" : "never";
}
