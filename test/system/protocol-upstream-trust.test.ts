/*
 * What is believed of what upstream sends: rows U of the protocol checklist.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openTcp } from "../support/messages/ask.ts";
import {
  a, buildQuery, concat, Flags, nameBytes, readMessage, replyTo, soa, type TestMessage, Type, u16,
} from "../support/messages/messages.ts"; // prettier-ignore
import {
  ask, askFromOneSocket, type NodensAndUpstream, startNodensAndUpstream, transports, zoneByUpstreamTransport,
} from "../support/program/nodens-and-upstream.ts"; // prettier-ignore
import { type ReceivedQuery, type Script, type ScriptedReply, until } from "../support/servers/scripted-upstream.ts";

let pair: NodensAndUpstream;
/** Does not send again for seconds: upstream answers it when all who shall wait do, however long a busy machine takes for that. */
let patient: NodensAndUpstream;
let port: number;

beforeAll(async () => {
  // The tests share one socket, and most of them send wrong replies to it.
  [pair, patient] = await Promise.all([
    startNodensAndUpstream({ settings: { upstream: { udp: { maxWrongReplies: 10_000 } } } }),
    startNodensAndUpstream({
      settings: { upstream: { deadlineMs: 30_000, udp: { retransmitMs: 10_000 }, tcp: { queryTimeoutMs: 10_000 } } },
    }),
  ]);
  ({ port } = pair.nodens);
});
afterAll(() => Promise.all([pair.stop(), patient.stop()]));

const right = a("@12", "192.0.2.1", 60);
const wrong = a("@12", "198.51.100.66", 60);
const rightAnswer: Script = ({ bytes }) => replyTo(bytes, { answers: [right] });
const zones = Object.entries(zoneByUpstreamTransport);

/** What a hostile or broken upstream may send instead of the reply to a query, by what is wrong with it. */
const wrongReplies: Record<string, (query: Uint8Array) => Uint8Array> = {
  "another ID": (query) => withId(wrongReply(query), (readMessage(query).id + 1) & 0xffff),
  "another name": (query) => wrongReply(query, { questions: [{ ...questionOf(query), name: "other.example" }] }),
  "another type": (query) => wrongReply(query, { questions: [{ ...questionOf(query), type: Type.AAAA }] }),
  "another class": (query) => wrongReply(query, { questions: [{ ...questionOf(query), class: 3 }] }),
  "QR=0": (query) => withFlags(wrongReply(query), (flags) => flags & ~Flags.QR),
  "opcode 4": (query) => withFlags(wrongReply(query), (flags) => flags | 0x2000),
  "no question": (query) => wrongReply(query, { questions: [] }),
  "two questions": (query) => wrongReply(query, { questions: [questionOf(query), questionOf(query)] }),
  "3 octets": (query) => query.slice(0, 3),
  "garbage behind its header": (query) => concat([wrongReply(query).slice(0, 12), new Uint8Array(40).fill(0xff)]),
};

