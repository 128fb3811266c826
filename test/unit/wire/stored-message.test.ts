import { describe, expect, test } from "vitest";
import { parseReply, type Reply } from "../../../src/wire/reply.ts";
import { recordEndAt, type StoredMessage, storeMessage, ttlOffsetOf } from "../../../src/wire/stored-message.ts";
import {
  addressRecord,
  buildMessage,
  hex,
  join,
  type MessageSpec,
  optRecord,
  soaRecord,
  toHex,
  wireName,
} from "./build-message.ts";

const name = wireName("wWw.Example");
const week = 604_800;

function parse(spec: Partial<MessageSpec>): Reply {
  const reply = parseReply(buildMessage({ id: 0xbeef, flags: 0x8180, name, ...spec }));
  if (typeof reply === "number") throw new Error(`fault ${reply}`);
  return reply;
}

function store(spec: Partial<MessageSpec>, maxTtl = week, soaTtl = week): StoredMessage {
  return storeMessage(parse(spec), maxTtl, soaTtl);
}

/** The message without its TTL offsets, as hex. */
function messageOf(stored: StoredMessage): string {
  return toHex(stored.octets.subarray(0, stored.sizeBytes));
}

/** Every TTL, read where the stored message says that it is. */
function ttlsOf(stored: StoredMessage): number[] {
  const view = new DataView(stored.octets.buffer, stored.octets.byteOffset);
  return Array.from({ length: stored.recordCount }, (_, index) => view.getUint32(ttlOffsetOf(stored, index)));
}

describe("storeMessage", () => {
  test("keeps a message without OPT as it is", () => {
    const spec = {
      answers: [addressRecord(5), addressRecord(60)],
      authorities: [soaRecord(900, 3)],
      additionals: [addressRecord(7)],
    };
    const stored = store(spec);
    expect(messageOf(stored)).toBe(toHex(buildMessage({ id: 0xbeef, flags: 0x8180, name, ...spec })));
    expect(stored.questionEnd).toBe(12 + name.length + 4);
  });

  test("knows the offset of every TTL and the end of every record, in message order", () => {
    const stored = store({
      answers: [addressRecord(1), addressRecord(2)],
      authorities: [soaRecord(3, 3)],
      additionals: [addressRecord(4), optRecord()],
    });
    expect(stored.recordCount).toBe(4);
    expect(ttlsOf(stored)).toStrictEqual([1, 2, 3, 4]);
    expect(recordEndAt(stored, ttlOffsetOf(stored, 0))).toBe(stored.questionEnd + 16);
    expect(recordEndAt(stored, ttlOffsetOf(stored, 3))).toBe(stored.sizeBytes);
  });

  test("a message without records has no offsets", () => {
    const stored = store({ flags: 0x8183 });
    expect(stored.recordCount).toBe(0);
    expect(stored.sizeBytes).toBe(stored.questionEnd);
  });

  test("is a copy: the packet may be reused", () => {
    const reply = parse({ answers: [addressRecord(5)] });
    const stored = storeMessage(reply, week, week);
    const before = messageOf(stored);
    reply.packet.fill(0xaa);
    expect(messageOf(stored)).toBe(before);
  });

  test("leaves the packet itself unchanged", () => {
    const reply = parse({ answers: [addressRecord(0xffff_ffff)], additionals: [optRecord()] });
    const before = toHex(reply.packet);
    storeMessage(reply, 60, 60);
    expect(toHex(reply.packet)).toBe(before);
  });
});

describe("OPT is stripped", () => {
  const answers = [addressRecord(5)];
  const without = messageOf(store({ answers }));

  test("when it is the only additional record", () => {
    expect(messageOf(store({ answers, additionals: [optRecord("000f 0002 0003")] }))).toBe(without);
  });

  test("when it is the last one", () => {
    expect(messageOf(store({ answers, additionals: [addressRecord(1), optRecord()] }))).toBe(
      messageOf(store({ answers, additionals: [addressRecord(1)] })),
    );
  });

  test("together with what follows, when it is not the last one", () => {
    expect(messageOf(store({ answers, additionals: [addressRecord(1), optRecord(), addressRecord(2)] }))).toBe(
      messageOf(store({ answers, additionals: [addressRecord(1)] })),
    );
  });

  test("with octets after the last record", () => {
    const packet = join(buildMessage({ id: 0xbeef, flags: 0x8180, name, answers }), hex("deadbeef"));
    expect(messageOf(storeMessage(parseReply(packet) as Reply, week, week))).toBe(without);
  });
});

describe("TTLs are capped", () => {
  test.each([
    [0, 0],
    [1, 1],
    [week, week],
    [week + 1, week],
    [0x7fff_ffff, week],
    // A top bit makes it large, not negative or zero (RFC 8767 §4).
    [0x8000_0000, week],
    [0xffff_ffff, week],
  ])("%i becomes %i", (ttl, capped) => {
    expect(ttlsOf(store({ answers: [addressRecord(ttl)], additionals: [addressRecord(ttl)] }))).toStrictEqual([
      capped,
      capped,
    ]);
  });

  test("the SOA of a denial takes the denial's lifetime (RFC 2308 §5)", () => {
    expect(ttlsOf(store({ flags: 0x8183, authorities: [soaRecord(900, 3)] }, week, 3))).toStrictEqual([3]);
  });

  test("the SOA is not raised to it", () => {
    expect(ttlsOf(store({ flags: 0x8183, authorities: [soaRecord(3, 900)] }, week, 900))).toStrictEqual([3]);
  });

  test("the SOA is capped by the general limit too", () => {
    expect(ttlsOf(store({ flags: 0x8183, authorities: [soaRecord(900, 900)] }, 60, 900))).toStrictEqual([60]);
  });

  test("the SOA's limit does not touch answers and additional records", () => {
    const spec = { answers: [addressRecord(300)], authorities: [soaRecord(300, 3)], additionals: [addressRecord(300)] };
    expect(ttlsOf(store(spec, week, 3))).toStrictEqual([300, 3, 300]);
  });

  test("the MINIMUM in the SOA's data is not changed", () => {
    const stored = store({ flags: 0x8183, authorities: [soaRecord(900, 0xffff_ffff)] }, week, 3);
    expect(messageOf(stored)).toMatch(/ffffffff$/);
  });
});

test("a message of nearly 64 KiB keeps every offset", () => {
  const answers = Array.from({ length: 4_000 }, (_, index) => addressRecord(index));
  const stored = store({ answers });
  expect(stored.recordCount).toBe(4_000);
  expect(ttlsOf(stored)).toStrictEqual(answers.map(({ ttl }) => ttl));
});
