/*
 * An upstream that leads back to us, directly or through somebody else, is found by a question that only we can know: if it
 * comes in at our own listener, what we forward comes back. Then nothing is forwarded until it no longer does.
 */
import { nameFromText } from "../wire/name-text.ts";
import { ownQuestion, type Question } from "../wire/question.ts";
import { RrType } from "../wire/codes.ts";
import { equalOctets } from "../wire/name.ts";

/** Recognises our own probes. */
export interface LoopGuard {
  /** The probe for the route of a zone (folded, wire form): a name below it that nobody else knows. */
  probeFor(zone: Uint8Array): Question;
  /**
   * Whether a client's question is one of our probes. Remembers that it was seen, but only during a round: others have seen the
   * name by then, and one who asks it later must not stop the forwarding.
   */
  isOwnProbe(question: Question): boolean;
  /** Forgets what was seen: a round of probes begins. */
  startRound(): void;
  /** The round is over: from now on looping is whether a probe was seen in it. */
  endRound(): void;
  isLooping(): boolean;
}

/** Creates a guard. `secret` is a random text of letters and digits, at most 63, new for every process. */
export function createLoopGuard(secret: string): LoopGuard {
  const label = Uint8Array.from([secret.length, ...new TextEncoder().encode(secret.toLowerCase())]);
  const marker = nameFromText("nodens-loop-probe") ?? Uint8Array.of(0);
  let isRound = false;
  let isSeen = false;
  let isLooping = false;
  return {
    probeFor: (zone) => ownQuestion(Uint8Array.from([...label, ...marker.subarray(0, -1), ...zone]), RrType.HINFO),
    isOwnProbe(question) {
      if (question.type !== RrType.HINFO) return false;
      const isOurs = question.name.length > label.length && equalOctets(question.name, 0, label);
      if (isOurs && isRound) {
        isSeen = true;
        isLooping = true;
      }
      return isOurs;
    },
    startRound() {
      isRound = true;
      isSeen = false;
    },
    endRound() {
      isRound = false;
      isLooping = isSeen;
    },
    isLooping: () => isLooping,
  };
}
