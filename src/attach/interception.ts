/*
 * The interception of a Service address, and when it may be in force. Pods must resolve names whatever happens to nodens, so two
 * dead-man switches have to be held down: the table ends with this process, and its rules match only while the Service address is
 * in a set, from which it drops out after two seconds unless a question of our own has just taken the path of pods' questions and
 * was answered. Every failure leads to the same safe state: pods ask kube-dns through kube-proxy.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import {
  aliveSeconds,
  counterNames,
  type InterceptTarget,
  interceptTableText,
  probeTargets,
  renewText,
  withdrawText,
} from "./intercept-table.ts";
import type { NftSession, OpenNftSession } from "./nft-session.ts";
import { readCounters } from "./read-counters.ts";
import type { RunProgram } from "./run-program.ts";
import { isNotPermitted, notPermitted, type SetupProblem, trackedProblem } from "./setup-problem.ts";

/** What the interception needs. */
export interface InterceptionOptions {
  readonly targets: readonly InterceptTarget[];
  readonly probePort: number;
  readonly notrack: boolean;
  readonly countsTracked: boolean;
  readonly clock: Clock;
  readonly run: RunProgram;
  readonly openSession: OpenNftSession;
  /** Whether a question to this address was answered. */
  answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean>;
  /** Whether nodens is fit for pods at all: ready, and not in a loop. */
  mayIntercept(): boolean;
  /** Called with what is wrong now, empty when nothing is. It may be called when nothing has changed. */
  report(problems: readonly SetupProblem[]): void;
}

/** An interception, which goes on until it is closed. */
export interface Interception {
  /** Whether the kernel redirects pods' questions to nodens at this moment. */
  isInForce(): boolean;
  /** Checks whether packets really arrive: over TCP too, and those from pods. Call it every minute or so. */
  verify(): Promise<void>;
  /** Stops redirecting new questions, for good. Replies to those under way still reach pods. */
  withdraw(): Promise<void>;
  /** Ends it and removes the table. */
  close(): Promise<void>;
}

const beatMs = 500;
/** nft keeps every line it has read: about 4 MB after this many renewals, which take 80 minutes. */
const renewalsPerSession = 10_000;
/** How long after the interception came into force pods' packets are first checked. */
const firstVerifyMs = 3000;
const firstReopenMs = 1000;
const firstSuspensionMs = 60_000;
const longestPauseMs = 900_000;
/** Failed beats in a row before they are called a problem: fewer may be a busy moment. */
const missesUntilProblem = 3;
/** Fewer packets than this prove nothing; of more, `tolerablePercent` may be lost on the way to us. */
const fewPackets = 20;
/** If none of them arrived, this many do: they cannot all have been under way at that moment. */
const fewestPackets = 4;
const tolerablePercent = 10;

