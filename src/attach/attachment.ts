/*
 * What nodens puts on the node, from the settings `attach.*`: addresses, sockets on them, rules. They are put in place at the start
 * and checked every minute, more often while something is wrong. Nothing here ends nodens or stops it from serving where it can.
 */
import { isIP } from "node:net";
import { ownAddressesOf, targetsOf } from "./asked-addresses.ts";
import type { AttachmentOptions } from "./attachment-options.ts";
import type { BlockedPods } from "./blocked-pods.ts";
import { type FallOpen, startFallOpen } from "./fall-open.ts";
import { type Interception, startInterception } from "./interception.ts";
import type { InterceptTarget } from "./intercept-table.ts";
import { attachModes } from "./modes.ts";
import type { OwnAddress } from "./own-address-table.ts";
import { createPlacement } from "./placement.ts";
import type { PodCounts } from "./pod-counts.ts";
import type { Tracking } from "./pod-switches.ts";
import { type PodTrouble, readPodTroubles } from "./pods-in-trouble.ts";
import { createProblemLog, type ProblemLog } from "./problem-log.ts";
import type { SetupProblem, SetupProblemKind } from "./setup-problem.ts";
import { readStandingPorts } from "./standing-ports.ts";
import { watchAddresses } from "./watch-addresses.ts";

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

/** Puts in place whatever it can, and keeps it there. Resolves after the first try, whether or not that succeeded. */
export async function attach(options: AttachmentOptions): Promise<Attachment> {
  const { mode, clock, log } = options;
  const { placesAddresses, intercepts, fallsOpen } = attachModes[mode];
  // Where the node has no IPv6, no pod of it can need that.
  const addresses = options.addresses.filter((address) => isIP(address) === 4 || options.hasIpv6());
  const standing = intercepts ? await readStandingPorts(options.run).catch(() => []) : [];
  const targets = intercepts ? targetsOf({ ...options, addresses }, standing) : [];
  const own = ownAddressesOf({ ...options, addresses });
  const countsTracked = options.isTrackingInUse();
  const problems = createProblemLog(options);
  const placement = await createPlacement({ options, addresses, own, targets, countsTracked, problems });
  /** What pods of this node ask: with an interception the Service, whose questions have ports of their own. */
  const needed = intercepts ? targets : addresses.map((host) => ({ host, port: 53 }));
  const canFallOpen = own.some(({ service }) => service !== undefined) && placement.hasRules;
  let interception: Interception | undefined;
  let fallOpen: FallOpen | undefined;
  let isPlaced = own.length === 0;
  let isPlacing = false;
  let isReleased = false;
  let cancelCheck = () => {};
  let cancelRulesWatch = () => {};
  let stopAddressWatch = () => {};

  if (own.length > 0) {
    await check();
    if (placesAddresses)
      stopAddressWatch = watchAddresses({ ...options, addresses, isPlacing: () => isPlacing, onLost });
    if (intercepts) interception = intercept(options, { targets, countsTracked, problems, isOpen: placement.isOpen });
    else if (canFallOpen) fallOpen = beat(options, own, problems);
    if (placement.hasRules) watchRules();
  }

  async function check(): Promise<void> {
    isPlacing = true;
    problems.report("node", await placement.place());
    isPlaced = problems.of("node").every(({ isMinor }) => isMinor);
    isPlacing = false;
    await interception?.verify();
    await fallOpen?.verify();
    cancelCheck();
    const pauseMs = isPlaced && placement.isSeenToWork() ? checkMs : retryMs;
    if (!isReleased) cancelCheck = clock.after(pauseMs, () => void check());
  }

  /** Without the rules pods have no DNS should nodens end, and are tracked. What is wrong with them is told with everything else. */
  function watchRules(): void {
    cancelRulesWatch = clock.after(rulesMs, () => {
      void (isPlacing ? Promise.resolve() : placement.keepRules()).then(() => {
        if (!isReleased) watchRules();
      });
    });
  }

  /** Acts at once. An address that cannot be put back is tried again with everything else. */
  function onLost(lost: readonly string[]): void {
    log.warn({ addresses: lost }, "somebody took an address of nodens off this node; it is put back");
    cancelCheck();
    void check();
  }

  /** Whether the rules that send pods' questions on to the Service were in place at the last look, and do so. */
  function canReachService(): boolean {
    return fallOpen !== undefined && fallOpen.isServiceReached() && !problems.of("node").some(isOfRules);
  }

  function stopLooking(): void {
    isReleased = true;
    placement.stop();
    cancelCheck();
    cancelRulesWatch();
    stopAddressWatch();
    fallOpen?.close();
  }

  return {
    isComplete: () => isPlaced && (interception === undefined || interception.isInForce()),
    areSocketsOpen: () => !placesAddresses || needed.every(placement.isOpen),
    isFailOpen: () => interception?.isInForce() === false || (canReachService() && fallOpen?.isAnswering() === false),
    hasFallback: () => !fallsOpen || canReachService(),
    blockedPods: placement.blockedPods,
    podTroubles: () => readPodTroubles(options.netfilter, interception?.table),
    intercepted: () => ({ addresses: interception?.inForceCount() ?? 0, pods: interception?.podCounts() }),
    problems: problems.all,
    problemCounts: problems.counts,
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

interface InterceptPlaces {
  readonly targets: readonly InterceptTarget[];
  readonly countsTracked: boolean;
  readonly problems: ProblemLog;
  isOpen(address: InterceptTarget): boolean;
}

function intercept(options: AttachmentOptions, { targets, countsTracked, problems, isOpen }: InterceptPlaces) {
  const { sources, clock, run, openSession, answers } = options;
  return startInterception({
    targets,
    sources,
    tracking: trackingOf(options.notrack, countsTracked),
    countsTracked,
    clock,
    run,
    openSession,
    answers,
    // Without its socket an interception would only lose packets.
    mayIntercept: (target) => isOpen(target) && options.isFit() && options.mayIntercept(target.virtualAddress),
    report: (now) => problems.report("interception", now),
  });
}

function beat(options: AttachmentOptions, own: readonly OwnAddress[], problems: ProblemLog): FallOpen {
  const { mode, clock, log, answers, answersAway } = options;
  return startFallOpen({
    own,
    clock,
    answers,
    answersAway,
    mayAnswer: (service) => options.isFit() && options.mayIntercept(service),
    report: (now) => problems.report("fallOpen", now),
    tellAway(isAnswered, message) {
      if (isAnswered) log.info({ mode }, message);
      else log.warn({ mode }, message);
    },
  });
}

/** Whether a problem may mean that rules, or the addresses that they are for, are not there. */
function isOfRules({ kind }: SetupProblem): boolean {
  return kind === "nft" || kind === "permission" || kind === "address";
}

/** On a node that tracks nothing, no rule can ask for a known connection. */
function trackingOf(notrack: boolean | "auto", isInUse: boolean): Tracking {
  if (notrack === false) return "always";
  return notrack === "auto" && isInUse ? "auto" : "never";
}
