/*
 * Detects an upstream that leads back to nodens, directly or through other servers: nodens asks a question that only it can know. If the
 * question arrives at nodens's own listener, what it forwards comes back, and nothing is forwarded until that is no longer so.
 */
import { nameFromText } from "../wire/name-text.ts";
import { ownQuestion, type Question } from "../wire/question.ts";
import { RrType } from "../wire/codes.ts";
import { equalOctets } from "../wire/name.ts";

/** Recognises nodens's own probes. */
export interface LoopGuard {
  /** The probe for the route of `zone` (folded, wire form): a question for a name below it that nobody else knows. */
  probeFor(zone: Uint8Array): Question;
  /**
   * Whether a client's question is one of the probes. During a round this also marks the upstream as looping, but not at other times:
   * others have seen the name by then, and a client that asks for it later must not be able to stop the forwarding.
   */
  isOwnProbe(question: Question): boolean;
  /** Starts a round of probes: forgets which were seen before. */
  startRound(): void;
  /** Ends the round: from now on, `isLooping` says whether a probe was seen in it. */
  endRound(): void;
  /** Whether the upstream leads back to nodens, as far as is known. */
  isLooping(): boolean;
}

/** Creates a guard. `secret` consists of 1 to 63 random letters and digits, new for every process. */
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
