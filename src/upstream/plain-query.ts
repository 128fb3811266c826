/*
 * A query with nothing in it that the client did not ask for: no OPT record, no AD.
 */
import { optSizeBytes } from "../wire/edns.ts";
import { Flag, HeaderOffset } from "../wire/header.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import { composeQuery, type Question } from "../wire/question.ts";

/** A new array with the plain query for a question; its ID is 0, to be filled in. Without OPT there is no DO either. */
export function composePlainQuery(question: Question): Uint8Array {
  const query = composeQuery(question);
  const plain = query.slice(0, query.length - optSizeBytes);
  writeU16(plain, HeaderOffset.flags, readU16(plain, HeaderOffset.flags) & ~Flag.AD);
  writeU16(plain, HeaderOffset.additionalCount, 0);
  return plain;
}
