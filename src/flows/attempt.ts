/*
 * One sending of one question: what a flow is given, and what the flow reports about it.
 */
import type { Question } from "../wire/question.ts";
import type { Flow } from "./flow.ts";
import type { Heard } from "./heard-reply.ts";
import type { LossReason } from "./loss-reason.ts";

/** One sending of one question. Its functions are called as its methods. Exactly one of `onReply` and `onLost` is called, once, unless the attempt is cancelled first. */
export interface Attempt {
  readonly question: Question;
  /** The query. It belongs to the flow that sends it, which gives it an ID. */
  readonly packet: Uint8Array;
  /** Whether this is one of nodens's own questions: an answer shows that the flow is alive, and nothing about clients' questions on it. */
  readonly isOwn?: boolean;
  /** The attempt has left, or will as soon as the flow is connected. Not called if the attempt is lost before that. */
  onSent(flow: Flow): void;
  /** The flow owes answers and has been silent for too long: the question had better be asked elsewhere. The answer may still come. */
  onSilent(): void;
  /** Something came in answer. The packet in it belongs to the receiver. */
  onReply(heard: Heard): void;
  /** No answer will come on this flow. */
  onLost(reason: LossReason): void;
}

/** Cancels an attempt: none of its functions is called any more. Cancelling again, or too late, does nothing. */
export type Cancel = () => void;
