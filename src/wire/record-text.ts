/*
 * A record's data as people write it (RFC 1035 §5.1), without dns2, which what serves does not load. Types that are not known here are told as
 * octets (RFC 3597 §5).
 */
import { RrClass, RrType } from "./codes.ts";
import { expandName, skipName } from "./name.ts";
import { nameToText } from "./name-text.ts";
import { readU16, readU32 } from "./octets.ts";
import type { RecordView } from "./reply.ts";

/** The data of a record of `packet`, in printable ASCII. Never throws: data that does not have its type's form is told as octets. */
export function recordDataText(record: RecordView, packet: Uint8Array): string {
  const { type, dataOffset, end } = record;
  const text = record.class === RrClass.IN ? writers.get(type)?.(packet, dataOffset, end) : undefined;
  return text ?? octetsText(packet.subarray(dataOffset, end));
}

/** The name at `offset` with its final dot, as records have it; "?" where there is none. */
export function nameTextAt(packet: Uint8Array, offset: number, end: number): string {
  return nameText(packet, offset, end) ?? "?";
}

/** Writes data; undefined if it does not have the type's form. */
type Writer = (packet: Uint8Array, start: number, end: number) => string | undefined;

const writers = new Map<number, Writer>([
  [RrType.A, (packet, start, end) => (end - start === 4 ? packet.subarray(start, end).join(".") : undefined)],
  [RrType.AAAA, (packet, start, end) => (end - start === 16 ? ipv6Text(packet, start) : undefined)],
  [RrType.CNAME, nameText],
  [RrType.NS, nameText],
  [RrType.PTR, nameText],
  [RrType.DNAME, nameText],
  [RrType.MX, (packet, start, end) => withNumbers(packet, start, end, 1)],
  [RrType.SRV, (packet, start, end) => withNumbers(packet, start, end, 3)],
  [RrType.SOA, soaText],
  [RrType.TXT, stringsText],
]);

function nameText(packet: Uint8Array, offset: number, end: number): string | undefined {
  const name = expandName(packet, offset, end);
  if (typeof name === "number") return undefined;
  const text = nameToText(name);
  return text === "." ? text : `${text}.`;
}

/** The form of RFC 5952 but for the longest run of zeros, which a URL finds. */
function ipv6Text(packet: Uint8Array, start: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => readU16(packet, start + 2 * index).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function withNumbers(packet: Uint8Array, start: number, end: number, count: number): string | undefined {
  const nameStart = start + 2 * count;
  if (nameStart >= end) return undefined;
  const numbers = Array.from({ length: count }, (_, index) => readU16(packet, start + 2 * index));
  const name = nameText(packet, nameStart, end);
  return name === undefined ? undefined : [...numbers, name].join(" ");
}

function soaText(packet: Uint8Array, start: number, end: number): string | undefined {
  const second = skipName(packet, start, end);
  const numbersStart = second < 0 ? -1 : skipName(packet, second, end);
  if (numbersStart < 0 || end - numbersStart !== 20) return undefined;
  const names = [nameText(packet, start, end), nameText(packet, second, end)];
  const numbers = Array.from({ length: 5 }, (_, index) => readU32(packet, numbersStart + 4 * index));
  return [...names, ...numbers].join(" ");
}

function stringsText(packet: Uint8Array, start: number, end: number): string | undefined {
  const strings: string[] = [];
  let at = start;
  while (at < end) {
    const next = at + 1 + (packet[at] as number);
    if (next > end) return undefined;
    strings.push(`"${Array.from(packet.subarray(at + 1, next), quotedOctet).join("")}"`);
    at = next;
  }
  return strings.length === 0 ? undefined : strings.join(" ");
}

function quotedOctet(octet: number): string {
  if (octet === 0x22 || octet === 0x5c) return `\\${String.fromCharCode(octet)}`;
  if (octet >= 0x20 && octet < 0x7f) return String.fromCharCode(octet);
  return `\\${String(octet).padStart(3, "0")}`;
}

function octetsText(data: Uint8Array): string {
  const hex = Array.from(data, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return `\\# ${data.length}${hex === "" ? "" : ` ${hex}`}`;
}
