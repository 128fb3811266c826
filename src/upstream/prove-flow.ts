/*
 * Proves by one of nodens's own questions that a flow carries questions and answers, before any client's question depends on it. If a
 * question with OPT gets no answer, a plain one is tried: something on the way may swallow OPT.
 */
import type { Clock } from "../runtime/clock.ts";
import { composeQuery, type Question } from "../wire/question.ts";
import type { Attempt, Cancel } from "../flows/attempt.ts";
import type { EdnsMemory } from "./edns-memory.ts";
import type { Flow } from "../flows/flow.ts";
import { composePlainQuery } from "./plain-query.ts";
import { isAboutForm } from "./reply-verdict.ts";
import type { RoundTrip } from "../flows/round-trip.ts";
import { transports } from "./transport.ts";

/** What a proof needs. */
export interface ProofParts {
  readonly question: Question;
  readonly edns: EdnsMemory;
  readonly roundTrip: RoundTrip;
  readonly clock: Clock;
}

/**
 * Asks with OPT on a flow that is known to work, of a server that is asked plainly: whether that may end. What is lost here counts as
 * swallowed, which costs nobody more than a few minutes of plain questions.
 */
export function retryEdns(flow: Flow, { question, edns, roundTrip, clock }: ProofParts): void {
  let isDone = false;

  function finish(hasWorked: boolean): void {
    if (isDone) return;
    isDone = true;
    cancelTimer();
    if (hasWorked) edns.noteWorked();
    else edns.noteRetryFailed();
  }

  const cancelTimer = clock.after(4 * roundTrip.patienceMs(), () => clock.afterIo(giveUp));
  const cancel = flow.send({
    question,
    isOwn: true,
    packet: composeQuery(question),
    onSent() {},
    onSilent() {},
    onReply: (heard) => finish(heard.kind === "whole" && !isAboutForm(heard.reply)),
    onLost: () => finish(false),
  });

  function giveUp(): void {
    if (!isDone) cancel();
    finish(false);
  }
}

/** The last wait: a server may be slow without being dead. Other flows are tried long before this is over. */
const graceMs = 2000;

/** Asks on `flow`. `onDone` is called once, with whether anything came, unless the proof is cancelled first. It may be called at once. */
export function proveFlow(flow: Flow, parts: ProofParts, onDone: (isProven: boolean) => void): Cancel {
  const { question, edns, roundTrip, clock } = parts;
  const cancels = new Set<Cancel>();
  // A lost datagram stays lost; on a connection the kernel sends again.
  const mostAsked = transports[flow.transport].isInOrder ? 2 : 3;
  let isDone = false;
  let asked = 0;
  let waitMs = roundTrip.patienceMs();

  function cancel(): void {
    isDone = true;
    for (const each of cancels) each();
  }

  function finish(isProven: boolean): void {
    if (isDone) return;
    cancel();
    onDone(isProven);
  }

  function ask(isPlain: boolean): void {
    const attempt: Attempt = {
      question,
      isOwn: true,
      packet: isPlain ? composePlainQuery(question) : composeQuery(question),
      onSent() {},
      onSilent() {},
      onReply(heard) {
        if (isDone) return;
        if (!isPlain && heard.kind === "whole" && heard.reply.hasEdns) edns.noteWorked();
        if (isPlain && edns.mayUse()) confirm();
        else finish(true);
      },
      onLost: () => finish(false),
    };
    cancels.add(flow.send(attempt));
    asked += 1;
    waitMs = asked < mostAsked ? Math.min(2 * waitMs, graceMs) : graceMs;
    cancels.add(
      clock.after(asked === 1 ? roundTrip.patienceMs() : waitMs, () => clock.afterIo(() => onTimeout(isPlain))),
    );
  }

  /** The packet with OPT may only have been lost: OPT is tried once more, on this flow, which is now known to work. */
  function confirm(): void {
    finish(true);
    const onConfirmed = () => {
      if (flow.isAccepting() && edns.mayUse()) edns.notePlainHelped();
    };
    const cancelTimer = clock.after(roundTrip.patienceMs(), () => clock.afterIo(onConfirmed));
    flow.send({
      question,
      isOwn: true,
      packet: composeQuery(question),
      onSent() {},
      onSilent() {},
      onReply: () => cancelTimer(),
      onLost: () => cancelTimer(),
    });
  }

  function onTimeout(wasPlain: boolean): void {
    if (isDone) return;
    if (asked < mostAsked) ask(!wasPlain || !edns.mayUse());
    else finish(false);
  }

  ask(!edns.mayUse());
  return cancel;
}