/** Starts beating. It comes into force by itself, as soon as everything it needs is there. */
export function startInterception(options: InterceptionOptions): Interception {
  const { targets, probePort, notrack, countsTracked, clock } = options;
  // A second nodens of a rolling update has its own table beside this one: whichever of the two rewrites a packet, it arrives.
  let table = tableName();
  const virtualAddresses = targets.map(({ virtualAddress }) => virtualAddress);
  const probes = probeTargets(targets).map(({ host }) => ({ host, port: probePort }));
  const problems = new Map<"table" | "beat" | "path" | "tracked", SetupProblem>();
  let session: NftSession | undefined;
  let replacedSession: NftSession | undefined;
  let renewals = 0;
  let renewedAtMs = -Infinity;
  let misses = 0;
  let reopenAtMs = -Infinity;
  let reopenPauseMs = firstReopenMs;
  let suspendedUntilMs = -Infinity;
  let suspensionMs = firstSuspensionMs;
  let counted = { intercepted: 0, delivered: 0, tracked: 0 };
  let isEnding = false;
  let cancelTimer = clock.after(0, tick);

  function tick(): void {
    void beat()
      .catch(unexpected)
      .finally(() => {
        if (!isEnding) cancelTimer = clock.after(beatMs, tick);
      });
  }

  /** A bug in nodens must not end it, and must not go unnoticed. */
  function unexpected(error: unknown): void {
    loseTable(String(error));
  }

  async function beat(): Promise<void> {
    const isWanted = options.mayIntercept() && clock.nowMs() >= suspendedUntilMs;
    if (!isWanted) {
      misses = 0;
      if (problems.delete("beat")) report();
      return release();
    }
    if (session === undefined && !(await openTable())) return report();
    if (!(await areAnswered("udp"))) return miss();
    misses = 0;
    problems.delete("beat");
    if (renewals >= renewalsPerSession) await replaceTable();
    // Meanwhile it may have ended, been suspended, or lost its table.
    const used = session;
    if (isEnding || clock.nowMs() < suspendedUntilMs || used === undefined) return;
    const wasInForce = isInForce();
    const complaint = await used.run(renewText(table, virtualAddresses));
    if (used !== session) return;
    if (complaint !== undefined) return loseTable(complaint);
    renewals += 1;
    renewedAtMs = clock.nowMs();
    problems.delete("table");
    reopenPauseMs = firstReopenMs;
    report();
    if (!wasInForce) clock.after(firstVerifyMs, () => void verify().catch(unexpected));
  }

  async function areAnswered(protocol: "udp" | "tcp"): Promise<boolean> {
    const answered = await Promise.all(probes.map((address) => options.answers(address, protocol)));
    return !answered.includes(false);
  }

  /** The set empties itself; nothing needs to be done for safety. */
  function miss(): void {
    misses += 1;
    if (misses < missesUntilProblem) return;
    const where = probes.map(({ host }) => host).join(", ");
    problems.set("beat", {
      kind: "path",
      message: `test packets that take the path of pods' questions to ${where} are not answered: pods ask kube-dns directly. Is there a firewall rule, or another table in front?`,
    });
    report();
    // Somebody may have removed the table together with its owner.
    if (misses % missesUntilProblem === 0) void checkTable().catch(unexpected);
  }

  async function openTable(): Promise<boolean> {
    if (clock.nowMs() < reopenAtMs) return false;
    const opened = options.openSession((reason) => {
      if (session === opened) loseTable(reason);
    });
    session = opened;
    const complaint = await opened.run(
      interceptTableText({ table, interceptions: targets, probePort, notrack, countsTracked }),
    );
    if (complaint === undefined) {
      renewals = 0;
      counted = { intercepted: 0, delivered: 0, tracked: 0 };
      return true;
    }
    // Unless the end of the session has already been reported, with its reason.
    if (session === opened) loseTable(complaint);
    return false;
  }

  /** A new nft with a table of its own takes over. Both tables do the same until the old one ends with its nft. */
  async function replaceTable(): Promise<void> {
    const replaced = session;
    replacedSession = replaced;
    session = undefined;
    table = tableName();
    await openTable();
    clock.after(aliveSeconds * 1000, () => void replaced?.close());
  }

  /** The table is gone or cannot be trusted. The next try comes after a pause that grows each time. */
  function loseTable(complaint: string): void {
    const lost = session;
    session = undefined;
    renewedAtMs = -Infinity;
    reopenAtMs = clock.nowMs() + reopenPauseMs;
    reopenPauseMs = Math.min(reopenPauseMs * 2, longestPauseMs);
    problems.set("table", describeComplaint(table, complaint));
    void lost?.close();
    report();
  }

  async function checkTable(): Promise<void> {
    const asked = session;
    if (asked === undefined) return;
    const { code } = await options.run("nft", ["list", "chain", "inet", table, "questions"]);
    if (code !== 0 && asked === session && !isEnding) loseTable("the table has vanished");
  }

  async function verify(): Promise<void> {
    if (!isInForce()) return;
    const problem = (await areAnswered("tcp"))
      ? await findLostPackets()
      : "test packets are answered over UDP but not over TCP";
    if (isEnding || !isInForce()) return;
    if (problem === undefined) {
      suspensionMs = firstSuspensionMs;
      problems.delete("path");
      return report();
    }
    problems.set("path", { kind: "path", message: `${problem}: pods ask kube-dns directly for a while` });
    suspendedUntilMs = clock.nowMs() + suspensionMs;
    suspensionMs = Math.min(suspensionMs * 2, longestPauseMs);
    await release();
    report();
  }

  /** Compares how many packets from pods were rewritten with how many passed all other rules, and notes those that were tracked. */
  async function findLostPackets(): Promise<string | undefined> {
    const counters = await readCounters(table, options.run);
    if (counters === undefined) return undefined;
    const packetsOf = (name: string) => counters.get(name) ?? 0;
    const now = {
      intercepted: packetsOf(counterNames.intercepted),
      delivered: packetsOf(counterNames.delivered),
      tracked: packetsOf(counterNames.tracked),
    };
    const intercepted = now.intercepted - counted.intercepted;
    const delivered = now.delivered - counted.delivered;
    const lost = intercepted - delivered;
    noteTracked(now.tracked - counted.tracked);
    counted = { ...counted, tracked: now.tracked };
    // Too few to tell are added to those of the next check: pods of a quiet node need DNS too. If none arrived, a few are enough.
    if (intercepted < (delivered === 0 ? fewestPackets : fewPackets)) return undefined;
    counted = now;
    if (lost * 100 <= intercepted * tolerablePercent) return undefined;
    return `${lost} of ${intercepted} packets from pods were lost between nodens's rules and its socket (a firewall or network policy on the way to ${targets.map(({ host, port }) => `${host} port ${port}`).join(", ")}?)`;
  }

  /** Costs entries, but no answer: nothing to withdraw for. */
  function noteTracked(packets: number): void {
    if (packets === 0) problems.delete("tracked");
    else problems.set("tracked", trackedProblem("rewritten packets of pods"));
  }

  async function release(): Promise<void> {
    if (!isInForce()) return;
    renewedAtMs = -Infinity;
    await session?.run(withdrawText(table));
  }

  function isInForce(): boolean {
    return session !== undefined && clock.nowMs() - renewedAtMs < aliveSeconds * 1000;
  }

  function report(): void {
    if (!isEnding) options.report([...problems.values()]);
  }

  return {
    isInForce,
    verify: () => verify().catch(unexpected),
    async withdraw() {
      isEnding = true;
      cancelTimer();
      // Should nft hang, the set empties itself.
      await Promise.race([release(), new Promise<void>((resolve) => clock.after(aliveSeconds * 1000, resolve))]);
    },
    async close() {
      isEnding = true;
      cancelTimer();
      await Promise.all([session?.close(), replacedSession?.close()]);
    },
  };
}

function tableName(): string {
  return `nodens_${randomBytes(4).toString("hex")}`;
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
