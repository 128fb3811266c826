/*
 * A question leaves on a flow and its reply finds it again: an ID is picked and written, the reply is matched and parsed.
 */
import { createWaitingAttempts } from "../../src/flows/waiting-attempts.ts";
import { composeQuery, questionOf } from "../../src/wire/question.ts";
import { readLookup } from "./read-lookup.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";

/** So many other questions wait on the flow. */
const othersWaiting = 200;

const sentAtMs = 1000;

const noteMatch = () => {};

/** A reply that is awaited, and one that nobody waits for. */
export const cases: HotCases = ({ mixed }) => {
  const waiting = createWaitingAttempts(() => {});
  let replied: unknown;
  const asked = mixed.map(({ plainQuery, reply }) => {
    const question = questionOf(readLookup(plainQuery));
    const onReply = (heard: unknown) => void (replied = heard);
    const nothing = { onSent() {}, onSilent() {}, onLost() {} };
    return { reply, attempt: { question, packet: composeQuery(question), onReply, ...nothing } };
  });
  for (const { attempt } of asked.slice(0, othersWaiting)) waiting.add(attempt, sentAtMs);

  function sendAndMatch(turn: number): unknown {
    const { attempt, reply } = itemFor(asked, turn);
    const { id } = waiting.add(attempt, sentAtMs);
    reply[0] = id >> 8;
    reply[1] = id & 0xff;
    return waiting.match(reply, noteMatch);
  }

  const stray = itemFor(asked, 0).reply.slice();
  const matchStray = () => waiting.match(stray, noteMatch);
  checkTurns("a reply is matched", asked.length, (turn) => {
    replied = undefined;
    return sendAndMatch(turn) === "answered" && replied !== undefined;
  });
  while (matchStray() === "answered") stray[1] = ((stray[1] as number) + 1) & 0xff;
  return { "sent and answered": sendAndMatch, "awaited by nobody": matchStray };
};
