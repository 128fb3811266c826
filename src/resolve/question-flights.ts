/*
 * Puts questions in flight, for clients that wait, for nodens itself, or ahead of an expiry, and sheds those that a bound does not allow.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { type CacheEntry, copyEntry, questionOfEntry } from "../cache/entry.ts";
import type { FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";
import { ExtendedError } from "../wire/codes.ts";
import { type Question, questionKey } from "../wire/question.ts";
import type { Answer, ShedReason } from "./answer.ts";
import { freshAnswer, type ReplyKeeper } from "./keep-reply.ts";
import type { OnBehalf } from "./question-class.ts";
import type { QuestionSchedule } from "./schedule-questions.ts";
import type { InFlight, SharedQuestions, Tell } from "./share-in-flight.ts";
import { noteShed, type ShedCounters } from "./shed-counters.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { Asked, AssumedFlights, AssumedPlaces, Foresight, RouteTaken } from "./step.ts";
import { waitUnlessAway } from "./wait-unless-away.ts";

/** What is needed to put questions in flight. */
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
    readonly shed: ShedCounters;
  };
  readonly schedule: QuestionSchedule;
  routeOf(name: Uint8Array): RouteTaken;
  /** Whether no server that knows the name answers at present, as far as is known. */
  isAway(name: Uint8Array): boolean;
}

/** Puts questions in flight. None of its promises rejects. */
export interface QuestionFlights {
  /**
   * Asks upstream a client's question, keeps the reply, and tells the answer. Does not itself put the question in flight: call it within
   * `setInFlight`.
   */
  askUpstream(asked: Asked, tell: Tell): void;
  /** The flight of a question that no client has asked: the one that is under way, or a new one. */
  flightOf(question: Question, key: string, onBehalf: OnBehalf): InFlight;
  /** The answer to a question that a client has not asked but needs: from the cache, a recent failure, a flight, or upstream. */
  answerFor(client: string, question: Question): Promise<Answer>;
  /**
   * Puts the client's question in flight, with the client as its first waiter, or sheds it (see Step). `ask` is to call its argument once,
   * with the answer, and never before it returns.
   */
  setInFlight(asked: Asked, tell: Tell, ask: (tell: Tell) => void): Answer | "later";
  /** Adds the client to a flight's waiters, or sheds it (see Step). */
  join(asked: Asked, tell: Tell, flight: InFlight): Answer | "later";
  /** Foresees `answerFor`: if the question would be asked, it is assumed to be in flight. */
  foreseeFor(client: string, question: Question, assumed: AssumedFlights): void;
  /** Foresees what happens on the route when one more asker wants a question that is in flight. */
  foreseeHaste(question: Question, onBehalf: OnBehalf, assumed: AssumedFlights): void;
  /** The bound that a client's new question would exceed, or undefined. */
  boundAgainst(asked: Asked): ShedReason | undefined;
  /**
   * Foresees `setInFlight`: that the client's question is shed, or undefined. In that case the question is assumed to be in flight, but
   * not to have a place on its route yet.
   */
  foreseeSetInFlight(asked: Asked, assumed: AssumedFlights): Foresight | undefined;
  /** Fetches a hot entry again before it expires, at most once a second, and no more once that was in vain. */
  prefetch(entry: CacheEntry): void;
}

/** How long until another prefetch is tried for a popular entry that was not renewed. */
const prefetchRetryMs = 1000;

/**
 * What is fetched ahead must live longer than what it replaces by this share of its life. From a cache whose TTL counts down it does not:
 * the record's next life begins when this one is over, and until then every question would bring the same end.
 */
const leastGain = 0.5;

