/*
 * What is seen of clients and their queries, joined: one call for a hit and two for any other query, of integers, and everything else when somebody looks.
 *
 * Nothing is claimed that the packets do not show. A query counts as asked again only if client, port, ID and question are the same, or if it
 * comes alone at a known resolver's interval after its twin for the other address type, from a client that otherwise sends both together
 * (lone-twins); what comes from another port is looked for in the record (changed-ports).
 */
import { createHistogram, type Histogram, observe, timeBoundsSeconds } from "../runtime/histogram.ts";
import { portOf, type SocketAddress } from "../runtime/socket-address.ts";
import { isAddressType, Rcode } from "../wire/codes.ts";
import type { FoldedName } from "../wire/name.ts";
import { createChangedPorts } from "./changed-ports.ts";
import { createChance } from "./chance.ts";
import { addOne, addWeight, type ClientColumns, type ClientTable, createClientTable } from "./client-table.ts";
import { createLately } from "./lately.ts";
import { createLoneTwins } from "./lone-twins.ts";
import { createNameRing, type NameRing } from "./name-ring.ts";
import { createNameTable, type NameTable } from "./name-table.ts";
import {
  clientWord,
  createRecorder,
  FlagBit,
  noReplyYet,
  type RecordedQuery,
  type Recorder,
  replyWord,
  rowOfClient,
  sourceOfReply,
  wasteBit,
  Word,
  wordsPerSlot,
} from "./recorder.ts";
import { createRepeats, First, leastWaitMs, type Noted } from "./repeats.ts";
import { createSuspects, isClientChance, type Suspect } from "./suspects.ts";
import { createTrips, type Trips } from "./trips.ts";
import { createWaits, isKnownInterval, type Waits } from "./waits.ts";

/** How much may be remembered, and of what. */
export interface SeenOptions {
  /** Queries that the recorder holds, rounded up to a power of 2; 0 to record none. */
  readonly recordedQueries: number;
  /** Whether names are kept at all. Without it there are hashes. */
  readonly keepsNames: boolean;
  /** The suffixes that pods append, or what these end in: folded, wire form. */
  readonly suffixes: readonly Uint8Array[];
  /** Whether replies of this source were made here at once. */
  isHit(source: number): boolean;
  /** Whether they came from upstream, asked for this. */
  isFromUpstream(source: number): boolean;
  /** Whether a name (folded, wire form) is asked of kube-dns, not outside. */
  isClusterName(name: Uint8Array): boolean;
  /** Random per process. */
  readonly seed: number;
}

/** A query as the socket has read it. Only read, and only during the call. */
export interface SeenQuery {
  readonly id: number;
  readonly name: FoldedName;
  readonly type: number;
  readonly hasEdns: boolean;
}

/** What is seen. Moments are monotonic milliseconds. */
export interface Seen {
  /**
   * Notes a client's query and returns its number, for the two calls below. `client` is only read during the call, and `nowMs` is a
   * whole number. Never throws.
   */
  received(client: SocketAddress, query: SeenQuery, isTcp: boolean, nowMs: number): number;
  /** Notes a query together with its reply, which did not come from upstream. */
  answeredAtOnce(
    client: SocketAddress,
    query: SeenQuery,
    isTcp: boolean,
    nowMs: number,
    rcode: number,
    source: number,
    durationMs: number,
  ): void;
  /** Notes the reply to the query with this number and name. A number below 0 stands for a query that was not noted. */
  answered(number: number, name: FoldedName, rcode: number, source: number, durationMs: number): void;
  /** Notes that it got no reply. */
  dropped(number: number): void;
  /** Lets counts fade, and looks for queries that were sent again from another port. To be called every second or so. */
  tick(nowMs: number): void;
  /** Counted up to the moment of reading, like the two below. */
  readonly clients: ClientTable;
  readonly names: NameTable;
  readonly waits: Waits;
  /** The last questions that went upstream. */
  readonly trips: Trips;
  /** How long replies from upstream took, in seconds: those of kube-dns, and those from outside. */
  readonly upstreamDurations: Readonly<Record<"kubeDns" | "outside", Histogram>>;
  /** Calls `look` with the recorded queries, from the newest to the oldest, until it returns false. */
  eachRecorded(look: (query: RecordedQuery) => boolean | undefined): void;
  /**
   * Calls `look` with every recorded query that got a reply, from the newest to the oldest, as numbers only, which costs a hundredth of
   * `eachRecorded`: `clientRow` is -1 where the row was given to another client since.
   */
  eachAnswered(look: (rcode: number, nameReference: number, nameHash: number, clientRow: number) => void): void;
  /** The name behind a reference; undefined as for `nameOf`. */
  nameAt(nameReference: number, nameHash: number): Uint8Array | undefined;
  /** When the oldest recorded query came; undefined if there is none. */
  recordedSinceMs(): number | undefined;
  /** The client of a recorded query; "" if its row was given to another since. */
  clientOf(query: RecordedQuery): string;
  /** The name of a recorded query (folded, wire form); undefined if names are not kept, or if it was overwritten. */
  nameOf(query: RecordedQuery): Uint8Array | undefined;
  /** Queries that were forgotten before they could have come again: above 0, waits are missing. */
  forgottenCount(): number;
}

