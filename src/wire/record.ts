/*
 * Records that are taken out of one message and put into another: uncompressed, because what their pointers refer to stays behind
 * (RFC 1035 §4.1.4).
 */
import { RrClass, RrType } from "./codes.ts";
import { expandName, skipName } from "./name.ts";
import { writeU16, writeU32 } from "./octets.ts";
import type { RecordView } from "./reply.ts";

/** By type: the number of octets before the names in the data, of names, and of octets after them (RFC 1035 §3.3, RFC 2782). */
const layouts = new Map([
  [RrType.CNAME, { before: 0, names: 1, behind: 0 }],
  [RrType.NS, { before: 0, names: 1, behind: 0 }],
  [RrType.PTR, { before: 0, names: 1, behind: 0 }],
  [RrType.DNAME, { before: 0, names: 1, behind: 0 }],
  [RrType.MX, { before: 2, names: 1, behind: 0 }],
  [RrType.SRV, { before: 6, names: 1, behind: 0 }],
  // Serial, refresh, retry, expire, minimum.
  [RrType.SOA, { before: 0, names: 2, behind: 20 }],
] as [number, { before: number; names: number; behind: number }][]);

/**
 * Whether data of this type may hold compressed names: the types of RFC 1035, and some others from before RFC 3597 §4, which forbids
 * it for new ones. Only those with a layout above can be written out.
 */
export function mayHoldPointers(type: number): boolean {
  return layouts.has(type) || obsoleteTypesWithNames.has(type);
}

/** MD, MF, MB, MG, MR, MINFO, RP, AFSDB, RT, SIG, PX, NXT, NAPTR, A6. */
const obsoleteTypesWithNames: ReadonlySet<number> = new Set([3, 4, 7, 8, 9, 14, 17, 18, 21, 24, 26, 30, 35, 38]);

/**
 * The data of a record of class IN with its names uncompressed and folded: a view of `packet` for addresses, otherwise a new array.
 * Undefined for another class, for a type that is not understood here, and for data that does not add up.
 */
export function uncompressedData(record: RecordView, packet: Uint8Array): Uint8Array | undefined {
  if (record.class !== RrClass.IN) return undefined;
  const raw = packet.subarray(record.dataOffset, record.end);
  if (record.type === RrType.A || record.type === RrType.AAAA) return raw;
  const layout = layouts.get(record.type);
  if (layout === undefined) return undefined;
  const parts = [raw.subarray(0, layout.before)];
  let at = record.dataOffset + layout.before;
  for (let index = 0; index < layout.names; index += 1) {
    const name = expandName(packet, at, record.end);
    const nameEnd = skipName(packet, at, record.end);
    if (typeof name === "number" || nameEnd < 0) return undefined;
    parts.push(name);
    at = nameEnd;
  }
  if (at + layout.behind !== record.end) return undefined;
  parts.push(packet.subarray(at, record.end));
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A new array with a record of class IN. `owner` is a name in wire form, or a pointer to one; `data` has the type's form, uncompressed. */
export function composeRecord(owner: Uint8Array, type: number, ttlSeconds: number, data: Uint8Array): Uint8Array {
  const record = new Uint8Array(owner.length + 10 + data.length);
  record.set(owner);
  writeU16(record, owner.length, type);
  writeU16(record, owner.length + 2, RrClass.IN);
  writeU32(record, owner.length + 4, ttlSeconds);
  writeU16(record, owner.length + 8, data.length);
  record.set(data, owner.length + 10);
  return record;
}