/** Creates the flights over these parts. */
export function createQuestionFlights(parts: FlightParts): QuestionFlights {
  const { cache, failures, shared, stale, keeper, clock, counters, schedule } = parts;

  const nameOfRoute = ({ name }: Question) => parts.routeOf(name).route;

  function askUpstream(question: Question, key: string, onBehalf: OnBehalf, tell: Tell): void {
    schedule.ask(question, key, onBehalf, (result) => tell(keeper.keepResult(question, key, result)));
  }

  /** Waiters get the fresh answer or, if it is late, a stale one; the question counts as in flight until the fresh one has come. */
  function putInFlight(question: Question, ask: (tell: Tell) => void): InFlight {
    const flight = shared.start(question, nameOfRoute(question));
    const tellFresh = stale.preferFresh(question, (answer) => shared.answer(flight, answer));
    ask((fresh) => {
      tellFresh(fresh);
      shared.end(flight);
    });
    return flight;
  }

  function flightOf(question: Question, key: string, onBehalf: OnBehalf): InFlight {
    const flight = shared.find(question);
    if (flight === undefined) return putInFlight(question, (tell) => askUpstream(question, key, onBehalf, tell));
    schedule.hasten(key, onBehalf);
    return flight;
  }

  function boundAgainst({ question, client }: Asked, assumed?: AssumedPlaces): ShedReason | undefined {
    const bound = shared.boundAgainst(client, nameOfRoute(question));
    return bound ?? schedule.boundAgainst(question.name, client, assumed);
  }

  /** What a shed client gets: a stale answer if there is one, otherwise nothing. */
  function shed(question: Question, reason: ShedReason): Answer {
    noteShed(counters.shed, nameOfRoute(question), "client", reason);
    return stale.find(question) ?? { kind: "dropped", reason };
  }

  function join({ question, key, client }: Asked, tell: Tell, flight: InFlight): Answer | "later" {
    // It is known where a stale answer was given while the fresh one is still awaited.
    const tellLater = flight.answer === undefined ? tell : (answer: Answer) => queueMicrotask(() => tell(answer));
    const bound = waitUnlessAway({ question, flight, client, tell: tellLater }, parts);
    if (bound !== undefined) return shed(question, bound);
    schedule.hasten(key, { class: "client", client });
    return "later";
  }

  return {
    askUpstream: ({ question, key, client }, tell) => askUpstream(question, key, { class: "client", client }, tell),
    flightOf,
    boundAgainst,
    join,
    answerFor(client, question) {
      const nowMs = clock.nowMs();
      const entry = cache.findQuestion(question, nowMs);
      if (entry !== undefined) return Promise.resolve(freshAnswer(cache.use(entry)));
      const key = questionKey(question);
      // A recent failure counts here too, so that a client's A and AAAA have the same outcome.
      const failure = failures.find(key, nowMs);
      if (failure === undefined) return shared.answerOf(flightOf(question, key, { class: "client", client }));
      counters.cachedFailures += 1;
      const extendedError = ExtendedError.cachedError;
      return Promise.resolve(stale.find(question) ?? { kind: "error", rcode: failure.rcode, extendedError });
    },
    foreseeFor(client, question, assumed) {
      const nowMs = clock.nowMs();
      const key = questionKey(question);
      if (cache.findQuestion(question, nowMs) !== undefined || assumed.has(question)) return;
      if (failures.peek(key, nowMs) !== undefined) return;
      assumed.add(question);
      const { route } = parts.routeOf(question.name);
      if (schedule.boundAgainst(question.name, client, assumed.placesOn(route)) === undefined)
        assumed.takePlaceOn(route, "added");
    },
    foreseeHaste(question, onBehalf, assumed) {
      const place = schedule.placeTakenBy(questionKey(question), onBehalf);
      if (place !== undefined) assumed.takePlaceOn(nameOfRoute(question), place);
    },
    setInFlight(asked, tell, ask) {
      const { question } = asked;
      // Checked before asking: a client that may not wait must not use up the flows either.
      const bound = boundAgainst(asked);
      if (bound !== undefined) return shed(question, bound);
      return join(asked, tell, putInFlight(question, ask));
    },
    foreseeSetInFlight(asked, assumed) {
      const { question } = asked;
      if (boundAgainst(asked, assumed.placesOn(nameOfRoute(question))) !== undefined)
        return { kind: "shed", stale: stale.verdict(question) };
      assumed.add(question);
      return undefined;
    },
    prefetch(entry) {
      const nowMs = clock.nowMs();
      const question = questionOfEntry(entry);
      const key = questionKey(question);
      // Set first, so that not every hit tries again, whatever the outcome.
      cache.setRefresh(question, nowMs + prefetchRetryMs);
      if (shared.find(question) !== undefined || failures.find(key, nowMs) !== undefined) return;
      counters.prefetches += 1;
      // A hit has no promises, so that nothing else continues those of opening a flow.
      clock.afterIo(() => {});
      const before = copyEntry(entry);
      putInFlight(question, (tell) => {
        askUpstream(question, key, { class: "prefetch", client: "" }, (answer) => {
          tell(answer);
          if (answer.kind === "message" && isInVain(before, answer.entry)) cache.setRefresh(question, Infinity);
        });
      });
    },
  };
}

/** Whether fetching ahead has brought too little: then what is there by now is not fetched ahead again. */
function isInVain(before: CacheEntry, fetched: CacheEntry): boolean {
  const lifeMs = before.expiresAtMs - before.storedAtMs;
  return fetched.expiresAtMs - before.expiresAtMs <= leastGain * lifeMs;
}
