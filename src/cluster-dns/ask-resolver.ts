/*
 * Asks one resolver one question: octets out, octets in, nothing decoded.
 */
import { askOnce } from "../runtime/ask-once.ts";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Protocol, Query } from "./dns-message.ts";

/** Where and how to ask. */
export interface Exchange {
  readonly resolver: ServerAddress;
  readonly protocol: Protocol;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** When it is aborted, the exchange ends at once, without a reply. */
  readonly signal: AbortSignal;
}

/**
 * Sends `message`, which has the question of `query` and a fresh ID, and waits for the reply with the same ID and question; names are
 * compared case-insensitively (RFC 5452 §9.1). Undefined when none came in time; never rejects. The caller owns the reply.
 */
export async function askResolver(message: Buffer, query: Query, exchange: Exchange): Promise<Buffer | undefined> {
  const { resolver: server, ...how } = exchange;
  const outcome = await askOnce(message, { ...how, server, isReply: (reply) => isReplyTo(message, query, reply) });
  return "message" in outcome ? outcome.message : undefined;
}

function isReplyTo(message: Buffer, query: Query, reply: Buffer): boolean {
  if (reply.length < query.questionEnd || reply.readUInt16BE(0) !== message.readUInt16BE(0)) return false;
  const isResponse = (reply.readUInt16BE(2) & 0x8000) !== 0 && reply.readUInt16BE(4) === 1;
  const question = (bytes: Buffer) => bytes.toString("latin1", 12, query.questionEnd - 4).toLowerCase();
  const typeAndClass = (bytes: Buffer) => bytes.readUInt32BE(query.questionEnd - 4);
  return isResponse && question(reply) === question(message) && typeAndClass(reply) === typeAndClass(message);
}
