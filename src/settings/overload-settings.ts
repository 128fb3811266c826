/* Settings of `limits`: what nodens holds at once under overload. */
import { group, wholeNumber } from "./setting-kinds.ts";

/** The group `limits`. */
export const limits = group("Bounds under overload. nodens always gives answers from the cache.", {
  maxInFlight: wholeNumber("questions", {
    default: 2048,
    between: [1, 1_000_000],
    effect: "live",
    help: "Different questions of clients on one route (the cluster zone, its reverse zones, each stub domain, everything else), asked or waiting for their turn. On a full route, whoever has most gives way to whoever has less.",
  }),
  maxWaiters: wholeNumber("clients", {
    default: 8192,
    between: [1, 1_000_000],
    effect: "live",
    help: "Client queries that wait for answers of one route. No client has more of them than it leaves free.",
  }),
  maxWaitersPerClient: wholeNumber("queries", {
    default: 4096,
    between: [1, 1_000_000],
    effect: "live",
    help: "Queries of one client address that wait, on all routes.",
  }),
});
