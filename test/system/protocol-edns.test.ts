/*
 * EDNS towards clients and towards upstream: rows E of the protocol checklist.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { a, buildQuery, Flags, readMessage, replyTo, soa, type TestOpt, Type } from "../support/messages/messages.ts";
import {
  ask, askBeforeSentinel, askRaw, maskedFlags, type NodensAndUpstream, startNodensAndUpstream, transports,
} from "../support/program/nodens-and-upstream.ts"; // prettier-ignore
import { type Script, until } from "../support/servers/scripted-upstream.ts";

let pair: NodensAndUpstream;
let port: number;

beforeAll(async () => {
  const upstream = {
    deadlineMs: 1000,
    udp: { retransmitMs: 100 },
    tcp: { queryTimeoutMs: 100, connectTimeoutMs: 100 },
  };
  pair = await startNodensAndUpstream({ settings: { upstream }, hasMovableClock: true });
  ({ port } = pair.nodens);
});
afterAll(() => pair.stop());

/** Data, with an OPT record of the upstream's own whose contents are nobody else's business. */
const dataWithOpt: Script = ({ bytes }) =>
  replyTo(bytes, {
    answers: [a("@12", "192.0.2.1", 60)],
    opt: { udpSize: 4096, flags: 0x0040, options: [nsid, extendedError(0)] },
  });
