/*
 * The flight recorder: the last queries as fixed slots of numbers, in which the newest overwrite the oldest. A query's number leads to its slot
 * when its reply is ready, as long as the slot has not been given to a later one, which numbers alone tell.
 *
 * A slot is eight 32-bit words that lie together, half a line of the processor's cache:
 *
 *      word 0   moment, its low 32 bits      4   port << 16 | ID
 *      word 1   name's hash                  5   type << 16 | weight << 8 | first << 2 | flags
 *      word 2   name's reference             6   repeated after, in ms, << 16 | waste << 15 | source << 8 | rcode
 *      word 3   generation << 16 | row       7   duration in ms, as a float
 */

/** A recorded query as a reader gets it. */
export interface RecordedQuery {
  /** A whole number. */
  readonly atMs: number;
  /** The client's row, -1 for none, and the row's generation. */
  readonly clientRow: number;
  readonly clientGeneration: number;
  readonly nameHash: number;
  /** The name in the ring; 0 for none. */
  readonly nameReference: number;
  readonly type: number;
  readonly port: number;
  readonly id: number;
  readonly isTcp: boolean;
  readonly hasEdns: boolean;
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
  /**
   * Takes a slot for a query and returns its number. `atMs` is a whole number, `client` comes from `clientWord`, `asked` is port << 16 | ID, `typeAndFlags`
   * is type << 16 | FlagBits, and `reply` comes from `replyWord`, or is `noReplyYet`.
   */
  arrived(
    atMs: number,
    client: number,
    nameHash: number,
    nameReference: number,
    asked: number,
    typeAndFlags: number,
    reply: number,
    durationMs: number,
  ): number;
  /** Notes the reply to the query with this number, and returns its slot; -1 if the slot has been given to another query. */
  replied(number: number, reply: number, durationMs: number): number;
  /** Notes that there was no reply, and returns the slot as `replied` does. */
  dropped(number: number): number;
  /** How many slots queries have taken: the first ones, in no order of time. */
  takenCount(): number;
  /** The slot that a query with this number took. */
  slotOf(number: number): number;
  /** Whether that slot is still its own. */
  isThere(number: number): boolean;
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
  /**
   * Calls `look` with the slots that were taken after the query with this number (-1: with all), oldest first, and with the numbers of their queries.
   * Returns the last number.
   */
  eachSince(number: number, look: (slot: number, number: number) => void): number;
  /** The query in a slot. */
  read(slot: number): RecordedQuery;
  /** Calls `look` with the slots from the newest to the oldest until it returns false. */
  eachSlot(look: (slot: number) => boolean | undefined): void;
  /** When the oldest of them came; undefined if there is none. */
  oldestAtMs(): number | undefined;
}

/** A slot's words, for those who look at every query: where they begin in `words` is `slot * wordsPerSlot`. */
export const wordsPerSlot = 8;

/** Where each is in a slot. */
export const Word = {
  moment: 0,
  nameHash: 1,
  nameReference: 2,
  client: 3,
  asked: 4,
  typeAndFlags: 5,
  reply: 6,
  duration: 7,
} as const;

const numberMask = 0x3fff_ffff;

/** Stands for no rcode: they go up to 16. */
const noRcode = 255;
const droppedRcode = 254;

/** Stands for no row. */
const noRow = 0xffff;

/** The flags beside the type. */
export const FlagBit = { tcp: 1, edns: 2 } as const;

/** Beside the flags: what had become of the query that was repeated. */
const firstShift = 2;
const firstMask = 7;

/** Where a slot has the weight with which the query was counted: 0 for one that was not, or not yet. */
const weightShift = 8;
const weightMask = 0xff;

/** Beside rcode and source: the reply denied a name under a search suffix. */
export const wasteBit = 1 << 15;
const sourceMask = 0x7f;

/** A client: its row, -1 for none and else below 65,535, and the row's generation, of 16 bits. */
export function clientWord(row: number, generation: number): number {
  return (generation << 16) | (row & noRow);
}

/** The row of a client; -1 for none. */
export function rowOfClient(client: number): number {
  const row = client & noRow;
  return row === noRow ? -1 : row;
}

/** A reply: its code, its source, below 128, and whether it denies a name under a search suffix. */
export function replyWord(rcode: number, source: number, isWaste: boolean): number {
  return (isWaste ? wasteBit : 0) | (source << 8) | rcode;
}

/** The source of a reply. */
export function sourceOfReply(reply: number): number {
  return (reply >>> 8) & sourceMask;
}

/** In place of a reply. */
export const noReplyYet = noRcode;

