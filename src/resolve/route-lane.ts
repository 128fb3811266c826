/*
 * The questions of one route: which goes next, which wait, and which are shed. Numbers and turns only; a lane asks nothing itself and does
 * not know the time.
 */
import type { ShedReason } from "./answer.ts";
import { createClientRecords } from "./client-records.ts";
import { isForClient, type OnBehalf, type QuestionClass } from "./question-class.ts";
import { createQuestionWindow, type InWindow } from "./question-window.ts";
import type { AssumedPlaces } from "./step.ts";
import { createTurns } from "./take-turns.ts";

/** Bounds (settings: limits). */
export interface LaneLimits {
  /** Clients' questions on one route, under way or waiting for their turn. At most half as many may be under way. */
  readonly maxInFlight: number;
}

/** A question in a lane. The object is the caller's; the lane refers to it until it has left or ended. */
export interface LaneEntry extends InWindow {
  readonly class: QuestionClass;
  readonly client: string;
}

/** One route's questions. */
export interface RouteLane<Entry extends LaneEntry> {
  /** The bound that one more question of a client would exceed, or undefined. `assumed` are places that it is assumed to have already. */
  boundAgainst(client: string, assumed?: AssumedPlaces): ShedReason | undefined;
  /** The bound that an entry would exceed, or undefined. */
  boundAgainstEntry(entry: Entry): ShedReason | undefined;
  /** Lets an entry wait for its turn. Returns the entry that has to make way: in a full lane, the newest of the client with the most. */
  wait(entry: Entry): Entry | undefined;
  /** Whether a waiting entry would have its turn sooner on this behalf. */
  isSooner(entry: Entry, onBehalf: OnBehalf): boolean;
  /** Takes out an entry that waits. */
  leave(entry: Entry): void;
  /** The entry whose turn it is, which is under way from now on; undefined if none may go. */
  begin(): Entry | undefined;
  /** An entry that was under way has ended. If it was answered, it has overtaken all that left before it. */
  end(entry: Entry, isAnswered: boolean): void;
  underWayCount(): number;
  waitingCount(): number;
}

/** How many questions a route's servers may be given at once: `least` at first, and more as long as they answer. */
export interface Window {
  readonly least: number;
  readonly most: number;
}

/**
 * Where answers come one after the other, as kube-dns's do on a connection, a few questions keep all connections busy. Where all are answered
 * at once, as many are under way as come in a round trip: 256 for names that nobody answers, and, while others wait and
 * answers come, one more with each answer.
 */
export const windows = {
  inOrder: { least: 16, most: 16 },
  atOnce: { least: 256, most: 512 },
} as const satisfies Record<string, Window>;

/** For nodens's own questions: the share of a window that they may have, and how many may wait. */
const ownShares = {
  prefetch: { ofWindow: 1 / 4, maxWaiting: 256 },
  check: { ofWindow: 1 / 8, maxWaiting: 16 },
} as const;

/** Questions of clients and those for parents take turns together: a parent is asked for on a client's behalf. */
type Tier = "clients" | keyof typeof ownShares;

/** The tiers in the order in which they get turns. */
const tiers = ["clients", "prefetch", "check"] as const satisfies readonly Tier[];

/** What one client, or one class of nodens's own questions, has in a lane. */
interface Share {
  waiting: number;
  underWay: number;
  inWindow: number;
}

/** No places assumed. */
export const noPlaces: AssumedPlaces = { added: 0, taken: 0 };

const noShare: Share = { waiting: 0, underWay: 0, inWindow: 0 };