describe.each(zones)("from an upstream asked over %s", (upstreamTransport, zone) => {
  test.each(transports)("U1: wrong IDs before the right one change nothing for a client over %s", async (transport) => {
    const name = pair.name(({ bytes }) => {
      const { id } = readMessage(bytes);
      const others = Array.from({ length: 10 }, (_, index) => withId(wrongReply(bytes), (id + 1 + index) & 0xffff));
      return [...others, rightAnswer({ bytes } as ReceivedQuery) as Uint8Array];
    }, zone);
    await expectRight(name, transport);
    expect(pair.asked(name)).toHaveLength(1);
  }); // prettier-ignore

  test("U1: wrong IDs alone do not end the waiting: the right one may come to the next attempt", async () => {
    const name = pair.name(
      (query) => (pair.asked(name).length === 1 ? wrongReplies["another ID"]?.(query.bytes) : rightAnswer(query)),
      zone,
    );
    await expectRight(name);
    expect(pair.asked(name)).toHaveLength(2);
  });

  test.each(Object.keys(wrongReplies))("U2: a reply with %s is not believed, and the right one is awaited", async (kind) => {
    const name = pair.name(({ bytes }) => {
      const first = wrongReplies[kind]?.(bytes) as Uint8Array;
      // What is no message at all ends a TCP connection, and the question goes over another.
      const endsConnection = first.length < 12 && upstreamTransport === "tcp" && pair.asked(name).length === 1;
      return endsConnection ? first : [first, replyTo(bytes, { answers: [right] })].slice(first.length < 12 ? 1 : 0);
    }, zone);
    await expectRight(name);
  }); // prettier-ignore

  test("U2: the question may come back in any case", async () => {
    const name = pair.name(({ bytes, name: asked, type }) => {
      const questions = [{ name: asked.toUpperCase(), type }];
      return replyTo(bytes, { questions, answers: [right] });
    }, zone);
    await expectRight(name);
    expect(pair.asked(name)).toHaveLength(1);
    const [reply] = await askFromOneSocket(port, 1, () => buildQuery(name, Type.A));
    expect(reply?.slice(12, 12 + nameBytes(name).length)).toEqual(nameBytes(name));
  });

  test("U4: records about other names never answer questions about them", async () => {
    const others = ["other", "glue", "extra"].map((label) => `${label}.${pair.name(rightAnswer, zone)}`);
    const [other = "", glue = "", extra = ""] = others;
    for (const each of others) pair.script(each, rightAnswer);
    const name = pair.name(({ bytes }) => replyTo(bytes, {
      answers: [right, a(other, "198.51.100.66", 60)],
      authorities: [{ name: zone, type: Type.NS, ttl: 60, data: nameBytes(glue) }],
      additionals: [a(glue, "198.51.100.66", 60), a(extra, "198.51.100.66", 60)],
    }), zone);
    await ask("udp", port, name);
    for (const each of others) await expectRight(each);
    expect(others.map((each) => pair.asked(each).length)).toEqual([1, 1, 1]);
  }); // prettier-ignore

  test("U5: a thousand clients with one question are one query, each answered for itself", async () => {
    const gate = createGate();
    const records = Array.from({ length: 50 }, (_, index) => a("@12", `192.0.2.${index}`, 60));
    const name = patient.name(async ({ bytes }) => {
      await gate.opened;
      return replyTo(bytes, { answers: records });
    }, zone);
    const spellings = [name, name.toUpperCase(), `N${name.slice(1)}`];
    const sizes = [undefined, 512, 700, 1232];
    const packetFor = (index: number) => {
      const udpSize = sizes[index % 4];
      return buildQuery(spellings[index % 3] as string, Type.A, {
        id: index,
        opt: udpSize === undefined ? undefined : { udpSize },
      });
    };
    const overUdp = askFromOneSocket(patient.nodens.port, 500, packetFor, { window: 500, waitMs: 15_000 });
    const clients = await Promise.all(Array.from({ length: 10 }, () => openTcp(patient.nodens.port)));
    onTestFinished(() => clients.forEach(({ socket }) => socket.destroy()));
    const overTcp = clients.map((client, row) => {
      const packets = Array.from({ length: 50 }, (_, column) => packetFor(row * 50 + column));
      client.socket.write(concat(packets.flatMap((packet) => [u16(packet.length), packet])));
      return client.read(50, 15_000);
    });
    await until("all of them wait", async () => (await patient.nodens.metric("nodens_waiters")).get("") === 1000);
    gate.open();

    (await overUdp).forEach((reply, index) => {
      const { id, questions, flags, answers, opts } = readMessage(reply as Uint8Array);
      const limit = sizes[index % 4] ?? 512;
      expect([id, questions[0]?.name, opts.length]).toEqual([index, spellings[index % 3], index % 4 === 0 ? 0 : 1]);
      expect((reply as Uint8Array).length).toBeLessThanOrEqual(limit);
      expect((flags & Flags.TC) !== 0).toBe(limit < 800);
      expect(answers.length === 50).toBe(limit > 800);
    });
    for (const [row, replies] of (await Promise.all(overTcp)).entries()) {
      const read = replies.map(readMessage).toSorted((one, two) => one.id - two.id);
      expect(read.map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, column) => row * 50 + column));
      for (const { id, questions, answers } of read) {
        expect([questions[0]?.name, answers.length]).toEqual([spellings[id % 3], 50]);
      }
    }
    expect(patient.asked(name)).toHaveLength(1);
  });

  test("U5: the client that asked first vanishes, and the others are answered all the same", async () => {
    const gate = createGate();
    const name = patient.name(async (query) => {
      await gate.opened;
      return rightAnswer(query);
    }, zone);
    const leader = await openTcp(patient.nodens.port);
    const query = buildQuery(name, Type.A);
    leader.socket.write(concat([u16(query.length), query]));
    await until("its question is on its way", () => patient.asked(name).length === 1);
    const followers = transports.map((transport) => ask(transport, patient.nodens.port, name));
    await until("two more wait", async () => (await patient.nodens.metric("nodens_waiters")).get("") === 3);
    leader.socket.resetAndDestroy();
    gate.open();
    for (const { answers } of await Promise.all(followers)) expect(answers[0]?.data).toEqual(right.data);
    expect(patient.asked(name)).toHaveLength(1);
  });

  test("U5: when the first attempt times out there is one more, however many wait", async () => {
    const name = pair.name((query) => (pair.asked(name).length === 1 ? undefined : rightAnswer(query)), zone);
    const replies = await askFromOneSocket(port, 300, () => buildQuery(name, Type.A), { window: 300 });
    for (const reply of replies) expect(readMessage(reply as Uint8Array).answers[0]?.data).toEqual(right.data);
    expect(pair.asked(name)).toHaveLength(2);
  });

  test("U5: when the first attempt fails there is one more, however many wait", async () => {
    const gate = createGate();
    const name = patient.name(async ({ bytes }) => {
      await gate.opened;
      return replyTo(bytes, { rcode: 2 });
    }, zone);
    const replies = askFromOneSocket(patient.nodens.port, 300, () => buildQuery(name, Type.A), { window: 300 });
    await until("all of them wait", async () => (await patient.nodens.metric("nodens_waiters")).get("") === 300);
    gate.open();
    for (const reply of await replies) expect(readMessage(reply as Uint8Array).rcode).toBe(2);
    expect(patient.asked(name)).toHaveLength(2);
  });

  test("U8: an answer after our time is up reaches nobody who asked something else", async () => {
    const impatient = await startNodensAndUpstream({
      settings: {
        upstream: {
          deadlineMs: 300,
          maxSends: 1,
          udp: { retransmitMs: 200 },
          tcp: { queryTimeoutMs: 200, connectTimeoutMs: 200 },
        },
      },
    });
    onTestFinished(() => impatient.stop());
    const gate = createGate();
    let late = 0;
    const names = Array.from({ length: 20 }, () =>
      impatient.name(async ({ bytes }) => {
        await gate.opened;
        late += 1;
        return replyTo(bytes, { answers: [wrong] });
      }, zone),
    );
    const failed = await Promise.all(names.map((name) => ask("udp", impatient.nodens.port, name)));
    expect(failed.map(({ rcode }) => rcode)).toEqual(names.map(() => 2));
    const others = Array.from({ length: 20 }, () => impatient.name(rightAnswer, zone));
    gate.open();
    const answered = await Promise.all(others.map((name) => ask("udp", impatient.nodens.port, name)));
    for (const { answers } of answered) expect(answers.map(({ data }) => data)).toEqual([right.data]);
    expect(late).toBeGreaterThan(0);
  });

  /** Asks twice: right on the miss, and from the cache. */
  async function expectRight(name: string, transport: (typeof transports)[number] = "udp"): Promise<void> {
    const { flags, answers } = await ask(transport, port, name);
    expect([flags, answers[0]?.data]).toEqual([0x8180, right.data]);
    const sent = pair.asked(name).length;
    expect((await ask(transport, port, name)).answers[0]?.data).toEqual(right.data);
    expect(pair.asked(name)).toHaveLength(sent);
  }
});

