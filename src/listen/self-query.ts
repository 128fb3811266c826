/*
 * nodens as its own client: the only proof that pods are answered is an answer.
 */
import { randomInt } from "node:crypto";
import { askOnce } from "../runtime/ask-once.ts";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { HeaderOffset } from "../wire/header.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import { composeQuery, type Question } from "../wire/question.ts";
import { repeatsQuestion } from "../wire/reply.ts";

/** How to ask. */
interface AskOptions {
  readonly protocol: "udp" | "tcp";
  readonly timeoutMs: number;
}

/** Asks `address` from a socket of its own. Whether a reply to the question, of any rcode, came in time. Never rejects. */
export async function askOwnSocket(
  address: ServerAddress,
  question: Question,
  { protocol, timeoutMs }: AskOptions,
  clock: Clock,
): Promise<boolean> {
  const packet = composeQuery(question);
  const id = randomInt(1, 0xffff);
  writeU16(packet, HeaderOffset.id, id);
  function isReply(message: Uint8Array): boolean {
    const isOurs = message.length > 1 && readU16(message, HeaderOffset.id) === id;
    return isOurs && repeatsQuestion(message, question.name, question.type, question.class);
  }
  const outcome = await askOnce(packet, { server: address, protocol, timeoutMs, clock, isReply });
  return "message" in outcome;
}
