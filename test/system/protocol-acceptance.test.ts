/*
 * Which messages nodens takes from clients, and what it says to the others: rows A of the protocol checklist.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openTcp } from "../support/messages/ask.ts";
import { loadMalformed } from "../support/messages/malformed-packets.ts";
import {
  a, aaaa, buildMessage, buildQuery, concat, Flags, readMessage, replyTo, txt, Type, u16,
} from "../support/messages/messages.ts"; // prettier-ignore
import {
  ask, askBeforeSentinel, askFromOneSocket, askRaw, maskedFlags, type NodensAndUpstream, startNodensAndUpstream, transports,
} from "../support/program/nodens-and-upstream.ts"; // prettier-ignore
import { residentBytes } from "../support/program/process-memory.ts";
import { until } from "../support/servers/scripted-upstream.ts";

let pair: NodensAndUpstream;
let port: number;

beforeAll(async () => {
  pair = await startNodensAndUpstream({ settings: { cache: { prefetch: false } }, hasMovableClock: true });
  ({ port } = pair.nodens);
});
afterAll(() => pair.stop());

// Nothing in this file may reach the upstream unless the test scripted it.
afterEach(() => expect(pair.unscripted()).toEqual([]));

const rcodes: Record<string, number> = { FORMERR: 1, NOTIMP: 4 };

describe.each(transports)("over %s", (transport) => {
  test.each(loadMalformed("malformed").map((packet) => [packet.name, packet] as const))(
    "a malformed packet is never asked upstream: %s",
    async (_name, { packet, expect: expected }) => {
      const replies = await askBeforeSentinel(transport, port, packet);
      if (expected === "silence") {
        expect(replies).toEqual([]);
        return;
      }
      expect(replies).toHaveLength(1);
      const reply = readMessage(replies[0] as Uint8Array);
      expect(reply.id).toBe(readId(packet));
      const opcode = (packet[2] as number) & 0x78;
      expect(maskedFlags(reply.flags)).toBe(Flags.QR | (opcode << 8) | (rcodes[expected] as number));
      expect(reply.counts.slice(1, 3)).toEqual([0, 0]);
      expect(reply.flags & (Flags.AA | Flags.TC | Flags.Z)).toBe(0);
    },
  );

  test.each([0, 1, 11])("A1: %i octets get silence, and are counted", async (size) => {
    const before = await malformedDrops();
    expect(await askBeforeSentinel(transport, port, new Uint8Array(size))).toEqual([]);
    await until("the drop is counted", async () => (await malformedDrops()) === before + 1);
  });

  test("A2: a message that says it is a reply gets silence", async () => {
    const packet = buildQuery("a2.example", Type.A, { flags: Flags.QR | Flags.RD });
    expect(await askBeforeSentinel(transport, port, packet)).toEqual([]);
  });

  test.each([
    [1, 0x8804],
    [2, 0x9004],
    [4, 0xa004],
    [5, 0xa804],
    [6, 0xb004],
    [15, 0xf804],
  ])("A3: opcode %i gets NOTIMP with its ID", async (opcode, expected) => {
    const updateSections =
      opcode === 5 ? { answers: [a("a3.example", "192.0.2.1")], authorities: [a("a3.example", "192.0.2.2")] } : {};
    const packet = buildMessage({
      id: 0x0303,
      flags: opcode << 11,
      questions: opcode === 15 ? [] : [{ name: "a3.example", type: Type.SOA }],
      ...updateSections,
    });
    const [reply] = await askBeforeSentinel(transport, port, packet);
    const { id, flags } = readMessage(reply as Uint8Array);
    expect([id, maskedFlags(flags)]).toEqual([0x0303, expected]);
  });

  test.each([
    ["no question", []],
    ["the same question twice", [["a4.example", Type.A, 1], ["a4.example", Type.A, 1]]],
    ["two names", [["a4.example", Type.A, 1], ["b4.example", Type.A, 1]]],
    ["two types", [["a4.example", Type.A, 1], ["a4.example", Type.AAAA, 1]]],
    ["two classes", [["a4.example", Type.A, 1], ["a4.example", Type.A, 3]]],
  ] as const)("A4: FORMERR for %s", async (_name, rows) => {
    const questions = rows.map(([name, type, rrClass]) => ({ name, type, class: rrClass }));
    const [reply] = await askBeforeSentinel(transport, port, buildMessage({ id: 0x0404, questions }));
    const { id, flags } = readMessage(reply as Uint8Array);
    expect([id, maskedFlags(flags)]).toEqual([0x0404, 0x8001]);
  }); // prettier-ignore

  test.each([
    ["to itself", Uint8Array.of(0xc0, 12)],
    ["forward", Uint8Array.of(0xc0, 40)],
    ["into the header", Uint8Array.of(0xc0, 4)],
    ["through a chain of 127 others", chainOfPointers(127)],
  ])("A5: FORMERR for a name that is a pointer %s", async (_name, name) => {
    const [reply] = await askBeforeSentinel(transport, port, rawQuestion(name));
    expect(maskedFlags(readMessage(reply as Uint8Array).flags)).toBe(0x8001);
  });

  test.each([
    ["a label of type 40", concat([Uint8Array.of(0x41), new Uint8Array(65), u16(Type.A), u16(1)])],
    ["a label of type 80", concat([Uint8Array.of(0x81), new Uint8Array(65), u16(Type.A), u16(1)])],
    ["a name of 256 octets", concat([nameOfSize(256), u16(Type.A), u16(1)])],
    ["no root label", Uint8Array.of(1, 0x61)],
    ["no type", Uint8Array.of(1, 0x61, 0)],
    ["no class", Uint8Array.of(1, 0x61, 0, 0, 1)],
  ])("A6: FORMERR for %s", async (_name, question) => {
    const header = buildMessage({ id: 0x0606, counts: [1, 0, 0, 0] });
    const [reply] = await askBeforeSentinel(transport, port, concat([header, question]));
    const { id, flags } = readMessage(reply as Uint8Array);
    expect([id, maskedFlags(flags)]).toEqual([0x0606, 0x8001]);
  });

  test("A6: a name of 255 octets is answered", async () => {
    const labels = [
      "a".repeat(63),
      "b".repeat(63),
      "c".repeat(63),
      "d".repeat(61 - 2),
      transport === "udp" ? "x" : "y",
    ];
    const name = labels.join(".");
    pair.script(name, ({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.6")] }));
    expect((await ask(transport, port, name)).answers).toHaveLength(1);
  });

  test.each([
    ["an answer", { answers: [a("a7.example", "192.0.2.1")] }],
    ["an authority", { authorities: [a("a7.example", "192.0.2.1")] }],
    [
      "counts that promise 65,535 records each in 12 octets",
      { questions: [], counts: [0xffff, 0xffff, 0xffff, 0xffff] },
    ],
  ] as const)("A7: FORMERR for a query with %s", async (_name, more) => {
    const packet = buildMessage({ id: 0x0707, questions: [{ name: "a7.example", type: Type.A }], ...(more as object) });
    const [reply] = await askBeforeSentinel(transport, port, packet);
    const { id, flags } = readMessage(reply as Uint8Array);
    expect([id, maskedFlags(flags)]).toEqual([0x0707, 0x8001]);
  });

  test("A8: octets behind the last record never appear upstream", async () => {
    const name = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.8")] }));
    const trailing = new TextEncoder().encode("SMUGGLED".repeat(8));
    const { rcode } = await ask(transport, port, name, Type.A, { trailing });
    expect([0, 1]).toContain(rcode);
    for (const { bytes } of pair.asked(name)) {
      expect(Buffer.from(bytes).includes("SMUGGLED")).toBe(false);
      expect(readMessage(bytes).trailingBytes).toBe(0);
    }
  });

  test.each([
    ["two OPT records", { additionals: [opt(".")], opt: {} }],
    ["an OPT record whose owner is not the root", { additionals: [opt("a9.example")] }],
    ["an OPT record in the answer section", { answers: [opt(".")] }],
  ])("A9: FORMERR for %s", async (_name, more) => {
    const [reply] = await askBeforeSentinel(transport, port, buildQuery("a9.example", Type.A, { id: 0x0909, ...more }));
    const { id, flags } = readMessage(reply as Uint8Array);
    expect([id, maskedFlags(flags)]).toEqual([0x0909, 0x8001]);
  });

  test.each([
    ["version.bind", 3],
    ["id.server", 3],
    ["other class", 2],
    ["any class", 255],
  ])("A10: REFUSED for %s in class %i, and never from an entry of class IN", async (label, rrClass) => {
    const name = `${label.replaceAll(" ", "-")}.a10-${transport}.example`;
    pair.script(name, ({ bytes }) => replyTo(bytes, { answers: [txt("@12", "from class IN")] }));
    expect((await ask(transport, port, name, Type.TXT)).answers).toHaveLength(1);
    const question = { name, type: Type.TXT, class: rrClass };
    const [reply] = await askBeforeSentinel(transport, port, buildMessage({ questions: [question] }));
    const { flags, answers } = readMessage(reply as Uint8Array);
    expect([maskedFlags(flags), answers.length]).toEqual([0x8005, 0]);
    expect(pair.asked(name)).toHaveLength(1);
  });

  test.each([["AXFR", Type.AXFR], ["IXFR", Type.IXFR], ["TKEY", Type.TKEY], ["TSIG", Type.TSIG], ["OPT", Type.OPT], ["0", 0]])(
    "A11: a question of type %s gets a code, never an upstream query, and wedges nothing",
    async (_name, type) => {
      const [reply] = await askBeforeSentinel(transport, port, buildQuery("a11.default.svc.cluster.local", type));
      expect([1, 4, 5]).toContain(readMessage(reply as Uint8Array).rcode);
      const name = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.11")] }), "svc.cluster.local");
      expect((await ask(transport, port, name)).answers).toHaveLength(1);
    },
  ); // prettier-ignore

  test("A12: an answer to ANY is relayed and answers no other type", async () => {
    const name = pair.name(({ bytes, type, name: asked }) =>
      type === Type.ANY
        ? replyTo(bytes, { answers: [a(asked, "192.0.2.12"), aaaa(asked, 12)] })
        : replyTo(bytes, { answers: type === Type.A ? [a(asked, "192.0.2.120")] : [aaaa(asked, 120)] }),
    );
    const any = await ask(transport, port, name, Type.ANY);
    expect(any.answers.map(({ type }) => type)).toEqual([Type.A, Type.AAAA]);
    expect((await ask(transport, port, name, Type.A)).answers[0]?.data).toEqual(Uint8Array.of(192, 0, 2, 120));
    expect((await ask(transport, port, name, Type.AAAA)).answers[0]?.data.at(-1)).toBe(120);
    expect(pair.asked(name).map(({ type }) => type)).toEqual([Type.ANY, Type.A, Type.AAAA]);
  });

  test("A13: RD=0 stays 0, upstream and in the reply, and may be answered from the cache", async () => {
    const name = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.13")] }));
    const missed = await ask(transport, port, name, Type.A, { flags: 0 });
    expect(missed.flags).toBe(Flags.QR | Flags.RA);
    expect(pair.asked(name).map(({ bytes }) => readMessage(bytes).flags & Flags.RD)).toEqual([0]);
    // What came without recursion is not an answer for those who want it.
    expect((await ask(transport, port, name)).flags & Flags.RD).toBe(Flags.RD);
    const hit = await ask(transport, port, name, Type.A, { flags: 0 });
    expect([hit.flags, hit.answers.length]).toEqual([Flags.QR | Flags.RA, 1]);
    expect(pair.asked(name)).toHaveLength(2);
  });

  test("A13: RD=0 is never answered stale", async () => {
    const name = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.13", 1)] }));
    await ask(transport, port, name);
    pair.script(name, ({ bytes }) => replyTo(bytes, { rcode: 2 }));
    await pair.nodens.moveClock({ monotonicMs: 1000 });
    expect((await ask(transport, port, name, Type.A, { flags: 0 })).rcode).toBe(2);
    // There is a stale answer to give, but only to those who want recursion.
    const { rcode, answers } = await ask(transport, port, name);
    expect([rcode, answers[0]?.ttl]).toEqual([0, 30]);
  });

  test("A14: data of an unknown type keeps its octets, those that look like pointers too", async () => {
    const data = Uint8Array.of(0xc0, 0x0c, 3, 0x57, 0x77, 0x57, 0xc0, 0x0c, 0xff, 0, 0xc0);
    const name = pair.name(({ bytes }) =>
      replyTo(bytes, { answers: [{ name: "@12", type: Type.PRIVATE, ttl: 60, data }] }),
    );
    const miss = await ask(transport, port, name.toUpperCase(), Type.PRIVATE);
    const hit = await ask(transport, port, name, Type.PRIVATE);
    expect([miss.answers[0]?.data, hit.answers[0]?.data]).toEqual([data, data]);
    expect(pair.asked(name)).toHaveLength(1);
  });
});

test("A7: memory stays flat over 100,000 messages whose counts promise 65,535 records", async () => {
  const packet = buildMessage({ counts: [0xffff, 0xffff, 0xffff, 0xffff] });
  const packets = [
    packet,
    buildMessage({ questions: [{ name: "a7.example", type: Type.A }], counts: [1, 0, 0, 0xffff] }),
  ];
  await askFromOneSocket(port, 10_000, (index) => packets[index % 2] as Uint8Array);
  const before = residentBytes(pair.nodens.process.pid);
  const replies = await askFromOneSocket(port, 50_000, (index) => packets[index % 2] as Uint8Array);
  expect(replies.filter((reply) => reply === undefined).length).toBeLessThan(50);
  expect(await pipelined(packet, 50_000)).toBe(50_000);
  expect(residentBytes(pair.nodens.process.pid) - before).toBeLessThan(64 * 1024 * 1024);
});

test("nothing of all that reached the upstream", async () => {
  // Two questions, one for each way upstream, behind everything that was sent before.
  for (const zone of ["example", "svc.cluster.local"]) {
    const name = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1")] }), zone);
    await askRaw("udp", port, buildQuery(name, Type.A));
  }
  expect(pair.unscripted()).toEqual([]);
});

async function malformedDrops(): Promise<number> {
  return (await pair.nodens.metric("nodens_dropped_queries_total")).get('reason="malformed"') ?? 0;
}

/** Sends the same message over one connection, a hundred per write. How many replies came. */
async function pipelined(packet: Uint8Array, count: number): Promise<number> {
  const client = await openTcp(port);
  const batch = concat(Array.from({ length: 100 }, () => concat([u16(packet.length), packet])));
  let received = 0;
  for (let sent = 0; sent < count; sent += 100) {
    client.socket.write(batch);
    received += (await client.read(100)).length;
  }
  client.socket.destroy();
  return received;
}

function readId(packet: Uint8Array): number {
  return ((packet[0] ?? 0) << 8) | (packet[1] ?? 0);
}

function rawQuestion(name: Uint8Array): Uint8Array {
  return concat([buildMessage({ counts: [1, 0, 0, 0] }), name, u16(Type.A), u16(1)]);
}

/** Pointers that each lead to the next, the last to a root label. */
function chainOfPointers(count: number): Uint8Array {
  const pointers = Array.from({ length: count }, (_, index) => u16(0xc000 | (12 + 2 * (index + 1))));
  return concat([...pointers, Uint8Array.of(0)]);
}

/** A name of this many octets in wire form, of labels of at most 63. */
function nameOfSize(size: number): Uint8Array {
  const name = new Uint8Array(size);
  for (let at = 0; at < size - 1;) {
    const label = Math.min(63, size - 2 - at);
    name[at] = label;
    name.fill(0x61, at + 1, at + 1 + label);
    at += 1 + label;
  }
  return name;
}

function opt(owner: string) {
  return { name: owner, type: Type.OPT, class: 1232, ttl: 0, data: new Uint8Array(0) };
}
