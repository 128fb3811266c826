/*
 * The few flows of one path, which is a transport to a server. Clients' questions go on flows that have been proven; new flows are opened and
 * proven in the background, by one of nodens's own questions. Only when no flow is proven does a client's question try its luck on one that is
 * being opened.
 *
 * kube-proxy pins a flow to one kube-dns pod for life. So a silent flow says nothing about the others to the same address, and flows retire
 * by age, with jitter, each only once its successor is proven.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Question } from "../wire/question.ts";
import type { Attempt, Cancel } from "../flows/attempt.ts";
import { type AttemptQueue, createAttemptQueue } from "./attempt-queue.ts";
import type { EarlySends } from "./early-sends.ts";
import type { EdnsMemory } from "./edns-memory.ts";
import { type Flow, type FlowEnd, type FlowLimits, openFlow } from "../flows/flow.ts";
import { createFlowDepth, type FlowDepth } from "./flow-depth.ts";
import { type FlowOpening, type OpeningLimits, scheduleOpening } from "./flow-opening.ts";
import { createFlowSet, type FlowSet, type WearLimits } from "./flow-set.ts";
import type { OpenSocket } from "../flows/flow-socket.ts";
import type { LossReason } from "../flows/loss-reason.ts";
import { proveFlow } from "./prove-flow.ts";
import type { RoundTrip } from "../flows/round-trip.ts";
import type { ServerCounters } from "./server-counters.ts";
import { transports } from "./transport.ts";
import type { Transport } from "../wire/transport.ts";

/** Limits of a pool (settings: upstream.udp and upstream.tcp). */
export interface FlowPoolLimits extends FlowLimits, WearLimits {
  readonly maxFlows: number;
}

/** What a pool is made of. */
export interface FlowPoolOptions {
  readonly server: ServerAddress;
  readonly transport: Transport;
  readonly openSocket: OpenSocket;
  readonly limits: FlowPoolLimits;
  readonly health: OpeningLimits;
  readonly clock: Clock;
  readonly counters: ServerCounters;
  readonly roundTrip: RoundTrip;
  readonly edns: EdnsMemory;
  readonly earlySends: EarlySends;
  readonly probeQuestion: Question;
  /** Whether the path is tried again in the background even if nobody asks. */
  readonly isKept: boolean;
  /** Called when something came that answers a question. */
  onHeard(): void;
  /** Called when nothing works on this path any more, as far as is known. */
  onFailed(): void;
}

/** The flows of one path. */
export interface FlowPool {
  /** Proven flows with room, in the order in which they are used. A new array. */
  goodFlows(): Flow[];
  /** How many questions stand before one that goes on the best proven flow: Infinity if all are full, undefined if none is proven. */
  leastLoad(): number | undefined;
  /** How many questions wait on the flows that are being opened. */
  loadOnTrial(): number;
  /** Sends on a proven flow, at once or when one has room; if none is proven, on any other. */
  send(attempt: Attempt): Cancel;
  /** Sends on this flow of the pool, whatever is known about it. */
  sendOn(flow: Flow, attempt: Attempt): Cancel;
  /** Whether nothing works here, as far as is known. */
  isFailed(): boolean;
  /** Whether no flow is proven and something has gone wrong since one last was. */
  isTroubled(): boolean;
  /** Opens and proves one more flow, if there may be more. */
  addFlow(): void;
  /**
   * Leaves this flow: a question got no answer on it, though it went on answering nodens's own questions, and was answered at once on
   * another flow.
   */
  doubt(flow: Flow): void;
  /** Somebody would like to use this path: has flows proven in the background if too few are. */
  want(): void;
  /** Asks one of nodens's own questions. Resolves with whether anything came; never rejects. */
  probe(): Promise<boolean>;
  /** Closes every flow; what waits is lost with "stopped". */
  close(): void;
}

/** A flow with this many answers is busy. Losing it should not cost a wait, so that a second flow is kept proven. */
const busyAnswers = 4;

/** How many flows there may be beyond the bound while some are being proven. */
const flowsOnTrial = 2;

/** How long after the last question a path is still tried. */
const demandMs = 10_000;

/** Creates a pool without flows. */
export function createFlowPool(options: FlowPoolOptions): FlowPool {
  const { clock, limits } = options;
  const pool: Pool = {
    ...options,
    flows: createFlowSet(limits, clock),
    queue: createAttemptQueue(),
    opening: scheduleOpening(clock, options.health),
    depth: createFlowDepth(
      () => limits.maxDepth,
      clock,
      () => sendQueued(pool),
    ),
    proofs: new Map(),
    failed: new WeakSet(),
    isClosed: false,
    demandedAtMs: -Infinity,
    lastReason: "timeout",
    cancelRetry: undefined,
  };
  const { flows, opening } = pool;
  return {
    goodFlows: () => goodFlows(pool),
    leastLoad: () => leastLoad(pool),
    loadOnTrial: () => flows.onTrial().reduce((sum, flow) => sum + flow.load(), 0),
    send: (attempt) => send(pool, attempt),
    sendOn: (flow, attempt) => sendOn(pool, flow, attempt),
    isFailed: () => opening.isFailed() && !flows.hasGood(),
    isTroubled: () => !flows.hasGood() && (opening.isTroubled() || flows.silent().length > 0),
    addFlow: () => addFlow(pool),
    doubt: (flow) => doubt(pool, flow),
    want() {
      pool.demandedAtMs = clock.nowMs();
      tend(pool);
    },
    probe: () =>
      new Promise((resolve) => {
        const flow = flows.good()[0] ?? flows.onTrial()[0] ?? open(pool) ?? flows.all()[0];
        if (flow === undefined) resolve(false);
        else proveFlow(flow, { ...options, question: options.probeQuestion }, resolve);
      }),
    close() {
      pool.isClosed = true;
      pool.cancelRetry?.();
      pool.queue.loseAll("stopped");
      flows.close();
    },
  };
}

