/*
 * What can be wrong with a message, as values. A parser whose result is an offset or a size returns one of these negative numbers
 * instead, so that one integer carries both.
 */

/** Everything that can be wrong with a message. Each fault has at least one packet in test/fixtures/malformed/. */
export const Fault = {
  /** Fewer than the 12 octets of a header. */
  shortHeader: -1,
  /** QR marks a reply where a query is expected, or the reverse. */
  wrongDirection: -2,
  /** An opcode other than QUERY (RFC 8906 §8.1.4). */
  opcode: -3,
  /** QDCOUNT is not 1 (RFC 9619). */
  questionCount: -4,
  /** A name, a type or a class runs past the end. */
  questionTruncated: -5,
  /** A compression pointer where none is allowed: in the question, forward, to itself, or into the header. */
  pointer: -6,
  /** A label of type 01 or 10 (RFC 6891 §5 retired the only one that had a use). */
  labelType: -7,
  /** A name longer than 255 octets (RFC 1035 §2.3.4). */
  nameTooLong: -8,
  /** A query with records in its answer or authority section. */
  recordsInQuery: -9,
  /** A record runs past the end, or the counts promise more records than there are. */
  recordTruncated: -10,
  /** More than one OPT record (RFC 6891 §6.1.1). */
  optRepeated: -11,
  /** An OPT record whose owner is not the root (RFC 6891 §6.1.2). */
  optOwner: -12,
  /** An OPT record outside the additional section (RFC 6891 §6.1.1). */
  optSection: -13,
  /** OPT options that do not fill their record exactly (RFC 6891 §6.1.2). */
  optOptions: -14,
} as const;

/** One of the values of Fault. */
export type FaultCode = (typeof Fault)[keyof typeof Fault];

/** The names of all faults, for metrics and logs: `faultNames[-fault]`. Index 0 is unused. */
export const faultNames: readonly string[] = [
  "none",
  ...Object.entries(Fault)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name]) => name),
];
