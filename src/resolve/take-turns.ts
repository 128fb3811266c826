/*
 * What waits, in the order of its turns: one item of each client after the other, however many each has brought; of one client the
 * more urgent first, then the older. Knows nothing of what it waits for.
 */

/** Items that wait, by client. An item is in it at most once. */
export interface Turns<Item> {
  /** Behind the client's items of the same rank. Rank 0 is the most urgent. */
  add(client: string, rank: number, item: Item): void;
  /** Takes out the item whose turn it is, passing over clients that may not have one now; they keep their place. */
  next(mayHaveTurn: (client: string) => boolean): Item | undefined;
  /** Takes out the client's least urgent, newest item. */
  takeLast(client: string): Item | undefined;
  /** Takes an item out, wherever it stands. */
  remove(client: string, item: Item): void;
  count(): number;
  clients(): Iterable<string>;
}

/** Creates turns for nobody yet. */
export function createTurns<Item>(): Turns<Item> {
  // In the order of turns: whoever had one goes to the end.
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
