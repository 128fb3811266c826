/*
 * Property tests of wire/: how long they may take, and what they draw.
 */
import fc from "fast-check";
import { buildMessage, join, type MessageSpec, type RecordSpec, toQuestion } from "./build-message.ts";

/** Few runs and little time, so that the folder stays quick. A failure prints its seed. */
export const timeBoxed = { numRuns: 300, interruptAfterTimeLimit: 1_000, markInterruptAsFailure: false } as const;

/** Up to five labels of any octets, in wire form: 81 octets at most. */
export const anyName: fc.Arbitrary<Uint8Array> = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 15 }), { maxLength: 5 })
  .map((labels) => join(...labels.map((label) => join(Uint8Array.of(label.length), label)), Uint8Array.of(0)));

/** A record other than OPT, owned by the question's name or by one of its own. */
const anyRecord: fc.Arbitrary<RecordSpec> = fc.record({
  owner: fc.oneof(fc.constant(toQuestion), anyName),
  type: fc.integer({ min: 0, max: 0xffff }).filter((type) => type !== 41),
  ttl: fc.oneof(fc.integer({ min: 0, max: 604_800 }), fc.nat(0xffff_ffff)),
  data: fc.uint8Array({ maxLength: 80 }),
});

/** A well-formed reply without OPT, of anything from no records to well over 1232 octets. */
export const anyReplySpec: fc.Arbitrary<MessageSpec & { name: Uint8Array }> = fc.record({
  id: fc.nat(0xffff),
  flags: fc.nat(0xffff).map((flags) => (flags & ~0x7800) | 0x8000),
  name: anyName,
  type: fc.nat(0xffff),
  answers: fc.array(anyRecord, { maxLength: 20 }),
  authorities: fc.array(anyRecord, { maxLength: 4 }),
  additionals: fc.array(anyRecord, { maxLength: 4 }),
});

/** A well-formed query with or without OPT. */
export const anyQueryPacket: fc.Arbitrary<Uint8Array> = fc
  .record({
    id: fc.nat(0xffff),
    flags: fc.nat(0xffff).map((flags) => flags & ~0xf800),
    name: anyName,
    type: fc.nat(0xffff),
    class: fc.nat(0xffff),
    opt: fc.option(
      fc.record({ udpSize: fc.nat(0xffff), ttl: fc.nat(0xffff_ffff), option: fc.uint8Array({ maxLength: 20 }) }),
    ),
  })
  .map(({ opt, ...spec }) => {
    if (opt === null) return buildMessage(spec);
    const data = join(Uint8Array.of(0, 10, 0, opt.option.length), opt.option);
    return buildMessage({
      ...spec,
      additionals: [{ owner: Uint8Array.of(0), type: 41, class: opt.udpSize, ttl: opt.ttl, data }],
    });
  });

/** `packets`, each with up to four octets changed, a piece removed or repeated, or its end cut off. */
export function mutated(packets: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const position = fc.double({ min: 0, max: 1, noNaN: true });
  const change = fc.record({
    kind: fc.constantFrom("set", "set", "set", "remove", "repeat", "cut"),
    at: position,
    size: fc.integer({ min: 1, max: 40 }),
    octet: fc.oneof(fc.nat(0xff), fc.constantFrom(0, 1, 0x29, 0x3f, 0x40, 0x80, 0xc0, 0xff)),
  });
  return fc.tuple(packets, fc.array(change, { minLength: 1, maxLength: 4 })).map(([packet, changes]) => {
    let octets: Uint8Array = packet.slice();
    for (const { kind, at, size, octet } of changes) {
      const offset = Math.min(octets.length, Math.floor(at * octets.length));
      const [before, piece, after] = [
        octets.slice(0, offset),
        octets.slice(offset, offset + size),
        octets.slice(offset + size),
      ];
      if (kind === "set" && offset < octets.length) octets[offset] = octet;
      else if (kind === "remove") octets = join(before, after);
      else if (kind === "repeat") octets = join(before, piece, piece, after);
      else if (kind === "cut") octets = before;
    }
    return octets;
  });
}

/** Counts the octets that are read from `packet`, and remembers whether any was read past its end. */
export function countingReads(packet: Uint8Array): { packet: Uint8Array; reads(): number; outside(): number } {
  let reads = 0;
  let outside = 0;
  const watched = new Proxy(packet, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) {
        reads += 1;
        if (Number(key) >= target.length) outside += 1;
      }
      const value: unknown = Reflect.get(target, key);
      return value;
    },
  });
  return { packet: watched, reads: () => reads, outside: () => outside };
}