/** Creates a recorder of `slotCount` slots, a power of 2. */
export function createRecorder(slotCount: number): Recorder {
  // Memory that no query has touched takes no room.
  const words = new Int32Array(slotCount * wordsPerSlot);
  const floats = new Float32Array(words.buffer);
  const slotMask = slotCount - 1;
  let next = 0;
  let taken = 0;
  // In an array, because a number that does not fit into 31 bits is an object in a variable.
  const lastAtMs = new Float64Array(1);

  function arrived(
    atMs: number,
    client: number,
    nameHash: number,
    nameReference: number,
    asked: number,
    typeAndFlags: number,
    reply: number,
    durationMs: number,
  ): number {
    const number = next;
    const at = (number & slotMask) * wordsPerSlot;
    next = (number + 1) & numberMask;
    if (taken < slotCount) taken += 1;
    lastAtMs[0] = atMs;
    words[at] = atMs;
    words[at + Word.nameHash] = nameHash;
    words[at + Word.nameReference] = nameReference;
    words[at + Word.client] = client;
    words[at + Word.asked] = asked;
    words[at + Word.typeAndFlags] = typeAndFlags;
    words[at + Word.reply] = reply;
    floats[at + Word.duration] = durationMs;
    return number;
  }

  function isThere(number: number): boolean {
    return ((next - 1 - number) & numberMask) < taken;
  }

  function replied(number: number, reply: number, durationMs: number): number {
    if (!isThere(number)) return -1;
    const slot = number & slotMask;
    const at = slot * wordsPerSlot;
    words[at + Word.reply] = ((words[at + Word.reply] as number) & ~0xffff) | reply;
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

  return {
    words,
    arrived,
    replied,
    dropped: (number) => replied(number, droppedRcode, 0),
    takenCount: () => taken,
    slotOf: (number) => number & slotMask,
    isThere,
    askedIn: (slot) => wordIn(slot, Word.asked),
    clientRowIn: (slot) => rowOfClient(wordIn(slot, Word.client)),
    clientGenerationIn: (slot) => wordIn(slot, Word.client) >>> 16,
    nameHashIn: (slot) => wordIn(slot, Word.nameHash),
    nameReferenceIn: (slot) => wordIn(slot, Word.nameReference) >>> 0,
    rcodeIn: (slot) => wordIn(slot, Word.reply) & 0xff,
    numberIn(slot) {
      const back = (next - 1 - slot) & slotMask;
      return back < taken ? (next - 1 - back) & numberMask : -1;
    },
    typeIn: (slot) => wordIn(slot, Word.typeAndFlags) >>> 16,
    atMsIn,
    weightIn: (slot) => (wordIn(slot, Word.typeAndFlags) >>> weightShift) & weightMask,
    setWeight(slot, weight) {
      const at = slot * wordsPerSlot + Word.typeAndFlags;
      words[at] = (words[at] as number) | (weight << weightShift);
    },
    markRepeated(number, afterMs, first) {
      if (!isThere(number)) return;
      const at = (number & slotMask) * wordsPerSlot;
      const flags = (words[at + Word.typeAndFlags] as number) & ~(firstMask << firstShift);
      words[at + Word.typeAndFlags] = flags | (first << firstShift);
      words[at + Word.reply] = ((words[at + Word.reply] as number) & 0xffff) | (afterMs << 16);
    },
    eachSince(number, look) {
      const isNew = number < 0 ? taken : Math.min(taken, (next - number - 1) & numberMask);
      for (let back = isNew; back >= 1; back -= 1) look((next - back) & slotMask, (next - back) & numberMask);
      return (next - 1) & numberMask;
    },
    read: (slot) => queryIn(words, floats, slot, atMsIn(slot)),
    eachSlot(look) {
      for (let back = 1; back <= taken; back += 1) if (look((next - back) & slotMask) === false) return;
    },
    oldestAtMs: () => (taken === 0 ? undefined : atMsIn((next - taken) & slotMask)),
  };
}

function queryIn(words: Int32Array, floats: Float32Array, slot: number, atMs: number): RecordedQuery {
  const at = slot * wordsPerSlot;
  const word = (index: number) => words[at + index] ?? 0;
  const reply = word(Word.reply);
  const rcode = reply & 0xff;
  const flags = word(Word.typeAndFlags);
  return {
    atMs,
    clientRow: rowOfClient(word(Word.client)),
    clientGeneration: word(Word.client) >>> 16,
    nameHash: word(Word.nameHash),
    nameReference: word(Word.nameReference) >>> 0,
    type: flags >>> 16,
    port: word(Word.asked) >>> 16,
    id: word(Word.asked) & 0xffff,
    isTcp: (flags & FlagBit.tcp) !== 0,
    hasEdns: (flags & FlagBit.edns) !== 0,
    repeatedAfterMs: reply >>> 16,
    first: (flags >>> firstShift) & firstMask,
    rcode: rcode >= droppedRcode ? undefined : rcode,
    source: sourceOfReply(reply),
    durationMs: floats[at + Word.duration] ?? 0,
    isDropped: rcode === droppedRcode,
  };
}
