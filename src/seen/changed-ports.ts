/*
 * Queries that a client sends again from another port, found in the record once a second, aside from the way of queries. Two kinds of resolver do:
 *
 *   - c-ares takes another socket for each try and keeps the ID. The same ID twice is chance once in 65,536 lookups, or a habit: of a client that has
 *     fewer than three IDs, or uses one over and over, nothing is claimed, and where questions are asked again often, nothing of a single one;
 *   - Go takes another ID too. What is left is the time: the same name and type 5 s later. While there is no reply to the first that is enough. If
 *     there was one, a program that looks a name up every five seconds does the same, so the question must not have come 5 s before or after either.
 */
import { addOne, type ClientTable } from "./client-table.ts";
import { sendsApart } from "./guess-client.ts";
import { type RecordedQuery, type Recorder, rowOfClient, Word, wordsPerSlot } from "./recorder.ts";
import { becameOf, First, leastWaitMs, mostWaitMs } from "./repeats.ts";
import { mayHaveHash, numberBehind, shortReference } from "./short-reference.ts";
import { createSuspects, isNodeChance } from "./suspects.ts";
import { isKnownInterval } from "./waits.ts";

/** A query that is taken for another try, and for which it was not lost or late. */
export interface ChangedPort {
  readonly query: RecordedQuery;
  readonly afterMs: number;
  /** A First. */
  readonly first: number;
}

/** Finds them. Moments are monotonic milliseconds. */
export interface ChangedPorts {
  /**
   * Looks at the recorded query in a slot: once at each, in the order in which they came. From the number `lately` on all came less than `leastWaitMs`
   * before it. Numbers are one higher here than in the record, so that 0 is none.
   */
  noteSlot(slot: number, number: number, lately: number): void;
  /** Tells those that are certain by now, and were not before. To be called every second. Those it returns are marked in the record. */
  tell(nowMs: number): ChangedPort[];
}

/** Who asked what, and when: what may turn out to be another try. */
interface Candidate {
  readonly firstAtMs: number;
  readonly number: number;
  readonly query: RecordedQuery;
  readonly afterMs: number;
  readonly first: number;
  readonly hasSameId: boolean;
  /** From here on it can be told. */
  readonly dueAtMs: number;
}

const lastQuestions = 32_768;

/** Go's only interval; a second slot of it, and the time that packets and timers take. */
const goWait = { fromMs: 4900, toMs: 5400 } as const;

/** More cannot be told in one look, and are not. */
const maxCandidates = 64;

/** c-ares tries four times. */
const mostTries = 4;
const leastIds = 3;

/** Creates a finder that has looked at nothing. */
export function createChangedPorts(recorder: Recorder, { columns, generationOf }: ClientTable): ChangedPorts {
  const { words } = recorder;
  // By a hash of client, name and type, a reference to the last query. A clash costs a wait that is not seen.
  const lastQueries = new Int32Array(lastQuestions);
  const suspects = createSuspects<RecordedQuery & { readonly candidate: Candidate }>();
  let candidates: Candidate[] = [];

  function noteSlot(slot: number, number: number, lately: number): void {
    const at = slot * wordsPerSlot;
    const row = rowOfClient(words[at + Word.client] as number);
    if (row < 0) return;
    const hash = mix(words[at + Word.nameHash] as number, row) ^ ((words[at + Word.typeAndFlags] as number) >>> 16);
    const place = hash & (lastQuestions - 1);
    const last = lastQueries[place] as number;
    lastQueries[place] = shortReference(number, hash);
    if (last === 0 || !mayHaveHash(last, hash)) return;
    const before = numberBehind(last, number);
    if (before < lately) compare(at, before);
  }

  function compare(at: number, number: number): void {
    const before = recorder.slotOf(number - 1) * wordsPerSlot;
    const afterMs = ((words[at + Word.moment] as number) - (words[before + Word.moment] as number)) | 0;
    if (afterMs < leastWaitMs || afterMs > mostWaitMs || candidates.length >= maxCandidates) return;
    const isSame =
      recorder.isThere(number - 1) &&
      words[before + Word.nameHash] === words[at + Word.nameHash] &&
      words[before + Word.client] === words[at + Word.client] &&
      (words[before + Word.typeAndFlags] as number) >>> 16 === (words[at + Word.typeAndFlags] as number) >>> 16;
    // From the same port it is the table of repeats that tells.
    const isOfPort = (words[at + Word.asked] as number) >>> 16 === (words[before + Word.asked] as number) >>> 16;
    const slot = at / wordsPerSlot;
    if (isSame && !isOfPort) consider(before / wordsPerSlot, slot, recorder.numberIn(slot), afterMs);
  }

  function consider(before: number, slot: number, number: number, afterMs: number): void {
    const [earlier, query] = [recorder.read(before), recorder.read(slot)];
    if (query.isTcp || earlier.isTcp || query.repeatedAfterMs > 0) return;
    addOne(columns.asksAgain, query.clientRow);
    const first = becameOf(earlier, query.atMs);
    const candidate = { firstAtMs: earlier.atMs, number, query, afterMs: Math.round(afterMs), first };
    if (earlier.id === query.id) candidates.push({ ...candidate, hasSameId: true, dueAtMs: query.atMs });
    else if (isKnownInterval(afterMs) && sendsApart(columns, query.clientRow) && first !== First.failed)
      candidates.push({ ...candidate, hasSameId: false, dueAtMs: query.atMs + (isAnswered(first) ? goWait.toMs : 0) });
  }

  function tellOf(due: readonly Candidate[]): ChangedPort[] {
    const there = due.filter(isStillThere);
    const habits = habitsOf(there, recorder);
    return there
      .filter((candidate, index) => isTry(candidate, habits[index]))
      .flatMap((candidate) => (mayBeChance(candidate) ? confirm(candidate) : [candidate]))
      .map(({ query, afterMs, first, number }) => {
        recorder.markRepeated(number, afterMs, first);
        return { query, afterMs, first };
      });
  }

  function mayBeChance({ hasSameId, query }: Candidate): boolean {
    return hasSameId && isNodeChance(columns, query.clientRow);
  }

  function confirm(candidate: Candidate): Candidate[] {
    return suspects.confirm({ ...candidate.query, candidate }).map((suspect) => suspect.candidate);
  }

  /** Whether the row is still that of the client. */
  function isStillThere({ query }: Candidate): boolean {
    return generationOf(query.clientRow) === query.clientGeneration;
  }

  return {
    noteSlot,
    tell(nowMs) {
      const due = candidates.filter(({ dueAtMs }) => dueAtMs <= nowMs);
      if (due.length === 0) return [];
      candidates = candidates.filter(({ dueAtMs }) => dueAtMs > nowMs);
      return tellOf(due);
    },
  };
}

