/*
 * DNS messages for tests, built and read independently of src/wire, so that a mistake there does not hide itself here.
 */

/** Bits of the header's flags. */
export const Flags = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, Z: 0x0040, AD: 0x0020, CD: 0x0010 };

/** Types that tests use. */
export const Type = {
  A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, HINFO: 13, MX: 15, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, RRSIG: 46,
  SVCB: 64, HTTPS: 65, TKEY: 249, TSIG: 250, IXFR: 251, AXFR: 252, ANY: 255, CAA: 257, PRIVATE: 65280,
}; // prettier-ignore

/** A record to build, or one that was read. `data` is the raw record data. */
export interface TestRecord {
  name: string;
  type: number;
  ttl: number;
  data: Uint8Array;
  class?: number;
}

/** An OPT record to build, or one that was read. */
export interface TestOpt {
  udpSize?: number;
  version?: number;
  dnssecOk?: boolean;
  upperRcode?: number;
  /** Other flag bits, in place (0x0040 …). */
  flags?: number;
  options?: { code: number; data: Uint8Array }[];
}

/** A message to build. Counts follow from the content unless `counts` says otherwise. */
export interface TestMessage {
  id?: number;
  flags?: number;
  questions?: { name: string; type: number; class?: number }[];
  answers?: TestRecord[];
  authorities?: TestRecord[];
  additionals?: TestRecord[];
  opt?: TestOpt | undefined;
  counts?: [number, number, number, number];
  trailing?: Uint8Array;
}

/** A message that was read. Names keep their spelling; `opt` is taken out of the additional section. */
export interface ReadMessage {
  id: number;
  flags: number;
  rcode: number;
  counts: [number, number, number, number];
  questions: { name: string; type: number; class: number }[];
  answers: Required<TestRecord>[];
  authorities: Required<TestRecord>[];
  additionals: Required<TestRecord>[];
  opts: (Required<TestOpt> & { isLast: boolean })[];
  /** Octets behind the last record. */
  trailingBytes: number;
}

/** Builds a message without compression, unless a name is given as "@12": then it is a pointer to that offset. */
export function buildMessage(message: TestMessage): Uint8Array {
  const {
    questions = [],
    answers = [],
    authorities = [],
    additionals = [],
    opt,
    trailing = new Uint8Array(0),
  } = message;
  const counts = message.counts ?? [
    questions.length,
    answers.length,
    authorities.length,
    additionals.length + (opt === undefined ? 0 : 1),
  ];
  return concat([
    u16(message.id ?? 0x1234),
    u16(message.flags ?? Flags.RD),
    ...counts.map(u16),
    ...questions.flatMap(({ name, type, class: rrClass = 1 }) => [nameBytes(name), u16(type), u16(rrClass)]),
    ...[...answers, ...authorities, ...additionals].map(recordBytes),
    opt === undefined ? new Uint8Array(0) : optBytes(opt),
    trailing,
  ]);
}

/** A query for one name: RD set, no EDNS, unless `more` says otherwise. */
export function buildQuery(name: string, type: number, more: TestMessage = {}): Uint8Array {
  return buildMessage({ questions: [{ name, type }], ...more });
}

/** A reply to a query's own bytes: its ID and its question, byte for byte. Flags are QR, RD, RA and what `more.flags` adds. */
export function replyTo(query: Uint8Array, more: TestMessage & { rcode?: number } = {}): Uint8Array {
  const { rcode = 0, flags = 0, ...rest } = more;
  const read = readMessage(query);
  return buildMessage({
    id: read.id,
    flags: Flags.QR | Flags.RA | (read.flags & Flags.RD) | flags | rcode,
    questions: read.questions,
    ...rest,
  });
}

/** Reads a message. Throws where it is malformed: in a test that is what one wants to see. */
export function readMessage(bytes: Uint8Array): ReadMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const counts = [4, 6, 8, 10].map((offset) => view.getUint16(offset)) as [number, number, number, number];
  let at = 12;
  const questions = Array.from({ length: counts[0] }, () => {
    const { name, end } = readName(bytes, at);
    at = end + 4;
    return { name, type: view.getUint16(end), class: view.getUint16(end + 2) };
  });
  const sections = counts.slice(1).map((count) =>
    Array.from({ length: count }, () => {
      const { name, end } = readName(bytes, at);
      const size = view.getUint16(end + 8);
      at = end + 10 + size;
      if (at > bytes.length) throw new Error("record runs past the end");
      return {
        name,
        type: view.getUint16(end),
        class: view.getUint16(end + 2),
        ttl: view.getUint32(end + 4),
        data: bytes.slice(end + 10, at),
        end: at,
      };
    }),
  );
  const [answers = [], authorities = [], everyAdditional = []] = sections;
  const lastEnd = at;
  const opts = everyAdditional
    .filter(({ type }) => type === Type.OPT)
    .map((record) => ({
      udpSize: record.class,
      upperRcode: record.ttl >>> 24,
      version: (record.ttl >>> 16) & 0xff,
      dnssecOk: (record.ttl & 0x8000) !== 0,
      flags: record.ttl & 0x7fff,
      options: readOptions(record.data),
      isLast: record.end === lastEnd,
    }));
  const flags = view.getUint16(2);
  return {
    id: view.getUint16(0),
    flags,
    rcode: (flags & 0xf) | ((opts[0]?.upperRcode ?? 0) << 4),
    counts,
    questions,
    answers,
    authorities,
    additionals: everyAdditional.filter(({ type }) => type !== Type.OPT),
    opts,
    trailingBytes: bytes.length - lastEnd,
  };
}

