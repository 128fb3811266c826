/*
 * What is asked on one route: who may go next, who waits, and who is let go. Numbers and turns only; it neither asks nor knows the time.
 */
import type { Transport } from "../upstream/transport.ts";
import type { ShedReason } from "./answer.ts";
import { isForClient, type OnBehalf, type QuestionClass } from "./question-class.ts";
import type { AssumedPlaces } from "./step.ts";
import { createTurns } from "./take-turns.ts";

/** Bounds (settings: limits). */
export interface LaneLimits {
  /** Questions of clients on one route, under way or waiting for their turn. Half of them may be under way. */
  readonly maxInFlight: number;
}

/** A question in a lane: the asker's object, which the lane keeps until it ended. */
export interface LaneEntry {
  readonly class: QuestionClass;
  readonly client: string;
}

/** One route's questions. */
export interface RouteLane<Entry extends LaneEntry> {
  /** The bound that stands against one more question of a client, beside places that it is assumed to have. */
  boundAgainst(client: string, assumed?: AssumedPlaces): ShedReason | undefined;
  /** The bound that stands against an entry. */
  boundAgainstEntry(entry: Entry): ShedReason | undefined;
  /** Waits for its turn. Returns the entry that has to go for it: on a full lane the newest of whoever has most there. */
  wait(entry: Entry): Entry | undefined;
  /** Whether an entry that waits comes sooner on this behalf. */
  isSooner(entry: Entry, onBehalf: OnBehalf): boolean;
  /** Waits no more. */
  leave(entry: Entry): void;
  /** The entry whose turn it is: under way from now on. */
  begin(): Entry | undefined;
  /** What was under way has ended. An answer overtakes all that left before. */
  end(entry: Entry, isAnswered: boolean): void;
  underWayCount(): number;
  waitingCount(): number;
}

/**
 * Questions that may be before the servers of a route at once. Over TCP kube-dns answers one after the other, and three connections are
 * kept busy by a few; over UDP it answers all at once, and slow names are many.
 */
export const windowSizes: Readonly<Record<Transport, number>> = { tcp: 16, udp: 256 };

/** What nodens asks for itself: its share of a window, and how many may wait. */
const ownShares = {
  prefetch: { ofWindow: 1 / 4, maxWaiting: 256 },
  check: { ofWindow: 1 / 8, maxWaiting: 16 },
} as const;

/** Clients and parents take turns together: a parent is asked for a client's sake. */
type Tier = "clients" | keyof typeof ownShares;

/** In the order in which they have turns. */
const tiers = ["clients", "prefetch", "check"] as const satisfies readonly Tier[];

/** What one client, or one class of nodens's own questions, has in a lane. */
interface Share {
  waiting: number;
  underWay: number;
  inWindow: number;
}

/** Nothing assumed. */
export const noPlaces: AssumedPlaces = { added: 0, taken: 0 };

const noShare: Share = { waiting: 0, underWay: 0, inWindow: 0 };

