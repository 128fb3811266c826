/* Settings for what nodens remembers of queries, to tell who waits and why. */
import { group, oneOf, wholeNumber } from "./setting-kinds.ts";

/** The group `seen`. */
export const seen = group("What is remembered of clients' queries, in memory only. docs/see.md says how it is shown.", {
  recordedQueries: wholeNumber("", {
    default: 65_536,
    between: [0, 1_048_576],
    effect: "restart",
    help: "How many of the last queries are recorded, rounded up to a power of 2. 32 bytes each, and 1.5 MiB for their names. 0 records none.",
  }),
  names: oneOf(["off", "hashed", "on"], {
    default: "on",
    effect: "restart",
    help: "How names are told: as they are, as a hash that differs from process to process, or not at all. They are told on loopback only.",
  }),
});
