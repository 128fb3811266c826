/*
 * The flight recorder: the last queries as fixed slots of numbers, in which the newest overwrite the oldest. A query's number leads to its slot
 * when its reply is ready, as long as the slot has not been given to a later one.
 */

/** What is known of a query when it comes. */
export interface ArrivedQuery {
  atMs: number;
  /** The client's row, -1 for none, and the row's generation. */
  clientRow: number;
  clientGeneration: number;
  nameHash: number;
  /** The name in the ring; 0 for none. */
  nameReference: number;
  type: number;
  port: number;
  id: number;
  isTcp: boolean;
  hasEdns: boolean;
  /** How long ago the same query had come, in ms, 0 if it had not; and what had become of it, a First. */
  repeatedAfterMs: number;
  first: number;
}

/** A recorded query as a reader gets it. */
export interface RecordedQuery extends ArrivedQuery {
  /** Undefined while there is no reply, and for a query that got none. */
  readonly rcode: number | undefined;
  /** A number of the listener's own, where `rcode` is defined. */
  readonly source: number;
  readonly durationMs: number;
  readonly isDropped: boolean;
}

/** Records queries. */
export interface Recorder {
  /** Takes a slot for a query and returns its number. */
  arrived(query: Readonly<ArrivedQuery>): number;
  /** The slot that a query with this number took. */
  slotOf(number: number): number;
  /** Notes the reply to the query with this number, and returns its slot; -1 if the slot has been given to another query. */
  replied(number: number, rcode: number, source: number, durationMs: number): number;
  /** Notes that there was no reply, and returns the slot as `replied` does. */
  dropped(number: number): number;
  /** The query in a slot. */
  read(slot: number): RecordedQuery;
  /** Calls `look` with the slots from the newest to the oldest until it returns false. */
  eachSlot(look: (slot: number) => boolean | undefined): void;
  /** When the oldest of them came; undefined if there is none. */
  oldestAtMs(): number | undefined;
  readonly columns: RecorderColumns;
}

/** The columns that the hot path reads back. */
export type RecorderColumns = ReturnType<typeof createColumns>;

const numberMask = 0x3fff_ffff;

/** Stands for no rcode: they go up to 16. */
const noRcode = 255;
const droppedRcode = 254;

const FlagBit = { tcp: 1, edns: 2 } as const;

/** Creates a recorder of `slotCount` slots, a power of 2. */
export function createRecorder(slotCount: number): Recorder {
  const columns = createColumns(slotCount);
  const slotMask = slotCount - 1;
  let next = 0;
  let taken = 0;

  function arrived(query: Readonly<ArrivedQuery>): number {
    const number = next;
    const slot = number & slotMask;
    next = (number + 1) & numberMask;
    if (taken < slotCount) taken += 1;
    columns.numbers[slot] = number;
    columns.atMs[slot] = query.atMs;
    columns.clientRows[slot] = query.clientRow;
    columns.clientGenerations[slot] = query.clientGeneration;
    columns.nameHashes[slot] = query.nameHash;
    columns.nameReferences[slot] = query.nameReference;
    columns.types[slot] = query.type;
    columns.ports[slot] = query.port;
    columns.ids[slot] = query.id;
    columns.flags[slot] = (query.isTcp ? FlagBit.tcp : 0) | (query.hasEdns ? FlagBit.edns : 0);
    columns.repeatedAfterMs[slot] = query.repeatedAfterMs;
    columns.firsts[slot] = query.first;
    columns.rcodes[slot] = noRcode;
    columns.durationsMs[slot] = 0;
    return number;
  }

  function replied(number: number, rcode: number, source: number, durationMs: number): number {
    const slot = number & slotMask;
    if (columns.numbers[slot] !== number) return -1;
    columns.rcodes[slot] = rcode;
    columns.sources[slot] = source;
    columns.durationsMs[slot] = durationMs;
    return slot;
  }

  function read(slot: number): RecordedQuery {
    const rcode = columns.rcodes[slot] ?? noRcode;
    const flags = columns.flags[slot] ?? 0;
    return {
      atMs: columns.atMs[slot] ?? 0,
      clientRow: columns.clientRows[slot] ?? -1,
      clientGeneration: columns.clientGenerations[slot] ?? 0,
      nameHash: columns.nameHashes[slot] ?? 0,
      nameReference: columns.nameReferences[slot] ?? 0,
      type: columns.types[slot] ?? 0,
      port: columns.ports[slot] ?? 0,
      id: columns.ids[slot] ?? 0,
      isTcp: (flags & FlagBit.tcp) !== 0,
      hasEdns: (flags & FlagBit.edns) !== 0,
      repeatedAfterMs: columns.repeatedAfterMs[slot] ?? 0,
      first: columns.firsts[slot] ?? 0,
      rcode: rcode >= droppedRcode ? undefined : rcode,
      source: columns.sources[slot] ?? 0,
      durationMs: columns.durationsMs[slot] ?? 0,
      isDropped: rcode === droppedRcode,
    };
  }

  return {
    arrived,
    slotOf: (number) => number & slotMask,
    replied,
    dropped: (number) => replied(number, droppedRcode, 0, 0),
    read,
    eachSlot(look) {
      for (let back = 1; back <= taken; back += 1) if (look((next - back) & slotMask) === false) return;
    },
    oldestAtMs: () => (taken === 0 ? undefined : columns.atMs[(next - taken) & slotMask]),
    columns,
  };
}

function createColumns(slotCount: number) {
  return {
    numbers: new Int32Array(slotCount).fill(-1),
    atMs: new Float64Array(slotCount),
    clientRows: new Int16Array(slotCount),
    clientGenerations: new Uint16Array(slotCount),
    nameHashes: new Int32Array(slotCount),
    nameReferences: new Uint32Array(slotCount),
    /** Where the query is in the table of repeats, and its name's row in the table of names. */
    repeatEntries: new Int32Array(slotCount),
    nameRows: new Int16Array(slotCount),
    types: new Uint16Array(slotCount),
    ports: new Uint16Array(slotCount),
    ids: new Uint16Array(slotCount),
    flags: new Uint8Array(slotCount),
    firsts: new Uint8Array(slotCount),
    repeatedAfterMs: new Uint16Array(slotCount),
    rcodes: new Uint8Array(slotCount),
    sources: new Uint8Array(slotCount),
    durationsMs: new Float32Array(slotCount),
  };
}
