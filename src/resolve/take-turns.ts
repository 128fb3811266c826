/*
 * Items that wait, in the order of their turns: one item of each client in rotation, however many each has; among one client's items, the more
 * urgent first, then the older. It does not know what they wait for.
 */

import { createClientRecords } from "./client-records.ts";

/** Items that wait, by client. The same item may be added once at most. */
export interface Turns<Item> {
  /** Adds an item behind the client's others of the same rank. Rank 0 is the most urgent. */
  add(client: string, rank: number, item: Item): void;
  /** Takes out the item whose turn it is, or returns undefined. Clients that may not have a turn now are passed over and keep their place. */
  next(mayHaveTurn: (client: string) => boolean): Item | undefined;
  /** Takes out the newest of the client's least urgent items; undefined if it has none. */
  takeLast(client: string): Item | undefined;
  /** Takes out an item wherever it stands. Does nothing if it is not there. */
  remove(client: string, item: Item): void;
  count(): number;
  /** The client with the most items; undefined if nobody has any. */
  clientWithMost(): string | undefined;
  /** The clients that have items, in the order of their turns. */
  clients(): Iterable<string>;
}

/** A client's items, by rank. */
interface Waiting<Item> {
  readonly client: string;
  readonly ranks: Item[][];
  count: number;
}

/** Creates an empty rotation. */
export function createTurns<Item>(): Turns<Item> {
  const records = createClientRecords<Waiting<Item>>(
    (client) => ({ client, ranks: [], count: 0 }),
    (waiting) => waiting.count === 0,
  );
  // Those with items, in the order of turns: a client that has had one moves to the end.
  const rotation: Waiting<Item>[] = [];
  let count = 0;

  /** An item of the client's was taken out, which stands at this place of the rotation. */
  function noteTaken(waiting: Waiting<Item>, at: number, keepsPlace: boolean): void {
    count -= 1;
    waiting.count -= 1;
    if (keepsPlace && waiting.count > 0) return;
    if (at === 0) takeFirst(rotation);
    else rotation.splice(at, 1);
    if (waiting.count > 0) rotation.push(waiting);
  }

  return {
    add(client, rank, item) {
      const waiting = records.of(client);
      while (waiting.ranks.length <= rank) waiting.ranks.push([]);
      waiting.ranks[rank]?.push(item);
      if (waiting.count === 0) rotation.push(waiting);
      waiting.count += 1;
      count += 1;
    },
    next(mayHaveTurn) {
      for (let at = 0; at < rotation.length; at += 1) {
        const waiting = rotation[at] as Waiting<Item>;
        if (!mayHaveTurn(waiting.client)) continue;
        const item = firstItem(waiting);
        noteTaken(waiting, at, false);
        return item;
      }
      return undefined;
    },
    takeLast(client) {
      const waiting = records.find(client);
      const items = waiting?.ranks.findLast((each) => each.length > 0);
      if (waiting === undefined || items === undefined) return undefined;
      const item = items.pop();
      noteTaken(waiting, rotation.indexOf(waiting), true);
      return item;
    },
    remove(client, item) {
      const waiting = records.find(client);
      for (const items of waiting?.ranks ?? []) {
        const index = items.indexOf(item);
        if (waiting === undefined || index < 0) continue;
        items.splice(index, 1);
        noteTaken(waiting, rotation.indexOf(waiting), true);
        return;
      }
    },
    count: () => count,
    clientWithMost() {
      let found: Waiting<Item> | undefined;
      for (const waiting of rotation) if (waiting.count > (found?.count ?? 0)) found = waiting;
      return found?.client;
    },
    clients: () => rotation.map(({ client }) => client),
  };
}

function firstItem<Item>({ ranks }: Waiting<Item>): Item | undefined {
  for (const items of ranks) if (items.length > 0) return takeFirst(items);
  return undefined;
}

/** `shift` gives up the array's memory with its last item, which the next one would need again. */
function takeFirst<Item>(items: Item[]): Item | undefined {
  return items.length === 1 ? items.pop() : items.shift();
}
