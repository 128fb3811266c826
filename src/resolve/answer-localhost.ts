/*
 * Step: the names of the local host are answered here and never asked for upstream (RFC 6761 §6.3): `localhost`, every name below it, and
 * the loopback addresses' reverse names. `localhost.default.svc.cluster.local` is a name like any other.
 */
import { createEntry } from "../cache/entry.ts";
import { RrType } from "../wire/codes.ts";
import { Flag, HeaderOffset, headerSizeBytes } from "../wire/header.ts";
import { isAtOrBelow } from "../wire/name.ts";
import { wireName } from "../wire/name-text.ts";
import { writeU16, writeU32 } from "../wire/octets.ts";
import { composeQuery, type Question } from "../wire/question.ts";
import { composeRecord } from "../wire/record.ts";
import { parseReply } from "../wire/reply.ts";
import { freshAnswer } from "./keep-reply.ts";
import type { Step } from "./step.ts";

/** Long, because these names never change. */
const ttlSeconds = 86_400;

const localhost = wireName("localhost");

/** The loopback addresses' names in the reverse zones, in wire form. */
const reverseNames = ["1.0.0.127.in-addr.arpa", `1.${"0.".repeat(31)}ip6.arpa`].map(wireName);

/** The records of a name here, by type. */
type Records = ReadonlyMap<number, Uint8Array>;

const hostRecords: Records = new Map([
  [RrType.A as number, Uint8Array.of(127, 0, 0, 1)],
  [RrType.AAAA as number, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
]);
const reverseRecords: Records = new Map([[RrType.PTR as number, localhost]]);

/** Creates the step. `nowMs` is read when it answers. */
export function createLocalhostStep(nowMs: () => number): Step {
  return {
    act({ question }) {
      const records = recordsOf(question.name);
      return records === undefined ? undefined : freshAnswer(entryOf(question, records.get(question.type), nowMs()));
    },
    foresee({ question }) {
      const records = recordsOf(question.name);
      if (records === undefined) return undefined;
      return { kind: "ownHost", hasData: records.has(question.type) };
    },
  };
}

/** The records of a folded name that is answered here, or undefined. */
function recordsOf(name: Uint8Array): Records | undefined {
  if (isAtOrBelow(name, localhost)) return hostRecords;
  return reverseNames.some((reverse) => reverse.length === name.length && isAtOrBelow(name, reverse))
    ? reverseRecords
    : undefined;
}

/** The reply with this data, or NODATA with the SOA of a zone that nodens makes up. */
function entryOf(question: Question, data: Uint8Array | undefined, nowMs: number) {
  const query = composeQuery(question).subarray(0, headerSizeBytes + question.name.length + 4);
  const record =
    data === undefined
      ? composeRecord(question.name, RrType.SOA, ttlSeconds, soaData())
      : composeRecord(question.name, question.type, ttlSeconds, data);
  const packet = new Uint8Array(query.length + record.length);
  packet.set(query);
  packet.set(record, query.length);
  writeU16(packet, HeaderOffset.flags, Flag.QR | Flag.AA);
  writeU16(packet, data === undefined ? HeaderOffset.authorityCount : HeaderOffset.answerCount, 1);
  writeU16(packet, HeaderOffset.additionalCount, 0);
  const reply = parseReply(packet);
  if (typeof reply === "number") throw new Error(`a bug in nodens: its own reply has fault ${reply}`);
  const kind = data === undefined ? "denial" : "answer";
  return createEntry(question, reply, { kind, ttlSeconds }, ttlSeconds, false, nowMs);
}

/** MNAME localhost, RNAME nobody.invalid, serial 1, times of a day (RFC 1035 §3.3.13). */
function soaData(): Uint8Array {
  const mailbox = wireName("nobody.invalid");
  const data = new Uint8Array(localhost.length + mailbox.length + 20);
  data.set(localhost);
  data.set(mailbox, localhost.length);
  const numbers = [1, ttlSeconds, ttlSeconds, ttlSeconds, ttlSeconds];
  numbers.forEach((number, index) => writeU32(data, localhost.length + mailbox.length + 4 * index, number));
  return data;
}
