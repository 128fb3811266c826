/*
 * The flight recorder: the last queries as fixed slots of numbers, in which the newest overwrite the oldest. A query's number leads to its slot
 * when its reply is ready, as long as the slot has not been given to a later one.
 *
 * A slot is twelve 32-bit words that lie together, so that a query touches one or two lines of the processor's cache:
 *
 *      word 0   number + 1                   6   port << 16 | ID
 *      word 1   moment, its low 32 bits      7   type << 16 | weight << 8 | flags
 *      word 2   name's hash                  8   repeated after, in ms, << 16 | first
 *      word 3   name's reference             9   source << 8 | rcode
 *      word 4   client's row                10   duration in ms, as a float
 *      word 5   that row's generation       11   –
 */

/** What is known of a query when it comes. */
export interface ArrivedQuery {
  /** A whole number. */
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
}

/** A recorded query as a reader gets it. */
export interface RecordedQuery extends ArrivedQuery {
  /** Undefined while there is no reply, and for a query that got none. */
  readonly rcode: number | undefined;
  /** A number of the listener's own, where `rcode` is defined. */
  readonly source: number;
  readonly durationMs: number;
  readonly isDropped: boolean;
  /** How long before it the same query had come, in ms, 0 if it had not; and what had become of it, a First. */
  readonly repeatedAfterMs: number;
  readonly first: number;
}

/** Records queries. */
export interface Recorder {
  /** All slots, to be read only. */
  readonly words: Int32Array;
  /** Takes a slot for a query and returns its number. */
  arrived(query: Readonly<ArrivedQuery>): number;
  /**
   * Notes the reply to the query with this number, and returns its slot; -1 if the slot has been given to another query. `isWaste` says that it
   * denies a name under a search suffix.
   */
  replied(number: number, rcode: number, source: number, durationMs: number, isWaste: boolean): number;
  /** Notes that there was no reply, and returns the slot as `replied` does. */
  dropped(number: number): number;
  /** How many slots queries have taken: the first ones, in no order of time. */
  takenCount(): number;
  /** The slot that a query with this number took. */
  slotOf(number: number): number;
  /** Single fields of a slot, without an object: what the hot path reads back. */
  /** Port and ID, as `port << 16 | id`. */
  askedIn(slot: number): number;
  clientRowIn(slot: number): number;
  clientGenerationIn(slot: number): number;
  nameHashIn(slot: number): number;
  nameReferenceIn(slot: number): number;
  /** The reply's code; above all real ones if there is none. */
  rcodeIn(slot: number): number;
  /** -1 for a slot that no query has taken. */
  numberIn(slot: number): number;
  typeIn(slot: number): number;
  atMsIn(slot: number): number;
  weightIn(slot: number): number;
  /** Notes that the query in a slot, which had no weight, was counted with this one, from 1 to 255. */
  setWeight(slot: number, weight: number): void;
  /** Notes that the query with this number had come before, if it still has its slot. */
  markRepeated(number: number, afterMs: number, first: number): void;
  /** Calls `look` with the slots that were taken after the query with this number (-1: with all), oldest first. Returns the last number. */
  eachSince(number: number, look: (slot: number) => void): number;
  /** The query in a slot. */
  read(slot: number): RecordedQuery;
  /** Calls `look` with the slots from the newest to the oldest until it returns false. */
  eachSlot(look: (slot: number) => boolean | undefined): void;
  /** When the oldest of them came; undefined if there is none. */
  oldestAtMs(): number | undefined;
}

/** A slot's words, for those who look at every query: where they begin in `words` is `slot * wordsPerSlot`. */
export const wordsPerSlot = 12;

/** Where each is in a slot. */
export const Word = {
  number: 0,
  moment: 1,
  nameHash: 2,
  nameReference: 3,
  clientRow: 4,
  clientGeneration: 5,
  asked: 6,
  typeAndFlags: 7,
  repeated: 8,
  reply: 9,
  duration: 10,
} as const;

const numberMask = 0x3fff_ffff;

/** Stands for no rcode: they go up to 16. */
const noRcode = 255;
const droppedRcode = 254;

/** The flags beside the type. */
export const FlagBit = { tcp: 1, edns: 2 } as const;

/** Where a slot has the weight with which the query was counted: 0 for one that was not, or not yet. */
const weightShift = 8;
const weightMask = 0xff;

/** Beside rcode and source: the reply denied a name under a search suffix. */
export const wasteBit = 1 << 16;

