/*
 * The table of an interception, owned by an nft session: it ends with this process. It is made, follows the settings, and is made anew
 * after a growing pause when it is lost.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../runtime/clock.ts";
import {
  type InterceptedSources,
  type InterceptTableOptions,
  interceptTableText,
  sourcesText,
  withdrawText,
} from "./intercept-table.ts";
import type { NftSession, OpenNftSession } from "./nft-session.ts";
import type { RunProgram } from "./run-program.ts";
import { isNotPermitted, notPermitted, type SetupProblem } from "./setup-problem.ts";

/** What the table is made of, and with. */
export interface InterceptTableKeeperOptions extends Omit<InterceptTableOptions, "table"> {
  /** Whose questions are to be redirected now. */
  sources(): InterceptedSources;
  readonly clock: Clock;
  readonly run: RunProgram;
  readonly openSession: OpenNftSession;
  /** Called when the table is gone or cannot be trusted. */
  onLost(): void;
}

/** The table, as far as it is there. */
export interface InterceptTable {
  /** Its name. A second nodens of a rolling update has its own beside it: whichever of the two rewrites a packet, it arrives. */
  readonly name: string;
  /** Whether it is there, with all its rules. */
  isMade(): boolean;
  /** Makes it, unless it is being made or the pause since it was lost is not over. */
  make(): Promise<void>;
  /** Brings the sources up to what the settings say. */
  followSources(): Promise<void>;
  /** Empties its set of living addresses at once, instead of letting it run out. */
  withdraw(): Promise<void>;
  /** Looks whether somebody removed it together with its owner. */
  check(): Promise<void>;
  /** It works: when it is lost, it is made anew soon. */
  trust(): void;
  /** It is gone or cannot be trusted, for this reason. */
  lose(reason: string): void;
  /** What is wrong with it; undefined while nothing is. */
  problem(): SetupProblem | undefined;
  /** Removes it. It is neither made nor looked at again. */
  close(): Promise<void>;
}

const firstPauseMs = 1000;
const longestPauseMs = 900_000;

/** A table that is not made yet. */
export function keepInterceptTable(options: InterceptTableKeeperOptions): InterceptTable {
  const { targets, tracking, countsTracked, clock } = options;
  const name = `nodens_${randomBytes(4).toString("hex")}`;
  let session: NftSession | undefined;
  let isMade = false;
  /** Those that the table has. A reload makes others. */
  let sourcesInTable: InterceptedSources | undefined;
  let problem: SetupProblem | undefined;
  let reopenAtMs = -Infinity;
  let pauseMs = firstPauseMs;
  let isClosed = false;

  async function make(): Promise<void> {
    if (session !== undefined || clock.nowMs() < reopenAtMs) return;
    const opened = options.openSession((reason) => {
      if (session === opened) lose(reason);
    });
    session = opened;
    const complaint = await opened.run(interceptTableText({ table: name, targets, tracking, countsTracked }));
    // Unless the end of the session has already been reported, with its reason.
    if (session !== opened) return;
    if (complaint !== undefined) return lose(complaint);
    isMade = true;
    problem = undefined;
    sourcesInTable = undefined;
  }

  async function followSources(): Promise<void> {
    const sources = options.sources();
    const { allowed, excepted } = sources;
    if (allowed === sourcesInTable?.allowed && excepted === sourcesInTable.excepted) return;
    const complaint = await session?.run(sourcesText(name, sources));
    if (complaint !== undefined) return lose(complaint);
    sourcesInTable = sources;
  }

  function lose(reason: string): void {
    const lost = session;
    session = undefined;
    isMade = false;
    reopenAtMs = clock.nowMs() + pauseMs;
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    problem = describeComplaint(name, reason);
    void lost?.close();
    options.onLost();
  }

  return {
    name,
    isMade: () => isMade,
    make,
    followSources,
    async withdraw() {
      await session?.run(withdrawText(name, targets));
    },
    async check() {
      const asked = session;
      if (asked === undefined) return;
      const { code } = await options.run("nft", ["list", "chain", "inet", name, "questions"]);
      if (code !== 0 && asked === session && !isClosed) lose("the table has vanished");
    },
    trust() {
      pauseMs = firstPauseMs;
    },
    lose,
    problem: () => problem,
    async close() {
      isClosed = true;
      await session?.close();
    },
  };
}

function describeComplaint(table: string, complaint: string): SetupProblem {
  const [firstLine = ""] = complaint.split("\n");
  if (/not installed/.test(complaint)) return { kind: "nft", message: `cannot intercept: ${complaint}` };
  if (isNotPermitted(complaint)) return notPermitted("intercept");
  if (/flags|owner/.test(firstLine) || /unknown.*owner|not supported/i.test(complaint)) {
    const message = `cannot intercept: this kernel or nft has no tables with an owner, which need Linux 5.12 and nftables 1.0.0; nft says: ${firstLine}`;
    return { kind: "nft_owner", message };
  }
  return { kind: "nft", message: `cannot intercept: table ${table}: ${firstLine}` };
}
