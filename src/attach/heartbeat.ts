/*
 * Test packets for one Service address: questions of our own that take the path of pods' questions. The reply, as it leaves, renews
 * the interception in the kernel; here it is only known that it did.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { InterceptTarget } from "./intercept-table.ts";
import { aliveSeconds } from "./pod-switches.ts";
import type { SetupProblem } from "./setup-problem.ts";

/** What the heartbeat of an address needs. */
export interface HeartbeatOptions {
  readonly target: InterceptTarget;
  readonly clock: Clock;
  /** Whether a question to this address was answered. */
  answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean>;
}

/** The state of one Service address. */
export interface Heartbeat {
  readonly target: InterceptTarget;
  /** Whether the kernel redirects what pods send to the address at this moment, as far as test packets tell. */
  isInForce(): boolean;
  /** Sends a test packet. Resolves with whether it was answered; undefined when one is under way, or the address suspended. */
  beat(): Promise<boolean | undefined>;
  /**
   * Asks over TCP. Where that is not answered, twice, while UDP is, the address is suspended: nothing renews it for a while, longer each
   * time.
   */
  beatOverTcp(): Promise<void>;
  /** Test packets in a row that were not answered. */
  misses(): number;
  /** What is wrong now. */
  problem(): SetupProblem | undefined;
  /** What was seen counts no more: the table is gone, or nothing is to be intercepted. */
  forget(): void;
  /** Resolves when no test packet is under way: its reply would still renew the element. */
  idle(): Promise<void>;
}

/** Failed beats in a row before they are called a problem: fewer may be a busy moment. */
export const missesUntilProblem = 3;
const firstSuspensionMs = 60_000;
const longestSuspensionMs = 900_000;

/** Creates the heartbeat of an address, which beats when it is told to. */
export function createHeartbeat({ target, clock, answers }: HeartbeatOptions): Heartbeat {
  const probe = { host: target.host, port: target.probePort };
  const name = `${target.virtualAddress} (${target.host} port ${target.port})`;
  let underWay: Promise<boolean | undefined> | undefined;
  let renewedAtMs = -Infinity;
  /** Counts up when what was asked before no longer matters. */
  let era = 0;
  let misses = 0;
  let suspendedUntilMs = -Infinity;
  let suspensionMs = firstSuspensionMs;

  async function ask(): Promise<boolean | undefined> {
    const askedIn = era;
    const isAnswered = await answers(probe, "udp");
    if (askedIn !== era) return undefined;
    if (isAnswered) renewedAtMs = clock.nowMs();
    misses = isAnswered ? 0 : misses + 1;
    return isAnswered;
  }

  async function beat(): Promise<boolean | undefined> {
    if (underWay !== undefined || clock.nowMs() < suspendedUntilMs) return undefined;
    underWay = ask().finally(() => (underWay = undefined));
    return underWay;
  }

  async function idle(): Promise<void> {
    await underWay?.catch(() => {});
  }

  /** A moment without the address, or with no time for anything, speaks against neither transport: then undefined. */
  async function isAnsweredOverTcp(): Promise<boolean | undefined> {
    if (await answers(probe, "tcp")) return true;
    await idle();
    return (await beat()) === true ? answers(probe, "tcp") : undefined;
  }

  function isInForce(): boolean {
    return clock.nowMs() - renewedAtMs < aliveSeconds * 1000;
  }

  function forget(): void {
    era += 1;
    renewedAtMs = -Infinity;
    misses = 0;
  }

  return {
    target,
    isInForce,
    beat,
    async beatOverTcp() {
      if (!isInForce()) return;
      const askedIn = era;
      const isAnswered = await isAnsweredOverTcp();
      if (askedIn !== era || isAnswered === undefined) return;
      if (isAnswered) {
        suspensionMs = firstSuspensionMs;
        suspendedUntilMs = -Infinity;
        return;
      }
      suspendedUntilMs = clock.nowMs() + suspensionMs;
      suspensionMs = Math.min(suspensionMs * 2, longestSuspensionMs);
      forget();
    },
    misses: () => misses,
    problem() {
      if (suspendedUntilMs !== -Infinity) {
        const message = `test packets for ${name} are answered over UDP but not over TCP: pods ask kube-dns directly for a while`;
        return { kind: "path", message };
      }
      if (misses < missesUntilProblem) return undefined;
      const message = `test packets that take the path of pods' questions to ${name} are not answered: pods ask kube-dns directly. Is there a firewall rule, or another table in front?`;
      return { kind: "path", message };
    },
    forget,
    idle,
  };
}