const data: Script = ({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1", 60)] });

const nsid = { code: 3, data: Uint8Array.of(0x6e, 0x73) };
const clientSubnet = (lastOctet: number) => ({ code: 8, data: Uint8Array.of(0, 1, 24, 0, 192, 0, lastOctet) });
const options: Record<string, NonNullable<TestOpt["options"]>[number]> = {
  "option 100": { code: 100, data: Uint8Array.of(1, 2, 3) },
  NSID: { code: 3, data: new Uint8Array(0) },
  EXPIRE: { code: 9, data: new Uint8Array(0) },
  padding: { code: 12, data: new Uint8Array(64) },
  COOKIE: { code: 10, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
  keepalive: { code: 11, data: new Uint8Array(0) },
  "client subnet": clientSubnet(2),
};

describe.each(transports)("over %s", (transport) => {
  test("E1: a client without OPT gets none, on miss, hit, denial and error", async () => {
    const name = pair.name(dataWithOpt);
    const denied = pair.name(({ bytes }) => replyTo(bytes, { rcode: 3, authorities: [soa("example")], opt: {} }));
    const failed = pair.name(({ bytes }) => replyTo(bytes, { rcode: 2, opt: { options: [extendedError(7)] } }));
    for (const asked of [name, name, denied, denied, failed, failed]) {
      const { opts, counts, additionals } = await ask(transport, port, asked);
      expect([opts.length, counts[3], additionals.length]).toEqual([0, 0, 0]);
    }
  });

  test.each([
    ["without DO", false, [0, 0]],
    ["with DO", true, [0x80, 0]],
  ])("E2: a client with OPT %s gets exactly one, as the last record", async (_name, dnssecOk, flagOctets) => {
    const plain = pair.name(data);
    const withOpt = pair.name(dataWithOpt);
    const denied = pair.name(({ bytes }) => replyTo(bytes, { rcode: 3, authorities: [soa("example")] }));
    for (const name of [plain, plain, withOpt, withOpt, denied, denied]) {
      const query = buildQuery(name, Type.A, { opt: { dnssecOk } });
      const reply = (await askRaw(transport, port, query)) as Uint8Array;
      expect(Array.from(reply.slice(-11))).toEqual([0, 0, 0x29, 0x04, 0xd0, 0, 0, ...flagOctets, 0, 0]);
      expect(readMessage(reply).opts).toHaveLength(1);
    }
  });

  test.each([
    ["alone", {}],
    ["with flag 0040", { flags: 0x0040 }],
    ["with option 100", { options: [options["option 100"]] }],
    ["with DO", { dnssecOk: true }],
  ] as [string, TestOpt][])("E3: version 1 %s is a BADVERS", async (_name, more) => {
    const query = buildQuery("e3.example", Type.A, { id: 0x0e03, opt: { version: 1, ...more } });
    const [reply] = await askBeforeSentinel(transport, port, query);
    const { id, flags, counts, rcode, opts } = readMessage(reply as Uint8Array);
    expect([id, maskedFlags(flags), counts[1], rcode, opts.length]).toEqual([0x0e03, 0x8000, 0, 16, 1]);
    expect(Array.from((reply as Uint8Array).slice(-6))).toEqual([1, 0, more.dnssecOk === true ? 0x80 : 0, 0, 0, 0]);
    expect(pair.unscripted()).toEqual([]);
  });

  test.each([...Object.keys(options).map((key) => [key]), Object.keys(options)])(
    "E4: %s: no error, nothing echoed, nothing passed on",
    async (...keys) => {
      const name = pair.name(data);
      const chosen = keys.map((key) => options[key] as { code: number; data: Uint8Array });
      for (const opt of [{ options: chosen, udpSize: 4000 }, {}]) {
        const { rcode, opts } = await ask(transport, port, name, Type.A, { opt });
        expect([rcode, opts.map(({ options: echoed }) => echoed)]).toEqual([0, [[]]]);
      }
      const [query, ...others] = pair.asked(name);
      expect(others).toEqual([]);
      expect(readMessage(query?.bytes as Uint8Array).opts).toEqual([ourOpt]);
    },
  );

  test("E4: upstream sees our OPT record, whatever the client's is", async () => {
    for (const [opt, dnssecOk] of [[undefined, false], [{ udpSize: 512 }, false], [{ dnssecOk: true }, true]] as const) {
      const name = pair.name(data);
      await ask(transport, port, name, Type.A, { opt });
      const seen = pair.asked(name).map(({ bytes }) => readMessage(bytes).opts);
      expect(seen).toEqual([[{ ...ourOpt, dnssecOk }]]);
    }
  }); // prettier-ignore

  test("E5: unknown flags of OPT are 0 in the reply", async () => {
    const name = pair.name(dataWithOpt);
    for (const flags of [0x7fff, 0x0040, 0]) {
      const { opts } = await ask(transport, port, name, Type.A, { opt: { flags } });
      expect(opts.map((opt) => opt.flags)).toEqual([0]);
    }
  });

  test("E7: a reserved bit in the header is 0 in the reply", async () => {
    const name = pair.name(data);
    for (const flags of [Flags.RD | Flags.Z, Flags.RD]) {
      expect((await ask(transport, port, name, Type.A, { flags })).flags).toBe(0x8180);
    }
    expect(pair.asked(name).map(({ bytes }) => readMessage(bytes).flags & Flags.Z)).toEqual([0]);
  });

  test("E8: two clients with different subnets share one query, which names neither", async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const name = pair.name(async (query) => {
      await released;
      return data(query);
    });
    const before = (await pair.nodens.metric("nodens_coalesced_total")).get("") ?? 0;
    const replies = [1, 2].map((octet) =>
      ask(transport, port, name, Type.A, { opt: { options: [clientSubnet(octet)] } }),
    );
    await until("the second has joined", async () => {
      return ((await pair.nodens.metric("nodens_coalesced_total")).get("") ?? 0) > before;
    });
    release();
    for (const { answers, opts } of await Promise.all(replies)) {
      expect([answers.length, opts[0]?.options]).toEqual([1, []]);
    }
    const sent = new Set(pair.asked(name).map(({ bytes }) => JSON.stringify(readMessage(bytes).opts)));
    expect([...sent]).toEqual([JSON.stringify([ourOpt])]);
  });

  test("E9: a stale answer says so, and a repeated failure does", async () => {
    const name = pair.name(({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.9", 1)] }));
    await ask(transport, port, name);
    pair.script(name, ({ bytes }) => replyTo(bytes, { rcode: 2 }));
    await pair.nodens.moveClock({ monotonicMs: 1000 });
    const stale = await ask(transport, port, name, Type.A, { opt: {} });
    expect([stale.rcode, extendedErrors(stale.opts)]).toEqual([0, [3]]);

    const failing = pair.name(({ bytes }) => replyTo(bytes, { rcode: 2 }));
    expect((await ask(transport, port, failing, Type.A, { opt: {} })).rcode).toBe(2);
    const repeated = await ask(transport, port, failing, Type.A, { opt: {} });
    expect([repeated.rcode, extendedErrors(repeated.opts)]).toEqual([2, [13]]);
  });

  test("E9: an upstream that says nothing is 'no reachable authority'", async () => {
    const name = pair.name(() => undefined);
    const { rcode, opts } = await ask(transport, port, name, Type.A, { opt: {} });
    expect([rcode, extendedErrors(opts)]).toEqual([2, [22]]);
  });
});

test("E6: an advertised size below 512 counts as 512", async () => {
  const name = pair.name(answersOf(20));
  for (const udpSize of [0, 100, 511]) {
    const reply = (await askRaw("udp", port, buildQuery(name, Type.A, { opt: { udpSize } }))) as Uint8Array;
    expect(readMessage(reply).answers).toHaveLength(20);
    expect(readMessage(reply).flags & Flags.TC).toBe(0);
    expect(reply.length).toBeGreaterThan(300);
  }
  const large = pair.name(answersOf(60));
  const reply = (await askRaw("udp", port, buildQuery(large, Type.A, { opt: { udpSize: 100 } }))) as Uint8Array;
  expect(readMessage(reply).flags & Flags.TC).toBe(Flags.TC);
  expect(reply.length).toBeLessThanOrEqual(512);
  expect(reply.length).toBeGreaterThan(480);
});

test("E6: an advertised size above ours is ours", async () => {
  const name = pair.name(answersOf(100));
  for (const udpSize of [1233, 4096, 65_535]) {
    const reply = (await askRaw("udp", port, buildQuery(name, Type.A, { opt: { udpSize } }))) as Uint8Array;
    expect(reply.length).toBeLessThanOrEqual(1232);
    expect(reply.length).toBeGreaterThan(1200);
    expect(readMessage(reply).flags & Flags.TC).toBe(Flags.TC);
    expect(readMessage(reply).opts.map((opt) => opt.udpSize)).toEqual([1232]);
  }
});

test("E9: an upstream where nobody listens is a network error or, after 1.8 s in which it is known to be away, 'no reachable authority'", async () => {
  const lost = await startNodensAndUpstream({ settings: { upstream: { udp: { retransmitMs: 50 } } } });
  onTestFinished(async () => void (await lost.nodens.stop()));
  await lost.upstream.close();
  const { rcode, opts } = await ask("udp", lost.nodens.port, "e9.example", Type.A, { opt: {} });
  expect(rcode).toBe(2);
  expect([[22], [23]]).toContainEqual(extendedErrors(opts));
});

/** What every query of nodens carries: its own size, no option. */
const ourOpt = { udpSize: 1232, upperRcode: 0, version: 0, dnssecOk: false, flags: 0, options: [], isLast: true };

function answersOf(count: number): Script {
  return ({ bytes }) =>
    replyTo(bytes, { answers: Array.from({ length: count }, (_, index) => a("@12", `192.0.2.${index}`, 60)) });
}

function extendedError(code: number) {
  return { code: 15, data: Uint8Array.of(0, code) };
}

function extendedErrors(opts: { options: { code: number; data: Uint8Array }[] }[]): number[] {
  return opts.flatMap(({ options: sent }) =>
    sent.filter(({ code }) => code === 15).map(({ data: bytes }) => ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)),
  );
}
