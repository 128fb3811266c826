/*
 * Queries in, replies out. dns2 reads and writes the records; the header and the question stay bytes, because dns2 turns
 * names into dotted strings, which would lose a dot inside a label and, through its compression, the spelling.
 */
import { Packet } from "dns2";
import type { Resource } from "dns2";

/** The transport that a query came over. */
export type Protocol = "udp" | "tcp";

/** A query that can be answered. */
export interface Query {
  /** The whole message as it arrived, not copied. */
  readonly bytes: Buffer;
  /** The name as the client spelled it, without a final dot; a dot or backslash inside a label is escaped with a backslash. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Where the question ends: octets 12 up to here are the question. */
  readonly questionEnd: number;
  /** What the query's OPT says (RFC 6891 §6.1.3); absent without OPT. */
  readonly edns?: { readonly sizeBytes: number; readonly version: number; readonly dnssecOk: boolean };
}

/** Why a message has no answer, and the rcode of the error that it gets; none if any reply would be wrong. */
export interface QueryFault {
  readonly fault: "no header" | "not a query" | "unknown opcode" | "malformed";
  readonly rcode?: number;
}

/** What a reply says, besides what it repeats from the query. */
export interface Reply {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly recursionAvailable: boolean;
  readonly answers: readonly Resource[];
  readonly authority: readonly Resource[];
  readonly additionals: readonly Resource[];
}

const headerBytes = 12;
const flags = { response: 0x8000, authoritative: 0x0400, truncated: 0x0200, recursionAvailable: 0x0080 };
/** RD and CD are repeated in the reply. */
const repeatedFlags = 0x0110;
const dnssecOkFlag = 0x8000;

/** Reads a query as CoreDNS's server library does: anything but one question, with at most one OPT, is a fault. Never throws. */
export function parseQuery(bytes: Buffer): Query | QueryFault {
  if (bytes.length < headerBytes) return { fault: "no header" };
  const packedFlags = bytes.readUInt16BE(2);
  if ((packedFlags & flags.response) !== 0) return { fault: "not a query" };
  if (((packedFlags >>> 11) & 0xf) !== 0) return { fault: "unknown opcode", rcode: Packet.RCODE.NOTIMP };
  const malformed: QueryFault = { fault: "malformed", rcode: Packet.RCODE.FORMERR };
  const countsFit =
    bytes.readUInt16BE(4) === 1 &&
    bytes.readUInt16BE(6) <= 1 &&
    bytes.readUInt16BE(8) <= 1 &&
    bytes.readUInt16BE(10) <= 2;
  const question = countsFit ? readQuestion(bytes) : undefined;
  if (question === undefined) return malformed;

  const packet = Packet.parse(bytes);
  const options = packet.additionals.filter((record) => record.type === Packet.TYPE.EDNS);
  if (packet.errors.length > 0 || options.length > 1) return malformed;
  const [option] = options;
  if (option === undefined) return { bytes, ...question };
  const edns = { sizeBytes: option.class, version: option.version ?? 0, dnssecOk: option.doFlag === true };
  return { bytes, ...question, edns };
}

/** The reply to a message with a fault, a new buffer: a header with its ID and the rcode. Undefined if it gets none. */
export function composeFault(bytes: Buffer, fault: QueryFault): Buffer | undefined {
  if (fault.rcode === undefined) return undefined;
  const reply = Buffer.alloc(headerBytes);
  bytes.copy(reply, 0, 0, 2);
  reply.writeUInt16BE(flags.response | (bytes.readUInt16BE(2) & 0x7900) | fault.rcode, 2);
  return reply;
}

/**
 * Writes a reply into a new buffer: the query's ID and question octet for octet, as many whole records as fit (TC is set if one does
 * not), and an OPT if the query had one. The limit is 65535 octets over TCP, and what the client offers, at least 512, over UDP.
 *
 *     header 12 | question, copied | answers | authority | additionals | OPT 11
 */