const clientRows = 1024;
const nameRows = 1024;
const rememberedTrips = 4096;
const nameRingBytes = 1_048_576;
/** Names of queries that were not counted yet, where nothing is recorded. */
const leastNameRingBytes = 131_072;

/** Queries are found again among so many: those of 15 s at some thousands a second. */
const leastSlots = 32_768;
const rememberedQueries = 131_072;

/** So many are counted at once, while they are in the processor's cache. A power of 2. */
const countedAtOnce = 256;

/**
 * Under load, of so many queries that are counted at once one run is counted for who asks what, with a weight: 32 in a row, so that A and AAAA stay
 * together, at a place by chance. Waits are looked for in all. A client or name with one in a hundred of 5,000 queries a second is told within some
 * 5 % (standard error, of the last minute or so).
 */
const runBits = 5;
const runLength = 2 ** runBits;
const runsAtOnce = countedAtOnce / runLength;

/** Load is this many times in a row `countedAtOnce` queries within so many milliseconds: 2,560 a second, for 0.8 s. */
const busy = { withinMs: 100, times: 8 } as const;

/** Below this a client's habit is not known. */
const leastPairs = 4;

/** A query that came again, and may only have the same ID by chance. */
interface RepeatedSuspect extends Suspect {
  readonly number: number;
  readonly afterMs: number;
  readonly first: number;
}

/**
 * Creates it. All of its memory is taken now: some 5 MiB with the default recorder, as far as it is used.
 *
 * When a query comes, only what would be lost is noted: the client's row, the name, and both in the record. All else is counted from there, some hundred
 * queries at a time, or when somebody looks: for each query alone most of it would be out of the processor's cache.
 */
