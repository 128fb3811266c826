/*
 * What nodens asks about a search suffix when it starts: whether its zone denies names or types. The zone's own name exists; what is
 * said of an address type that it does not have, shows it before a client's lookup could.
 */
import { Rcode, RrType } from "../wire/codes.ts";
import { soaOf, soaOwner } from "../wire/denial.ts";
import { ownQuestion } from "../wire/question.ts";
import type { LearnParts } from "./learn-zone.ts";

const retryMs = 10_000;

/** Asks about a suffix (folded, wire form) until something is said, or `isOver()`. Never rejects. */
export async function learnNameDenials(
  suffix: Uint8Array,
  { nameDenials, askOwn, clock }: Omit<LearnParts, "knowledge">,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const verdict = await verdictOn(suffix, askOwn);
    if (verdict === "nodata") nameDenials.noteNoData(suffix);
    if (verdict !== undefined) return;
    await clock.pause(retryMs);
  }
}

/** Undefined where nobody answered. A suffix that is denied itself lies in a zone above it, which is asked about in its place. */
async function verdictOn(name: Uint8Array, askOwn: LearnParts["askOwn"]): Promise<"nodata" | "other" | undefined> {
  const result = await askOwn(ownQuestion(name, RrType.AAAA));
  if (!("reply" in result)) return undefined;
  const { reply } = result;
  if (reply.rcode !== Rcode.NOERROR && reply.rcode !== Rcode.NXDOMAIN) return undefined;
  if (reply.answers.length > 0) return "other";
  if (reply.rcode === Rcode.NOERROR) return "nodata";
  const soa = soaOf(reply);
  const owner = soa && soaOwner(soa);
  return owner !== undefined && owner.length < name.length ? verdictOn(owner, askOwn) : "other";
}
