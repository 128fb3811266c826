/*
 * The budgets in front of upstream: which question goes next on a route, which wait, and which are shed. A dead route, one pod, or
 * nodens's own curiosity must not starve the rest:
 *
 *   - each route has its own bound and window. What does not fit into the window waits here, where clients can take turns, and not in the
 *     queues of flows, where a server that answers one question after the other makes everybody wait for whoever came first;
 *   - clients take turns. A client may use no more of the window than it leaves free, so that there is always room for the next one;
 *   - on a full route, the client with the most questions makes way for one that has fewer;
 *   - nodens's own questions have small shares, behind the clients.
 *
 * A question counts in the window until it is answered or overtaken: once a later one has been answered, the older one is slow or lost,
 * and is not in anybody's way. It still counts towards the route's bound.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ExchangeResult } from "../upstream/exchange-state.ts";
import type { Question } from "../wire/question.ts";
import type { ShedReason } from "./answer.ts";
import { isForClient, type OnBehalf, type QuestionClass } from "./question-class.ts";
import { createKeyTable } from "./key-table.ts";
import { createRouteLane, type LaneEntry, type LaneLimits, type RouteLane, windows } from "./route-lane.ts";
import { noteShed, type ShedCounters } from "./shed-counters.ts";
import type { AssumedPlaces, RouteTaken } from "./step.ts";

/** What came of a question: the result of its exchange, or why it was shed before it left. */
export type AskResult = ExchangeResult | { readonly shed: ShedReason };

/** Asks each question when its turn comes. */
export interface QuestionSchedule {
  /**
   * Asks at once if a turn is free, otherwise later, or sheds the question. `key` is the question's (wire/question). `tell` is called once,
   * with what came of it, and never before this returns.
   */
  ask(question: Question, key: string, onBehalf: OnBehalf, tell: (result: AskResult) => void): void;
  /** Somebody else wants this question too: if it still waits and would have its turn sooner on their behalf, it moves there. */
  hasten(key: string, onBehalf: OnBehalf): void;
  /** The kind of place that `hasten` would take for the question on its route, or undefined if it would do nothing. */
  placeTakenBy(key: string, onBehalf: OnBehalf): keyof AssumedPlaces | undefined;
  /** The bound that one more question of a client would exceed, or undefined. `assumed` are places that it is assumed to have already. */
  boundAgainst(name: Uint8Array, client: string, assumed?: AssumedPlaces): ShedReason | undefined;
  /** Gauge: questions of the route that are under way; 0 for an unknown route. */
  underWayCount(route: string): number;
  /** Gauge: questions of the route that wait for their turn; 0 for an unknown route. */
  waitingCount(route: string): number;
}

/** What a schedule needs. */
export interface ScheduleParts {
  readonly limits: LaneLimits;
  readonly clock: Clock;
  readonly shed: ShedCounters;
  routeOf(name: Uint8Array): RouteTaken;
  /** Whether a route answers many questions at once at present, rather than one after the other. */
  answersAtOnce(route: string): boolean;
  /** Asks upstream. `tell` is to be called once, and never before this returns. */
  ask(question: Question, tell: (result: ExchangeResult) => void): void;
}

/** The longest wait for a turn: with the time that the answer takes, the client would have given up. */
const maxWaitMs = 2000;

const nothingToCancel = () => {};

interface Entry extends LaneEntry {
  readonly question: Question;
  readonly key: string;
  readonly lane: Lane;
  class: QuestionClass;
  client: string;
  isWaiting: boolean;
  cancelWait: () => void;
  readonly tell: (result: AskResult) => void;
}

type Lane = RouteLane<Entry> & RouteTaken;

/** Creates a schedule in which nothing has been asked yet. */
export function createQuestionSchedule(parts: ScheduleParts): QuestionSchedule {
  const { limits, clock } = parts;
  const lanes = new Map<string, Lane>();
  // Only questions that somebody may wait for, hence no checks.
  const waitingByKey = createKeyTable<Entry>();

  function laneOf(name: Uint8Array): Lane {
    const taken = parts.routeOf(name);
    const known = lanes.get(taken.route);
    // The route is new, or a reload has changed it; what is under way or waits in the old lane ends there.
    return known?.transport === taken.transport ? known : openLane(taken);
  }

  function openLane({ route, transport }: RouteTaken): Lane {
    const windowOf = () => (parts.answersAtOnce(route) ? windows.atOnce : windows.inOrder);
    const lane = { route, transport, ...createRouteLane<Entry>(windowOf, limits) };
    lanes.set(route, lane);
    return lane;
  }

  /** Sheds an entry, which will never be asked. */
  function shed(entry: Entry, reason: ShedReason): void {
    stopWaiting(entry);
    noteShed(parts.shed, entry.lane.route, entry.class, reason);
    // In its own time: whoever asks the same in this turn shares the loss.
    queueMicrotask(() => entry.tell({ shed: reason }));
  }

  /** Has an entry wait, if only until it gets its turn here. */
  function queueUp(entry: Entry): void {
    const pushedOut = entry.lane.wait(entry);
    entry.isWaiting = true;
    if (pushedOut !== undefined) shed(pushedOut, "client");
    giveTurns(entry.lane);
    if (entry.isWaiting && entry.class !== "check") waitingByKey.set(entry.key, entry);
  }

  /** Forgets that an entry waits; the lane has already let go of it. */
  function stopWaiting(entry: Entry): void {
    entry.isWaiting = false;
    entry.cancelWait();
    if (waitingByKey.get(entry.key) === entry) waitingByKey.delete(entry.key);
  }

  /** Gives turns as long as any are free. */
  function giveTurns(lane: Lane): void {
    for (let entry = lane.begin(); entry !== undefined; entry = lane.begin()) {
      stopWaiting(entry);
      begin(entry);
    }
  }

  function begin(entry: Entry): void {
    parts.ask(entry.question, (result) => {
      entry.lane.end(entry, "reply" in result);
      entry.tell(result);
      giveTurns(entry.lane);
    });
  }

  function giveUpLate(entry: Entry): void {
    entry.lane.leave(entry);
    shed(entry, "late");
  }

  return {
    ask(question, key, { class: ofClass, client }, tell) {
      const lane = laneOf(question.name);
      const entry: Entry = {
        question,
        key,
        lane,
        class: ofClass,
        client,
        isWaiting: false,
        cancelWait: nothingToCancel,
        tell,
        place: undefined,
      };
      const bound = lane.boundAgainstEntry(entry);
      if (bound !== undefined) {
        shed(entry, bound);
        return;
      }
      queueUp(entry);
      if (entry.isWaiting) entry.cancelWait = clock.after(maxWaitMs, () => giveUpLate(entry));
    },
    hasten(key, onBehalf) {
      const entry = waitingByKey.get(key);
      if (entry === undefined || !entry.lane.isSooner(entry, onBehalf)) return;
      entry.lane.leave(entry);
      entry.class = onBehalf.class;
      entry.client = onBehalf.client;
      queueUp(entry);
    },
    placeTakenBy(key, onBehalf) {
      const entry = waitingByKey.get(key);
      if (entry === undefined || !entry.lane.isSooner(entry, onBehalf)) return undefined;
      return isForClient(entry.class) ? "taken" : "added";
    },
    boundAgainst: (name, client, assumed) => laneOf(name).boundAgainst(client, assumed),
    underWayCount: (route) => lanes.get(route)?.underWayCount() ?? 0,
    waitingCount: (route) => lanes.get(route)?.waitingCount() ?? 0,
  };
}
