/*
 * What is kept, under which key and for how long: rows C of the protocol checklist. Lives of a second or two pass in real time;
 * moments are compared only in the direction in which a slow machine cannot be wrong.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  a, cname, Flags, type ReadMessage, readMessage, replyTo, soa, type TestMessage, txt, Type,
} from "../support/messages/messages.ts"; // prettier-ignore
import {
  ask, type NodensAndUpstream, startNodensAndUpstream, type Transport, transports,
} from "../support/program/nodens-and-upstream.ts"; // prettier-ignore
import { type Script, until } from "../support/servers/scripted-upstream.ts";

// Most of them wait for a moment to come, and do not mind company.
vi.setConfig({ maxConcurrency: 40 });

/** With the default times of the upstream. */
let pair: NodensAndUpstream;
/** Gives up within half a second, and prefetches. */
let impatient: NodensAndUpstream;
/** Never gives up, but has a stale answer ready after a moment. */
let patient: NodensAndUpstream;

beforeAll(async () => {
  const shortTimes = { retransmitMs: 100 };
  const longTimes = { retransmitMs: 10_000 };
  [pair, impatient, patient] = await Promise.all([
    startNodensAndUpstream({ settings: { cache: { prefetch: false } } }),
    startNodensAndUpstream({
      settings: {
        cache: { prefetch: true },
        upstream: { deadlineMs: 500, udp: shortTimes, tcp: { queryTimeoutMs: 100, connectTimeoutMs: 100 } },
      },
    }),
    startNodensAndUpstream({
      settings: {
        cache: { prefetch: false, staleAfterMs: 200 },
        upstream: { deadlineMs: 30_000, udp: longTimes, tcp: { queryTimeoutMs: 10_000 } },
      },
    }),
  ]);
});
afterAll(() => Promise.all([pair.stop(), impatient.stop(), patient.stop()]));

const clusterZone = "default.svc.cluster.local";

type Sections = TestMessage & { rcode?: number };

function answering(more: Sections): Script {
  return ({ bytes }) => replyTo(bytes, more);
}
const failing = answering({ rcode: 2 });
const mute: Script = () => undefined;

