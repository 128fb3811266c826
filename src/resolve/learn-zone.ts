/*
 * What nodens asks the cluster zone Z about itself, at the start, after a change of upstream, and when the SOA gets old:
 * `dns-version.Z` with TXT, which a CoreDNS `kubernetes` zone answers with its schema version and the older kube-dns does not have; and
 * with A, which no zone answers with data, to get the SOA that nodens's own denials carry.
 */
import type { Clock } from "../runtime/clock.ts";
import type { NameDenials } from "../search/name-denials.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import { Rcode, RrType } from "../wire/codes.ts";
import { soaOf } from "../wire/denial.ts";
import { equalOctets } from "../wire/name.ts";
import { nameFromText } from "../wire/name-text.ts";
import { ownQuestion, type Question } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import type { AskResult } from "./schedule-questions.ts";

/** Asked again soon after a failure, and rarely after the zone has said that it has no schema: it may be upgraded. */
const retryFailedMs = 10_000;
const retryDeniedMs = 10 * 60_000;

/** What it takes to learn. */
export interface LearnParts {
  readonly knowledge: ZoneKnowledge;
  readonly nameDenials: Pick<NameDenials, "noteNoData">;
  readonly clock: Clock;
  /** Asks upstream. Never rejects. */
  askOwn(question: Question): Promise<AskResult>;
}

/** Asks until the zone (folded, wire form) has shown its schema, or `isOver()`. Resolves then; never rejects. */
export async function learnUntilShown(zone: Uint8Array, parts: LearnParts, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const isAnswered = await learnZone(zone, parts);
    if (parts.knowledge.hasSchema()) return;
    await parts.clock.pause(isAnswered ? retryDeniedMs : retryFailedMs);
  }
}

/**
 * Asks once, and notes in `knowledge` what `zone` (folded, wire form) has shown. Where there is no answer, what was known stays. Resolves
 * with whether the question about the schema was answered. Never rejects, if `ask` never does.
 */
export async function learnZone(zone: Uint8Array, parts: LearnParts): Promise<boolean> {
  const { knowledge, askOwn } = parts;
  const label = (nameFromText("dns-version") ?? Uint8Array.of(0)).subarray(0, -1);
  const name = Uint8Array.from([...label, ...zone]);
  const [version, denial] = await Promise.all([
    askOwn(ownQuestion(name, RrType.TXT)),
    askOwn(ownQuestion(name, RrType.A)),
  ]);
  const verdict = "reply" in version && isVerdict(version.reply.rcode) ? version.reply : undefined;
  if (verdict !== undefined) {
    const hasText = verdict.answers.some(({ type }) => type === RrType.TXT);
    knowledge.noteSchema(verdict.rcode === Rcode.NOERROR && hasText);
  }
  const soa = "reply" in denial && isVerdict(denial.reply.rcode) ? soaOf(denial.reply) : undefined;
  // Only the zone's own: if nobody serves the zone, the denial carries the root's SOA.
  if (soa !== undefined && equalOctets(soa.octets.subarray(0, zone.length), 0, zone)) {
    knowledge.noteSoa(soa, parts.clock.nowMs());
  }
  if ("reply" in denial && isNoData(denial.reply)) parts.nameDenials.noteNoData(name);
  return verdict !== undefined;
}

function isNoData({ rcode, answers }: Reply): boolean {
  return rcode === Rcode.NOERROR && answers.length === 0;
}

/** SERVFAIL and the like say nothing about the zone. */
function isVerdict(rcode: number): boolean {
  return rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN;
}
