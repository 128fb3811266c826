/*
 * The question with which nodens finds out whether its own sockets answer: `nodens-health.Z` for HINFO, Z being the cluster zone.
 * Every nodens process on the address answers it where it comes in, without cache or upstream, and the reply tells which process it
 * was. From a process that does not know the question comes the zone's denial, as for any name, which is an answer too.
 *
 * Only this machine may ask it, so that no client's traffic can use it to hide from the metrics.
 */
import { hasSameHost, type SocketAddress } from "../runtime/socket-address.ts";
import { RrType } from "../wire/codes.ts";
import { headerSizeBytes } from "../wire/header.ts";
import { equalOctets } from "../wire/name.ts";
import { wireName } from "../wire/name-text.ts";
import type { ClientQuery } from "../wire/query.ts";
import { ownQuestion, type Question } from "../wire/question.ts";
import { composeRecord } from "../wire/record.ts";
import { composeOwnReply } from "../wire/shape-reply.ts";

/**
 * The first labels of the names that nodens asks itself, in the zone's front: that of the health question, whose reply holds the node's
 * switch to kube-dns; of the same question that leaves the switch alone; and of the one which the node's rules send on to kube-dns, as they
 * do with pods' questions while nodens is away.
 */
export const ownLabels = { health: "nodens-health", watch: "nodens-watch", away: "nodens-away" } as const;

/** The question and its answer, for one process. */
export interface HealthQuestion {
  readonly question: Question;
  /** The same for a nodens that wants to know of its sockets, and may be unfit for pods: no rule of the node goes by its reply. */
  readonly watch: Question;
  /** The question that the node's rules send on to kube-dns. A nodens that gets it all the same treats it as any other. */
  readonly away: Question;
  /** Whether `query`, of type HINFO, is one of these two and `client` may ask it at the socket `own`: only from that same host. */
  isAsked(query: ClientQuery, client: SocketAddress, own: SocketAddress): boolean;
  /** Writes the reply to `query` into `target` (room for 600 octets) and returns its size. */
  answer(target: Uint8Array, query: ClientQuery): number;
  /** Whether a reply that repeats the question came from this process. */
  isOwnAnswer(reply: Uint8Array): boolean;
}

/**
 * Creates it for the cluster zone (folded, wire form). `instance` is what tells processes apart: random letters and digits, at most 63,
 * new for every process.
 */
export function createHealthQuestion(zone: Uint8Array, instance: string): HealthQuestion {
  const [question, watch, away] = ([ownLabels.health, ownLabels.watch, ownLabels.away] as const).map((label) =>
    ownQuestion(Uint8Array.from([...wireName(label).subarray(0, -1), ...zone]), RrType.HINFO),
  ) as [Question, Question, Question];
  const names = [question.name, watch.name];
  // CPU and OS, each a character string (RFC 1035 §3.3.2). The owner is a pointer to the question; TTL 0, for nobody should keep it.
  const data = Uint8Array.from([...characterString("nodens"), ...characterString(instance)]);
  const record = composeRecord(Uint8Array.of(0xc0, 12), RrType.HINFO, 0, data);
  return {
    question,
    watch,
    away,
    isAsked({ name: asked }, client, own) {
      const isOurs = names.some((name) => asked.sizeBytes === name.length && equalOctets(asked.octets, 0, name));
      return isOurs && hasSameHost(client, own);
    },
    answer: (target, query) => composeOwnReply(target, query, record),
    isOwnAnswer: (reply) => names.some((name) => equalOctets(reply, headerSizeBytes + name.length + 4, record)),
  };
}

function characterString(text: string): Uint8Array {
  return Uint8Array.from([text.length, ...new TextEncoder().encode(text)]);
}
