/*
 * Who asks: a row of numbers for each of the clients that ask most. Rows lie in sets of eight; a client without a row takes that of the quietest
 * one of its set with a chance of one in that one's count, so that a crowd that asks once does not push out those that ask much.
 *
 * Counts decay, so that they tell of the last minutes.
 */
import {
  ipv4Octets,
  ipv4SocketAddressSizeBytes,
  ipv6Octets,
  ipv6SocketAddressSizeBytes,
  hostOf,
  type SocketAddress,
} from "../runtime/socket-address.ts";
import { createChance } from "./chance.ts";
import { createDecay, type Decay } from "./decay.ts";

/** What is counted of a client, as columns by row. All decay. */
export interface ClientColumns {
  readonly queries: Float32Array;
  /** Of these, the ones that the next three are of, each by its weight. */
  readonly weighed: Float32Array;
  /** Answered from the cache or by a search rule. */
  readonly hits: Float32Array;
  readonly nxdomain: Float32Array;
  /** Names under a search suffix that were denied: queries that a shorter way would not send. */
  readonly waste: Float32Array;
  /** Questions that it had asked some seconds before, with another ID or from another port: of all queries. */
  readonly asksAgain: Float32Array;
  /** How it asks, for which queries are looked at without weights: so many. */
  readonly looked: Float32Array;
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
  /** The row of a client, whatever its port; -1 for a client that has none. */
  rowOf(client: SocketAddress): number;
  /** The client in a row, an IP literal; "" for a row that nobody has taken. */
  clientIn(row: number): string;
  /** Counts how often a row was given to another client: what was noted of a row with another number was of another client. */
  generationOf(row: number): number;
  readonly columns: ClientColumns;
  /** Notes that a pair's first or second query has come, and counts the pair. */
  notePair(row: number, nameHash: number, type: number, port: number, id: number, nowMs: number): void;
  readonly decay: Decay;
  readonly rowCount: number;
}

const rowsPerSet = 8;

/** IDs of a pair that musl makes differ by the nanoseconds between two looks at the clock. */
const closeIds = 8192;

/** The two queries of a pair leave the client together. */
const pairWithinMs = 1000;

/** Creates a table of `rowCount` rows, a power of 2 of at least 8. `seed` is random per process. */
export function createClientTable(rowCount: number, seed: number): ClientTable {
  const addresses = new Uint8Array(rowCount * ipv6SocketAddressSizeBytes);
  const sizes = new Uint8Array(rowCount);
  const setMask = rowCount / rowsPerSet - 1;
  // An IPv4 host as a word, or an IPv6 host folded into one.
  const words = new Int32Array(rowCount);
  const generations = new Uint16Array(rowCount);
  const column = () => new Float32Array(rowCount);
  const columns: ClientColumns = {
    queries: column(),
    weighed: column(),
    hits: column(),
    nxdomain: column(),
    waste: column(),
    asksAgain: column(),
    looked: column(),
    edns: column(),
    addressQueries: column(),
    pairs: column(),
    samePortPairs: column(),
    closeIdPairs: column(),
  };
  const columnList = Object.values(columns);
  const decay = createDecay(columnList);
  const last = {
    name: new Int32Array(rowCount),
    type: new Uint16Array(rowCount),
    port: new Uint16Array(rowCount),
    id: new Uint16Array(rowCount),
    // The low 32 bits.
    atMs: new Int32Array(rowCount),
  };
  const chance = createChance(seed);
  // The row of the last client whose address ends so. Pods of a node have addresses that follow each other.
  const hints = new Uint16Array(rowCount);
  const hintMask = rowCount - 1;

  function rowOf(client: SocketAddress): number {
    const isShort = client.length === ipv4SocketAddressSizeBytes;
    const word = isShort ? wordAt(client, ipv4Octets.offset) : foldLong(client);
    const hint = hints[word & hintMask] as number;
    if (words[hint] === word && sizes[hint] === client.length && (isShort || isLongIn(hint, client))) {
      return hint;
    }
    const row = findRow(client, word, isShort);
    if (row >= 0) hints[word & hintMask] = row;
    return row;
  }

  function findRow(client: SocketAddress, word: number, isShort: boolean): number {
    const start = ((mix(word ^ seed) >>> 16) & setMask) * rowsPerSet;
    let quietest = start;
    for (let row = start; row < start + rowsPerSet; row += 1) {
      if (words[row] === word && sizes[row] === client.length && (isShort || isLongIn(row, client))) return row;
      if ((columns.queries[row] as number) < (columns.queries[quietest] as number)) quietest = row;
    }
    return chance.oneIn((columns.queries[quietest] as number) + 1) ? take(quietest, client, word) : -1;
  }

  function isLongIn(row: number, client: SocketAddress): boolean {
    const at = row * ipv6SocketAddressSizeBytes;
    for (let octet = ipv6Octets.offset; octet < ipv6Octets.offset + ipv6Octets.sizeBytes; octet += 1)
      if (addresses[at + octet] !== client[octet]) return false;
    return true;
  }

  function take(row: number, client: SocketAddress, word: number): number {
    sizes[row] = client.length;
    addresses.set(client, row * ipv6SocketAddressSizeBytes);
    words[row] = word;
    generations[row] = (generations[row] as number) + 1;
    for (const column of columnList) column[row] = 0;
    last.type[row] = 0;
    return row;
  }

  function notePair(row: number, nameHash: number, type: number, port: number, id: number, nowMs: number): void {
    const isSecond =
      last.name[row] === nameHash &&
      last.type[row] !== 0 &&
      last.type[row] !== type &&
      ((nowMs - (last.atMs[row] as number)) | 0) < pairWithinMs;
    if (isSecond) {
      addOne(columns.pairs, row);
      if (last.port[row] === port) {
        addOne(columns.samePortPairs, row);
        const apart = (id - (last.id[row] as number)) & 0xffff;
        if (apart > 0 && apart < closeIds) addOne(columns.closeIdPairs, row);
      }
    }
    last.name[row] = nameHash;
    // 0 is none: a third query of the name begins another pair.
    last.type[row] = isSecond ? 0 : type;
    last.port[row] = port;
    last.id[row] = id;
    last.atMs[row] = nowMs;
  }

  return {
    rowOf,
    clientIn(row) {
      const start = row * ipv6SocketAddressSizeBytes;
      const size = sizes[row] ?? 0;
      return size === 0 ? "" : hostOf(addresses.subarray(start, start + size));
    },
    generationOf: (row) => generations[row] ?? 0,
    columns,
    notePair,
    decay,
    rowCount,
  };
}

/** Adds 1 to a row of a column. */
export function addOne(column: Float32Array, row: number): void {
  column[row] = (column[row] as number) + 1;
}

/** Adds a query that stands for as many as its weight says. */
export function addWeight(column: Float32Array, row: number, weight: number): void {
  column[row] = (column[row] as number) + weight;
}

function wordAt(client: SocketAddress, offset: number): number {
  const high = ((client[offset] as number) << 24) | ((client[offset + 1] as number) << 16);
  return high | ((client[offset + 2] as number) << 8) | (client[offset + 3] as number);
}

/** A word that differs for most IPv6 hosts. */
function foldLong(client: SocketAddress): number {
  const { offset } = ipv6Octets;
  let word = 0;
  for (let at = offset; at < offset + ipv6Octets.sizeBytes; at += 4) word = mix(word ^ wordAt(client, at));
  return word;
}

/** The finalizer of MurmurHash3. */
function mix(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}