test("U1: after too many wrong IDs at once the question goes over TCP", async () => {
  const guarded = await startNodensAndUpstream();
  onTestFinished(() => guarded.stop());
  const name = guarded.name((query) => {
    if (query.protocol === "tcp") return rightAnswer(query);
    const { id } = readMessage(query.bytes);
    return Array.from({ length: 40 }, (_, index) => withId(wrongReply(query.bytes), (id + 1 + index) & 0xffff));
  });
  expect((await ask("udp", guarded.nodens.port, name)).answers[0]?.data).toEqual(right.data);
  expect(guarded.asked(name).map(({ protocol }) => protocol)).toEqual(["udp", "tcp"]);
});

test.each([
  ["port", "127.0.0.1", 0],
  ["address", "127.0.0.2", undefined],
])("U3: the right packet from another %s is ignored", async (_kind, address, otherPort) => {
  // One that has seen no loss in another test, after which questions are sent again sooner.
  const calm = await startNodensAndUpstream();
  onTestFinished(() => calm.stop());
  const stranger = createSocket("udp4");
  onTestFinished(() => void stranger.close());
  stranger.bind(otherPort ?? calm.upstream.port, address);
  await once(stranger, "listening");
  const name = calm.name(async (query) => {
    await new Promise((resolve) => stranger.send(wrongReply(query.bytes), query.port, "127.0.0.1", resolve));
    // Long enough for it to arrive first.
    await delay(100);
    return rightAnswer(query);
  });
  expect((await ask("udp", calm.nodens.port, name)).answers[0]?.data).toEqual(right.data);
  expect(calm.asked(name)).toHaveLength(1);
});

