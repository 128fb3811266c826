/*
 * A question that is being asked: what is known of it, the packets that were sent for it, and how it ends.
 */
import type { Attempt, Cancel } from "../flows/attempt.ts";
import type { Flow } from "../flows/flow.ts";
import type { Heard } from "../flows/heard-reply.ts";
import type { LossReason } from "../flows/loss-reason.ts";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Question } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import type { Transport } from "../wire/transport.ts";
import type { EarlySends } from "./early-sends.ts";
import type { Path, Server } from "./server.ts";

/** What came of a question: a reply that repeats it, or why there is none. */
export type ExchangeResult = { readonly reply: Reply } | { readonly failure: LossReason };

/** Limits of an exchange (settings: upstream). */
export interface ExchangeLimits {
  readonly maxSends: number;
  /** How long until the whole exchange is given up. */
  readonly deadlineMs: number;
}

/** What an exchange took, for those who look on. */
export interface ExchangeNote {
  readonly question: Question;
  /** Who answered or, without an answer, who was asked last, and how; undefined if nobody was. */
  readonly last: { readonly address: ServerAddress; readonly transport: Transport } | undefined;
  readonly sends: number;
  readonly startedAtMs: number;
  /** Why there was no reply, if there was none. */
  readonly failure: LossReason | undefined;
}

/** What an exchange needs besides its question. */
export interface ExchangeParts {
  /** In order of preference. */
  readonly servers: readonly Server[];
  /** The transport over which they are asked first. */
  readonly transport: Transport;
  readonly limits: ExchangeLimits;
  readonly clock: Clock;
  /** Called once, at the end. */
  readonly onEnd: ((note: ExchangeNote) => void) | undefined;
}

/** One attempt at the question. */
export interface Sending extends Attempt {
  readonly asked: Exchange;
  readonly server: Server;
  readonly path: Path;
  readonly isPlain: boolean;
  readonly isEarly: boolean;
  flow: Flow | undefined;
  order: number;
  sentAtMs: number;
  isOpen: boolean;
  cancel: Cancel;
  cancelWatch: Cancel;
  /** Whether it would have been sent again early if the budget had had room. */
  wasRefusedBudget: boolean;
}

/** What is done when a flow reports about a sending: the same functions for all. */
export interface SendingEvents {
  sent(asked: Exchange, sending: Sending, flow: Flow): void;
  silent(asked: Exchange, sending: Sending): void;
  replied(asked: Exchange, sending: Sending, heard: Heard): void;
  lost(asked: Exchange, sending: Sending, reason: LossReason): void;
}

/** A question that is being asked. */
export interface Exchange extends ExchangeParts {
  readonly question: Question;
  /** Those of the server that is asked first. */
  readonly earlySends: EarlySends;
  readonly startedAtMs: number;
  cancelDeadline: Cancel;
  /** Of the few other timers that are not a sending's own. */
  cancels: readonly Cancel[];
  /** Mostly one: an array that grows takes room for many. */
  sendings: readonly Sending[];
  /** How many left. */
  sends: number;
  /** How many were lost because there was no flow at all. */
  unsent: number;
  refusals: number;
  /** The server that did not take the question as it was. */
  askedPlainly: Server | undefined;
  /** As long as `exchange` has not returned. */
  isStarting: boolean;
  isDone: boolean;
  /** The sending whose reply was the last to come. */
  answered: Sending | undefined;
  cancelHold: Cancel | undefined;
  lastFailure: LossReason;
  /** A reply that is better than none: truncated, or a refusal that a second server may overrule. */
  fallback: Reply | undefined;
  readonly events: SendingEvents;
  readonly tell: (result: ExchangeResult) => void;
}

/** For what is not to be cancelled yet. */
export const nothingToCancel = () => {};

/** Ends it, and tells what came of it, once: not before `exchange` has returned. */
export function finish(asked: Exchange, result: ExchangeResult): void {
  if (asked.isDone) return;
  asked.isDone = true;
  asked.cancelHold?.();
  asked.cancelDeadline();
  for (const cancel of asked.cancels) cancel();
  for (const sending of asked.sendings) {
    sending.cancel();
    sending.cancelWatch();
  }
  asked.onEnd?.(noteOf(asked, result));
  if (asked.isStarting) queueMicrotask(() => asked.tell(result));
  else asked.tell(result);
}

function noteOf({ question, sendings, answered, sends, startedAtMs }: Exchange, result: ExchangeResult): ExchangeNote {
  const sending = answered ?? sendings.at(-1);
  const last = sending && { address: sending.server.address, transport: sending.path.transport };
  return { question, last, sends, startedAtMs, failure: "failure" in result ? result.failure : undefined };
}

/** Ends it with the best reply so far or, without any, with the last failure. */
export function finishWithWhatThereIs(asked: Exchange): void {
  finish(asked, asked.fallback === undefined ? { failure: asked.lastFailure } : { reply: asked.fallback });
}

/** Whether one more send may leave. If not, and nothing is awaited any more, the exchange ends. */
export function maySend(asked: Exchange): boolean {
  if (asked.isDone) return false;
  if (asked.sends < asked.limits.maxSends) return true;
  if (!asked.sendings.some(({ isOpen }) => isOpen)) finishWithWhatThereIs(asked);
  return false;
}

/** Calls `action` after `delayMs`, unless the exchange ends before. */
export function callLater(asked: Exchange, delayMs: number, action: () => void): void {
  asked.cancels = [...asked.cancels, asked.clock.after(delayMs, action)];
}

/** The servers that were asked. */
export function askedServers({ sendings }: Exchange): ReadonlySet<Server> {
  return new Set(sendings.map(({ server }) => server));
}
