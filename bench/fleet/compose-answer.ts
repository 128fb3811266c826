/*
 * What kube-dns says, as bytes, from the bytes of the query: the first letter of a name tells what is behind it (workload.ts).
 */
import { Rcode, RrType } from "../../src/wire/codes.ts";
import { Flag, HeaderOffset, headerSizeBytes } from "../../src/wire/header.ts";
import { skipName } from "../../src/wire/name.ts";
import { wireName } from "../../src/wire/name-text.ts";
import { readU16, writeU16 } from "../../src/wire/octets.ts";
import { optSizeBytes, writeOpt } from "../../src/wire/edns.ts";
import { ExtendedError } from "../../src/wire/codes.ts";
import { composeRecord } from "../../src/wire/record.ts";

/** The TTL of Services (kubeadm's Corefile), and of denials of the zone. */
export const serviceTtlSeconds = 30;

/** What CoreDNS keeps of outside names (kubeadm's Corefile: `cache 30`); their TTLs count down there. */
export const outsideTtlSeconds = 30;

/** What kinds of names there are, by their first letter. */
export const firstLetter = { service: "s", outside: "o", schema: "d" } as const;

const code = (letter: string) => letter.charCodeAt(0);
const zone = wireName("cluster.local");
const zoneSoa = soaRecord(zone, 30);
const rootSoa = soaRecord(wireName("example"), 30);
const text = Uint8Array.from([5, ...new TextEncoder().encode("1.1.0")]);

/** A query as the server reads it. */
export interface ReadQuery {
  readonly packet: Uint8Array;
  readonly questionEnd: number;
  readonly type: number;
  readonly kind: "service" | "outside" | "schema" | "absent";
}

/** Reads a query of nodens. */
export function readServerQuery(packet: Uint8Array): ReadQuery {
  const nameEnd = skipName(packet, headerSizeBytes, packet.length);
  const letter = packet[headerSizeBytes + 1];
  const type = readU16(packet, nameEnd);
  const kind =
    letter === code(firstLetter.service)
      ? "service"
      : letter === code(firstLetter.outside)
        ? "outside"
        : letter === code(firstLetter.schema)
          ? "schema"
          : "absent";
  return { packet, questionEnd: nameEnd + 4, type, kind };
}

/** Whether nodens asks this for itself: no client here asks for such types. */
export function isOwnType(type: number): boolean {
  return type !== RrType.A && type !== RrType.AAAA;
}

/** The reply. `outsideTtl` is what is left of an outside name's TTL. */
export function composeAnswer(query: ReadQuery, outsideTtl: number): Uint8Array {
  const { kind, type } = query;
  if (kind === "schema" && type === RrType.TXT)
    return compose(query, Rcode.NOERROR, answerRecord(type, 30, text), none);
  if (kind === "service" && type === RrType.A)
    return compose(query, Rcode.NOERROR, answerRecord(type, serviceTtlSeconds, address), none);
  if (kind === "outside" && type === RrType.A)
    return compose(query, Rcode.NOERROR, answerRecord(type, outsideTtl, address), none);
  if (kind === "outside") return compose(query, Rcode.NOERROR, none, rootSoa);
  // What is asked of the zone itself: no data, which will do for a probe.
  if (kind === "service" || type === RrType.SOA || type === RrType.NS)
    return compose(query, Rcode.NOERROR, none, zoneSoa);
  return compose(query, Rcode.NXDOMAIN, none, zoneSoa);
}

const none = new Uint8Array(0);
const address = Uint8Array.of(10, 96, 0, 1);

/** A record whose owner is the question's name. */
function answerRecord(type: number, ttlSeconds: number, data: Uint8Array): Uint8Array {
  const record = new Uint8Array(12 + data.length);
  writeU16(record, 0, 0xc000 | headerSizeBytes);
  writeU16(record, 2, type);
  writeU16(record, 4, 1);
  writeU16(record, 8, ttlSeconds);
  writeU16(record, 10, data.length);
  record.set(data, 12);
  return record;
}

function compose({ packet, questionEnd }: ReadQuery, rcode: number, answer: Uint8Array, soa: Uint8Array): Uint8Array {
  const reply = new Uint8Array(questionEnd + answer.length + soa.length + optSizeBytes);
  reply.set(packet.subarray(0, questionEnd));
  writeU16(reply, HeaderOffset.flags, Flag.QR | Flag.AA | Flag.RD | Flag.RA | rcode);
  writeU16(reply, HeaderOffset.answerCount, answer.length > 0 ? 1 : 0);
  writeU16(reply, HeaderOffset.authorityCount, soa.length > 0 ? 1 : 0);
  writeU16(reply, HeaderOffset.additionalCount, 1);
  reply.set(answer, questionEnd);
  reply.set(soa, questionEnd + answer.length);
  writeOpt(reply, questionEnd + answer.length + soa.length, 0, false, ExtendedError.none);
  return reply;
}

function soaRecord(owner: Uint8Array, ttlSeconds: number): Uint8Array {
  // The root for both names, then five numbers: only the last one, MINIMUM, is read.
  const data = new Uint8Array(2 + 20);
  writeU16(data, data.length - 2, ttlSeconds);
  return composeRecord(owner, RrType.SOA, ttlSeconds, data);
}
