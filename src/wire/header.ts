/*
 * The header of a message (RFC 1035 §4.1.1, RFC 2535 §6.1 for AD and CD):
 *
 *      0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
 *    +-----------------------------------------------+   octet
 *    |                      ID                       |    0
 *    |QR|   opcode  |AA|TC|RD|RA| Z|AD|CD|   rcode   |    2   "the flags"
 *    |                    QDCOUNT                    |    4
 *    |                    ANCOUNT                    |    6
 *    |                    NSCOUNT                    |    8
 *    |                    ARCOUNT                    |   10
 *    +-----------------------------------------------+
 */

/** Size of a header, and the offset of the question that follows it. */
export const headerSizeBytes = 12;

/** Size of the largest message: the most that a TCP length prefix can state (RFC 1035 §4.2.2). */
export const maxMessageSizeBytes = 65_535;

/** Offsets of the header's fields. */
export const HeaderOffset = {
  id: 0,
  flags: 2,
  questionCount: 4,
  answerCount: 6,
  authorityCount: 8,
  additionalCount: 10,
};

/** Bits of the flags field. */
export const Flag = {
  QR: 0x8000,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  Z: 0x0040,
  AD: 0x0020,
  CD: 0x0010,
} as const;

/** The opcode's bits in the flags field. */
export const opcodeMask = 0x7800;

/** The rcode's bits in the flags field: the lower four of the response code. */
export const rcodeMask = 0x000f;
