/*
 * Questions on their way: how one is put in flight for whoever waits, for nodens itself, or ahead of an expiry, and the bounds that
 * stand before it.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { type CacheEntry, questionOfEntry } from "../cache/entry.ts";
import type { FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";
import type { ExchangeResult } from "../upstream/exchange.ts";
import { ExtendedError } from "../wire/codes.ts";
import { type Question, questionKey } from "../wire/question.ts";
import type { Answer, ShedReason } from "./answer.ts";
import { freshAnswer, type ReplyKeeper } from "./keep-reply.ts";
import type { InFlight, SharedQuestions } from "./share-in-flight.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { Asked, AssumedFlights, Foresight } from "./step.ts";

/** What it takes to put questions in flight. */
export interface FlightParts {
  readonly cache: AnswerCache;
  readonly failures: FailureMemory;
  readonly shared: SharedQuestions;
  readonly stale: StaleAnswers;
  readonly keeper: ReplyKeeper;
  readonly clock: Clock;
  readonly counters: {
    prefetches: number;
    cachedFailures: number;
    readonly shed: Record<ShedReason, number>;
  };
  ask(question: Question): Promise<ExchangeResult>;
}

/** Puts questions in flight. No promise of it rejects. */
export interface QuestionFlights {
  /** Asks upstream and keeps what it says. In flight only for whoever called `putInFlight` around it. */
  askUpstream(question: Question): Promise<Answer>;
  /** The question on its way: the flight that is under way, or a new one. For questions of our own: no bound stands against them. */
  flightOf(question: Question, key: string): InFlight;
  /** The answer to a question of our own: from the cache, a recent failure, a flight, or upstream. */
  answerOwn(question: Question): Promise<Answer>;
  /** Puts the client's question in flight, to be answered by `answerLater`, with the client as its first waiter; or sheds it. */
  lead(asked: Asked, answerLater: () => Promise<Answer>): Answer | Promise<Answer>;
  /** Waits along for a flight, or sheds. */
  join(asked: Asked, flight: InFlight): Answer | Promise<Answer>;
  /** Which bound stands against a new question of this client. */
  boundAgainst(client: string): ShedReason | undefined;
  /** What `lead` would do to the client's question: it is shed, or undefined and assumed to be in flight. */
  foreseeLead(asked: Asked, assumed: AssumedFlights): Foresight | undefined;
  /** Fetches a hot entry again before it expires, at most once a second. */
  prefetch(entry: CacheEntry): void;
}

/** How long until a hot entry that could not be fetched ahead, or was not renewed, is tried again. */
const prefetchRetryMs = 1000;

/** Creates the flights over these parts. */
export function createQuestionFlights(parts: FlightParts): QuestionFlights {
  const { cache, failures, shared, stale, keeper, clock, counters } = parts;

  async function askUpstream(question: Question): Promise<Answer> {
    return keeper.keepResult(question, await parts.ask(question));
  }

  /** Waiters get `fresh` or, late, a stale answer; the question counts as in flight until `fresh` settles. */
  function putInFlight(question: Question, key: string, fresh: Promise<Answer>): InFlight {
    return shared.start(key, stale.preferFresh(question, fresh), fresh);
  }

  function flightOf(question: Question, key: string): InFlight {
    return shared.find(key) ?? putInFlight(question, key, askUpstream(question));
  }

  function boundAgainst(client: string): ShedReason | undefined {
    return shared.hasRoom() ? shared.boundAgainst(client) : "inflight";
  }

  /** Under a bound: a stale answer if one is held, else silence. */
  function shed(question: Question, reason: ShedReason): Answer {
    counters.shed[reason] += 1;
    return stale.find(question) ?? { kind: "dropped", reason };
  }

  function join({ question, client }: Asked, flight: InFlight): Answer | Promise<Answer> {
    const waiting = shared.wait(flight, client);
    return typeof waiting === "string" ? shed(question, waiting) : waiting;
  }

  return {
    askUpstream,
    flightOf,
    boundAgainst,
    join,
    answerOwn(question) {
      const nowMs = clock.nowMs();
      const entry = cache.findQuestion(question, nowMs);
      if (entry !== undefined) return Promise.resolve(freshAnswer(entry));
      const key = questionKey(question);
      // A recent failure holds here too, so that A and AAAA of a client come to the same end.
      const failure = failures.find(key, nowMs);
      if (failure === undefined) return flightOf(question, key).answer;
      counters.cachedFailures += 1;
      const extendedError = ExtendedError.cachedError;
      return Promise.resolve(stale.find(question) ?? { kind: "error", rcode: failure.rcode, extendedError });
    },
    lead(asked, answerLater) {
      const { question, key, client } = asked;
      // Before it is asked: a client that may not wait must not use up the flows either.
      const bound = boundAgainst(client);
      if (bound !== undefined) return shed(question, bound);
      return join(asked, putInFlight(question, key, answerLater()));
    },
    foreseeLead({ question, key, client }, assumed) {
      if (!assumed.hasRoom() || shared.boundAgainst(client) !== undefined)
        return { kind: "shed", hasStale: stale.has(question) };
      assumed.add(key);
      return undefined;
    },
    prefetch(entry) {
      const nowMs = clock.nowMs();
      const question = questionOfEntry(entry);
      const key = questionKey(question);
      // Not at every hit, whatever stands against it now.
      entry.refreshAtMs = nowMs + prefetchRetryMs;
      if (shared.find(key) !== undefined || failures.find(key, nowMs) !== undefined || !shared.hasRoom()) return;
      counters.prefetches += 1;
      flightOf(question, key);
    },
  };
}
