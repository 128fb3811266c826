/*
 * Why a question, or one sending of it, came to nothing.
 */

/** Why an attempt, or a whole exchange, came to nothing. */
export type LossReason =
  /** Nothing came in time. */
  | "timeout"
  /** Nobody listens there. */
  | "refused"
  /** The network says that there is no way. */
  | "unreachable"
  /** This node has no port, descriptor or buffer left. */
  | "exhausted"
  /** The connection ended before the answer. */
  | "closed"
  /** Too many replies that match nothing: somebody is guessing IDs. */
  | "forgery"
  /** What came answers nothing: it cannot be read, or its server does not answer for the name. */
  | "unusable"
  /** nodens itself is ending, or does not forward at all. */
  | "stopped";

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
    case "ENOMEM":
      return "exhausted";
    case "ETIMEDOUT":
      return "timeout";
    default:
      return "closed";
  }
}
