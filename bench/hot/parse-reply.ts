/*
 * An upstream's reply is read whole: `parseReply`.
 */
import { parseReply } from "../../src/wire/reply.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";
import type { Lookup } from "./inputs.ts";

/** A Service, the mix of a node, and 13 addresses. */
export const cases: HotCases = ({ small, mixed, large }) => {
  function parser(lookups: readonly Lookup[]) {
    const parse = (turn: number) => parseReply(itemFor(lookups, turn).reply);
    checkTurns("a reply is parsed", lookups.length, (turn) => typeof parse(turn) !== "number");
    return parse;
  }
  return { "1 address": parser(small), mix: parser(mixed), "13 addresses": parser(large) };
};
