/* Settings of `limits`: what nodens holds at once under overload. */
import { group, wholeNumber } from "./setting-kinds.ts";

/** The group `limits`. */
export const limits = group("Bounds under overload. nodens always gives answers from the cache.", {
  maxInFlight: wholeNumber("questions", {
    default: 4096,
    between: [1, 1_000_000],
    effect: "live",
    help: "Different questions under way to the upstream at once.",
  }),
  maxWaiters: wholeNumber("clients", {
    default: 16_384,
    between: [1, 1_000_000],
    effect: "live",
    help: "Client queries that wait for the upstream, in total.",
  }),
  maxWaitersPerQuestion: wholeNumber("clients", {
    default: 1000,
    between: [1, 1_000_000],
    effect: "live",
    help: "Client queries that wait for the same question.",
  }),
  maxWaitersPerClient: wholeNumber("queries", {
    default: 1024,
    between: [1, 1_000_000],
    effect: "live",
    help: "Waiting queries of one client address, so that one pod cannot starve the others.",
  }),
});
