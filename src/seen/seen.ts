/*
 * What is seen of clients and their queries, joined: two calls a query, of integers, and everything else when somebody looks.
 *
 * Nothing is claimed that the packets do not show. A query counts as asked again only if client, port, ID and question are the same, or if it
 * comes at a known resolver's interval after its twin for the other address type, from a client that otherwise sends both together; what comes
 * from another port is looked for in the record (changed-ports).
 */
import { createHistogram, type Histogram, observe, timeBoundsSeconds } from "../runtime/histogram.ts";
import { hostOf, portOf, type SocketAddress } from "../runtime/socket-address.ts";
import { isAddressType, Rcode } from "../wire/codes.ts";
import type { FoldedName } from "../wire/name.ts";
import { createChangedPorts } from "./changed-ports.ts";
import { addOne, type ClientColumns, type ClientTable, createClientTable } from "./client-table.ts";
import { createNameRing, type NameRing } from "./name-ring.ts";
import { createNameTable, type NameTable } from "./name-table.ts";
import { type ArrivedQuery, createRecorder, type RecordedQuery, type Recorder } from "./recorder.ts";
import { createRepeats, First, type Repeats } from "./repeats.ts";
import { createSuspects, isClientChance, type Suspect } from "./suspects.ts";
import { createTrips, type Trips } from "./trips.ts";
import { createWaits, isKnownInterval, type Wait, type Waits } from "./waits.ts";

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
  /** Notes the reply to the query with this number and name. A number below 0 stands for a query that was not noted. */
  answered(number: number, name: FoldedName, rcode: number, source: number, durationMs: number): void;
  /** Notes that it got no reply. */
  dropped(number: number): void;
  /** Lets counts fade, and looks for queries that were sent again from another port. To be called every second or so. */
  tick(nowMs: number): void;
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

const rememberedQueries = 131_072;
const clientRows = 1024;
const nameRows = 1024;
const rememberedTrips = 4096;
const nameRingBytes = 1_048_576;

/** Queries that wait for their replies, at least, have to be found again. */
const leastSlots = 4096;

/** Below this a client's habit is not known. */
const leastPairs = 4;