interface Pool extends FlowPoolOptions {
  readonly flows: FlowSet;
  /** Attempts that wait for room. */
  readonly queue: AttemptQueue;
  readonly opening: FlowOpening;
  readonly depth: FlowDepth;
  /** Proofs that are under way. */
  readonly proofs: Map<Flow, Cancel>;
  /** Flows that were never proven and whose failure has been counted. */
  readonly failed: WeakSet<Flow>;
  isClosed: boolean;
  demandedAtMs: number;
  lastReason: LossReason;
  cancelRetry: Cancel | undefined;
}

/** The least loaded first; of equals, the least recently used, so that they take turns. */
function goodFlows({ flows, depth }: Pool): Flow[] {
  return flows
    .good()
    .filter(depth.hasRoom)
    .toSorted((a, b) => a.load() - b.load());
}

function leastLoad({ flows, depth }: Pool): number | undefined {
  const best = flows.leastLoaded(depth.hasRoom);
  if (best !== undefined) return best.load();
  return flows.good().length === 0 ? undefined : Infinity;
}

function send(pool: Pool, attempt: Attempt): Cancel {
  pool.demandedAtMs = pool.clock.nowMs();
  if (pool.isClosed) return lose(attempt, "stopped");
  const cancel = pool.queue.isEmpty() ? sendNow(pool, attempt) : undefined;
  return cancel ?? pool.queue.add(attempt);
}

/** Sends now. Undefined if every flow is full. */
function sendNow(pool: Pool, attempt: Attempt): Cancel | undefined {
  const { flows, depth, limits } = pool;
  const best = flows.leastLoaded(depth.hasRoom);
  if (best !== undefined) return sendOn(pool, best, attempt);
  const onTrial = flows.onTrial();
  if (flows.good().length > 0) {
    if (flows.size() < limits.maxFlows && onTrial.length === 0) openProven(pool);
    return undefined;
  }
  const untried = onTrial.find(depth.hasRoom);
  const mostOnTrial = pool.opening.isTroubled() ? flowsOnTrial : limits.maxFlows;
  const fresh = untried ?? (onTrial.length < mostOnTrial ? open(pool) : undefined);
  if (fresh === undefined && onTrial.length > 0) return undefined;
  const flow = fresh ?? flows.all().at(-1);
  return flow === undefined ? lose(attempt, pool.lastReason) : sendOn(pool, flow, attempt);
}

function sendOn(pool: Pool, flow: Flow, attempt: Attempt): Cancel {
  const cancel = flow.send(attempt);
  pool.flows.touch(flow);
  if (pool.flows.isWorn(flow)) tend(pool);
  return cancel;
}

function lose(attempt: Attempt, reason: LossReason): Cancel {
  attempt.onLost(reason);
  return () => {};
}

function sendQueued(pool: Pool): void {
  if (!pool.isClosed) pool.queue.sendWith((attempt) => sendNow(pool, attempt));
}

/** Opens a flow, unless too many have just failed. */
function open(pool: Pool): Flow | undefined {
  if (pool.isClosed || !pool.opening.mayOpen()) return undefined;
  makeRoom(pool);
  const flow = openFlow({
    ...pool,
    isInOrder: transports[pool.transport].isInOrder,
    onHeard: (wasGood, wasStuck) => onHeard(pool, flow, wasGood, wasStuck),
    onQuiet: () => onQuiet(pool, flow),
    onSilent: () => onSilent(pool, flow),
    onEnd: (end) => onEnd(pool, flow, end),
  });
  pool.flows.add(flow);
  return flow;
}

/** Leaves silent flows that are no longer being proven and, if there are too many flows, the oldest silent one. */
function makeRoom({ flows, proofs, limits }: Pool): void {
  const isCrowded = flows.size() >= limits.maxFlows + flowsOnTrial;
  for (const flow of flows.silent()) if (!proofs.has(flow)) flows.leave(flow);
  const [oldest] = flows.silent();
  if (isCrowded && oldest !== undefined) flows.leave(oldest);
}