export function composeReply(query: Query, reply: Reply, protocol: Protocol): Buffer {
  const option = composeOption(query, reply.rcode);
  const limitBytes = sizeLimit(query, protocol) - option.length;
  const writer = Object.assign(new Packet.Writer(), { names: new Map<string, number>() });
  for (const octet of query.bytes.subarray(0, query.questionEnd)) writer.write(octet, 8);
  noteQuestionNames(query, writer.names);

  const counts = [0, 0, 0];
  let endBytes = query.questionEnd;
  let truncated = false;
  for (const [index, section] of [reply.answers, reply.authority, reply.additionals].entries()) {
    for (const record of section) {
      // A record that did not fit is the last one tried: compression points backwards, so cutting after any record is safe.
      if (truncated) break;
      const isAsked = query.name !== "" && record.name === query.name;
      Packet.Resource.encode(isAsked ? makeRecord(askedName, record.type, record.ttl, record) : record, writer);
      truncated = writer.byteLength() > limitBytes;
      if (truncated) break;
      counts[index] = (counts[index] ?? 0) + 1;
      endBytes = writer.byteLength();
    }
  }

  const message = Buffer.concat([writer.toBuffer().subarray(0, endBytes), option]);
  const packedFlags =
    flags.response |
    (query.bytes.readUInt16BE(2) & repeatedFlags) |
    (reply.authoritative ? flags.authoritative : 0) |
    (truncated ? flags.truncated : 0) |
    (reply.recursionAvailable ? flags.recursionAvailable : 0) |
    (reply.rcode & 0xf);
  message.writeUInt16BE(packedFlags, 2);
  message.writeUInt16BE(counts[0] ?? 0, 6);
  message.writeUInt16BE(counts[1] ?? 0, 8);
  message.writeUInt16BE((counts[2] ?? 0) + (option.length > 0 ? 1 : 0), 10);
  return message;
}

/** A reply without records, flags or authority: an error, or the start of another reply. */
export function emptyReply(rcode: number): Reply {
  return { rcode, authoritative: false, recursionAvailable: false, answers: [], authority: [], additionals: [] };
}

/** A record of class IN. `data` has the fields that dns2 uses for the type. */
export function makeRecord(name: string, type: number, ttlSeconds: number, data: Partial<Resource>): Resource {
  return new Packet.Resource({ ...data, name, type, class: Packet.CLASS.IN, ttl: ttlSeconds });
}

/** The labels of a name written as in Query.name, with the escapes left in place. */
export function splitName(name: string): string[] {
  return name.match(/(?:\\.|[^.\\])+/gs) ?? [];
}

/** Stands for the question's name while records are written. No record's name contains it. */
const askedName = "@";

/** Tells dns2's compression where the question's name and its parents are, so that records point to them instead of repeating them. */
function noteQuestionNames(query: Query, names: Map<string, number>): void {
  const labels = splitName(query.name);
  let offset = headerBytes;
  for (let index = 0; index < labels.length; index += 1) {
    names.set(labels.slice(index).join(".").toLowerCase(), offset);
    offset += 1 + (query.bytes[offset] ?? 0);
  }
  if (labels.length > 0) names.set(askedName, headerBytes);
}

/** The question: an uncompressed name (RFC 1035 §3.1, at most 255 octets), a type and a class. Undefined if it is anything else. */
function readQuestion(bytes: Buffer): Pick<Query, "name" | "type" | "class" | "questionEnd"> | undefined {
  const labels: string[] = [];
  let offset = headerBytes;
  for (let length = bytes[offset]; length !== 0; length = bytes[offset]) {
    if (length === undefined || length > 63) return undefined;
    labels.push(bytes.toString("latin1", offset + 1, offset + 1 + length).replace(/[.\\]/g, "\\$&"));
    offset += 1 + length;
    if (offset - headerBytes > 254) return undefined;
  }
  const questionEnd = offset + 5;
  if (questionEnd > bytes.length) return undefined;
  const [type, classCode] = [bytes.readUInt16BE(offset + 1), bytes.readUInt16BE(offset + 3)];
  return { name: labels.join("."), type, class: classCode, questionEnd };
}

/** OPT as CoreDNS returns it: the client's own size and DO, the upper bits of the rcode, no options (RFC 6891 §6.1.3). */
function composeOption(query: Query, rcode: number): Buffer {
  if (query.edns === undefined) return Buffer.alloc(0);
  const option = Buffer.from([0, 0, Packet.TYPE.EDNS, 0, 0, rcode >>> 4, 0, 0, 0, 0, 0]);
  option.writeUInt16BE(query.edns.sizeBytes, 3);
  option.writeUInt16BE(query.edns.dnssecOk ? dnssecOkFlag : 0, 7);
  return option;
}

function sizeLimit(query: Query, protocol: Protocol): number {
  return protocol === "tcp" ? 65_535 : Math.max(512, query.edns?.sizeBytes ?? 0);
}
