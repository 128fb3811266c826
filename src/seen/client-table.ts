/*
 * Who asks: a row of numbers for each of the clients that ask most. When all rows are taken, a newcomer takes the place of a client that asks
 * little with a chance of one in that client's count, so that a crowd that asks once does not push out those that ask much.
 *
 * Counts decay, so that they tell of the last minutes.
 */
import { createChance } from "./chance.ts";
import { createDecay, type Decay } from "./decay.ts";

/** What is counted of a client, as columns by row. All decay. */
export interface ClientColumns {
  readonly queries: Float32Array;
  /** Answered from the cache or by a search rule. */
  readonly hits: Float32Array;
  readonly nxdomain: Float32Array;
  /** Names under a search suffix that were denied: queries that a shorter way would not send. */
  readonly waste: Float32Array;
  /** Queries with EDNS. */
  readonly edns: Float32Array;
  /** Queries for an address. */
  readonly addressQueries: Float32Array;
  /** Pairs of A and AAAA for one name, sent within a second. */
  readonly pairs: Float32Array;
  /** Those whose two queries came from one port. */
  readonly samePortPairs: Float32Array;
  /** Those of one port whose IDs follow each other closely, as musl makes them: from the clock. */
  readonly closeIdPairs: Float32Array;
}

/** The clients that ask most. */
export interface ClientTable {
  /** The row of a client, an IP literal; -1 for a client that has none. Sets `key`. */
  rowOf(client: string): number;
  /** A hash of the client that rowOf was last called with, whether or not it has a row. */
  key(): number;
  /** The client in a row; "" for a row that nobody has taken. */
  clientIn(row: number): string;
  /** Counts how often a row was given to another client: what was noted of a row with another number was of another client. */
  generationOf(row: number): number;
  readonly columns: ClientColumns;
  /** Notes that a pair's first or second query has come, and counts the pair. */
  notePair(row: number, nameHash: number, type: number, port: number, id: number, nowMs: number): void;
  readonly decay: Decay;
  /** How many rows are taken. */
  size(): number;
}

/** IDs of a pair that musl makes differ by the nanoseconds between two looks at the clock. */
const closeIds = 8192;

/** The two queries of a pair leave the client together. */
const pairWithinMs = 1000;

/** Creates a table of `rowCount` rows. `seed` is random per process. */
export function createClientTable(rowCount: number, seed: number): ClientTable {
  const rows = new Map<string, number>();
  const clients = Array.from({ length: rowCount }, () => "");
  const keys = new Int32Array(rowCount);
  const generations = new Uint16Array(rowCount);
  const column = () => new Float32Array(rowCount);
  const columns: ClientColumns = {
    queries: column(),
    hits: column(),
    nxdomain: column(),
    waste: column(),
    edns: column(),
    addressQueries: column(),
    pairs: column(),
    samePortPairs: column(),
    closeIdPairs: column(),
  };
  const decay = createDecay(Object.values(columns));
  const last = {
    name: new Int32Array(rowCount),
    type: new Uint16Array(rowCount),
    port: new Uint16Array(rowCount),
    id: new Uint16Array(rowCount),
    atMs: new Float64Array(rowCount),
  };
  const chance = createChance(seed);
  let lastClient = "";
  let lastRow = -1;
  let key = 0;

  function rowOf(client: string): number {
    if (client === lastClient && lastRow >= 0) return lastRow;
    const known = rows.get(client);
    const row = known ?? admit(client);
    [lastClient, lastRow] = [client, row];
    key = row < 0 ? hashText(client, seed) : (keys[row] as number);
    return row;
  }

  function admit(client: string): number {
    if (rows.size < rowCount) return take(rows.size, client);
    const victim = quietestOfSome();
    return chance.oneIn((columns.queries[victim] as number) + 1) ? take(victim, client) : -1;
  }

  /** The client with the fewest queries among a few that chance picks. */
  function quietestOfSome(): number {
    let quietest = chance.below(rowCount);
    for (let tries = 1; tries < 8; tries += 1) {
      const row = chance.below(rowCount);
      if ((columns.queries[row] as number) < (columns.queries[quietest] as number)) quietest = row;
    }
    return quietest;
  }

  function take(row: number, client: string): number {
    rows.delete(clients[row] as string);
    rows.set(client, row);
    clients[row] = client;
    keys[row] = hashText(client, seed);
    generations[row] = (generations[row] as number) + 1;
    for (const each of Object.values(columns)) each[row] = 0;
    last.atMs[row] = -pairWithinMs;
    return row;
  }

  function notePair(row: number, nameHash: number, type: number, port: number, id: number, nowMs: number): void {
    const isSecond =
      last.name[row] === nameHash && last.type[row] !== type && nowMs - (last.atMs[row] as number) < pairWithinMs;
    if (isSecond) {
      addOne(columns.pairs, row);
      if (last.port[row] === port) {
        addOne(columns.samePortPairs, row);
        const apart = (id - (last.id[row] as number)) & 0xffff;
        if (apart > 0 && apart < closeIds) addOne(columns.closeIdPairs, row);
      }
    }
    last.name[row] = nameHash;
    // A third query of the name begins another pair.
    last.type[row] = isSecond ? 0 : type;
    last.port[row] = port;
    last.id[row] = id;
    last.atMs[row] = isSecond ? -pairWithinMs : nowMs;
  }

  return {
    rowOf,
    key: () => key,
    clientIn: (row) => clients[row] ?? "",
    generationOf: (row) => generations[row] ?? 0,
    columns,
    notePair,
    decay,
    size: () => rows.size,
  };
}

/** Adds 1 to a row of a column. */
export function addOne(column: Float32Array, row: number): void {
  column[row] = (column[row] as number) + 1;
}

/** FNV-1a of the characters, keyed by the seed. */
function hashText(text: string, seed: number): number {
  let hash = seed | 0;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193);
  return hash ^ (hash >>> 15);
}
