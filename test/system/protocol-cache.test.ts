/*
 * What is kept, under which key and for how long: rows C of the protocol checklist, one proof each that the program does over sockets
 * what the scenarios show in all its cases. The program's clock is moved; nothing waits for a lifetime to end.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  a, cname, Flags, readMessage, replyTo, soa, type TestMessage, txt, Type,
} from "../support/messages/messages.ts"; // prettier-ignore
import {
  ask, type NodensAndUpstream, startNodensAndUpstream, type Transport, transports,
} from "../support/program/nodens-and-upstream.ts"; // prettier-ignore
import { type Script, until } from "../support/servers/scripted-upstream.ts";

/** With the default times of the upstream. */
let pair: NodensAndUpstream;
/** Gives up soon. */
let impatient: NodensAndUpstream;
/** Never gives up, but has a stale answer ready after a moment. */
let patient: NodensAndUpstream;

beforeAll(async () => {
  [pair, impatient, patient] = await Promise.all([
    start({}),
    start({
      upstream: { deadlineMs: 200, udp: { retransmitMs: 50 }, tcp: { queryTimeoutMs: 50, connectTimeoutMs: 50 } },
    }),
    start({
      cache: { staleAfterMs: 100 },
      upstream: { deadlineMs: 30_000, udp: { retransmitMs: 10_000 }, tcp: { queryTimeoutMs: 10_000 } },
    }),
  ]);
});
afterAll(() => Promise.all([pair.stop(), impatient.stop(), patient.stop()]));

function start(settings: Record<string, Record<string, unknown>>): Promise<NodensAndUpstream> {
  return startNodensAndUpstream({
    settings: { ...settings, log: { queries: true }, cache: { prefetch: false, ...settings["cache"] } },
    hasMovableClock: true,
  });
}

const clusterZone = "default.svc.cluster.local";

function answering(more: TestMessage & { rcode?: number }): Script {
  return ({ bytes }) => replyTo(bytes, more);
}
const failing = answering({ rcode: 2 });
const mute: Script = () => undefined;