export function createSeen(options: SeenOptions): Seen {
  const { recordedQueries, keepsNames, suffixes, isHit, isFromUpstream, isClusterName, seed } = options;
  const records = recordedQueries > 0;
  const recorder: Recorder = createRecorder(powerOf2From(Math.max(recordedQueries, leastSlots)));
  const ring: NameRing | undefined = keepsNames
    ? createNameRing(records ? nameRingBytes : leastNameRingBytes)
    : undefined;
  const repeats = createRepeats(recorder, rememberedQueries);
  const clients = createClientTable(clientRows, seed);
  const names = createNameTable(nameRows, ring, seed);
  const waits = createWaits();
  const trips = createTrips(records ? rememberedTrips : 1);
  const upstreamDurations = {
    kubeDns: createHistogram(timeBoundsSeconds),
    outside: createHistogram(timeBoundsSeconds),
  };
  const changedPorts = createChangedPorts(recorder, clients);
  const loneTwins = createLoneTwins(recorder);
  const suspects = createSuspects<RepeatedSuspect>();
  const lately = createLately(leastWaitMs);
  const counts = clients.columns;
  const { words } = recorder;
  const chance = createChance(seed);
  let countedUpTo = -1;
  let countedAtMs = Number.NEGATIVE_INFINITY;
  let busyTimes = 0;
  // Under load, the run that is counted, by the slots' numbers; -1 counts all.
  let run = -1;

  function note(
    client: SocketAddress,
    { name, id, type, hasEdns }: SeenQuery,
    isTcp: boolean,
    nowMs: number,
    reply: number,
    durationMs: number,
  ): number {
    const row = clients.rowOf(client);
    if (row >= 0) addOne(counts.queries, row);
    const number = recorder.arrived(
      nowMs,
      clientWord(row, clients.generationOf(row)),
      name.hash,
      ring === undefined ? 0 : ring.keep(name),
      (portOf(client) << 16) | id,
      (type << 16) | (isTcp ? FlagBit.tcp : 0) | (hasEdns ? FlagBit.edns : 0),
      reply,
      durationMs,
    );
    if ((number & (countedAtOnce - 1)) === 0) {
      busyTimes = nowMs - countedAtMs <= busy.withinMs ? busyTimes + 1 : 0;
      countedAtMs = nowMs;
      catchUp();
    }
    return number;
  }

  function isWaste(name: FoldedName, rcode: number): boolean {
    return rcode === Rcode.NXDOMAIN && isUnderSuffix(name, suffixes);
  }

  /** Counts what has come since the last time. Whatever is read is read after this. */
  function catchUp(): void {
    run = busyTimes < busy.times ? -1 : chance.below(runsAtOnce);
    countedUpTo = recorder.eachSince(countedUpTo, countSlot);
  }

  function countSlot(slot: number, number: number): void {
    const row = rowIn(slot);
    // Here numbers are one higher than in the record.
    const since = lately.since(number + 1, words[slot * wordsPerSlot + Word.moment] as number);
    const noted = repeats.look(slot, number + 1, since);
    loneTwins.noteSlot(slot);
    // Most have a twin that came together with them.
    if (noted.afterMs > 0 || noted.twinAfterMs >= leastWaitMs) judge(slot, row, noted);
    if (noted.isAskedAnew && row >= 0) addOne(counts.asksAgain, row);
    changedPorts.noteSlot(slot, number + 1, since);
    if (run < 0) weigh(slot, row, 1, noted.afterMs > 0);
    else if ((slot & (countedAtOnce - 1)) >>> runBits === run) weigh(slot, row, runsAtOnce, noted.afterMs > 0);
  }

  /** Counts who asked what, and what came of it. */
  function weigh(slot: number, row: number, weight: number, isRepeated: boolean): void {
    const at = slot * wordsPerSlot;
    const nameHash = words[at + Word.nameHash] as number;
    const reply = words[at + Word.reply] as number;
    recorder.setWeight(slot, weight);
    names.note(nameHash, words[at + Word.nameReference] as number, weight);
    if (row >= 0) {
      addWeight(counts.weighed, row, weight);
      lookAtClient(at, row, isRepeated);
    }
    if ((reply & 0xff) <= Rcode.BADVERS)
      countReply(nameHash, row, reply & 0xff, sourceOfReply(reply), (reply & wasteBit) !== 0, weight);
  }

  /** What tells of the client how it asks. */
  function lookAtClient(at: number, row: number, isRepeated: boolean): void {
    const flags = words[at + Word.typeAndFlags] as number;
    const type = flags >>> 16;
    addOne(counts.looked, row);
    if ((flags & FlagBit.edns) !== 0) addOne(counts.edns, row);
    if (!isAddressType(type)) return;
    addOne(counts.addressQueries, row);
    if (isRepeated) return;
    const asked = words[at + Word.asked] as number;
    const nameHash = words[at + Word.nameHash] as number;
    clients.notePair(row, nameHash, type, asked >>> 16, asked & 0xffff, words[at + Word.moment] as number);
  }

  function countReply(
    nameHash: number,
    row: number,
    rcode: number,
    source: number,
    isWasted: boolean,
    weight: number,
  ): void {
    if (rcode === Rcode.NXDOMAIN) names.noteDenial(nameHash, weight);
    if (row < 0) return;
    if (isHit(source)) addWeight(counts.hits, row, weight);
    if (rcode === Rcode.NXDOMAIN) addWeight(counts.nxdomain, row, weight);
    if (isWasted) addWeight(counts.waste, row, weight);
  }

  /** The client's row, if it is still that client's. */
  function rowIn(slot: number): number {
    const client = words[slot * wordsPerSlot + Word.client] as number;
    const row = rowOfClient(client);
    return row >= 0 && clients.generationOf(row) === client >>> 16 ? row : -1;
  }

  /** Decides from what was found whether the pod waited, and for what. */
  function judge(slot: number, row: number, { afterMs, first, twinAfterMs, twinId }: Readonly<Noted>): void {
    if (row < 0) return;
    if (afterMs > 0) {
      const isTwinLost =
        first === First.answered && isAddressType(recorder.typeIn(slot)) && twinAfterMs < 0 && sendsPairs(counts, row);
      addRepeat(slot, row, afterMs, isTwinLost ? First.unseen : first);
    } else if (isKnownInterval(twinAfterMs) && sendsPairs(counts, row)) loneTwins.hold(slot, twinAfterMs, twinId);
  }

  /** A query that came again; if its ID or port may be the same by chance, only once another one shows that it is not. */
  function addRepeat(slot: number, row: number, afterMs: number, first: number): void {
    if (!isClientChance(counts, row)) return addWait(slot, row, afterMs, first);
    const query = recorder.read(slot);
    for (const each of suspects.confirm({ ...query, number: recorder.numberIn(slot), afterMs, first })) {
      // It may have been overwritten by now.
      const suspect = recorder.slotOf(each.number);
      if (recorder.numberIn(suspect) === each.number) addWait(suspect, row, each.afterMs, each.first);
    }
  }

  function addWait(slot: number, row: number, exactMs: number, first: number): void {
    const [nameHash, type, afterMs] = [recorder.nameHashIn(slot), recorder.typeIn(slot), Math.round(exactMs)];
    recorder.markRepeated(recorder.numberIn(slot), afterMs, first);
    const name = ring?.find(recorder.nameReferenceIn(slot), nameHash);
    waits.add({ atMs: recorder.atMsIn(slot), client: clients.clientIn(row), name, nameHash, type, afterMs, first });
  }

  function noteUpstream({ octets, sizeBytes }: FoldedName, durationMs: number): void {
    // The name of a query that waited is in an array of its own.
    const isCluster = isClusterName(octets.length === sizeBytes ? octets : octets.subarray(0, sizeBytes));
    observe(upstreamDurations[isCluster ? "kubeDns" : "outside"], durationMs / 1000);
  }

  return {
    received: (client, query, isTcp, nowMs) => note(client, query, isTcp, nowMs, noReplyYet, 0),
    answeredAtOnce(client, query, isTcp, nowMs, rcode, source, durationMs) {
      note(client, query, isTcp, nowMs, replyWord(rcode, source, isWaste(query.name, rcode)), durationMs);
    },
    answered(number, name, rcode, source, durationMs) {
      if (number < 0) return;
      const isWasted = isWaste(name, rcode);
      const slot = recorder.replied(number, replyWord(rcode, source, isWasted), durationMs);
      if (slot < 0) return;
      if (isFromUpstream(source)) noteUpstream(name, durationMs);
      // 0 for a query that is not counted, or not yet: it is then counted together with its reply.
      const weight = recorder.weightIn(slot);
      if (weight > 0) countReply(name.hash, rowIn(slot), rcode, source, isWasted, weight);
    },
    dropped(number) {
      if (number >= 0) recorder.dropped(number);
    },
    tick(nowMs) {
      catchUp();
      for (const { slot, afterMs } of loneTwins.settle(nowMs)) {
        const row = rowIn(slot);
        if (row >= 0) addRepeat(slot, row, afterMs, First.unseen);
      }
      for (const { query, afterMs, first } of changedPorts.tell(nowMs)) {
        const { atMs, clientRow, nameReference, nameHash, type } = query;
        const name = ring?.find(nameReference, nameHash);
        waits.add({ atMs, client: clients.clientIn(clientRow), name, nameHash, type, afterMs, first });
      }
      clients.decay.fade(nowMs);
      names.decay.fade(nowMs);
    },
    get clients() {
      catchUp();
      return clients;
    },
    get names() {
      catchUp();
      return names;
    },
    get waits() {
      catchUp();
      return waits;
    },
    trips,
    upstreamDurations,
    eachRecorded(look) {
      catchUp();
      if (records) recorder.eachSlot((slot) => look(recorder.read(slot)));
    },
    eachAnswered(look) {
      if (!records) return;
      recorder.eachSlot((slot) => {
        const rcode = recorder.rcodeIn(slot);
        if (rcode > Rcode.BADVERS) return true;
        look(rcode, recorder.nameReferenceIn(slot), recorder.nameHashIn(slot), rowIn(slot));
        return true;
      });
    },
    nameAt: (nameReference, nameHash) => ring?.find(nameReference, nameHash),
    recordedSinceMs: () => (records ? recorder.oldestAtMs() : undefined),
    clientOf: ({ clientRow, clientGeneration }) =>
      clients.generationOf(clientRow) === clientGeneration ? clients.clientIn(clientRow) : "",
    nameOf: ({ nameReference, nameHash }) => ring?.find(nameReference, nameHash),
    forgottenCount: repeats.forgottenCount,
  };
}

/** Whether a client sends both address types from one port as a habit. */
function sendsPairs(counts: ClientColumns, row: number): boolean {
  if (row < 0) return false;
  const pairs = counts.samePortPairs[row] as number;
  return pairs >= leastPairs && pairs * 2 >= 0.8 * (counts.addressQueries[row] as number);
}

/** Whether the name ends in one of the suffixes. Compares octets from the end. That they begin at a label is not checked: this only counts. */
function isUnderSuffix({ octets, sizeBytes }: FoldedName, suffixes: readonly Uint8Array[]): boolean {
  for (const suffix of suffixes) {
    let left = suffix.length;
    const offset = sizeBytes - left;
    while (left > 0 && octets[offset + left - 1] === suffix[left - 1]) left -= 1;
    if (left === 0) return true;
  }
  return false;
}

function powerOf2From(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}