/** Creates an empty lane. What `windowOf` returns, and the limits, may change at any time. */
export function createRouteLane<Entry extends LaneEntry>(windowOf: () => Window, limits: LaneLimits): RouteLane<Entry> {
  const waiting = { clients: createTurns<Entry>(), prefetch: createTurns<Entry>(), check: createTurns<Entry>() };
  // Entries under way that have not been overtaken.
  const window = createQuestionWindow<Entry>();
  const size = createWindowSize(windowOf);
  const shares = createClientRecords(
    () => ({ waiting: 0, underWay: 0, inWindow: 0 }),
    (share) => sumOf(share) === 0,
  );
  let underWay = 0;
  let ownUnderWay = 0;

  const maxUnderWay = () => Math.ceil(limits.maxInFlight / 2);
  const totalOf = (turn: string) => sumOf(shares.find(turn) ?? noShare);
  /** Questions for clients, waiting or under way. */
  const clientsCount = () => underWay - ownUnderWay + waiting.clients.count();

  function add(entry: Entry, part: keyof Share, by: number): void {
    shares.of(turnOf(entry))[part] += by;
  }

  /** Whether the owner of this turn may have one more under way: nobody may have more than it leaves free. */
  function mayBegin(tier: Tier, turn: string): boolean {
    const share = shares.find(turn) ?? noShare;
    const windowSize = size.now();
    const freeInWindow = Math.min(windowSize, maxUnderWay()) - window.size();
    if (share.inWindow >= freeInWindow || share.underWay >= maxUnderWay() - underWay) return false;
    return tier === "clients" || share.underWay < Math.max(1, windowSize * ownShares[tier].ofWindow);
  }

  /** Among the clients with a question waiting, the one with the most questions here, and how many those are. */
  const largest = () => largestOf(waiting.clients.clients(), totalOf);

  // For each tier one function, and not one for each turn.
  const mayHaveTurn = {
    clients: (turn: string) => mayBegin("clients", turn),
    prefetch: (turn: string) => mayBegin("prefetch", turn),
    check: (turn: string) => mayBegin("check", turn),
  };
  const leaveWindow = (entry: Entry) => add(entry, "inWindow", -1);

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
        if (waiting[tier].count() === 0) continue;
        const entry = waiting[tier].next(mayHaveTurn[tier]);
        if (entry === undefined) continue;
        underWay += 1;
        if (tier !== "clients") ownUnderWay += 1;
        window.add(entry);
        const share = shares.of(turnOf(entry));
        share.underWay += 1;
        share.inWindow += 1;
        share.waiting -= 1;
        return entry;
      }
      return undefined;
    },
    end(entry, isAnswered) {
      size.noteEnd(isAnswered, waiting.clients.count() > 0);
      if (window.has(entry)) {
        if (isAnswered) window.removeUpTo(entry, leaveWindow);
        else {
          window.remove(entry);
          leaveWindow(entry);
        }
      }
      underWay -= 1;
      if (tierOf(entry) !== "clients") ownUnderWay -= 1;
      add(entry, "underWay", -1);
    },
    underWayCount: () => underWay,
    waitingCount: () => tiers.reduce((sum, tier) => sum + waiting[tier].count(), 0),
  };
}

function largestOf(clients: Iterable<string>, totalOf: (client: string) => number): [client: string, count: number] {
  let found = "";
  let most = 0;
  for (const client of clients) {
    const count = totalOf(client);
    if (count <= most) continue;
    found = client;
    most = count;
  }
  return [found, most];
}

/** The size of a window: while questions wait, each answer makes room for one more. Without an answer it shrinks at once. */
function createWindowSize(windowOf: () => Window) {
  let grownBy = 0;
  const now = () => {
    const { least, most } = windowOf();
    return Math.min(least + grownBy, most);
  };
  return {
    now,
    noteEnd(isAnswered: boolean, isWaiting: boolean): void {
      if (!isAnswered) grownBy = Math.floor(grownBy / 2);
      else if (isWaiting && now() < windowOf().most) grownBy += 1;
    },
  };
}

function tierOf({ class: name }: LaneEntry): Tier {
  return isForClient(name) ? "clients" : name;
}

/** Whose turn an entry takes: the client's address, or the class of nodens's own questions. An address never equals a class. */
function turnOf(entry: LaneEntry): string {
  const tier = tierOf(entry);
  return tier === "clients" ? entry.client : tier;
}

/** A parent is asked for to save questions; among one client's questions, those for the names themselves come first. */
function rankOf({ class: name }: LaneEntry): number {
  return name === "parent" ? 1 : 0;
}

/** How many questions a share stands for. Those in the window are under way too. */
function sumOf({ waiting, underWay }: Share): number {
  return waiting + underWay;
}