describe.each(transports)("over %s", (transport) => {
  test("C1: an answer is kept for its TTL, which counts down on all records but OPT, and not a moment longer", async () => {
    const records = [a("@12", "192.0.2.1", 300), a("@12", "192.0.2.2", 300)];
    const name = pair.name(answering({ answers: records, authorities: [txt("@12", "x", 300)], additionals: records }));
    const askedFor = { opt: { dnssecOk: true } };
    await ask(transport, pair.nodens.port, name, Type.A, askedFor);
    await passes(pair, 100);
    const { answers, authorities, additionals, opts } = await ask(transport, pair.nodens.port, name, Type.A, askedFor);
    const ttls = [...answers, ...authorities, ...additionals].map(({ ttl }) => ttl);
    expect(ttls).toHaveLength(5);
    expect(new Set(ttls).size).toBe(1);
    expect(ttls[0]).toBeLessThanOrEqual(200);
    expect(ttls[0]).toBeGreaterThan(100);
    expect(opts[0]).toMatchObject({ upperRcode: 0, version: 0, dnssecOk: true, flags: 0 });
    await expectLifeEnds(pair, transport, name, 200, askedFor);
  });

  test("C2: an answer with TTL 0 is given once and not kept, not even as stale", async () => {
    const name = pair.name(answering({ answers: [a("@12", "192.0.2.1", 0)] }));
    for (const times of [1, 2]) {
      const { answers } = await ask(transport, pair.nodens.port, name);
      expect([answers[0]?.ttl, pair.asked(name).length]).toEqual([0, times]);
    }
    pair.script(name, failing);
    expect(await rcodeOf(pair, transport, name)).toBe(2);
  });

  test.each([0x8000_0000, 0xffff_ffff])("C3: a TTL of %i is a long one, of a week at most", async (ttl) => {
    const name = pair.name(answering({ answers: [a("@12", "192.0.2.1", ttl)] }));
    for (const kind of ["miss", "hit"]) {
      const { answers } = await ask(transport, pair.nodens.port, name);
      expect(answers[0]?.ttl, kind).toBeGreaterThan(3600);
      expect(answers[0]?.ttl, kind).toBeLessThanOrEqual(604_800);
    }
    expect(pair.asked(name)).toHaveLength(1);
  });

  test("C4: a message with an alias of 300 s to an address of 30 s lives for its shortest TTL", async () => {
    const answers = [cname("@12", "c4.example", 300), a("c4.example", "192.0.2.1", 30)];
    const name = pair.name(answering({ answers }));
    await ask(transport, pair.nodens.port, name);
    await expectLifeEnds(pair, transport, name, 30);
  });

  test("C5: NXDOMAIN with SOA TTL 900 and MINIMUM 30 lives for the lesser, shown in the SOA", async () => {
    const name = pair.name(answering({ rcode: 3, authorities: [soa("example", 900, 30)] }));
    const { rcode, authorities } = await ask(transport, pair.nodens.port, name);
    expect([rcode, authorities[0]?.type, authorities[0]?.ttl]).toEqual([3, Type.SOA, 30]);
    expect(await rcodeOf(pair, transport, name)).toBe(3);
    expect(pair.asked(name)).toHaveLength(1);
    await expectLifeEnds(pair, transport, name, 30);
  });

  test("C6: NXDOMAIN without SOA is kept for a few seconds", async () => {
    const name = pair.name(answering({ rcode: 3 }));
    for (let times = 0; times < 2; times += 1) expect(await rcodeOf(pair, transport, name)).toBe(3);
    expect(pair.asked(name)).toHaveLength(1);
    await expectLifeEnds(pair, transport, name, 5);
  });

  test("C7: a chain of aliases that ends in NXDOMAIN with SOA is kept as NXDOMAIN of the question", async () => {
    const chain = [cname("@12", "c7.example", 60), cname("c7.example", "none.example", 60)];
    const name = pair.name(answering({ rcode: 3, answers: chain, authorities: [soa("example")] }));
    for (const kind of ["miss", "hit"]) {
      const { rcode, answers, authorities } = await ask(transport, pair.nodens.port, name);
      expect([rcode, answers.length, authorities.length], kind).toEqual([3, 2, 1]);
    }
    expect(pair.asked(name)).toHaveLength(1);
  });

  test("C7: a loop of aliases is relayed at most, and not kept", async () => {
    const name = pair.name(answering({ answers: [cname("@12", "c7.example", 60), cname("c7.example", "@12", 60)] }));
    for (const times of [1, 2]) {
      await ask(transport, pair.nodens.port, name);
      expect(pair.asked(name)).toHaveLength(times);
    }
  });

  test("C8: a failure is remembered for a second, and hides nothing that is known", async () => {
    const name = pair.name(({ bytes, type }) =>
      replyTo(bytes, type === Type.A ? { answers: [a("@12", "192.0.2.8", 60)] } : { rcode: 2 }),
    );
    const { port } = pair.nodens;
    await ask(transport, port, name);
    expect((await ask(transport, port, name, Type.AAAA)).rcode).toBe(2);
    const sent = pair.asked(name).length;
    expect((await ask(transport, port, name, Type.AAAA)).rcode).toBe(2);
    expect((await ask(transport, port, name)).answers).toHaveLength(1);
    expect(pair.asked(name)).toHaveLength(sent);
    await passes(pair, 1);
    expect((await ask(transport, port, name, Type.AAAA)).rcode).toBe(2);
    expect(pair.asked(name).length).toBeGreaterThan(sent);
  });

  test("C8: silence about a name is remembered like a failure, though the server answers otherwise", async () => {
    const name = impatient.name(mute);
    expect(await rcodeOf(impatient, transport, name)).toBe(2);
    const sent = impatient.asked(name).length;
    expect(await rcodeOf(impatient, transport, name)).toBe(2);
    expect(impatient.asked(name)).toHaveLength(sent);
    const other = impatient.name(answering({ answers: [a("@12", "192.0.2.8", 60)] }));
    expect((await ask(transport, impatient.nodens.port, other)).answers).toHaveLength(1);
  });

  test("C9: NXDOMAIN that is a header alone is relayed at most, and not kept", async () => {
    const name = impatient.name(answering({ rcode: 3, questions: [] }));
    await ask(transport, impatient.nodens.port, name);
    impatient.script(name, answering({ answers: [a("@12", "192.0.2.9", 60)] }));
    await passes(impatient, 5);
    expect((await ask(transport, impatient.nodens.port, name)).answers[0]?.data.at(-1)).toBe(9);
  });

  test.each([
    [Type.A, Type.AAAA],
    [Type.AAAA, Type.A],
  ])(
    "C10: in the cluster zone NXDOMAIN for type %i denies type %i, but no other and no child",
    async (first, second) => {
      const name = pair.name(answering({ rcode: 3, authorities: [soa("cluster.local")] }), clusterZone);
      const child = `child.${name}`;
      pair.script(child, answering({ answers: [a("@12", "192.0.2.10", 60)] }));
      for (const type of [first, second, first])
        expect((await ask(transport, pair.nodens.port, name, type)).rcode).toBe(3);
      expect(pair.asked(name).map(({ type }) => type)).toEqual([first]);
      await ask(transport, pair.nodens.port, name, Type.TXT);
      expect(pair.asked(name).map(({ type }) => type)).toEqual([first, Type.TXT]);
      expect((await ask(transport, pair.nodens.port, child)).answers).toHaveLength(1);
    },
  );

  test("C10: elsewhere a denial belongs to its type, and a contradiction is relayed as it is", async () => {
    const name = pair.name(({ bytes, type }) =>
      type === Type.A
        ? replyTo(bytes, { answers: [a("@12", "192.0.2.10", 60)] })
        : replyTo(bytes, { rcode: 3, authorities: [soa("example")] }),
    );
    for (const kind of ["miss", "hit"]) {
      expect((await ask(transport, pair.nodens.port, name, Type.AAAA)).rcode, kind).toBe(3);
      expect((await ask(transport, pair.nodens.port, name)).answers, kind).toHaveLength(1);
    }
    expect(pair.asked(name)).toHaveLength(2);
    const child = `child.${name}`;
    pair.script(child, answering({ answers: [a("@12", "192.0.2.11", 60)] }));
    expect((await ask(transport, pair.nodens.port, child)).answers).toHaveLength(1);
  });

  test("C11: a denied 'svc' zone denies nothing below it", async () => {
    const parent = transport === "udp" ? "svc.cluster.local" : "pod.cluster.local";
    const child = `c11.${parent}`;
    pair.script(parent, answering({ rcode: 3, authorities: [soa("cluster.local")] }));
    pair.script(child, answering({ answers: [a("@12", "192.0.2.11", 60)] }));
    expect(await rcodeOf(pair, transport, parent)).toBe(3);
    expect((await ask(transport, pair.nodens.port, child)).answers).toHaveLength(1);
    expect(pair.asked(child)).toHaveLength(1);
  });

  test("C12: DO, CD and type make different questions; case and AD do not", async () => {
    const signature = { name: "@12", type: Type.RRSIG, ttl: 60, data: new Uint8Array(24) };
    // The answer says what was asked.
    const name = pair.name(({ bytes, type }) => {
      const { flags, opts } = readMessage(bytes);
      const isDo = opts[0]?.dnssecOk === true;
      const said = txt("@12", `${type} ${isDo} ${(flags & Flags.CD) !== 0}`, 60);
      return replyTo(bytes, {
        flags: Flags.AD | (flags & Flags.CD),
        answers: [{ ...said, type }, ...(isDo ? [{ ...signature }] : [])],
      });
    });
    const questions = [Type.TXT, Type.PRIVATE].flatMap((type) =>
      [true, false].flatMap((isDo) => [true, false].map((isCd) => ({ type, isDo, isCd }))),
    );
    for (const round of ["miss", "hit"]) {
      for (const { type, isDo, isCd } of questions) {
        for (const isAd of [false, true]) {
          const flags = Flags.RD | (isCd ? Flags.CD : 0) | (isAd ? Flags.AD : 0);
          const spelling = isAd ? name.toUpperCase() : name;
          const reply = await ask(transport, pair.nodens.port, spelling, type, { flags, opt: { dnssecOk: isDo } });
          const text = new TextDecoder().decode(reply.answers[0]?.data.slice(1));
          expect(text, round).toBe(`${type} ${isDo} ${isCd}`);
          // Signatures, and the word that they were checked, only to those who asked.
          expect(reply.answers.length, round).toBe(isDo ? 2 : 1);
          expect(reply.flags & Flags.AD, round).toBe(isDo || isAd ? Flags.AD : 0);
          expect(reply.flags & Flags.CD, round).toBe(isCd ? Flags.CD : 0);
        }
      }
    }
    expect(pair.asked(name)).toHaveLength(questions.length);
  });

  test("C12: a denial for those who want proof is none for those who do not", async () => {
    const proof = { name: "example", type: 47, ttl: 60, data: Uint8Array.of(0, 0, 1, 0x40) };
    const name = pair.name(({ bytes }) => {
      const isDo = readMessage(bytes).opts[0]?.dnssecOk === true;
      return replyTo(bytes, { rcode: 3, authorities: [soa("example"), ...(isDo ? [proof] : [])] });
    });
    for (const dnssecOk of [true, false, true, false]) {
      const { authorities } = await ask(transport, pair.nodens.port, name, Type.A, { opt: { dnssecOk } });
      expect(authorities).toHaveLength(dnssecOk ? 2 : 1);
    }
    expect(pair.asked(name)).toHaveLength(2);
  });

  test("C13: a silent upstream makes an expired answer stale: TTL 30 on all records, after an attempt, before giving up", async () => {
    const records = [cname("@12", "c13.example", 60), a("c13.example", "192.0.2.13", 60)];
    const name = patient.name(answering({ answers: records }));
    const { port } = patient.nodens;
    await ask(transport, port, name);
    patient.script(name, mute);
    await passes(patient, 60);
    // The attempt goes on, and whoever asks meanwhile waits no more.
    for (const _ of ["first", "second"]) {
      const { rcode, answers } = await ask(transport, port, name);
      expect([rcode, ...answers.map(({ ttl }) => ttl)]).toEqual([0, 30, 30]);
      expect(patient.asked(name)).toHaveLength(2);
    }
  });

  test("C13: a refresh that gives NXDOMAIN takes the stale answer's place", async () => {
    const name = pair.name(answering({ answers: [a("@12", "192.0.2.13", 60)] }));
    await ask(transport, pair.nodens.port, name);
    pair.script(name, answering({ rcode: 3, authorities: [soa("example", 60, 60)] }));
    await passes(pair, 60);
    expect(await rcodeOf(pair, transport, name)).toBe(3);
    pair.script(name, failing);
    await passes(pair, 60);
    const { rcode, answers } = await ask(transport, pair.nodens.port, name);
    expect([rcode, answers]).toEqual([2, []]);
  });
});