/** What else the client of a candidate asked, as far as it is recorded. */
interface Habit {
  readonly candidate: Candidate;
  /** The client's IDs, until there are enough of them. All candidates of a client share them. */
  readonly ids: Set<number>;
  /** How often the question came with the candidate's ID. */
  sameId: number;
  /** Whether it came one interval before the first, or one after the candidate, too. */
  isSeries: boolean;
}

/** A client with candidates, and what is to be found out about them, by the hash of the name. */
interface Asker {
  readonly generation: number;
  readonly ids: Set<number>;
  readonly byName: Map<number, Habit[]>;
}

/** By the client's row. */
type Askers = ReadonlyMap<number, Asker>;

/** Looks at the record for all candidates at once, whose clients all still have their rows. */
function habitsOf(candidates: readonly Candidate[], recorder: Recorder): Habit[] {
  const askers = new Map<number, Asker>();
  const habits = candidates.map((candidate) => addHabit(askers, candidate));
  if (habits.length === 0) return habits;
  noteIds(askers, recorder);
  eachSlotNamed(candidates, recorder, (slot) => {
    const named = askerOf(slot, askers, recorder)?.byName.get(recorder.nameHashIn(slot)) ?? [];
    for (const habit of named) noteAsked(habit, slot, recorder);
  });
  return habits;
}

function addHabit(askers: Map<number, Asker>, candidate: Candidate): Habit {
  const { clientRow, clientGeneration, nameHash } = candidate.query;
  const asker = askers.get(clientRow) ?? { generation: clientGeneration, ids: new Set(), byName: new Map() };
  askers.set(clientRow, asker);
  const habit = { candidate, ids: asker.ids, sameId: 0, isSeries: false };
  const named = asker.byName.get(nameHash);
  if (named === undefined) asker.byName.set(nameHash, [habit]);
  else named.push(habit);
  return habit;
}

function askerOf(slot: number, askers: Askers, recorder: Recorder): Asker | undefined {
  const asker = askers.get(recorder.clientRowIn(slot));
  return asker?.generation === recorder.clientGenerationIn(slot) ? asker : undefined;
}

/** Their last queries nearly always have enough. */
function noteIds(askers: Askers, recorder: Recorder): void {
  let unknown = askers.size;
  recorder.eachSlot((slot) => {
    const asker = askerOf(slot, askers, recorder);
    if (asker === undefined || asker.ids.size === leastIds) return true;
    asker.ids.add(recorder.askedIn(slot) & 0xffff);
    if (asker.ids.size === leastIds) unknown -= 1;
    return unknown > 0;
  });
}

/** Names of candidates leave marks by the last bits of their hashes; a power of 2. */
const markCount = 4096;

/**
 * Calls `look` with all slots whose names are those of candidates, and with few others. This is a walk through all that is recorded, in one turn of
 * the event loop: so a slot is one word that is read and one mark, which takes little while it is not compiled yet, too.
 */
function eachSlotNamed(candidates: readonly Candidate[], recorder: Recorder, look: (slot: number) => void): void {
  const { words } = recorder;
  const marks = new Uint8Array(markCount);
  for (const { query } of candidates) marks[query.nameHash & (markCount - 1)] = 1;
  const taken = recorder.takenCount();
  for (let slot = 0, at: number = Word.nameHash; slot < taken; slot += 1, at += wordsPerSlot)
    if (marks[(words[at] as number) & (markCount - 1)] === 1) look(slot);
}

/** The candidate's client asked for its name. */
function noteAsked(habit: Habit, slot: number, recorder: Recorder): void {
  const { query, firstAtMs } = habit.candidate;
  if (query.type !== recorder.typeIn(slot)) return;
  if ((recorder.askedIn(slot) & 0xffff) === query.id) habit.sameId += 1;
  const atMs = recorder.atMsIn(slot);
  if (isGoWait(firstAtMs - atMs) || isGoWait(atMs - query.atMs)) habit.isSeries = true;
}

function isTry({ hasSameId, first, afterMs }: Candidate, habit: Habit | undefined): boolean {
  if (habit === undefined) return false;
  if (hasSameId) return habit.ids.size >= leastIds && habit.sameId <= mostTries;
  return !isAnswered(first) || (isGoWait(afterMs) && !habit.isSeries);
}

function isGoWait(ms: number): boolean {
  return ms >= goWait.fromMs && ms <= goWait.toMs;
}

function isAnswered(first: number): boolean {
  return first === First.answered;
}

function mix(hash: number, row: number): number {
  const word = Math.imul(hash ^ Math.imul(row, 0x9e37_79b1), 0x85eb_ca6b);
  return word ^ (word >>> 15);
}
