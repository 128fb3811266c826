/*
 * nodens as its own client: only an answer proves that pods get answers.
 */
import { randomInt } from "node:crypto";
import { askOnce } from "../runtime/ask-once.ts";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { HeaderOffset } from "../wire/header.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import { composeQuery } from "../wire/question.ts";
import { repeatsQuestion } from "../wire/reply.ts";
import type { HealthQuestion } from "./health-question.ts";

/** Which process answered: this one, or another one that shares the address, as in a rolling update. */
export type Answerer = "self" | "other";

/** How to ask. */
interface AskOptions {
  readonly protocol: "udp" | "tcp";
  readonly timeoutMs: number;
}

/**
 * Asks `address` the health question, from that same address and over a socket of its own. Resolves with the process that replied in
 * time, whatever the rcode, or with undefined if none did. Never rejects.
 */
export async function askOwnSocket(
  address: ServerAddress,
  { question, isOwnAnswer }: Pick<HealthQuestion, "question" | "isOwnAnswer">,
  { protocol, timeoutMs }: AskOptions,
  clock: Clock,
): Promise<Answerer | undefined> {
  const packet = composeQuery(question);
  const id = randomInt(1, 0xffff);
  writeU16(packet, HeaderOffset.id, id);
  function isReply(message: Uint8Array): boolean {
    const isOurs = message.length > 1 && readU16(message, HeaderOffset.id) === id;
    return isOurs && repeatsQuestion(message, question.name, question.type, question.class);
  }
  // Left to itself, the kernel would use an interface's primary address to ask its secondary one.
  const outcome = await askOnce(packet, { server: address, protocol, timeoutMs, clock, from: address.host, isReply });
  if (!("message" in outcome)) return undefined;
  return isOwnAnswer(outcome.message) ? "self" : "other";
}
