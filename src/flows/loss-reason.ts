/*
 * Why a question, or one attempt at it, came to nothing.
 */

/** Why an attempt, or a whole exchange, came to nothing. */
export type LossReason =
  /** Nothing came in time. */
  | "timeout"
  /** Nothing listens there. */
  | "refused"
  /** The network says that there is no route, or a firewall refuses. */
  | "unreachable"
  /** This node has no port, descriptor or buffer left. */
  | "exhausted"
  /** The connection ended before the answer. */
  | "closed"
  /** Too many replies matched nothing: somebody is guessing IDs. */
  | "forgery"
  /** What came is not an answer: it cannot be read, or the server does not answer for the name. */
  | "unusable"
  /** nodens itself is ending, or does not forward at all. */
  | "stopped";

/** Whether only the datagram that was to leave is lost: a full buffer or a firewall's refusal is about one, a closed port about the flow. */
export function isOfOneDatagram(reason: LossReason): boolean {
  return reason === "exhausted" || reason === "unreachable";
}

/** Turns a system error into a reason; "closed" for a code that it does not know. */
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
    case "ENOMEM":
      return "exhausted";
    case "ETIMEDOUT":
      return "timeout";
    default:
      return "closed";
  }
}
