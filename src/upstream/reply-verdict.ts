/*
 * Judges a reply: is it an answer, or does it say something about the path to one? The rcode alone does not decide: an empty reply from a
 * server that does not recurse, or a hint to ask elsewhere, is a refusal like any other.
 */
import { Rcode, RrType } from "../wire/codes.ts";
import { Fault } from "../wire/fault.ts";
import { Flag } from "../wire/header.ts";
import { readU8 } from "../wire/octets.ts";
import type { Question } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import { emptyReply, type Heard } from "../flows/heard-reply.ts";

/** What to do about a reply. `reply` is what a client may be given if nothing better comes. */
export type Verdict =
  | { readonly kind: "answer"; readonly reply: Reply }
  /** Ask over a transport that does not truncate. */
  | { readonly kind: "truncated"; readonly reply: Reply }
  /** Ask the same server once more, without anything that no client asked for. */
  | { readonly kind: "plainly"; readonly reply: Reply | undefined }
  /** Ask another server. */
  | { readonly kind: "refusal"; readonly reply: Reply | undefined };

/** Judges what was heard. `wasPlain`: the question had neither OPT nor AD. `mayTruncate`: the reply came over a transport that truncates. */
export function judgeReply(heard: Heard, question: Question, wasPlain: boolean, mayTruncate: boolean): Verdict {
  const orPlainly = wasPlain ? "refusal" : "plainly";
  if (heard.kind === "bare") return { kind: orPlainly, reply: emptyReply(question, heard.rcode) };
  if (heard.kind === "broken") {
    if (isAboutOpt(heard.fault) && !wasPlain) return { kind: "plainly", reply: undefined };
    if (mayTruncate) return { kind: "truncated", reply: emptyReply(question, Flag.TC) };
    return { kind: "refusal", reply: undefined };
  }
  const { reply } = heard;
  if ((reply.flags & Flag.TC) !== 0 && mayTruncate) return { kind: "truncated", reply };
  if (isAboutForm(reply)) return { kind: orPlainly, reply };
  if (refusalCodes.has(reply.rcode)) return { kind: "refusal", reply };
  if (reply.rcode === Rcode.NOERROR && isEmptyHanded(reply, question)) {
    return { kind: "refusal", reply: isDelegation(reply) ? reply : undefined };
  }
  // NXDOMAIN is an answer, and so are rcodes that say something about the name (YXDOMAIN, RFC 6672 §2.2).
  return { kind: "answer", reply };
}

/** Whether the rcode may be about the form of the question (such as OPT in it) rather than about the name. */
export function isAboutForm({ rcode }: Reply): boolean {
  return rcode === Rcode.FORMERR || rcode === Rcode.NOTIMP || rcode === Rcode.BADVERS;
}

const refusalCodes: ReadonlySet<number> = new Set([Rcode.SERVFAIL, Rcode.REFUSED, Rcode.NOTAUTH]);

function isAboutOpt(fault: number): boolean {
  return fault === Fault.optRepeated || fault === Fault.optOwner || fault === Fault.optSection;
}

/** Whether a reply is empty without being NODATA: a delegation, up or down, or a server that does not recurse (RFC 9499, "lame"). */
function isEmptyHanded({ answers, authorities, flags }: Reply, question: Question): boolean {
  if (answers.length > 0 || (flags & Flag.AA) !== 0 || !question.recursionDesired) return false;
  if (authorities.some(({ type }) => type === RrType.SOA)) return false;
  return (flags & Flag.RA) === 0 || authorities.some(({ type }) => type === RrType.NS);
}

/** Whether a reply delegates to below the root, which says where else to ask; one to the root says nothing. */
function isDelegation({ packet, authorities }: Reply): boolean {
  return authorities.some(({ type, owner }) => type === RrType.NS && readU8(packet, owner) !== 0);
}
