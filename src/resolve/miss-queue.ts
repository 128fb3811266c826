/*
 * Queries that the cache does not answer, on their way to the resolver. One costs as much as dozens of hits, so only some begin in a turn of
 * the event loop, one of each client in rotation: who asks for thousands of new names at once holds up neither others' hits nor their
 * misses.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ShedReason } from "./answer.ts";
import { createTurns } from "./take-turns.ts";

/** A query that waits. One of the two is called, once, as its method. */
export interface Miss {
  /** Asks the resolver. */
  begin(): void;
  /** There is no room for it. */
  shed(reason: ShedReason): void;
}

/** The queue, which all sockets share. */
export interface MissQueue {
  /** Adds a query of a client (its address, in any form that is always the same). It begins in this turn if its client's turn comes so soon. */
  add(client: string, miss: Miss): void;
  /** The replies to the hits beside them have left: begins as many as this turn of the event loop allows, others in the next ones. */
  begin(): void;
}

/** So many, half a millisecond's work, begin in one turn; then hits, upstream's replies and timers have theirs. */
const mostPerTurn = 8;

/** The most that wait, at about a kilobyte each: what a burst brings that the socket can hold. */
const mostWaiting = 4096;

const anybody = () => true;

/** Creates an empty queue. */
export function createMissQueue(clock: Clock): MissQueue {
  const turns = createTurns<Miss>();
  let begun = 0;
  let isTurnEndDue = false;

  function add(client: string, miss: Miss): void {
    turns.add(client, 0, miss);
    // The newest of the client with the most makes way.
    if (turns.count() > mostWaiting) turns.takeLast(turns.clientWithMost() ?? client)?.shed("client");
    endTurnLater();
  }

  function begin(): void {
    while (begun < mostPerTurn && turns.count() > 0) {
      begun += 1;
      turns.next(anybody)?.begin();
    }
  }

  /** Continues the promises of those that begin in this turn, too. */
  function endTurnLater(): void {
    if (isTurnEndDue) return;
    isTurnEndDue = true;
    clock.afterIo(() => {
      isTurnEndDue = false;
      begun = 0;
      begin();
      if (begun > 0) endTurnLater();
    });
  }

  return { add, begin };
}
