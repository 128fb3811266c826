/*
 * Items that wait, in the order of their turns: one item of each client in rotation, however many each has; among one client's items, the more
 * urgent first, then the older. It does not know what they wait for.
 */

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
  /** The clients that have items, in the order of their turns. */
  clients(): Iterable<string>;
}

/** Creates an empty rotation. */
export function createTurns<Item>(): Turns<Item> {
  // In the order of turns: a client that has had one moves to the end.
  const byClient = new Map<string, Item[][]>();
  let count = 0;

  function take(client: string, items: Item[], index: number): Item | undefined {
    const [item] = items.splice(index, 1);
    if (item === undefined) return undefined;
    count -= 1;
    const ranks = byClient.get(client) ?? [];
    if (ranks.every((each) => each.length === 0)) byClient.delete(client);
    return item;
  }

  return {
    add(client, rank, item) {
      const ranks = byClient.get(client) ?? [];
      while (ranks.length <= rank) ranks.push([]);
      ranks[rank]?.push(item);
      byClient.set(client, ranks);
      count += 1;
    },
    next(mayHaveTurn) {
      for (const [client, ranks] of byClient) {
        const items = ranks.find((each) => each.length > 0);
        if (items === undefined || !mayHaveTurn(client)) continue;
        byClient.delete(client);
        byClient.set(client, ranks);
        return take(client, items, 0);
      }
      return undefined;
    },
    takeLast(client) {
      const items = byClient.get(client)?.findLast((each) => each.length > 0);
      return items === undefined ? undefined : take(client, items, items.length - 1);
    },
    remove(client, item) {
      for (const items of byClient.get(client) ?? []) {
        const index = items.indexOf(item);
        if (index >= 0) take(client, items, index);
      }
    },
    count: () => count,
    clients: () => byClient.keys(),
  };
}
