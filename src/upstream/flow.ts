/*
 * A flow is one 5-tuple to one server, hence one conntrack entry on the node: a TCP connection or a connected UDP socket. What
 * both kinds have in common.
 */
import type { Question } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";

/** Why an attempt, or a whole exchange, came to nothing. */
export type LossReason =
  /** Nothing came in time. */
  | "timeout"
  /** Nobody listens there. */
  | "refused"
  /** The network says that there is no way. */
  | "unreachable"
  /** This node has no port or descriptor left. */
  | "exhausted"
  /** The connection ended before the answer. */
  | "closed"
  /** Too many replies that match nothing: somebody is guessing IDs. */
  | "forgery"
  /** nodens itself is ending, or does not forward at all. */
  | "stopped";

/** One sending of one question. Exactly one of the two functions is called, once, unless the attempt is cancelled before. */
export interface Attempt {
  readonly question: Question;
  /** The query with ID 0. The flow sends a copy with its own ID. */
  readonly packet: Uint8Array;
  /** A well-formed reply to exactly this question. It owns its packet. */
  onReply(reply: Reply): void;
  onLost(reason: LossReason): void;
}

/** Takes an attempt back: no function of it is called any more. */
export type Cancel = () => void;

/** What a pool knows of a flow. */
export interface Flow {
  /** Sends the attempt, or keeps it until connected. Only while `isAccepting()`. */
  send(attempt: Attempt): Cancel;
  /** How many attempts wait for a reply. */
  load(): number;
  /** When the oldest waiting attempt was sent; Infinity when none waits. */
  oldestSentAtMs(): number;
  isAccepting(): boolean;
  /** Accepts no more and closes when the last waiting attempt has gone. */
  retire(): void;
  /** Closes now. Waiting attempts are lost with `reason`. */
  close(reason: LossReason): void;
}

/** Turns an error code of the system into a reason. */
export function lossReasonOf(error: NodeJS.ErrnoException): LossReason {
  switch (error.code) {
    case "ECONNREFUSED":
      return "refused";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EACCES":
    case "EPERM":
      return "unreachable";
    case "EADDRNOTAVAIL":
    case "EMFILE":
    case "ENFILE":
    case "ENOBUFS":
      return "exhausted";
    case "ETIMEDOUT":
      return "timeout";
    default:
      return "closed";
  }
}