/** Opens a flow ahead of need and has it proven. Under loss, flows come and go: all but a successor need room in the budget. */
function openProven(pool: Pool, isSuccessor = false): void {
  const flow = isSuccessor || pool.opening.takeSpare() ? open(pool) : undefined;
  if (flow !== undefined) prove(pool, flow);
}

function prove(pool: Pool, flow: Flow): void {
  const { flows, proofs } = pool;
  if (proofs.has(flow) || !flows.has(flow)) return;
  let isDone = false;
  const cancel = proveFlow(flow, { ...pool, question: pool.probeQuestion }, (isProven) => {
    isDone = true;
    proofs.delete(flow);
    if (isProven) return;
    pool.counters.failedProbes += 1;
    // The last flow stays: a client's question needs something to go out on.
    if (flows.size() > 1 && flows.has(flow) && flow.isSilent()) flows.leave(flow);
    tend(pool);
  });
  if (!isDone) proofs.set(flow, cancel);
}

function onHeard(pool: Pool, flow: Flow, wasGood: boolean, wasStuck: boolean): void {
  pool.depth.noteHeard(flow);
  if (wasStuck && transports[pool.transport].isRepaired) pool.earlySends.noteStuck();
  if (!wasGood) {
    pool.opening.noteProven();
    retireWorn(pool);
  }
  pool.onHeard();
  if (flow.answeredCount() === busyAnswers) tend(pool);
  if (!pool.queue.isEmpty()) queueMicrotask(() => sendQueued(pool));
}

/** The flow may be slow, or gone. Until that is known, other questions should not have to wait behind it. */
function onQuiet(pool: Pool, flow: Flow): void {
  prove(pool, flow);
  if (pool.flows.size() === 1 && pool.limits.maxFlows > 1) openProven(pool, true);
}

function addFlow(pool: Pool): void {
  const { flows, limits } = pool;
  if (flows.size() < limits.maxFlows + flowsOnTrial && flows.onTrial().length === 0) openProven(pool);
}

function onSilent(pool: Pool, flow: Flow): void {
  if (flow.answeredCount() > 0) pool.counters.silentFlows[pool.transport] += 1;
  noteFailure(pool, flow, "timeout");
  prove(pool, flow);
  tend(pool);
}

function onEnd(pool: Pool, flow: Flow, end: FlowEnd): void {
  const wasUsed = pool.flows.remove(flow);
  pool.proofs.get(flow)?.();
  pool.proofs.delete(flow);
  pool.depth.noteEnd(flow, end);
  if (pool.isClosed) return;
  if (wasUsed) noteFailure(pool, flow, end.reason);
  // Without a flow nothing can answer what waits: it fails with the flow that it waited for.
  if (pool.flows.size() === 0 && end.answered === 0) pool.queue.loseAll(end.reason);
  // Exchanges send their lost attempts again in this same turn, ahead of what is queued.
  queueMicrotask(() => sendQueued(pool));
}

/** Only flows that were never proven count as failures: one that was proven is simply replaced. */
function noteFailure(pool: Pool, flow: Flow, reason: LossReason): void {
  if (flow.lastHeardAtMs() > -Infinity || pool.failed.has(flow)) return;
  pool.failed.add(flow);
  pool.lastReason = reason;
  if (pool.opening.noteFailure(reason)) pool.onFailed();
  scheduleRetry(pool);
}

function doubt(pool: Pool, flow: Flow): void {
  if (!pool.flows.has(flow) || flow.isSilent()) return;
  pool.counters.silentFlows[pool.transport] += 1;
  pool.flows.leave(flow);
  tend(pool);
}

/** Makes sure that flows are being proven if too few are. */
function tend(pool: Pool): void {
  if (pool.isClosed) return;
  const { flows, limits, opening } = pool;
  const good = flows.good();
  const lasting = good.filter((flow) => !flows.isWorn(flow));
  const isBusy = good.some((flow) => flow.answeredCount() >= busyAnswers);
  const wanted = Math.min(limits.maxFlows, isBusy ? 2 : 1);
  if (lasting.length >= wanted) return;
  // There may be a dead pod and a live one behind the same address: two tries at once if nothing is proven.
  const atOnce = good.length === 0 && !opening.isTroubled() ? 2 : 1;
  for (let tried = flows.onTrial().length; tried < atOnce; tried += 1) openProven(pool, lasting.length < good.length);
  scheduleRetry(pool);
}

function scheduleRetry(pool: Pool): void {
  const { clock, opening } = pool;
  if (pool.cancelRetry !== undefined || pool.isClosed || !opening.isTroubled()) return;
  pool.cancelRetry = clock.after(Math.max(1, opening.waitMs()), () => {
    pool.cancelRetry = undefined;
    const isWanted = pool.isKept || clock.nowMs() - pool.demandedAtMs < demandMs;
    if (pool.flows.good().length === 0 && isWanted) tend(pool);
  });
}

/** Retires worn flows once a successor is proven, so that no question waits for a handshake. */
function retireWorn({ flows }: Pool): void {
  const good = flows.good();
  if (good.every(flows.isWorn)) return;
  for (const flow of good.filter(flows.isWorn)) flows.retire(flow);
}