test("U6: IDs are uniform, never two alike open on one flow, and a port serves about a thousand queries", async () => {
  const count = 10_000;
  const calm = await startNodensAndUpstream({
    settings: { upstream: { deadlineMs: 20_000, udp: { retransmitMs: 10_000 }, tcp: { queryTimeoutMs: 10_000 } } },
  });
  onTestFinished(() => calm.stop());
  const openByPort = new Map<number, Set<number>>();
  let repeatedWhileOpen = 0;
  const script: Script = async ({ bytes, id, port: flow }) => {
    const open = openByPort.get(flow) ?? new Set();
    openByPort.set(flow, open);
    if (open.has(id)) repeatedWhileOpen += 1;
    open.add(id);
    // Several are open on every flow.
    await delay(1);
    open.delete(id);
    return replyTo(bytes, { answers: [right] });
  };
  for (let index = 0; index < count; index += 1) calm.script(`u6-${index}.example`, script);
  const replies = await askFromOneSocket(calm.nodens.port, count, (index) => buildQuery(`u6-${index}.example`, Type.A), { window: 200 });
  expect(replies.filter((reply) => reply === undefined)).toEqual([]);

  const asked = calm.upstream.received.filter(({ name }) => name.startsWith("u6-"));
  expect(new Set(asked.map(({ name }) => name)).size).toBe(count);
  expect(repeatedWhileOpen).toBe(0);
  // 255 degrees of freedom: the mean is 255, the standard deviation 22.6. Eight of them do not happen.
  for (const shift of [8, 0]) expect(chiSquare(asked.map(({ id }) => (id >> shift) & 0xff))).toBeLessThan(436);
  // Each serves 800 to 1,200 queries, and the last two are not worn yet.
  const ports = new Set(asked.map(({ port: flow }) => flow));
  expect(ports.size).toBeGreaterThanOrEqual(Math.floor(count / 1200));
  expect(ports.size).toBeLessThanOrEqual(Math.ceil(asked.length / 800) + 2);
}); // prettier-ignore