/** Creates an empty lane. `limits` may change at any time. */
export function createRouteLane<Entry extends LaneEntry>(windowSize: number, limits: LaneLimits): RouteLane<Entry> {
  const waiting = { clients: createTurns<Entry>(), prefetch: createTurns<Entry>(), check: createTurns<Entry>() };
  // Under way and not overtaken, in the order in which they left.
  const window = new Set<Entry>();
  const shares = new Map<string, Share>();
  let underWay = 0;

  const maxUnderWay = () => Math.ceil(limits.maxInFlight / 2);
  const totalOf = (turn: string) => sumOf(shares.get(turn) ?? noShare);
  /** Questions for clients, waiting or under way. */
  const clientsCount = () => underWay - ownUnderWay() + waiting.clients.count();
  const ownUnderWay = () => (shares.get("prefetch")?.underWay ?? 0) + (shares.get("check")?.underWay ?? 0);

  function add(entry: Entry, part: keyof Share, by: number): void {
    const turn = turnOf(entry);
    const share = shares.get(turn) ?? { ...noShare };
    share[part] += by;
    if (sumOf(share) === 0) shares.delete(turn);
    else shares.set(turn, share);
  }

  /** Whether whoever has this turn may have one more under way: nobody takes the last of what he leaves free. */
  function mayBegin(tier: Tier, turn: string): boolean {
    const share = shares.get(turn) ?? noShare;
    const freeInWindow = Math.min(windowSize, maxUnderWay()) - window.size;
    if (share.inWindow >= freeInWindow || share.underWay >= maxUnderWay() - underWay) return false;
    return tier === "clients" || share.underWay < Math.max(1, windowSize * ownShares[tier].ofWindow);
  }

  /** The client with the most questions here, of those that have one waiting; and how many. */
  function largest(): readonly [client: string, count: number] {
    let found = "";
    let most = 0;
    for (const client of waiting.clients.clients()) {
      if (totalOf(client) <= most) continue;
      found = client;
      most = totalOf(client);
    }
    return [found, most];
  }

  function boundAgainst(client: string, { added, taken } = noPlaces): ShedReason | undefined {
    const room = limits.maxInFlight - clientsCount();
    if (added < room) return undefined;
    const lost = Math.max(0, added - room) + taken;
    const own = totalOf(client) + added + taken;
    const [who, most] = largest();
    if (most - lost > own + 1) return undefined;
    return who === client && own > 1 ? "client" : "inflight";
  }

  function takeOut(client: string): Entry | undefined {
    const entry = waiting.clients.takeLast(client);
    if (entry !== undefined) add(entry, "waiting", -1);
    return entry;
  }

  return {
    boundAgainst,
    boundAgainstEntry(entry) {
      const tier = tierOf(entry);
      if (tier === "clients") return boundAgainst(entry.client);
      return waiting[tier].count() >= ownShares[tier].maxWaiting ? "inflight" : undefined;
    },
    wait(entry) {
      const isFull = isForClient(entry.class) && clientsCount() >= limits.maxInFlight;
      const pushedOut = isFull ? takeOut(largest()[0]) : undefined;
      waiting[tierOf(entry)].add(turnOf(entry), rankOf(entry), entry);
      add(entry, "waiting", 1);
      return pushedOut;
    },
    isSooner(entry, onBehalf) {
      if (!isForClient(onBehalf.class)) return false;
      if (!isForClient(entry.class)) return clientsCount() < limits.maxInFlight;
      return totalOf(onBehalf.client) + 1 < totalOf(entry.client);
    },
    leave(entry) {
      waiting[tierOf(entry)].remove(turnOf(entry), entry);
      add(entry, "waiting", -1);
    },
    begin() {
      for (const tier of tiers) {
        const entry = waiting[tier].next((turn) => mayBegin(tier, turn));
        if (entry === undefined) continue;
        underWay += 1;
        window.add(entry);
        add(entry, "underWay", 1);
        add(entry, "inWindow", 1);
        add(entry, "waiting", -1);
        return entry;
      }
      return undefined;
    },
    end(entry, isAnswered) {
      if (window.has(entry)) {
        for (const left of isAnswered ? entriesUpTo(window, entry) : [entry]) {
          window.delete(left);
          add(left, "inWindow", -1);
        }
      }
      underWay -= 1;
      add(entry, "underWay", -1);
    },
    underWayCount: () => underWay,
    waitingCount: () => tiers.reduce((sum, tier) => sum + waiting[tier].count(), 0),
  };
}

function tierOf({ class: name }: LaneEntry): Tier {
  return isForClient(name) ? "clients" : name;
}

/** Who has the turn: the client, or the class of nodens's own questions. No address is a word. */
function turnOf(entry: LaneEntry): string {
  const tier = tierOf(entry);
  return tier === "clients" ? entry.client : tier;
}

/** A parent is asked to spare questions: of one client the questions themselves come first. */
function rankOf({ class: name }: LaneEntry): number {
  return name === "parent" ? 1 : 0;
}

/** The questions that somebody has here. Those in the window are under way too. */
function sumOf({ waiting, underWay }: Share): number {
  return waiting + underWay;
}

/** The one that was answered, and those that it has overtaken. */
function entriesUpTo<Entry>(window: ReadonlySet<Entry>, last: Entry): Entry[] {
  const entries = [];
  for (const entry of window) {
    entries.push(entry);
    if (entry === last) break;
  }
  return entries;
}