/** Creates it. All of its memory is taken now: some 9 MiB with the default recorder, as far as it is used. */
export function createSeen(options: SeenOptions): Seen {
  const { recordedQueries, keepsNames, suffixes, isHit, isFromUpstream, isClusterName, seed } = options;
  const repeats: Repeats = createRepeats(rememberedQueries);
  const clients = createClientTable(clientRows, seed);
  const names = createNameTable(nameRows, keepsNames, seed);
  const waits = createWaits();
  const trips = createTrips(recordedQueries > 0 ? rememberedTrips : 1);
  const upstreamDurations = {
    kubeDns: createHistogram(timeBoundsSeconds),
    outside: createHistogram(timeBoundsSeconds),
  };
  const records = recordedQueries > 0;
  const recorder: Recorder = createRecorder(powerOf2From(Math.max(recordedQueries, leastSlots)));
  const changedPorts = createChangedPorts(recorder, clients);
  const suspects = createSuspects<Omit<Wait, "podCauses"> & Suspect & { readonly number: number }>();
  const ring: NameRing | undefined = records && keepsNames ? createNameRing(nameRingBytes) : undefined;
  const counts = clients.columns;
  const arrived: ArrivedQuery = {
    atMs: 0,
    clientRow: 0,
    clientGeneration: 0,
    nameHash: 0,
    nameReference: 0,
    type: 0,
    port: 0,
    id: 0,
    isTcp: false,
    hasEdns: false,
    repeatedAfterMs: 0,
    first: 0,
  };

  function received(client: SocketAddress, query: SeenQuery, isTcp: boolean, nowMs: number): number {
    const port = portOf(client);
    const { id, name, type, hasEdns } = query;
    const row = clients.rowOf(client);
    const entry = repeats.note(clients.key(), port, id, name.hash, type, nowMs);
    const isAddress = isAddressType(type);
    judge(row, isAddress, isTcp);
    if (row >= 0) {
      addOne(counts.queries, row);
      if (hasEdns) addOne(counts.edns, row);
      if (repeats.noted.isAskedAnew) addOne(counts.asksAgain, row);
      if (isAddress) {
        addOne(counts.addressQueries, row);
        if (arrived.repeatedAfterMs === 0) clients.notePair(row, name.hash, type, port, id, nowMs);
      }
    }
    names.note(name);
    arrived.atMs = nowMs;
    arrived.clientRow = row;
    arrived.clientGeneration = clients.generationOf(row);
    arrived.nameHash = name.hash;
    arrived.nameReference = ring === undefined ? 0 : ring.keep(name);
    arrived.type = type;
    arrived.port = port;
    arrived.id = id;
    arrived.isTcp = isTcp;
    arrived.hasEdns = hasEdns;
    const number = recorder.arrived(arrived, entry);
    if (arrived.repeatedAfterMs > 0) addWait(client, name, number);
    return number;
  }

  /** Decides from what the table of repeats found whether the pod waited, and for what: `repeatedAfterMs` and `first` of `arrived`. */
  function judge(row: number, isAddress: boolean, isTcp: boolean): void {
    const { afterMs, first, twinAfterMs } = repeats.noted;
    arrived.repeatedAfterMs = 0;
    arrived.first = 0;
    // What comes over TCP is not lost, and a connection asks again for reasons of its own.
    if (isTcp || (afterMs === 0 && twinAfterMs < 0)) return;
    if (afterMs > 0) {
      arrived.repeatedAfterMs = Math.round(afterMs);
      const isTwinLost = first === First.answered && isAddress && twinAfterMs < 0 && sendsPairs(counts, row);
      arrived.first = isTwinLost ? First.unseen : first;
      return;
    }
    if (!isKnownInterval(twinAfterMs) || !sendsPairs(counts, row)) return;
    arrived.repeatedAfterMs = Math.round(twinAfterMs);
    arrived.first = First.unseen;
  }

  /** The query that has arrived, as one that came again; if its ID may be the same by chance, only once another one shows that it is not. */
  function addWait(client: SocketAddress, name: FoldedName, number: number): void {
    const { atMs, clientRow, clientGeneration, nameHash, type, repeatedAfterMs: afterMs, first } = arrived;
    const kept = keepsNames ? name.octets.slice(0, name.sizeBytes) : undefined;
    const wait = { atMs, client: hostOf(client), name: kept, nameHash, type, afterMs, first };
    if (repeats.noted.afterMs === 0 || !isClientChance(counts, clientRow)) return waits.add(wait);
    recorder.markRepeated(number, 0, 0);
    for (const confirmed of suspects.confirm({ ...wait, clientRow, clientGeneration, number })) {
      recorder.markRepeated(confirmed.number, confirmed.afterMs, confirmed.first);
      waits.add(confirmed);
    }
  }

  function noteUpstream({ octets, sizeBytes }: FoldedName, durationMs: number): void {
    // The name of a query that waited is in an array of its own.
    const isCluster = isClusterName(octets.length === sizeBytes ? octets : octets.subarray(0, sizeBytes));
    observe(upstreamDurations[isCluster ? "kubeDns" : "outside"], durationMs / 1000);
  }

  function settle(slot: number, state: number): void {
    repeats.settle(recorder.entryIn(slot), recorder.askedIn(slot), state);
  }

  return {
    received,
    answered(number, name, rcode, source, durationMs) {
      const slot = number < 0 ? -1 : recorder.replied(number, rcode, source, durationMs);
      if (slot < 0) return;
      if (isFromUpstream(source)) noteUpstream(name, durationMs);
      const isAnswer = rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN;
      settle(slot, isAnswer ? First.answered : First.failed);
      if (rcode === Rcode.NXDOMAIN) names.noteDenial(name.hash);
      const row = recorder.clientRowIn(slot);
      if (row < 0 || clients.generationOf(row) !== recorder.clientGenerationIn(slot)) return;
      if (isHit(source)) addOne(counts.hits, row);
      if (rcode !== Rcode.NXDOMAIN) return;
      addOne(counts.nxdomain, row);
      if (isUnderSuffix(name, suffixes)) addOne(counts.waste, row);
    },
    dropped(number) {
      const slot = number < 0 ? -1 : recorder.dropped(number);
      if (slot >= 0) settle(slot, First.shed);
    },
    tick(nowMs) {
      for (const { query, afterMs, first } of changedPorts.look(nowMs)) {
        const { atMs, clientRow, nameReference, nameHash, type } = query;
        const name = ring?.find(nameReference, nameHash);
        waits.add({ atMs, client: clients.clientIn(clientRow), name, nameHash, type, afterMs, first });
      }
      clients.decay.fade(nowMs);
      names.decay.fade(nowMs);
    },
    clients,
    names,
    waits,
    trips,
    upstreamDurations,
    eachRecorded(look) {
      if (records) recorder.eachSlot((slot) => look(recorder.read(slot)));
    },
    eachAnswered(look) {
      if (!records) return;
      recorder.eachSlot((slot) => {
        const rcode = recorder.rcodeIn(slot);
        if (rcode > Rcode.BADVERS) return true;
        const row = recorder.clientRowIn(slot);
        const isSame = row >= 0 && clients.generationOf(row) === recorder.clientGenerationIn(slot);
        look(rcode, recorder.nameReferenceIn(slot), recorder.nameHashIn(slot), isSame ? row : -1);
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
