/*
 * Messages for the tests of wire/, written octet by octet and deliberately without any code of wire/.
 */

/** One record. `owner` is in wire form: labels, or a pointer. */
export interface RecordSpec {
  owner: Uint8Array;
  type: number;
  class?: number;
  ttl?: number;
  data: Uint8Array;
}

/** A message: fields left out are 0 or empty, and counts follow the sections. */
export interface MessageSpec {
  id?: number;
  flags?: number;
  /** The question's name in wire form. */
  name: Uint8Array;
  type?: number;
  class?: number;
  answers?: readonly RecordSpec[];
  authorities?: readonly RecordSpec[];
  additionals?: readonly RecordSpec[];
}

/** The octets of hex digits, grouped in any way. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (octet) => Number.parseInt(octet, 16));
}

/** Octets as hex digits, for readable differences. */
export function toHex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** All octets one after the other. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A name in wire form, in the given spelling: "Web.Example", "" for the root. No escapes. */
export function wireName(text: string): Uint8Array {
  const labels = text === "" ? [] : text.split(".");
  return join(...labels.map((label) => join(Uint8Array.of(label.length), ascii(label))), Uint8Array.of(0));
}

/** A name in wire form with labels of the given sizes, all of "a". */
export function nameOfLabels(...sizes: readonly number[]): Uint8Array {
  return wireName(sizes.map((size) => "a".repeat(size)).join("."));
}

/** The longest possible name: 255 octets (RFC 1035 §2.3.4). */
export const longestName = nameOfLabels(63, 63, 63, 61);

/** A pointer to the question's name. */
export const toQuestion = hex("c00c");

/** The octets of ASCII text. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** An A record of the question's name. */
export function addressRecord(ttl: number, lastOctet = 1): RecordSpec {
  return { owner: toQuestion, type: 1, ttl, data: Uint8Array.of(192, 0, 2, lastOctet) };
}

/** The SOA of "example", with `minimum` as its last field. */
export function soaRecord(ttl: number, minimum: number): RecordSpec {
  const data = join(wireName("ns.example"), wireName("admin.example"), u32(1), u32(7200), u32(900), u32(86_400));
  return { owner: wireName("example"), type: 6, ttl, data: join(data, u32(minimum)) };
}

/** An OPT record. `ttl` holds upper rcode, version and flags. */
export function optRecord(options = "", udpSize = 1232, ttl = 0): RecordSpec {
  return { owner: Uint8Array.of(0), type: 41, class: udpSize, ttl, data: hex(options) };
}

/** The octets of a message. */
export function buildMessage(spec: MessageSpec): Uint8Array {
  const sections = [spec.answers ?? [], spec.authorities ?? [], spec.additionals ?? []];
  return join(
    u16(spec.id ?? 0),
    u16(spec.flags ?? 0),
    u16(1),
    ...sections.map((section) => u16(section.length)),
    spec.name,
    u16(spec.type ?? 1),
    u16(spec.class ?? 1),
    ...sections.flat().map(buildRecord),
  );
}

function buildRecord(record: RecordSpec): Uint8Array {
  const { owner, type, data } = record;
  return join(owner, u16(type), u16(record.class ?? 1), u32(record.ttl ?? 0), u16(data.length), data);
}

/** A 16-bit integer in network order. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value);
}

/** A 32-bit integer in network order. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
