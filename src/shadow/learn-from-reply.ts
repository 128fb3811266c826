/*
 * What the shadow's chain learns from a reply that passed, as it would from one of its own.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import { Rcode } from "../wire/codes.ts";
import { soaOf, soaOwner } from "../wire/denial.ts";
import { equalOctets } from "../wire/name.ts";
import { readU32 } from "../wire/octets.ts";
import type { ClientQuery } from "../wire/query.ts";
import { questionOf } from "../wire/question.ts";
import { parseReply, type Reply } from "../wire/reply.ts";
import type { WireUpstream } from "./wire-upstream.ts";

/** Who learns. */
export interface LearnParts {
  readonly wire: WireUpstream;
  readonly knowledge: Pick<ZoneKnowledge, "noteSchema" | "noteSoa">;
  readonly clock: Clock;
  /** The cluster zone (folded, wire form). */
  readonly zone: Uint8Array;
}

/**
 * Learns from the reply to `query`, a copy; the reply is read during the call only. `isDecided`: the shadow has answered the query itself, so
 * that its resolver waits for nothing about it.
 */
export function learnFromReply(query: ClientQuery, reply: Reply, isDecided: boolean, parts: LearnParts): void {
  const { wire } = parts;
  const name = query.name.octets;
  if (reply.rcode === Rcode.NOERROR) wire.exists(name);
  else if (reply.rcode === Rcode.NXDOMAIN) learnZone(reply, parts);
  if (isDecided && !wire.isWantedFor(name)) return;
  const kept = parseReply(Uint8Array.from(reply.packet));
  if (typeof kept !== "number") wire.hears(questionOf(query), kept);
}

/**
 * The zone's SOA comes with its denials. Whether the zone has CoreDNS's schema nodens asks of the zone itself, which the shadow cannot: it goes
 * by the SOA, whose times are fixed in CoreDNS and different in the older kube-dns.
 */
function learnZone(reply: Reply, { knowledge, clock, zone }: LearnParts): void {
  const soa = soaOf(reply);
  if (soa === undefined) return;
  const owner = soaOwner(soa);
  if (owner.length !== zone.length || !equalOctets(owner, 0, zone)) return;
  knowledge.noteSoa(soa, clock.nowMs());
  knowledge.noteSchema(hasTimesOfCoreDns(soa.octets));
}

/** Refresh, retry and expire of the SOA that CoreDNS makes for a cluster zone. */
const timesOfCoreDns = [7200, 1800, 86_400] as const;

/** They stand before the last number, the minimum. */
function hasTimesOfCoreDns(soa: Uint8Array): boolean {
  const at = soa.length - 16;
  return timesOfCoreDns.every((seconds, index) => readU32(soa, at + 4 * index) === seconds);
}
