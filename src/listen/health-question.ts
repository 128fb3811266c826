/*
 * The question by which nodens finds out whether its own sockets are answered: `nodens-health.Z` for HINFO, Z being the cluster zone.
 * It is answered where it comes in, by every process of nodens on the address, and with nothing but what that process has by itself:
 * neither cache nor upstream. The reply tells which process it was. A process that does not know the question has it denied by the
 * zone, as any name, which is an answer too.
 *
 * Only this machine may ask it: no client's traffic hides from the metrics behind it.
 */
import { addressOctets } from "../runtime/server-address.ts";
import { RrType } from "../wire/codes.ts";
import { headerSizeBytes } from "../wire/header.ts";
import { equalOctets } from "../wire/name.ts";
import { wireName } from "../wire/name-text.ts";
import type { ClientQuery } from "../wire/query.ts";
import { ownQuestion, type Question } from "../wire/question.ts";
import { composeRecord } from "../wire/record.ts";
import { composeOwnReply } from "../wire/shape-reply.ts";

/** The question and its answer, for one process. */
export interface HealthQuestion {
  readonly question: Question;
  /** Whether `client` asks it at `host`, which it may do from that very address. For queries of type HINFO only. */
  isAsked(query: ClientQuery, client: string, host: string): boolean;
  /** Writes the answer into `target` (room for 600 octets) and returns its size. */
  answer(target: Uint8Array, query: ClientQuery): number;
  /** Whether a reply that repeats the question is this process's. */
  isOwnAnswer(reply: Uint8Array): boolean;
}

/** Creates it for the cluster zone (folded, wire form). `instance`: random letters and digits, at most 63, new for every process. */
export function createHealthQuestion(zone: Uint8Array, instance: string): HealthQuestion {
  const question = ownQuestion(Uint8Array.from([...wireName("nodens-health").subarray(0, -1), ...zone]), RrType.HINFO);
  const { name } = question;
  // CPU and OS, each a character string (RFC 1035 §3.3.2). The owner is a pointer to the question; nobody is to keep it.
  const data = Uint8Array.from([...characterString("nodens"), ...characterString(instance)]);
  const record = composeRecord(Uint8Array.of(0xc0, 12), RrType.HINFO, 0, data);
  return {
    question,
    isAsked({ name: asked }, client, host) {
      if (asked.sizeBytes !== name.length || !equalOctets(asked.octets, 0, name)) return false;
      return isSameHost(client, host);
    },
    answer: (target, query) => composeOwnReply(target, query, record),
    isOwnAnswer: (reply) => equalOctets(reply, headerSizeBytes + name.length + 4, record),
  };
}

function characterString(text: string): Uint8Array {
  return Uint8Array.from([text.length, ...new TextEncoder().encode(text)]);
}

/** Whether both addresses, in any spelling, are one: what comes from there was sent by the machine itself. */
export function isSameHost(client: string, host: string): boolean {
  return client === host || addressOctets(client).join() === addressOctets(host).join();
}
