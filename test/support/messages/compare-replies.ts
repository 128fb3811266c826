/*
 * Whether two replies to one question say the same, by whatever way they came. What may differ, and is left out:
 *
 *   - the ID, and the order of records within a section (servers rotate it);
 *   - RA: an authority says 0, a forwarder 1;
 *   - TTLs, compared by `ttlsAbove`;
 *   - the case of names in records (RFC 4343): it follows the question that a name is compressed against. The question's own
 *     spelling is compared;
 *   - of OPT everything but whether there is one and its DO bit: size and options are a matter of each hop (RFC 6891 §6.2.3).
 */
import { Flags, Type } from "./messages.ts";

/** A reply, made comparable. */
export interface ComparableReply {
  readonly flags: string;
  readonly rcode: number;
  readonly question: string;
  /** Records as text without TTL, sorted. */
  readonly answers: readonly string[];
  readonly authorities: readonly string[];
  readonly additionals: readonly string[];
  readonly opt: string;
  /** The TTL of each record, by section and text. */
  readonly ttls: ReadonlyMap<string, number>;
}

/** Reads a reply to its last octet. Throws where it is malformed or something is left over. */
export function comparable(bytes: Uint8Array): ComparableReply {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(2);
  const questionName = readLabels(bytes, 12);
  const question = `${questionName.labels.join(".")} ${view.getUint16(questionName.end)} ${view.getUint16(questionName.end + 2)}`;
  const ttls = new Map<string, number>();
  let opt = "none";
  let upperRcode = 0;
  let at = questionName.end + 4;

  function readSection(section: string, count: number): string[] {
    const records: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const owner = readLabels(bytes, at);
      const type = view.getUint16(owner.end);
      const ttl = view.getUint32(owner.end + 4);
      const start = owner.end + 10;
      at = start + view.getUint16(owner.end + 8);
      if (at > bytes.length) throw new Error("a record runs past the end");
      if (type === Type.OPT) {
        upperRcode = ttl >>> 24;
        opt = (ttl & 0x8000) === 0 ? "present" : "present, DO";
        continue;
      }
      const data = canonicalData(bytes, type, start, at);
      const text = `${fold(owner.labels)} ${view.getUint16(owner.end + 2)} ${type} ${data}`;
      records.push(text);
      ttls.set(`${section} ${text}`, ttl);
    }
    return records.toSorted();
  }

  if (view.getUint16(4) !== 1) throw new Error(`${view.getUint16(4)} questions`);
  const answers = readSection("answer", view.getUint16(6));
  const authorities = readSection("authority", view.getUint16(8));
  const additionals = readSection("additional", view.getUint16(10));
  if (at !== bytes.length) throw new Error(`${bytes.length - at} octets behind the last record`);
  return {
    flags: Object.keys(Flags)
      .filter((name) => name !== "RA" && (flags & Flags[name as keyof typeof Flags]) !== 0)
      .join(" "),
    rcode: (upperRcode << 4) | (flags & 0xf),
    question,
    answers,
    authorities,
    additionals,
    opt,
    ttls,
  };
}

/** What differs between two replies, one line each; none if they say the same. */
export function differencesOf(expected: ComparableReply, actual: ComparableReply): string[] {
  const parts = ["rcode", "flags", "question", "opt", "answers", "authorities", "additionals"] as const;
  return parts.flatMap((part) => {
    const [wanted, got] = [JSON.stringify(expected[part]), JSON.stringify(actual[part])];
    return wanted === got ? [] : [`${part}: ${cut(wanted)} became ${cut(got)}`];
  });
}

/** The records that both replies have and whose TTL is higher in `actual`. */
export function ttlsAbove(expected: ComparableReply, actual: ComparableReply): string[] {
  return [...actual.ttls].flatMap(([record, ttl]) => {
    const limit = expected.ttls.get(record);
    return limit === undefined || ttl <= limit ? [] : [`TTL ${ttl} above ${limit}: ${cut(record)}`];
  });
}

/** How many names a type's data begins with, and how many octets stand before them, where names may be compressed. */
const namesInData: Readonly<Record<number, { readonly before: number; readonly names: number }>> = {
  [Type.NS]: { before: 0, names: 1 },
  [Type.CNAME]: { before: 0, names: 1 },
  [Type.SOA]: { before: 0, names: 2 },
  [Type.PTR]: { before: 0, names: 1 },
  [Type.MX]: { before: 2, names: 1 },
  [Type.SRV]: { before: 6, names: 1 },
  39: { before: 0, names: 1 }, // DNAME
};

/** Record data in hex, with its names written out and folded. */
function canonicalData(bytes: Uint8Array, type: number, start: number, end: number): string {
  const shape = namesInData[type];
  if (shape === undefined) return hex(bytes.subarray(start, end));
  const parts = [hex(bytes.subarray(start, start + shape.before))];
  let at = start + shape.before;
  for (let index = 0; index < shape.names; index += 1) {
    const name = readLabels(bytes, at);
    parts.push(fold(name.labels));
    at = name.end;
  }
  return [...parts, hex(bytes.subarray(at, end))].join(" ");
}

/** A name's labels, with what is not printable, and dots, escaped; and where the name ends. */
function readLabels(bytes: Uint8Array, offset: number): { labels: string[]; end: number } {
  const labels: string[] = [];
  let at = offset;
  let end: number | undefined;
  for (let steps = 0; steps < 256; steps += 1) {
    const size = bytes[at];
    if (size === undefined) throw new Error("a name runs past the end");
    if (size === 0) return { labels, end: end ?? at + 1 };
    if (size >= 0xc0) {
      end ??= at + 2;
      at = ((size & 0x3f) << 8) | (bytes[at + 1] ?? 0);
    } else {
      labels.push([...bytes.subarray(at + 1, at + 1 + size)].map(printable).join(""));
      at += 1 + size;
    }
  }
  throw new Error("pointers without end");
}

function printable(octet: number): string {
  const isPlain = octet > 0x20 && octet < 0x7f && octet !== 0x2e && octet !== 0x5c;
  return isPlain ? String.fromCharCode(octet) : `\\${String(octet).padStart(3, "0")}`;
}

function fold(labels: readonly string[]): string {
  return `${labels.join(".").toLowerCase()}.`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function cut(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length})` : text;
}
