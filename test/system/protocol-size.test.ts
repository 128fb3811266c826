/*
 * Answers that do not fit: rows S of the protocol checklist.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { askTcp, askUdp } from "../support/messages/ask.ts";
import {
  a,
  buildQuery,
  Flags,
  readMessage,
  replyTo,
  soa,
  type TestRecord,
  txt,
  Type,
} from "../support/messages/messages.ts";
import {
  ask, askRaw, type NodensAndUpstream, startNodensAndUpstream, zoneByUpstreamTransport,
} from "../support/program/nodens-and-upstream.ts"; // prettier-ignore
import type { Script } from "../support/servers/scripted-upstream.ts";

let pair: NodensAndUpstream;
let port: number;

beforeAll(async () => {
  pair = await startNodensAndUpstream({ settings: { upstream: { deadlineMs: 2000, udp: { retransmitMs: 200 } } } });
  ({ port } = pair.nodens);
});
afterAll(() => pair.stop());

describe.each(Object.entries(zoneByUpstreamTransport))("with an upstream asked over %s", (_upstreamTransport, zone) => {
  describe.each([1233, 2000, 4000])("S1: an answer of %i octets", (sizeBytes) => {
    test.each([
      ["without OPT", undefined, 512],
      ["that takes 512", 512, 512],
      ["that takes 1232", 1232, 1232],
      ["that takes 4096", 4096, 1232],
    ])("to a client %s is cut behind a record, and whole over TCP", async (_name, udpSize, limit) => {
      const name = pair.name(answerOfSize(sizeBytes), zone);
      const opt = udpSize === undefined ? undefined : { udpSize };
      const query = buildQuery(name, Type.A, { opt });
      const whole = readMessage((await askTcp(port, [query]))[0] as Uint8Array);
      // The second is a hit; both are cut alike.
      for (const kind of ["miss or hit", "hit"]) {
        const reply = (await askUdp(port, query)) as Uint8Array;
        // Reading fails where counts and octets disagree.
        const cut = readMessage(reply);
        expect(reply.length, kind).toBeLessThanOrEqual(limit);
        // As many records as fit: one more would not.
        expect(reply.length).toBeGreaterThan(limit - 16);
        expect(cut.flags).toBe(0x8380);
        expect(cut.trailingBytes).toBe(0);
        // Addresses of one name take turns at being first: any of them may be left out, none comes twice.
        const addresses = cut.answers.map(({ data }) => data.join("."));
        expect(new Set(addresses).size).toBe(addresses.length);
        expect(whole.answers.map(({ data }) => data.join("."))).toEqual(expect.arrayContaining(addresses));
        expect(cut.opts.map(({ isLast }) => isLast)).toEqual(udpSize === undefined ? [] : [true]);
      }
      expect(whole.flags).toBe(0x8180);
      expect(whole.answers.length).toBe(recordsIn(sizeBytes, name));
      expect(pair.asked(name)).toHaveLength(1);
    });
  });

  test("S1: additional records that do not fit go without TC", async () => {
    const extra = Array.from({ length: 60 }, (_, index) => a("@12", `192.0.2.${index}`, 60));
    const name = pair.name(
      ({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1", 60)], additionals: extra }),
      zone,
    );
    const cut = await ask("udp", port, name);
    expect([cut.flags, cut.answers.length]).toEqual([0x8180, 1]);
    expect(cut.additionals.length).toBeLessThan(60);
  });

  test("S2: an answer of 65,535 octets passes over TCP, whole and twice", async () => {
    const name = pair.name(largestAnswer, zone);
    const query = buildQuery(name, Type.TXT);
    for (const kind of ["miss", "hit"]) {
      const [reply] = await askTcp(port, [query], 1, 10_000);
      expect(reply?.length, kind).toBe(65_535);
      const { answers, flags, trailingBytes } = readMessage(reply as Uint8Array);
      expect([flags, trailingBytes]).toEqual([0x8180, 0]);
      for (const [index, { data }] of answers.entries()) expect(data[1]).toBe(0x61 + (index % 26));
    }
    expect(pair.asked(name).filter(({ protocol }) => protocol === "tcp")).toHaveLength(1);
  });
});

test("S3: a truncated reply over UDP is asked again over TCP, and only the whole answer is kept", async () => {
  const name = pair.name((query) =>
    query.protocol === "udp"
      ? replyTo(query.bytes, { flags: Flags.TC, answers: [a("@12", "192.0.2.1")] })
      : answerOfSize(2000)(query),
  );
  for (const kind of ["miss", "hit"]) {
    const reply = readMessage((await askTcp(port, [buildQuery(name, Type.A)]))[0] as Uint8Array);
    expect([reply.flags, reply.answers.length], kind).toEqual([0x8180, recordsIn(2000, name)]);
  }
  expect(pair.asked(name).map(({ protocol }) => protocol)).toEqual(["udp", "tcp"]);
});

test.each([
  ["with an answer", { answers: [a("@12", "192.0.2.1", 60)] }],
  ["that is empty", {}],
  ["with NXDOMAIN and SOA", { rcode: 3, authorities: [soa("example")] }],
])("S3: a truncated reply %s, with TCP refused, is relayed or SERVFAIL, and not kept", async (_name, sections) => {
  // An upstream that speaks UDP alone.
  const lone = await startNodensAndUpstream({
    settings: { cache: { failureTtlSeconds: 1 }, upstream: { deadlineMs: 1500, udp: { retransmitMs: 200 } } },
  });
  onTestFinished(() => lone.stop());
  const name = lone.name(({ bytes, protocol, connection }) => {
    if (protocol === "tcp") connection?.resetAndDestroy();
    return protocol === "tcp" ? undefined : replyTo(bytes, { flags: Flags.TC, ...sections });
  });
  const first = await ask("udp", lone.nodens.port, name);
  expect(first.rcode === 2 || (first.flags & Flags.TC) !== 0).toBe(true);
  lone.script(name, ({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.3", 60)] }));
  await expect
    .poll(async () => (await ask("udp", lone.nodens.port, name)).answers[0]?.data, { timeout: 10_000 })
    .toEqual(Uint8Array.of(192, 0, 2, 3));
});

test("S4: an answer of 4,096 octets over UDP is relayed, to TCP clients whole", async () => {
  const name = pair.name(answerOfSize(4096));
  const [reply] = await askTcp(port, [buildQuery(name, Type.A)]);
  expect(readMessage(reply as Uint8Array).answers).toHaveLength(recordsIn(4096, name));
  expect(pair.asked(name).map(({ protocol }) => protocol)).toEqual(["udp"]);
});

test("S4: with listen.maxUdpReplyBytes 4096, an answer of nearly so many octets goes over UDP", async () => {
  const generous = await startNodensAndUpstream({ settings: { listen: { maxUdpReplyBytes: 4096 } } });
  onTestFinished(() => generous.stop());
  const name = generous.name(answerOfSize(4064));
  const reply = await askRaw("udp", generous.nodens.port, buildQuery(name, Type.A, { opt: { udpSize: 4096 } }));
  const { flags, answers } = readMessage(reply as Uint8Array);
  expect([flags, answers.length]).toEqual([0x8180, recordsIn(4064, name)]);
});

/** As few address records of 16 octets as make the answer not smaller than `sizeBytes`. */
function answerOfSize(sizeBytes: number): Script {
  return ({ bytes, name }) => {
    const records = Array.from({ length: recordsIn(sizeBytes, name) }, (_, index) =>
      a("@12", `10.0.${index >> 8}.${index & 0xff}`, 3600),
    );
    return replyTo(bytes, { answers: records });
  };
}

function recordsIn(sizeBytes: number, name: string): number {
  return Math.ceil((sizeBytes - 12 - (name.length + 2) - 4) / 16);
}

/** TXT records that fill a message to its last octet. */
const largestAnswer: Script = ({ bytes, name, protocol }) => {
  if (protocol === "udp") return replyTo(bytes, { flags: Flags.TC });
  let left = 65_535 - 12 - (name.length + 2) - 4;
  const answers: TestRecord[] = [];
  while (left > 0) {
    // No remainder may be too small for a record of its own.
    const size = left >= 268 + 14 ? 268 : Math.min(left, 268);
    const text = String.fromCharCode(0x61 + (answers.length % 26)).repeat(size - 13);
    answers.push({ ...txt("@12", text, 3600) });
    left -= size;
  }
  return replyTo(bytes, { answers });
};
