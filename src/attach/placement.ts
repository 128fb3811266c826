/*
 * Puts on the node what the mode asks for (addresses, rules, sockets), and asks whether it works. Whatever fails is told, and the rest is
 * put in place all the same.
 */
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { families } from "./address-family.ts";
import { elementsOf } from "./address-ranges.ts";
import type { AttachmentOptions } from "./attachment-options.ts";
import { type BlockedPods, blockedPodProblems } from "./blocked-pods.ts";
import type { InterceptTarget } from "./intercept-table.ts";
import { keepOwnAddressTable } from "./keep-own-address-table.ts";
import { ensureAddresses } from "./local-addresses.ts";
import { attachModes } from "./modes.ts";
import { type OwnAddress, ownAddressTable } from "./own-address-table.ts";
import type { ProblemLog } from "./problem-log.ts";
import { notStarted } from "./run-program.ts";
import { isNotPermitted, type SetupProblem, trackedProblem } from "./setup-problem.ts";

/** What is to be put in place, and where its problems are told. */
export interface PlacementOptions {
  readonly options: AttachmentOptions;
  /** Those of `options` that this node can have. */
  readonly addresses: readonly string[];
  readonly own: readonly OwnAddress[];
  readonly targets: readonly InterceptTarget[];
  readonly countsTracked: boolean;
  readonly problems: ProblemLog;
}

/** What is in place. */
export interface Placement {
  /** Puts in place what is not. Resolves with what is wrong, and does not reject. */
  place(): Promise<SetupProblem[]>;
  /** Whether there are rules to keep, which nodens may make. */
  readonly hasRules: boolean;
  /** Puts back rules that somebody flushed, and tells of pods whose packets others drop, at next to no cost. */
  keepRules(): Promise<void>;
  /** Whether the socket on this address is open. */
  isOpen(address: ServerAddress): boolean;
  /** Whether what was put in place has been seen to work since. */
  isSeenToWork(): boolean;
  /** Pods whose packets a rule of the node dropped at the last look. */
  blockedPods(): BlockedPods;
  /** Opens no more sockets: one opened while nodens is ending would never be closed. */
  stop(): void;
}

/** Finds out whether rules can be made. Puts nothing in place yet. */
export async function createPlacement(placed: PlacementOptions): Promise<Placement> {
  const { options, addresses, own, targets, countsTracked, problems } = placed;
  const { placesAddresses, intercepts } = attachModes[options.mode];
  const needsTable = options.notrack !== false || own.some(({ service }) => service !== undefined);
  const table = keepOwnAddressTable(wantedTable, options.run, options.netfilter);
  const openSockets = new Set<string>();
  const mayMakeRules = own.length > 0 && (await canMakeRules(options));
  let isSeenToWork = false;
  let isStopped = false;

  function wantedTable() {
    if (!needsTable) return undefined;
    const { allowed } = options.sources();
    const sources = families.flatMap((family) => elementsOf(allowed, family));
    return { own, sources, notrack: options.notrack !== false, countsTracked, ownLabels: options.ownLabels };
  }

  async function place(): Promise<SetupProblem[]> {
    const found = placesAddresses ? await ensureAddresses(addresses, options.run).catch(unexpected) : [];
    // Rules first: questions that reach the socket before the rules are there would be tracked.
    if (mayMakeRules) found.push(...(await makeRules(table.verify)));
    found.push(...(await openAll()));
    if (!isStopped && found.every(({ isMinor }) => isMinor)) found.push(...(await findSilence()));
    return found;
  }

  async function makeRules(look: typeof table.verify): Promise<SetupProblem[]> {
    const { wasChanged, problem } = await look();
    problems.report("pods", blockedPodProblems(table.blockedPods(), ownAddressTable));
    if (wasChanged)
      options.log.warn({}, "somebody changed or removed the nftables table of nodens; it has been put back");
    if (problem === undefined) return [];
    // Where packets are tracked anyway, the table only lets pods fall open: nodens serves them without it.
    return [options.notrack === false ? { ...problem, isMinor: true } : problem];
  }

  async function openAll(): Promise<SetupProblem[]> {
    const found: SetupProblem[] = [];
    const ownSockets = placesAddresses ? own.map(({ address: host }) => ({ host, port: 53 })) : [];
    for (const { host, port } of [...ownSockets, ...targets]) {
      if (isStopped) break;
      try {
        await options.listen({ host, port });
        openSockets.add(formatServerAddress({ host, port }));
      } catch (error) {
        // With an interception, port 53 is for pods that were pointed here in another mode.
        const isMinor = intercepts && port === 53 ? ({ isMinor: true } as const) : {};
        found.push({ kind: "listen", message: (error as Error).message, ...isMinor });
      }
    }
    return found;
  }

  /** The only proof that an address works is an answer from it. */
  async function findSilence(): Promise<SetupProblem[]> {
    if (!options.isFit()) return [];
    isSeenToWork = true;
    const found: SetupProblem[] = [];
    for (const { address: host } of own) {
      const address = { host, port: 53 };
      if (placesAddresses && !isOpen(address)) continue;
      for (const protocol of ["udp", "tcp"] as const) {
        if (await options.answers(address, protocol)) continue;
        // Somebody took the address a moment ago, which is noticed by itself.
        if (placesAddresses && !options.hasAddress(host)) continue;
        const message = `a question to ${formatServerAddress(address)} over ${protocol.toUpperCase()} was not answered; is there a firewall rule?`;
        found.push({ kind: "path", message });
      }
    }
    const isTracked = mayMakeRules && table.countTracked() > 0;
    if (isTracked) found.push(trackedProblem(`packets to ${own.map(({ address }) => address).join(", ")} port 53`));
    return found;
  }

  function isOpen(address: ServerAddress): boolean {
    return openSockets.has(formatServerAddress(address));
  }

  return {
    place: () => place().catch(unexpected),
    hasRules: mayMakeRules && needsTable,
    async keepRules() {
      await makeRules(table.glance).catch(unexpected);
    },
    isOpen,
    isSeenToWork: () => isSeenToWork,
    blockedPods: table.blockedPods,
    stop() {
      isStopped = true;
    },
  };
}

/** A bug in nodens, or output of `ip` or `nft` that nobody expected, must not end nodens. */
function unexpected(error: unknown): SetupProblem[] {
  return [{ kind: "path", message: `cannot check the node: ${String(error)}` }];
}

/** A mode that places nothing works without rules too. Then nodens says once what that costs, and leaves it at that. */
async function canMakeRules({ mode, run, log }: AttachmentOptions): Promise<boolean> {
  if (attachModes[mode].placesAddresses) return true;
  const { code, stderr } = await run("nft", ["list", "tables"]);
  if (code !== notStarted && !isNotPermitted(stderr)) return true;
  const why = code === notStarted ? "without the program nft" : "without the capability NET_ADMIN";
  const cost =
    "each socket that a pod asks from takes an entry of connection tracking, and pods of this node have no DNS while nodens is away";
  log.info({ mode }, `${why} ${cost}`);
  return false;
}