/** An address record. */
export function a(name: string, address: string, ttl = 30): TestRecord {
  return { name, type: Type.A, ttl, data: Uint8Array.from(address.split(".").map(Number)) };
}

/** An IPv6 address record; the address is "fd00::" with this last octet. */
export function aaaa(name: string, lastOctet: number, ttl = 30): TestRecord {
  const data = new Uint8Array(16);
  data[0] = 0xfd;
  data[15] = lastOctet;
  return { name, type: Type.AAAA, ttl, data };
}

/** An alias. */
export function cname(name: string, target: string, ttl = 30): TestRecord {
  return { name, type: Type.CNAME, ttl, data: nameBytes(target) };
}

/** A text record of one string, at most 255 octets. */
export function txt(name: string, text: string, ttl = 30): TestRecord {
  return { name, type: Type.TXT, ttl, data: concat([Uint8Array.of(text.length), new TextEncoder().encode(text)]) };
}

/** The SOA of a denial: TTL and MINIMUM decide its life. */
export function soa(zone: string, ttl = 30, minimum = 30): TestRecord {
  const numbers = [1, 7200, 1800, 86_400, minimum].map(u32);
  return {
    name: zone,
    type: Type.SOA,
    ttl,
    data: concat([nameBytes(`ns.${zone}`), nameBytes(`host.${zone}`), ...numbers]),
  };
}

/** A name in wire form. "." is the root; "@12" a pointer to offset 12; "\\." is a dot inside a label. */
export function nameBytes(name: string): Uint8Array {
  if (name.startsWith("@")) return u16(0xc000 | Number(name.slice(1)));
  if (name === ".") return Uint8Array.of(0);
  const labels = name.replace(/\.+$/, "").split(/(?<!\\)\./);
  return concat([
    ...labels.map((label) => {
      const bytes = new TextEncoder().encode(label.replaceAll("\\.", "."));
      return concat([Uint8Array.of(bytes.length), bytes]);
    }),
    Uint8Array.of(0),
  ]);
}

/** Puts octets in a row. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** A 16-bit integer, big-endian. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** A 32-bit integer, big-endian. */
export function u32(value: number): Uint8Array {
  return concat([u16(Math.floor(value / 0x1_0000)), u16(value % 0x1_0000)]);
}

function recordBytes({ name, type, ttl, data, class: rrClass = 1 }: TestRecord): Uint8Array {
  return concat([nameBytes(name), u16(type), u16(rrClass), u32(ttl), u16(data.length), data]);
}

function optBytes(opt: TestOpt): Uint8Array {
  const options = concat((opt.options ?? []).flatMap(({ code, data }) => [u16(code), u16(data.length), data]));
  const flags = (opt.dnssecOk === true ? 0x8000 : 0) | (opt.flags ?? 0);
  return concat([
    Uint8Array.of(0),
    u16(Type.OPT),
    u16(opt.udpSize ?? 1232),
    Uint8Array.of(opt.upperRcode ?? 0, opt.version ?? 0),
    u16(flags),
    u16(options.length),
    options,
  ]);
}

function readName(bytes: Uint8Array, offset: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = offset;
  let end: number | undefined;
  for (let hops = 0; hops < 128;) {
    const size = bytes[at];
    if (size === undefined) throw new Error("name runs past the end");
    if (size === 0) return { name: labels.length === 0 ? "." : labels.join("."), end: end ?? at + 1 };
    if (size >= 0xc0) {
      end ??= at + 2;
      at = ((size & 0x3f) << 8) | (bytes[at + 1] ?? 0);
      hops += 1;
      continue;
    }
    labels.push(String.fromCharCode(...bytes.slice(at + 1, at + 1 + size)).replaceAll(".", "\\."));
    at += 1 + size;
  }
  throw new Error("pointers without end");
}

function readOptions(data: Uint8Array): { code: number; data: Uint8Array }[] {
  const options: { code: number; data: Uint8Array }[] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < data.length;) {
    const size = view.getUint16(at + 2);
    options.push({ code: view.getUint16(at), data: data.slice(at + 4, at + 4 + size) });
    at += 4 + size;
  }
  return options;
}
