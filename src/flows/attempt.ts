/*
 * One sending of one question: what a flow is given, and what it tells about it.
 */
import type { Question } from "../wire/question.ts";
import type { Flow } from "./flow.ts";
import type { Heard } from "./heard-reply.ts";
import type { LossReason } from "./loss-reason.ts";

/** One sending of one question. Exactly one of `onReply` and `onLost` is called, once, unless the attempt is cancelled before. */
export interface Attempt {
  readonly question: Question;
  /** The query with ID 0. The flow sends a copy with its own ID. */
  readonly packet: Uint8Array;
  /** A question of nodens's own: an answer says that the flow lives, and nothing of what clients ask on it. */
  readonly isOwn?: boolean;
  /** It left, or leaves as soon as the flow is connected. Not called for one that is lost before. */
  onSent(flow: Flow): void;
  /** Its flow owes answers and has been silent for too long: the question is better asked elsewhere. The answer may still come. */
  onSilent(): void;
  /** What was heard in answer. It owns its packet. */
  onReply(heard: Heard): void;
  onLost(reason: LossReason): void;
}

/** Takes an attempt back: no function of it is called any more. */
export type Cancel = () => void;
