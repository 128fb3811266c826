/*
 * The attachment of a mode in which pods ask addresses that the node has anyway (host-ip): nothing but the table that keeps their
 * questions out of connection tracking, where nodens may have one. Whether nodens serves never depends on it.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Attachment, AttachmentOptions } from "./attachment.ts";
import { notStarted, type RunProgram } from "./run-program.ts";
import {
  isNotPermitted,
  type SetupProblem,
  type SetupProblemKind,
  setupProblemKinds,
  trackedProblem,
} from "./setup-problem.ts";
import { keepUntrackedTable } from "./untracked-table.ts";

/** What to keep untracked, and the means to do so. */
export interface UntrackedListenersOptions {
  /** Where pods ask. Only port 53 of a single address can be kept untracked; others are left alone. */
  readonly addresses: readonly ServerAddress[];
  /** Setting `attach.notrack`. */
  readonly notrack: boolean;
  readonly clock: Clock;
  readonly run: RunProgram;
  readonly log: AttachmentOptions["log"];
  /** Whether this node tracks connections at all. */
  isTrackingInUse(): boolean;
}

const checkMs = 60_000;

/**
 * Keeps questions to the addresses untracked, and looks after that every minute. Without NET_ADMIN, or without the program nft, it says
 * once what that costs, and leaves it at that. Resolves after the first try.
 */
export async function attachUntracked(options: UntrackedListenersOptions): Promise<Attachment> {
  const { addresses, notrack, clock, run, log } = options;
  const hosts = addresses.filter(({ host, port }) => port === 53 && !isEveryAddress(host)).map(({ host }) => host);
  const counts = Object.fromEntries(setupProblemKinds.map((kind) => [kind, 0])) as Record<SetupProblemKind, number>;
  const table = keepUntrackedTable(hosts, run, notrack, options.isTrackingInUse());
  let problem: SetupProblem | undefined;
  let isOver = false;
  let cancelCheck = () => {};

  if (hosts.length > 0 && (await isAllowed())) await check();

  /** Whether nodens may have tables; says what it costs if not, which is no fault. */
  async function isAllowed(): Promise<boolean> {
    const { code, stderr } = await run("nft", ["list", "tables"]);
    if (code !== notStarted && !isNotPermitted(stderr)) return true;
    const why = code === notStarted ? "the program nft is not installed" : "nodens lacks the capability NET_ADMIN";
    const cost = "each question of a pod takes a connection tracking entry for 30 s, though it is not translated";
    if (notrack) log.info({}, `${cost}: ${why}`);
    return false;
  }

  async function check(): Promise<void> {
    const { wasChanged, problem: refused } = await table.verify();
    if (wasChanged) log.warn({}, "somebody changed or removed the nftables table of nodens; it has been put back");
    const isTracked = refused === undefined && (await table.countTracked()) > 0;
    tell(isTracked ? trackedProblem(`packets to ${hosts.join(", ")} port 53`) : refused);
    if (!isOver) cancelCheck = clock.after(checkMs, () => void check());
  }

  function tell(now: SetupProblem | undefined): void {
    if (problem !== undefined && now?.message !== problem.message) log.info({}, `no longer: ${problem.message}`);
    if (now !== undefined && now.message !== problem?.message) {
      counts[now.kind] += 1;
      log.warn({ kind: now.kind }, now.message);
    }
    problem = now;
  }

  function end(): Promise<void> {
    isOver = true;
    cancelCheck();
    return Promise.resolve();
  }

  return {
    isComplete: () => problem === undefined,
    areSocketsOpen: () => true,
    isFailOpen: () => false,
    problems: () => (problem === undefined ? [] : [problem]),
    problemCounts: () => counts,
    release: end,
    close: end,
  };
}

function isEveryAddress(host: string): boolean {
  return /^[0.:]+$/.test(host);
}
