/*
 * A reply as text. dns2 decodes it: a dot inside a label comes out like one between labels, and the data of types that dns2 does
 * not know is shown as octets (RFC 3597 §5).
 */
import { type EdeOption, Packet, type Resource } from "dns2";
import { rcodeName, RrClass, RrType, typeName } from "../wire/codes.ts";
import { Flag } from "../wire/header.ts";

/** One record in presentation form: names with their final dot, unprintable octets as \DDD (RFC 1035 §5.1). */
export interface RecordText {
  readonly name: string;
  readonly ttlSeconds: number;
  readonly class: string;
  readonly type: string;
  readonly data: string;
}

/** An extended DNS error (RFC 8914): its code, the registered meaning in words, and the server's own text, empty if it gave none. */
interface ExtendedErrorText {
  readonly code: number;
  readonly meaning: string;
  readonly text: string;
}

/** What a reply says, as text that is safe to write to a terminal. `flags` are in lower case. */
export interface ReplyText {
  readonly id: number;
  readonly rcode: string;
  readonly flags: readonly string[];
  /** Null when the reply has no OPT record. */
  readonly edns: {
    readonly version: number;
    readonly udpSizeBytes: number;
    readonly dnssecOk: boolean;
    readonly extendedErrors: readonly ExtendedErrorText[];
  } | null;
  /** Null when an error came without the question. */
  readonly question: Pick<RecordText, "name" | "class" | "type"> | null;
  readonly answer: readonly RecordText[];
  readonly authority: readonly RecordText[];
  readonly additional: readonly RecordText[];
  /** What could not be decoded, and why. */
  readonly problems: readonly string[];
}

/** Decodes a message of at least 12 octets; a shorter one makes it throw. What cannot be decoded is left out and named in `problems`. */
export function readReply(message: Buffer): ReplyText {
  const packet = Packet.parse(message);
  const [question] = packet.questions;
  const opt = packet.additionals.find(isOpt);
  const flags = message.readUInt16BE(2);
  return {
    id: packet.header.id,
    rcode: rcodeName(packet.header.rcode),
    flags: flagNames.filter((name) => (flags & Flag[name]) !== 0).map((name) => name.toLowerCase()),
    edns: opt === undefined ? null : readOpt(opt),
    question:
      question === undefined
        ? null
        : { name: nameText(question.name), class: className(question.class), type: typeName(question.type) },
    answer: packet.answers.map(readRecord),
    authority: packet.authorities.map(readRecord),
    additional: packet.additionals.filter((record) => !isOpt(record)).map(readRecord),
    problems: packet.errors.map(({ message: reason }) => escapeOctets(Buffer.from(reason), space)),
  };
}

const flagNames = ["QR", "AA", "TC", "RD", "RA", "AD", "CD"] as const;

function isOpt(record: Resource): boolean {
  return record.type === RrType.OPT;
}

function readOpt(opt: Resource): ReplyText["edns"] {
  const options = (opt.rdata ?? []).filter((option) => option.ednsCode === Packet.EDNS_OPTION_CODE.EDE);
  const extendedErrors = (options as EdeOption[]).map(({ infoCode, extraText }) => ({
    code: infoCode,
    meaning: (Packet.EDE_NAME[infoCode] ?? "not registered").toLowerCase().replaceAll("_", " "),
    text: escapeOctets(Buffer.from(extraText), space),
  }));
  return { version: opt.version ?? 0, udpSizeBytes: opt.class, dnssecOk: opt.doFlag === true, extendedErrors };
}

function readRecord(record: Resource): RecordText {
  return {
    name: nameText(record.name),
    ttlSeconds: record.ttl,
    class: className(record.class),
    type: typeName(record.type),
    data: dataText(record),
  };
}

function dataText(record: Resource): string {
  switch (record.type) {
    case RrType.A:
    case RrType.AAAA:
      return String(record.address);
    case RrType.NS:
      return nameText(record.ns);
    case RrType.CNAME:
    case RrType.PTR:
      return nameText(record.domain);
    case RrType.MX:
      return `${record.priority} ${nameText(record.exchange)}`;
    case RrType.SRV:
      return `${record.priority} ${record.weight} ${record.port} ${nameText(record.target)}`;
    case RrType.SOA: {
      const { serial, refresh, retry, expiration, minimum } = record;
      const numbers = [serial, refresh, retry, expiration, minimum].join(" ");
      return `${nameText(record.primary)} ${nameText(record.admin)} ${numbers}`;
    }
    case RrType.CAA:
      return `${record.flags} ${escapeOctets(Buffer.from(record.tag ?? ""), space + 1)} ${quote(record.value ?? "")}`;
    case RrType.DNSKEY:
      return `${record.flags} ${record.protocol} ${record.algorithm} ${record.key}`;
    case RrType.RRSIG: {
      const { algorithm, labels, originalTtl, expiration, inception, keyTag, signature } = record;
      const fields = [typeName(record.sigType ?? 0), algorithm, labels, originalTtl, expiration, inception, keyTag];
      return `${fields.join(" ")} ${nameText(record.signer)} ${signature}`;
    }
    default:
      return otherDataText(record.data);
  }
}

/** Quoted strings for TXT and similar types; octets (RFC 3597 §5) for types that dns2 does not know. */
function otherDataText(data: Resource["data"]): string {
  if (Array.isArray(data)) return data.map(quote).join(" ");
  return Buffer.isBuffer(data) ? `\\# ${data.length} ${data.toString("hex")}`.trimEnd() : String(data);
}

/** dns2 gives each octet of a name as one character. */
function nameText(name = ""): string {
  return `${escapeOctets(Buffer.from(name, "latin1"), space + 1)}.`;
}

function quote(text: string): string {
  return `"${escapeOctets(Buffer.from(text), space)}"`;
}

const space = 0x20;

/** Keeps printable ASCII octets from `lowest` on; a terminal could obey the others, so they are escaped. */
function escapeOctets(octets: Buffer, lowest: number): string {
  const parts = Array.from(octets, (octet) => {
    const character = String.fromCharCode(octet);
    if (character === '"' || character === "\\") return `\\${character}`;
    return octet >= lowest && octet < 0x7f ? character : `\\${String(octet).padStart(3, "0")}`;
  });
  return parts.join("");
}

function className(rrClass: number): string {
  return Object.entries(RrClass).find(([, code]) => code === rrClass)?.[0] ?? `CLASS${rrClass}`;
}
