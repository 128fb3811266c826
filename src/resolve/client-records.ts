/*
 * A record for each client that has something under way. Clients come back all the time: the record of one that has nothing left stays until
 * such records are most of them, so that a question costs neither a new record nor a change of the table (key-table says why that matters).
 */

/** Records by client. */
export interface ClientRecords<Entry> {
  /** The client's record; undefined where it has none, which says the same as an idle one. */
  find(client: string): Entry | undefined;
  /** The client's record, or a new one. To be changed at once: an idle record may be forgotten at the next call. */
  of(client: string): Entry;
  /** All records, idle ones too. */
  all(): Iterable<Entry>;
}

/** So many records are kept before any is looked at. */
const leastKept = 256;

/** Creates an empty table. `fresh` makes a client's first record; `isIdle` says whether one may be forgotten. */
export function createClientRecords<Entry>(
  fresh: (client: string) => Entry,
  isIdle: (entry: Entry) => boolean,
): ClientRecords<Entry> {
  const byClient = new Map<string, Entry>();
  let mostKept = leastKept;
  // A question looks for its client several times in a row.
  let lastClient: string | undefined;
  let lastEntry: Entry | undefined;

  function forgetIdle(): void {
    lastClient = undefined;
    for (const [client, entry] of byClient) if (isIdle(entry)) byClient.delete(client);
    mostKept = Math.max(leastKept, 2 * byClient.size);
  }

  function find(client: string): Entry | undefined {
    if (client === lastClient) return lastEntry;
    const entry = byClient.get(client);
    if (entry === undefined) return undefined;
    lastClient = client;
    lastEntry = entry;
    return entry;
  }

  return {
    find,
    of(client) {
      const known = find(client);
      if (known !== undefined) return known;
      if (byClient.size >= mostKept) forgetIdle();
      const entry = fresh(client);
      byClient.set(client, entry);
      return entry;
    },
    all: () => byClient.values(),
  };
}

/** How many of something a client has. */
export interface ClientCount {
  readonly client: string;
  count: number;
}

/** Creates records that count, from 0. */
export function createClientCounts(): ClientRecords<ClientCount> {
  return createClientRecords(
    (client) => ({ client, count: 0 }),
    ({ count }) => count === 0,
  );
}