describe.concurrent.each(transports)("over %s", (transport) => {
  test("C1: an answer is kept for its TTL, which counts down on all records, and not a moment longer", async () => {
    const records = [a("@12", "192.0.2.1", 2), a("@12", "192.0.2.2", 2)];
    const name = pair.name(answering({ answers: records, authorities: [txt("@12", "x", 2)], additionals: records }));
    await followLife(pair, transport, name, 2, ({ answers, authorities, additionals, opts }, ttls) => {
      expect([answers.length, authorities.length, additionals.length]).toEqual([2, 1, 2]);
      expect(new Set(ttls).size).toBe(1);
      expect(opts).toEqual([]);
    });
  });

  test("C1: counting down leaves OPT alone", async () => {
    const name = pair.name(answering({ answers: [a("@12", "192.0.2.1", 2)] }));
    await ask(transport, pair.nodens.port, name, Type.A, { opt: { dnssecOk: true } });
    await until("a second has passed", async () => {
      const { answers, opts } = await ask(transport, pair.nodens.port, name, Type.A, { opt: { dnssecOk: true } });
      expect(opts[0]).toMatchObject({ upperRcode: 0, version: 0, dnssecOk: true, flags: 0 });
      return answers[0]?.ttl === 1 || pair.asked(name).length > 1;
    });
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

  test("C2: those who wait already share an answer with TTL 0", async () => {
    const gate = createGate();
    const name = pair.name(async ({ bytes }) => {
      await gate.opened;
      return replyTo(bytes, { answers: [a("@12", "192.0.2.1", 0)] });
    });
    const waiting = [1, 2, 3].map(() => ask(transport, pair.nodens.port, name));
    await until("upstream was asked", () => pair.asked(name).length > 0);
    // Long enough for the others to have arrived, were they slow.
    await delay(100);
    gate.open();
    for (const { answers } of await Promise.all(waiting)) expect(answers[0]?.ttl).toBe(0);
    expect(pair.asked(name)).toHaveLength(1);
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

  test.each([
    ["an alias of 300 s to an address of 1 s", [cname("@12", "c4.example", 300), a("c4.example", "192.0.2.1", 1)], {}],
    ["an alias of 1 s to an address of 300 s", [cname("@12", "c4.example", 1), a("c4.example", "192.0.2.1", 300)], {}],
    ["addresses of 5 s and 1 s", [a("@12", "192.0.2.1", 5), a("@12", "192.0.2.2", 1)], {}],
    ["an additional record of 1 s", [a("@12", "192.0.2.1", 5)], { additionals: [a("c4.example", "192.0.2.2", 1)] }],
  ])("C4: a message with %s lives for its shortest TTL", async (_name, answers, more) => {
    const name = pair.name(answering({ answers, ...more }));
    await followLife(pair, transport, name, 1);
  });

  test.each([
    ["NXDOMAIN", 3, 900, 2],
    ["NXDOMAIN", 3, 2, 900],
    ["NODATA", 0, 900, 2],
    ["NODATA", 0, 2, 900],
  ])("C5: %s (code %i) with SOA TTL %i and MINIMUM %i lives for the lesser, shown in the SOA", async (...row) => {
    const [, rcode, ttl, minimum] = row;
    const name = pair.name(answering({ rcode, authorities: [soa("example", ttl, minimum)] }));
    await followLife(pair, transport, name, 2, (reply) => {
      expect([reply.rcode, reply.authorities[0]?.type]).toEqual([rcode, Type.SOA]);
    });
  });

  test.each([
    ["NXDOMAIN without SOA", { rcode: 3 }],
    ["NODATA without SOA", {}],
    ["NXDOMAIN with the SOA of another zone", { rcode: 3, authorities: [soa("other.test")] }],
    ["a referral", { authorities: [{ ...cname("example", "ns.example", 60), type: Type.NS }] }],
  ] as [string, Sections][])("C6: %s is relayed and not kept", async (_name, more) => {
    const name = pair.name(answering(more));
    for (const times of [1, 2]) {
      expect(await rcodeOf(pair, transport, name)).toBe(more.rcode ?? 0);
      expect(pair.asked(name)).toHaveLength(times);
    }
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

  test.each([
    ["a chain without an end", [cname("@12", "c7.example", 60)]],
    ["a loop", [cname("@12", "c7.example", 60), cname("c7.example", "@12", 60)]],
    ["an alias of itself", [cname("@12", "@12", 60)]],
    ["two targets at one owner", [cname("@12", "c7.example", 60), cname("@12", "d7.example", 60), a("c7.example", "192.0.2.1", 60)]],
    ["an unrelated address", [a("unrelated.example", "192.0.2.1", 60)]],
    ["the answer beside an unrelated address", [a("@12", "192.0.2.1", 60), a("unrelated.example", "192.0.2.1", 60)]],
  ])("C7: %s is relayed at most, and not kept", async (_name, answers) => {
    const name = pair.name(answering({ answers }));
    for (const times of [1, 2]) {
      await ask(transport, pair.nodens.port, name);
      expect(pair.asked(name)).toHaveLength(times);
    }
  }); // prettier-ignore

  test.each([
    ["SERVFAIL", failing, 2],
    ["REFUSED", answering({ rcode: 5 }), 2],
    ["FORMERR", answering({ rcode: 1, opt: {} }), 1],
    ["NOTIMP", answering({ rcode: 4, opt: {} }), 4],
  ] as const)("C8: %s is remembered for a second at least, longer when repeated, and not for ever", async (...row) => {
    const [, script, rcode] = row;
    await followFailures(pair, transport, pair.name(script), rcode);
  });

  test("C8: a failure hides nothing that is known: neither for another type nor for the question itself", async () => {
    const name = impatient.name(({ bytes, type }) =>
      type === Type.A ? replyTo(bytes, { answers: [a("@12", "192.0.2.8", 3)] }) : replyTo(bytes, { rcode: 2 }),
    );
    const { port } = impatient.nodens;
    await ask(transport, port, name);
    expect((await ask(transport, port, name, Type.AAAA)).rcode).toBe(2);
    // Fetched again before it expires, it now fails.
    impatient.script(name, failing);
    await until("the answer has become stale", async () => {
      const { rcode, answers } = await ask(transport, port, name);
      expect([rcode, answers.length]).toEqual([0, 1]);
      return answers[0]?.ttl === 30;
    });
  });

  test.each([
    ["NXDOMAIN that is a header alone", { rcode: 3, questions: [] }],
    ["NOERROR that is a header alone", { questions: [] }],
    ["an answer without a question", { questions: [], answers: [a("@12", "192.0.2.66", 60)] }],
  ] as [string, Sections][])("C9: %s is relayed at most, and not kept", async (_name, more) => {
    const name = impatient.name(({ bytes, name: asked }) =>
      replyTo(bytes, { ...more, answers: (more.answers ?? []).map((record) => ({ ...record, name: asked })) }),
    );
    await ask(transport, impatient.nodens.port, name);
    impatient.script(name, answering({ answers: [a("@12", "192.0.2.9", 60)] }));
    await until("the real answer is given", async () => {
      const { answers } = await ask(transport, impatient.nodens.port, name);
      return answers[0]?.data.at(-1) === 9;
    });
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

  test.each([["example"], [clusterZone]])(
    "C13: in %s a silent upstream makes an expired answer stale: TTL 30 on all records, after an attempt, before giving up",
    async (zone) => {
      const records = [cname("@12", "c13.example", 1), a("c13.example", "192.0.2.13", 1)];
      const name = patient.name(answering({ answers: records }), zone);
      const { port } = patient.nodens;
      await ask(transport, port, name);
      patient.script(name, mute);
      let ttls: number[] = [];
      await until("the answer has become stale", async () => {
        const { rcode, answers } = await ask(transport, port, name);
        expect([rcode, answers.length]).toEqual([0, 2]);
        ttls = answers.map(({ ttl }) => ttl);
        // While it is fresh nobody is asked; stale it is only after that.
        expect(patient.asked(name).length).toBe(ttls[0] === 30 ? 2 : 1);
        return ttls[0] === 30;
      });
      expect(ttls).toEqual([30, 30]);
      // The attempt goes on, and whoever asks meanwhile waits no more.
      expect((await ask(transport, port, name)).answers[0]?.ttl).toBe(30);
      expect(patient.asked(name)).toHaveLength(2);
    },
  );

  test("C13: with a stale answer at hand, a failed refresh is not repeated as soon as other failures are", async () => {
    const name = pair.name(answering({ answers: [a("@12", "192.0.2.13", 1)] }));
    await ask(transport, pair.nodens.port, name);
    pair.script(name, failing);
    const isStale = async () => (await ask(transport, pair.nodens.port, name)).answers[0]?.ttl === 30;
    await until("the answer has become stale", isStale);
    const sent = pair.asked(name).length;
    const until2s = performance.now() + 2000;
    while (performance.now() < until2s) {
      expect(await isStale()).toBe(true);
      await delay(50);
    }
    expect(pair.asked(name)).toHaveLength(sent);
  });

  test.each([
    ["with SOA", "example", { rcode: 3, authorities: [soa("example", 60, 60)] }],
    ["with SOA", clusterZone, { rcode: 3, authorities: [soa("cluster.local", 60, 60)] }],
    ["without SOA, which is not kept itself", "example", { rcode: 3 }],
    ["that may live no second", clusterZone, { rcode: 3, authorities: [soa("cluster.local", 0, 0)] }],
  ] as [string, string, Sections][])(
    "C13: a refresh that gives NXDOMAIN %s in %s takes the stale answer's place",
    async (_name, zone, denial) => {
      const name = impatient.name(answering({ answers: [a("@12", "192.0.2.13", 1)] }), zone);
      await ask(transport, impatient.nodens.port, name);
      impatient.script(name, answering(denial));
      await until("the name is denied", async () => (await rcodeOf(impatient, transport, name)) === 3);
      impatient.script(name, failing);
      // From the cache while it lives, then as the failure that it is; never the old answer.
      await until("nothing is known any more, or the denial still is", async () => {
        const { rcode, answers } = await ask(transport, impatient.nodens.port, name);
        expect(answers).toEqual([]);
        return rcode === 2 || denial.authorities?.[0]?.ttl === 60;
      });
    },
  );

  test("C13: an answer that may not be kept takes the stale answer's place too", async () => {
    const name = impatient.name(answering({ answers: [a("@12", "192.0.2.13", 1)] }));
    await ask(transport, impatient.nodens.port, name);
    impatient.script(name, answering({ answers: [a("@12", "192.0.2.14", 0)] }));
    await until("the new answer is given", async () => {
      const { answers } = await ask(transport, impatient.nodens.port, name);
      return answers[0]?.data.at(-1) === 14;
    });
    impatient.script(name, failing);
    expect((await ask(transport, impatient.nodens.port, name)).answers).toEqual([]);
  });
});

test.concurrent("C8: silence about a name is remembered like a failure, though the server answers otherwise", async ({ onTestFinished }) => {
  const silent = await startNodensAndUpstream({
    settings: {
      upstream: {
        deadlineMs: 500,
        udp: { retransmitMs: 50 },
        tcp: { queryTimeoutMs: 100, connectTimeoutMs: 100 },
        health: { probeIntervalMs: 400 },
      },
    },
  });
  onTestFinished(() => silent.stop());
  await followFailures(silent, "udp", silent.name(mute), 2);
}); // prettier-ignore

test.concurrent("C14: the wall clock does not matter: an hour forward or back changes no TTL", async ({
  onTestFinished,
}) => {
  // Moves what Date says by an hour at each signal: forward, then back behind where it was.
  const preload = `
    const now = Date.now.bind(Date);
    const hours = [1, -1, 0];
    let shift = 0;
    globalThis.Date = class extends Date {
      constructor(...args) { super(...(args.length === 0 ? [now() + shift] : args)); }
      static now() { return now() + shift; }
    };
    process.on("SIGUSR2", () => { shift = 3600_000 * hours.shift(); });`;
  const moved = await startNodensAndUpstream({
    settings: { cache: { prefetch: false }, log: { queries: true } },
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}` },
  });
  onTestFinished(() => moved.stop());
  const name = moved.name(answering({ answers: [a("@12", "192.0.2.14", 3)] }));
  const hoursOff = () =>
    Math.round((Date.parse(String(moved.nodens.logs().at(-1)?.["time"])) - Date.now()) / 3_600_000);
  const expectedHours = [0, 1, -1];
  await followLife(moved, "udp", name, 3, async () => {
    const [hours] = expectedHours;
    if (hours === undefined || hoursOff() !== hours) return;
    // The log shows that the clock was moved; the next reply will not.
    expectedHours.shift();
    moved.nodens.process.kill("SIGUSR2");
  });
  expect(expectedHours).toEqual([]);
});

/**
 * Asks until upstream is asked a second time. Every reply before that must have been given within `lifeSeconds` of the first, with
 * the shortest TTL counted down by whole seconds, and the second query must not come before.
 */
async function followLife(
  asked: NodensAndUpstream,
  transport: Transport,
  name: string,
  lifeSeconds: number,
  check: (reply: ReadMessage, ttls: number[]) => void | Promise<void> = () => {},
): Promise<void> {
  const askedAt = performance.now();
  await ask(transport, asked.nodens.port, name);
  const storedBefore = performance.now();
  for (;;) {
    const sentAt = performance.now();
    const reply = await ask(transport, asked.nodens.port, name);
    const receivedAt = performance.now();
    const longestAge = Math.floor((receivedAt - askedAt) / 1000);
    const shortestAge = Math.floor((sentAt - storedBefore) / 1000);
    if (asked.asked(name).length > 1) {
      expect(receivedAt - askedAt).toBeGreaterThanOrEqual(lifeSeconds * 1000);
      return;
    }
    const ttls = [...reply.answers, ...reply.authorities, ...reply.additionals].map(({ ttl }) => ttl);
    const shortest = Math.min(...ttls);
    expect(shortest).toBeGreaterThanOrEqual(Math.max(1, lifeSeconds - longestAge));
    expect(shortest).toBeLessThanOrEqual(lifeSeconds - shortestAge);
    await check(reply, ttls);
    await delay(20);
  }
}

/** Asks until upstream was asked anew twice: not within one second of the first failure, and two of the second. */
async function followFailures(
  asked: NodensAndUpstream,
  transport: Transport,
  name: string,
  rcode: number,
): Promise<void> {
  let startedAt = performance.now();
  expect(await rcodeOf(asked, transport, name)).toBe(rcode);
  for (const rememberedMs of [1000, 2000]) {
    const sent = asked.asked(name).length;
    let attemptedAt = 0;
    await until("upstream is asked again", async () => {
      attemptedAt = performance.now();
      expect(await rcodeOf(asked, transport, name)).toBe(rcode);
      return asked.asked(name).length > sent;
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(rememberedMs);
    startedAt = attemptedAt;
  }
}

async function rcodeOf(asked: NodensAndUpstream, transport: Transport, name: string): Promise<number> {
  return (await ask(transport, asked.nodens.port, name)).rcode;
}

function createGate(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}