test("U7: 10,000 answers over TCP, out of order, cut and joined, doubled and beside strangers: none goes astray", async () => {
  const count = 10_000;
  const calm = await startNodensAndUpstream({
    // Or what would have to wait on a connection came that way.
    isUdpSilent: true,
    settings: { upstream: { deadlineMs: 20_000, tcp: { queryTimeoutMs: 10_000 }, udp: { retransmitMs: 10_000 } } },
  });
  onTestFinished(() => calm.stop());
  const waiting = new Map<Socket, Uint8Array[]>();
  let turn = 0;

  /** Answers what waits on a connection, in reverse, in one of the ways that TCP allows. */
  function flush(connection: Socket): void {
    const replies = (waiting.get(connection) ?? []).toReversed();
    waiting.delete(connection);
    turn += 1;
    const strangers = replies.slice(0, 2).map((reply) => withId(reply, (readMessage(reply).id + 1) & 0xffff));
    const frames = [...strangers, ...replies, ...replies.slice(0, 3)].map((reply) => concat([u16(reply.length), reply]));
    // By turns octet by octet, in pairs, as one.
    if (turn % 9 === 0) for (const octet of concat(frames)) connection.write(Uint8Array.of(octet));
    else if (turn % 2 === 1) for (let at = 0; at < frames.length; at += 2) connection.write(concat(frames.slice(at, at + 2)));
    else connection.write(concat(frames));
  }

  const script: Script = ({ bytes, name, connection }): ScriptedReply => {
    const index = Number(/u7-(\d+)/.exec(name)?.[1]);
    const reply = replyTo(bytes, { answers: [a("@12", `10.7.${index >> 8}.${index & 0xff}`, 60)] });
    const replies = waiting.get(connection as Socket);
    if (replies !== undefined) replies.push(reply);
    else {
      waiting.set(connection as Socket, [reply]);
      setTimeout(flush, 2, connection as Socket);
    }
    return undefined;
  };
  const nameOf = (index: number) => `u7-${index}.default.svc.cluster.local`;
  for (let index = 0; index < count; index += 1) calm.script(nameOf(index), script);
  const replies = await askFromOneSocket(calm.nodens.port, count, (index) => buildQuery(nameOf(index), Type.A), { window: 90 });
  const astray = replies.filter((reply, index) => {
    if (reply === undefined) return true;
    const { questions, answers, rcode } = readMessage(reply);
    const [address] = answers;
    const isRight = address?.data[2] === index >> 8 && address.data[3] === (index & 0xff);
    return rcode !== 0 || questions[0]?.name !== nameOf(index) || !isRight;
  });
  expect(astray).toEqual([]);
}, 120_000); // prettier-ignore

/** Framing that is broken, and whether the upstream ends the connection itself. */
const brokenFrames: [string, (reply: Uint8Array) => Uint8Array, boolean][] = [
  ["an empty frame", () => Uint8Array.of(0, 0), false],
  ...Array.from({ length: 11 }, (_, index): [string, () => Uint8Array, boolean] => [
    `a frame of ${index + 1} octets`,
    () => concat([u16(index + 1), new Uint8Array(index + 1)]),
    false,
  ]),
  ["a frame longer than what comes before FIN", (reply) => concat([u16(reply.length + 10), reply]), true],
  ["half a frame and FIN", (reply) => concat([u16(reply.length), reply.slice(0, 20)]), true],
];

describe.each(brokenFrames)("U7: %s", (_name, raw, ends) => {
  test("harms no question on another connection", async () => {
    // A question that waits on a connection of its own: the next one finds that one overdue.
    const gate = createGate();
    const bystander = pair.name(async (query) => {
      await gate.opened;
      return rightAnswer(query);
    }, "svc.cluster.local");
    const first = ask("udp", port, bystander);
    await until("it is asked", () => pair.asked(bystander).length === 1);
    await delay(110);
    const victim = pair.name((query) => {
      if (pair.asked(query.name).length > 1) return rightAnswer(query);
      query.connection?.write(raw(rightAnswer(query) as Uint8Array));
      if (ends) query.connection?.end();
      return undefined;
    }, "svc.cluster.local");
    expect((await ask("udp", port, victim)).answers[0]?.data).toEqual(right.data);
    expect(pair.asked(victim).length).toBeGreaterThan(1);
    gate.open();
    expect((await first).answers[0]?.data).toEqual(right.data);
  });
});

