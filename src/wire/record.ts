/*
 * Records that are taken out of one message to stand in another: uncompressed, because what their pointers meant stays behind
 * (RFC 1035 §4.1.4).
 */
import { RrClass, RrType } from "./codes.ts";
import { expandName, skipName } from "./name.ts";
import { writeU16, writeU32 } from "./octets.ts";
import type { RecordView } from "./reply.ts";

/**
 * The data of a record of class IN with its names written out, folded. A view of `packet` where there are no names, else a new array.
 * Undefined for a type that is not understood here (A, AAAA, CNAME, NS and SOA are), and for data that does not add up.
 */
export function uncompressedData(record: RecordView, packet: Uint8Array): Uint8Array | undefined {
  if (record.class !== RrClass.IN) return undefined;
  const raw = packet.subarray(record.dataOffset, record.end);
  if (record.type === RrType.A || record.type === RrType.AAAA) return raw;
  if (record.type !== RrType.CNAME && record.type !== RrType.SOA && record.type !== RrType.NS) return undefined;
  const first = expandName(packet, record.dataOffset, record.end);
  const firstEnd = skipName(packet, record.dataOffset, record.end);
  if (typeof first === "number" || firstEnd < 0) return undefined;
  if (record.type !== RrType.SOA) return firstEnd === record.end ? first : undefined;
  const second = expandName(packet, firstEnd, record.end);
  // Serial, refresh, retry, expire, minimum (RFC 1035 §3.3.13).
  if (typeof second === "number" || skipName(packet, firstEnd, record.end) + 20 !== record.end) return undefined;
  return Uint8Array.from([...first, ...second, ...raw.subarray(-20)]);
}

/** A new array with a record of class IN. `owner` is in wire form, `data` as the type wants it, without pointers. */
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
