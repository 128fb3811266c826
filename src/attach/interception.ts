/*
 * The interception of Service addresses, and when it may be in force. Pods must resolve names whatever happens to nodens, so dead-man
 * switches have to be held down, and the kernel holds them by itself: the table ends with this process; its rules match a Service
 * address only while replies to test packets leave; and they leave a pod to kube-dns that gets no replies. What happens here is
 * making the table, sending test packets, and telling what was seen. Every failure leads to the same safe state: pods ask kube-dns
 * through kube-proxy.
 */
import { toNextBeatMs } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { createHeartbeat, type Heartbeat, missesUntilProblem } from "./heartbeat.ts";
import type { InterceptTarget } from "./intercept-table.ts";
import { type InterceptTableKeeperOptions, keepInterceptTable } from "./keep-intercept-table.ts";
import { aliveSeconds } from "./pod-switches.ts";
import { countPods, inAnotherTable, type PodCounts, podProblems } from "./pod-counts.ts";
import type { SetupProblem } from "./setup-problem.ts";

/** What the interception needs. */
export interface InterceptionOptions extends Omit<InterceptTableKeeperOptions, "onLost"> {
  /** Whether a question to this address was answered. */
  answers(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean>;
  /** Whether what pods ask this Service address may come here: nodens is fit for pods, and has what the address needs. */
  mayIntercept(target: InterceptTarget): boolean;
  /** Called with what is wrong now, empty when nothing is. It may be called when nothing has changed. */
  report(problems: readonly SetupProblem[]): void;
}

/** An interception, which goes on until it is closed. */
export interface Interception {
  /** Whether the kernel redirects what pods ask each of the addresses at this moment. */
  isInForce(): boolean;
  /** How many of the addresses are redirected. */
  inForceCount(): number;
  /** The name of its table. */
  readonly table: string;
  /** What was seen of pods at the last look, packets since the start; undefined before the first. */
  podCounts(): PodCounts | undefined;
  /** Asks over TCP, and looks at what the kernel counted. Call it every minute or so. */
  verify(): Promise<void>;
  /** Stops redirecting new questions, for good. Replies to those under way still reach pods. */
  withdraw(): Promise<void>;
  /** Ends it and removes the table. */
  close(): Promise<void>;
}

const beatMs = 500;
/** How long after the interception came into force pods' packets are first looked at. */
const firstVerifyMs = 3000;

/** Starts beating. Each address comes into force by itself, as soon as everything it needs is there. */
export function startInterception(options: InterceptionOptions): Interception {
  const { clock } = options;
  const table = keepInterceptTable({ ...options, onLost });
  const hearts = options.targets.map((target) => createHeartbeat({ target, clock, answers: options.answers }));
  let isVerifyDue = false;
  let counted: PodCounts | undefined;
  let isEnding = false;
  let cancelTimer = clock.after(0, tick);

  function tick(): void {
    cancelTimer = clock.after(toNextBeatMs(clock, beatMs), tick);
    void beat().catch(unexpected);
  }

  /** A bug in nodens must not end it, and must not go unnoticed. */
  function unexpected(error: unknown): void {
    table.lose(String(error));
  }

  async function beat(): Promise<void> {
    const wanted = hearts.filter(({ target }) => options.mayIntercept(target));
    if (wanted.length === 0) await release();
    // While others are wanted, it runs out by itself.
    for (const heart of hearts) if (!wanted.includes(heart)) heart.forget();
    if (wanted.length === 0) return report();
    // A new table sees connections that begin for a moment before any is redirected: those to kube-dns stay there.
    if (!table.isMade()) return table.make().then(report);
    await table.followSources();
    // None waits for another: one may be silent, which takes a second to see.
    for (const heart of wanted) void beatOf(heart).catch(unexpected);
  }

  async function beatOf(heart: Heartbeat): Promise<void> {
    const wasInForce = heart.isInForce();
    const isAnswered = await heart.beat();
    if (isEnding || isAnswered === undefined) return;
    if (isAnswered) table.trust();
    // Somebody may have removed the table together with its owner.
    else if (heart.misses() % missesUntilProblem === 0) await table.check();
    if (isAnswered && !wasInForce) verifySoon();
    report();
  }

  function verifySoon(): void {
    if (isVerifyDue) return;
    isVerifyDue = true;
    clock.after(firstVerifyMs, () => {
      isVerifyDue = false;
      void verify().catch(unexpected);
    });
  }

  /** Empties the set at once, instead of letting it run out. */
  async function release(): Promise<void> {
    const isEmpty = !hearts.some((heart) => heart.isInForce());
    for (const heart of hearts) heart.forget();
    if (isEmpty) return;
    // The reply to a test packet that is under way would renew it.
    await Promise.all(hearts.map((heart) => heart.idle()));
    await table.withdraw();
  }

  /** The table is made anew after a pause. */
  function onLost(): void {
    counted = counted && inAnotherTable(counted);
    for (const heart of hearts) heart.forget();
    report();
  }

  async function verify(): Promise<void> {
    if (!table.isMade() || isEnding) return;
    await Promise.all(hearts.map((heart) => heart.beatOverTcp()));
    const now = await countPods(table.name, counted, options.run, clock.nowMs());
    if (table.isMade() && now !== undefined) counted = now;
    report();
  }

  function isInForce(): boolean {
    return hearts.every((heart) => heart.isInForce());
  }

  function report(): void {
    if (isEnding) return;
    const problems = [
      table.problem(),
      ...hearts.map((heart) => heart.problem()),
      ...podProblems(counted, table.name, clock.nowMs()),
    ];
    options.report(problems.filter((problem) => problem !== undefined));
  }

  return {
    table: table.name,
    isInForce,
    inForceCount: () => hearts.filter((heart) => heart.isInForce()).length,
    podCounts: () => counted,
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
      await table.close();
    },
  };
}