/** Creates a recorder of `slotCount` slots, a power of 2. */
export function createRecorder(slotCount: number): Recorder {
  const words = new Int32Array(slotCount * wordsPerSlot);
  const floats = new Float32Array(words.buffer);
  const slotMask = slotCount - 1;
  let next = 0;
  let taken = 0;
  // In an array, because a number that does not fit into 31 bits is an object in a variable.
  const lastAtMs = new Float64Array(1);

  function arrived(query: Readonly<ArrivedQuery>): number {
    const number = next;
    const at = (number & slotMask) * wordsPerSlot;
    next = (number + 1) & numberMask;
    if (taken < slotCount) taken += 1;
    lastAtMs[0] = query.atMs;
    // Memory that no query has touched holds 0, and takes no room.
    words[at] = number + 1;
    words[at + Word.moment] = query.atMs;
    words[at + Word.nameHash] = query.nameHash;
    words[at + Word.nameReference] = query.nameReference;
    words[at + Word.clientRow] = query.clientRow;
    words[at + Word.clientGeneration] = query.clientGeneration;
    words[at + Word.asked] = (query.port << 16) | query.id;
    words[at + Word.typeAndFlags] =
      (query.type << 16) | (query.isTcp ? FlagBit.tcp : 0) | (query.hasEdns ? FlagBit.edns : 0);
    words[at + Word.repeated] = 0;
    words[at + Word.reply] = noRcode;
    floats[at + Word.duration] = 0;
    return number;
  }

  function replied(number: number, rcode: number, source: number, durationMs: number, isWaste: boolean): number {
    const slot = number & slotMask;
    const at = slot * wordsPerSlot;
    if (words[at] !== number + 1) return -1;
    words[at + Word.reply] = (isWaste ? wasteBit : 0) | (source << 8) | rcode;
    floats[at + Word.duration] = durationMs;
    return slot;
  }

  function wordIn(slot: number, word: number): number {
    return words[slot * wordsPerSlot + word] ?? 0;
  }

  function atMsIn(slot: number): number {
    const last = lastAtMs[0] ?? 0;
    return last - ((last - wordIn(slot, Word.moment)) >>> 0);
  }

  function read(slot: number): RecordedQuery {
    const word = (index: number) => wordIn(slot, index);
    const rcode = word(Word.reply) & 0xff;
    const flags = word(Word.typeAndFlags);
    return {
      atMs: atMsIn(slot),
      clientRow: word(Word.clientRow),
      clientGeneration: word(Word.clientGeneration),
      nameHash: word(Word.nameHash),
      nameReference: word(Word.nameReference) >>> 0,
      type: flags >>> 16,
      port: word(Word.asked) >>> 16,
      id: word(Word.asked) & 0xffff,
      isTcp: (flags & FlagBit.tcp) !== 0,
      hasEdns: (flags & FlagBit.edns) !== 0,
      repeatedAfterMs: word(Word.repeated) >>> 16,
      first: word(Word.repeated) & 0xffff,
      rcode: rcode >= droppedRcode ? undefined : rcode,
      source: (word(Word.reply) >>> 8) & 0xff,
      durationMs: floats[slot * wordsPerSlot + Word.duration] ?? 0,
      isDropped: rcode === droppedRcode,
    };
  }

  return {
    words,
    arrived,
    replied,
    dropped: (number) => replied(number, droppedRcode, 0, 0, false),
    takenCount: () => taken,
    slotOf: (number) => number & slotMask,
    askedIn: (slot) => wordIn(slot, Word.asked),
    clientRowIn: (slot) => wordIn(slot, Word.clientRow),
    clientGenerationIn: (slot) => wordIn(slot, Word.clientGeneration),
    nameHashIn: (slot) => wordIn(slot, Word.nameHash),
    nameReferenceIn: (slot) => wordIn(slot, Word.nameReference) >>> 0,
    rcodeIn: (slot) => wordIn(slot, Word.reply) & 0xff,
    numberIn: (slot) => wordIn(slot, Word.number) - 1,
    typeIn: (slot) => wordIn(slot, Word.typeAndFlags) >>> 16,
    atMsIn,
    weightIn: (slot) => (wordIn(slot, Word.typeAndFlags) >>> weightShift) & weightMask,
    setWeight(slot, weight) {
      const at = slot * wordsPerSlot + Word.typeAndFlags;
      words[at] = (words[at] as number) | (weight << weightShift);
    },
    markRepeated(number, afterMs, first) {
      const at = (number & slotMask) * wordsPerSlot;
      if (words[at] === number + 1) words[at + Word.repeated] = (afterMs << 16) | first;
    },
    eachSince(number, look) {
      const isNew = number < 0 ? taken : Math.min(taken, (next - number - 1) & numberMask);
      for (let back = isNew; back >= 1; back -= 1) look((next - back) & slotMask);
      return (next - 1) & numberMask;
    },
    read,
    eachSlot(look) {
      for (let back = 1; back <= taken; back += 1) if (look((next - back) & slotMask) === false) return;
    },
    oldestAtMs: () => (taken === 0 ? undefined : atMsIn((next - taken) & slotMask)),
  };
}
