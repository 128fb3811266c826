/*
 * The upstream of the shadow: it sends nothing, and takes its answers from what kube-dns tells pods. A question waits until a pod that has asked
 * the same gets its reply.
 *
 * The resolver asks some questions that no pod asks: for the parent of names that come with a search suffix. Such a parent is taken to be absent
 * when a name below it is denied, and to exist when one below it does. The first is an assumption, and is told as one.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ExchangeResult } from "../upstream/exchange-state.ts";
import { Rcode } from "../wire/codes.ts";
import { composeDenial, type SoaRecord, soaOf } from "../wire/denial.ts";
import { HeaderOffset, rcodeMask } from "../wire/header.ts";
import { equalOctets, hashName, isAtOrBelow } from "../wire/name.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import { createQueryView, readQuery } from "../wire/query.ts";
import { composeQuery, type Question, questionKey } from "../wire/question.ts";
import { parseReply, type Reply } from "../wire/reply.ts";

/** The upstream of the shadow. Moments are monotonic milliseconds. */
export interface WireUpstream {
  /** Waits for a reply to the question, until the deadline. Never rejects. */
  ask(question: Question): Promise<ExchangeResult>;
  /** Whether a question about this name, or a parent of it, waits. */
  isWantedFor(name: Uint8Array): boolean;
  /** A pod got this reply to this question. The reply is kept. */
  hears(question: Question, reply: Reply): void;
  /** A pod's reply says that this name (folded, wire form) exists, and so do all names above it. */
  exists(name: Uint8Array): void;
  /** Whether the absence of the name with this hash was assumed lately. */
  wasAssumed(nameHash: number): boolean;
  /** How many questions nodens would have sent. */
  askedCount(): number;
}

/** What it needs. */
export interface WireUpstreamOptions {
  /** The cluster zone (folded, wire form): parents are below it. */
  readonly zone: Uint8Array;
  readonly clock: Clock;
  readonly hashSeed: number;
  /** After this long a question has failed. */
  deadlineMs(): number;
}

interface Waiting {
  readonly question: Question;
  readonly key: string;
  settle(result: ExchangeResult): void;
}

/** For how long a reply that has passed answers the same question: what the resolver asks next because of a reply belongs to it. */
const recentMs = 300;
const mostRecent = 1024;
const mostWaiting = 8192;
const mostParents = 8192;

/** How long it is known that a parent exists: the chain's own memory of such parents lasts as long. */
const parentLifeMs = 600_000;

/** Creates it. */
export function createWireUpstream({ zone, clock, hashSeed, deadlineMs }: WireUpstreamOptions): WireUpstream {
  const waiting = new Map<number, Waiting[]>();
  const recent = new Map<string, { readonly reply: Reply; readonly untilMs: number }>();
  // By the hash of the name, until when it is known to exist, or was assumed not to.
  const existing = new Map<number, number>();
  const assumed = new Map<number, number>();
  let soa: SoaRecord | undefined;
  let asked = 0;
  let waitingCount = 0;

  function hashOf(name: Uint8Array): number {
    return hashName(name, 0, name.length, hashSeed);
  }

  function ask(question: Question): Promise<ExchangeResult> {
    asked += 1;
    const key = questionKey(question);
    const passed = recent.get(key);
    if (passed !== undefined && clock.nowMs() < passed.untilMs) return Promise.resolve({ reply: passed.reply });
    const hash = hashOf(question.name);
    if (clock.nowMs() < (existing.get(hash) ?? 0)) return Promise.resolve(verdict(question, Rcode.NOERROR));
    if (waitingCount >= mostWaiting) return Promise.resolve({ failure: "exhausted" });
    return new Promise((resolve) => wait(question, key, hash, resolve));
  }

  function wait(question: Question, key: string, hash: number, resolve: (result: ExchangeResult) => void): void {
    const cancel = clock.after(deadlineMs(), () => one.settle({ failure: "timeout" }));
    const one: Waiting = {
      question,
      key,
      settle(result) {
        cancel();
        const left = (waiting.get(hash) ?? []).filter((other) => other !== one);
        if (left.length > 0) waiting.set(hash, left);
        else waiting.delete(hash);
        waitingCount -= 1;
        resolve(result);
      },
    };
    waiting.set(hash, [...(waiting.get(hash) ?? []), one]);
    waitingCount += 1;
  }

  /** The parts of the name that are names themselves, from the whole of it up to, not including, the zone or the root. */
  function selfAndParents(name: Uint8Array): Uint8Array[] {
    const end = isAtOrBelow(name, zone) ? name.length - zone.length : name.length - 1;
    const names: Uint8Array[] = [];
    for (let at = 0; at < end; at += 1 + (name[at] as number)) names.push(name.subarray(at));
    return names;
  }

  function hears(question: Question, reply: Reply): void {
    const key = questionKey(question);
    remember(recent, key, { reply, untilMs: clock.nowMs() + recentMs }, mostRecent);
    if (reply.rcode === Rcode.NXDOMAIN) soa = soaOf(reply) ?? soa;
    const [self, ...parents] = selfAndParents(question.name);
    for (const one of waitingFor(self)) if (one.key === key) one.settle({ reply });
    if (reply.rcode !== Rcode.NXDOMAIN && reply.rcode !== Rcode.NOERROR) return;
    for (const parent of parents) {
      for (const one of waitingFor(parent)) {
        if (reply.rcode === Rcode.NXDOMAIN)
          remember(assumed, hashOf(parent), clock.nowMs() + parentLifeMs, mostParents);
        one.settle(verdict(one.question, reply.rcode));
      }
    }
  }

  function waitingFor(name: Uint8Array | undefined): Waiting[] {
    const found = name === undefined ? [] : (waiting.get(hashOf(name)) ?? []);
    return found.filter(({ question }) => name !== undefined && equalOctets(question.name, 0, name));
  }

  /** The reply that says of a parent whether it exists, as the zone would: NXDOMAIN, or NODATA. */
  function verdict(question: Question, rcode: number): ExchangeResult {
    const packet = composeQuery(question);
    const query = createQueryView(hashSeed);
    if (soa === undefined || readQuery(packet, packet.length, query) !== 0) return { failure: "unusable" };
    const target = new Uint8Array(packet.length + soa.octets.length + 64);
    const size = composeDenial(target, query, soa, soa.denialTtlSeconds, target.length);
    writeU16(target, HeaderOffset.flags, (readU16(target, HeaderOffset.flags) & ~rcodeMask) | rcode);
    const reply = parseReply(target.subarray(0, size));
    return typeof reply === "number" ? { failure: "unusable" } : { reply };
  }

  return {
    ask,
    hears,
    isWantedFor: (name) => waitingCount > 0 && selfAndParents(name).some((each) => waiting.has(hashOf(each))),
    exists(name) {
      if (!isAtOrBelow(name, zone)) return;
      const untilMs = clock.nowMs() + parentLifeMs;
      for (const parent of selfAndParents(name).slice(1)) remember(existing, hashOf(parent), untilMs, mostParents);
    },
    wasAssumed: (nameHash) => clock.nowMs() < (assumed.get(nameHash) ?? 0),
    askedCount: () => asked,
  };
}

/** Sets a value, and forgets the oldest beyond `most`. */
function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