test.each([1, -1])("C14: a wall clock that jumps by %i h changes no TTL", async (hours) => {
  const name = pair.name(answering({ answers: [a("@12", "192.0.2.14", 300)] }));
  await ask("udp", pair.nodens.port, name);
  const hoursOff = () => Math.round((Date.parse(String(pair.nodens.logs().at(-1)?.["time"])) - Date.now()) / 3_600_000);
  await pair.nodens.moveClock({ wallMs: hours * 3_600_000 });
  const { answers } = await ask("udp", pair.nodens.port, name);
  await until("the log shows the new time", () => hoursOff() === hours);
  expect(answers[0]?.ttl).toBeGreaterThan(200);
  expect(answers[0]?.ttl).toBeLessThanOrEqual(300);
  expect(pair.asked(name)).toHaveLength(1);
  await pair.nodens.moveClock({ wallMs: -hours * 3_600_000 });
});

/** Lets the last seconds of an answer pass; upstream is asked then, and not before. */
async function expectLifeEnds(
  asked: NodensAndUpstream,
  transport: Transport,
  name: string,
  leftSeconds: number,
  more: TestMessage = {},
): Promise<void> {
  await ask(transport, asked.nodens.port, name, Type.A, more);
  expect(asked.asked(name)).toHaveLength(1);
  await passes(asked, leftSeconds);
  await ask(transport, asked.nodens.port, name, Type.A, more);
  expect(asked.asked(name)).toHaveLength(2);
}

function passes({ nodens }: NodensAndUpstream, seconds: number): Promise<void> {
  return nodens.moveClock({ monotonicMs: seconds * 1000 });
}

async function rcodeOf(asked: NodensAndUpstream, transport: Transport, name: string): Promise<number> {
  return (await ask(transport, asked.nodens.port, name)).rcode;
}