test.each(brokenFrames.filter(([name]) => /empty|of 11 |FIN/.test(name)))(
  "U7: %s has what was open on that connection asked once more",
  async (_name, raw, ends) => {
    const single = await startNodensAndUpstream({ settings: { upstream: { tcp: { maxFlows: 1 } } } });
    onTestFinished(() => single.stop());
    const names = Array.from({ length: 5 }, () =>
      single.name((query) => {
        if (single.asked(query.name).length > 1) return rightAnswer(query);
        // All are open when the last has come.
        if (names.some((name) => single.asked(name).length === 0)) return undefined;
        query.connection?.write(raw(rightAnswer(query) as Uint8Array));
        if (ends) query.connection?.end();
        return undefined;
      }, "svc.cluster.local"),
    );
    const replies = await Promise.all(names.map((name) => ask("udp", single.nodens.port, name)));
    for (const { answers } of replies) expect(answers[0]?.data).toEqual(right.data);
    expect(names.map((name) => single.asked(name).length)).toEqual(names.map(() => 2));
  },
);

test.each([
  ["says FIN after every answer", (query) => {
    const reply = rightAnswer(query) as Uint8Array;
    query.connection?.end(concat([u16(reply.length), reply]));
    // Where connections end all the time, some questions go over UDP.
    return query.protocol === "udp" ? reply : undefined;
  }],
  ["now and then resets a connection inside a frame", (query) => {
    if (Number(/\d+/.exec(query.name)?.[0]) % 20 !== 0 || pair.asked(query.name).length > 1) return rightAnswer(query);
    query.connection?.write(Uint8Array.of(0, 60, 1, 2, 3), () => query.connection?.resetAndDestroy());
    return undefined;
  }],
] as [string, Script][])("U8: behind an upstream that %s no client sees more than one failure", async (_name, script) => {
  const failuresByClient = await Promise.all(Array.from({ length: 10 }, async () => {
    let failures = 0;
    for (let index = 0; index < 10; index += 1) {
      const { rcode } = await ask("udp", port, pair.name(script, "svc.cluster.local"));
      if (rcode !== 0) failures += 1;
    }
    return failures;
  }));
  expect(Math.max(...failuresByClient)).toBeLessThanOrEqual(1);
}); // prettier-ignore

test("U8: a name that is never answered fails alone", async () => {
  const pair = await startNodensAndUpstream({ settings: { upstream: { deadlineMs: 1500 } } });
  onTestFinished(() => pair.stop());
  const { port } = pair.nodens;
  const mutes = Object.values(zoneByUpstreamTransport).map((zone) => pair.name(() => undefined, zone));
  const failing = mutes.map((name) => ask("udp", port, name));
  await until("they are asked", () => mutes.every((name) => pair.asked(name).length > 0));
  for (const zone of Object.values(zoneByUpstreamTransport)) {
    for (let index = 0; index < 50; index += 1) {
      expect((await ask("udp", port, pair.name(rightAnswer, zone))).rcode).toBe(0);
    }
  }
  expect((await Promise.all(failing)).map(({ rcode }) => rcode)).toEqual([2, 2]);
  for (const name of mutes) expect(pair.asked(name).length).toBeLessThanOrEqual(3);
});

function wrongReply(query: Uint8Array, more: TestMessage = {}): Uint8Array {
  return replyTo(query, { answers: [wrong], authorities: [soa("example")], ...more });
}

function questionOf(query: Uint8Array) {
  const [question] = readMessage(query).questions;
  if (question === undefined) throw new Error("a query without a question");
  return question;
}

function withId(message: Uint8Array, id: number): Uint8Array {
  const changed = message.slice();
  changed.set(u16(id));
  return changed;
}

function withFlags(message: Uint8Array, change: (flags: number) => number): Uint8Array {
  const changed = message.slice();
  changed.set(u16(change(readMessage(message).flags)), 2);
  return changed;
}

function chiSquare(octets: readonly number[]): number {
  const counts = new Float64Array(256);
  for (const octet of octets) counts[octet] = (counts[octet] as number) + 1;
  const expected = octets.length / 256;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

function createGate(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}
