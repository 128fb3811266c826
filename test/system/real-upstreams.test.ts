/*
 * unbound, BIND and dnsmasq as the one server behind nodens, over TCP for cluster names and UDP for the others: what they
 * answer arrives, is remembered, and nodens survives their restarts and their absence.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askAll } from "../support/messages/ask-many.ts";
import { buildQuery, Flags, readMessage, type ReadMessage, type TestOpt, Type } from "../support/messages/messages.ts";
import { metricSum } from "../support/program/metric-sums.ts";
import { type RealServer, startDnsmasq, startNamed, startUnbound } from "../support/servers/real-servers.ts";
import { describeWith } from "../support/program/requirements.ts";
import { type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
import { until } from "../support/servers/scripted-upstream.ts";
import { signingTools, signZone } from "../support/servers/sign-zone.ts";
import {
  largeAddresses,
  manyAddress,
  origins,
  smallZones,
  smallZonesForDnsmasq,
} from "../support/servers/small-zones.ts";

const NOERROR = 0;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const nsec = 47;
/** A right answer for a name below "many". */
const right = `${NOERROR} ${manyAddress}`;

/** A kind of server, and what is particular about it. */
interface Kind {
  readonly command: string;
  start(): Promise<RealServer>;
  /** Denials without SOA are not remembered. */
  readonly deniesWithSoa: boolean;
}

const kinds: Kind[] = [
  { command: "unbound", start: () => startUnbound(smallZones()), deniesWithSoa: true },
  { command: "named", start: () => startNamed(smallZones()), deniesWithSoa: true },
  { command: "dnsmasq", start: () => startDnsmasq(smallZonesForDnsmasq()), deniesWithSoa: false },
];

for (const { command, start, deniesWithSoa } of kinds) {
  describeWith([command], `in front of ${command}`, () => {
    let server: RealServer;
    let nodens: RunningNodens;

    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server.close());

    describe.each(Object.entries(origins))("over %s, for names in %s", (transport, origin) => {
      beforeAll(async () => {
        nodens = await runNodens({ flags: ["--upstream", server.address], hasMovableClock: true });
      });
      afterAll(async () => void (await nodens.stop()));

      test("answers, aliases and services arrive", async () => {
        const own = transport === "tcp" ? "tcp" : "udp";
        const sendsBefore = await sends(own);
        expect(addressesIn(await ask(`web.${origin}`))).toEqual(["192.0.2.1"]);
        expect((await ask(`web.${origin}`, Type.AAAA)).answers).toHaveLength(1);
        const alias = await ask(`alias.${origin}`);
        expect(alias.answers.map(({ type }) => type)).toEqual([Type.CNAME, Type.A]);
        expect(addressesIn(alias)).toEqual(["192.0.2.1"]);
        const [service] = (await ask(`_http._tcp.web.${origin}`, Type.SRV)).answers;
        expect(service?.data.slice(0, 6)).toEqual(Uint8Array.of(0, 0, 0, 50, 0, 80));
        // Over its own transport; what is slow may go over the other one as well, as dnsmasq is, which forks for a connection.
        expect(await sends(own)).toBeGreaterThan(sendsBefore);
      });

      test("an absent name and an absent type are told apart", async () => {
        const absent = await ask(`absent.${origin}`);
        expect([absent.rcode, absent.answers]).toEqual([NXDOMAIN, []]);
        const noData = await ask(`v4.${origin}`, Type.AAAA);
        expect([noData.rcode, noData.answers]).toEqual([NOERROR, []]);
        for (const denial of [absent, noData]) {
          expect(denial.flags & Flags.RA).toBe(Flags.RA);
          expect(denial.authorities.map(({ type }) => type)).toEqual(deniesWithSoa ? [Type.SOA] : []);
        }
      });

      test("a large answer is whole over TCP, and cut behind a record over UDP", async () => {
        const [small, offered, whole] = [
          await ask(`large.${origin}`),
          await ask(`large.${origin}`, Type.A, "udp", { udpSize: 1232 }),
          await ask(`large.${origin}`, Type.A, "tcp"),
        ];
        expect(addressesIn(whole).toSorted()).toEqual(largeAddresses.toSorted());
        for (const [reply, least] of [
          [small, 25],
          [offered, 70],
        ] as const) {
          expect(reply.flags & Flags.TC).toBe(Flags.TC);
          expect(reply.answers.length).toBeGreaterThanOrEqual(least);
          expect(largeAddresses).toEqual(expect.arrayContaining(addressesIn(reply)));
        }
      });

      test("the second ask is answered from the cache, with a lower TTL", async () => {
        const [first] = (await ask(`web.${origin}`)).answers;
        const before = (await sends("udp")) + (await sends("tcp"));
        await nodens.moveClock({ monotonicMs: 2000 });
        const [again] = (await ask(`web.${origin}`)).answers;
        expect(again?.ttl).toBeLessThanOrEqual((first?.ttl ?? 0) - 2);
        expect(again?.ttl).toBeGreaterThan((first?.ttl ?? 0) - 10);
        expect((await sends("udp")) + (await sends("tcp"))).toBe(before);
      });

      test("EDNS and DO are answered as the client sent them", async () => {
        expect((await ask(`web.${origin}`)).opts).toEqual([]);
        expect((await ask(`web.${origin}`, Type.A, "udp", {})).opts).toMatchObject([{ dnssecOk: false, options: [] }]);
        const withDo = await ask(`web.${origin}`, Type.A, "udp", { dnssecOk: true, udpSize: 4096 });
        expect(withDo.opts).toMatchObject([{ dnssecOk: true, udpSize: 1232, version: 0 }]);
        expect(addressesIn(withDo)).toEqual(["192.0.2.1"]);
      });

      test("a thousand names, fifty at a time, are all answered", async () => {
        const packets = Array.from({ length: 1000 }, (_, index) => buildQuery(`n${index}.many.${origin}`, Type.A));
        const replies = await askAll(placeOf(nodens), "udp", packets, { concurrency: 50 });
        const wrong = replies.filter(
          (reply) => reply === undefined || addressesIn(readMessage(reply))[0] !== manyAddress,
        );
        expect(wrong).toEqual([]);
        expect(await metricSum(nodens, "nodens_upstream_flows_open")).toBeLessThanOrEqual(8);
      });

      test("a restart of the server in the middle: the answers are right or SERVFAIL, and soon right again", async () => {
        const outcomes: string[] = [];
        const restarted = new AbortController();
        const worker = async () => {
          for (;;) {
            const reply = await ask(`r${outcomes.length}.${Math.random()}.many.${origin}`);
            outcomes.push(`${reply.rcode} ${addressesIn(reply).join(" ")}`);
            const hasRecovered = outcomes.slice(-200).every((outcome) => outcome === right);
            if (restarted.signal.aborted && hasRecovered) return;
          }
        };
        const workers = Array.from({ length: 10 }, worker);
        await until("queries flow", () => outcomes.length > 200);
        await server.stop();
        await server.start();
        restarted.abort();
        await Promise.all(workers);
        expect(outcomes.filter((outcome) => outcome !== right && outcome !== `${SERVFAIL} `)).toEqual([]);
      });

      test("without the server there is SERVFAIL, what is remembered stays, and with it answers come back", async () => {
        await ask(`web.${origin}`);
        await server.stop();
        try {
          expect((await ask(`gone.many.${origin}`)).rcode).toBe(SERVFAIL);
          expect((await ask(`gone-too.many.${origin}`)).rcode).toBe(SERVFAIL);
          expect(addressesIn(await ask(`web.${origin}`))).toEqual(["192.0.2.1"]);
        } finally {
          await server.start();
        }
        // The same name: its failure is remembered, but not for longer than the server is away.
        await until("the name that failed is answered", async () => {
          const reply = await ask(`gone.many.${origin}`);
          return reply.rcode === NOERROR && addressesIn(reply)[0] === manyAddress;
        });
        expect((await ask(`new.many.${origin}`)).rcode).toBe(NOERROR);
      });
    });

    function ask(name: string, type?: number, protocol?: "udp" | "tcp", opt?: TestOpt): Promise<ReadMessage> {
      return askOne(nodens, name, type, protocol, opt);
    }

    /** How many packets have gone to the server over a transport. */
    function sends(protocol: "udp" | "tcp"): Promise<number> {
      return metricSum(nodens, "nodens_upstream_sends_total", new RegExp(`proto="${protocol}"`));
    }
  });
}

for (const { command, start } of [
  { command: "unbound", start: startUnbound },
  { command: "named", start: startNamed },
]) {
  describeWith([command, ...signingTools], `in front of ${command} with signed zones`, () => {
    let server: RealServer;
    let nodens: RunningNodens;

    beforeAll(async () => {
      const unsigned = Object.entries(smallZones());
      const signed = unsigned.map(async ([origin, text]) => [origin, await signZone(origin, text)] as const);
      server = await start(Object.fromEntries(await Promise.all(signed)));
      nodens = await runNodens({ flags: ["--upstream", server.address] });
    });
    afterAll(async () => {
      await nodens.stop();
      await server.close();
    });

    test.each(Object.entries(origins))(
      "over %s, for names in %s: signatures go to those who ask with DO, cold and warm, and to nobody else",
      async (_, origin) => {
        for (let round = 1; round <= 2; round += 1) {
          const plain = await askOne(nodens, `web.${origin}`, Type.A, "tcp", {});
          expect(plain.answers.map(({ type }) => type)).toEqual([Type.A]);
          const signed = await askOne(nodens, `web.${origin}`, Type.A, "tcp", { dnssecOk: true });
          expect(signed.answers.map(({ type }) => type)).toEqual([Type.A, Type.RRSIG]);
          const denied = await askOne(nodens, `absent.${origin}`, Type.A, "tcp", { dnssecOk: true });
          expect(denied.rcode).toBe(NXDOMAIN);
          expect(denied.authorities.map(({ type }) => type)).toEqual(
            expect.arrayContaining([Type.SOA, Type.RRSIG, nsec]),
          );
          const deniedPlainly = await askOne(nodens, `absent.${origin}`, Type.A, "tcp", {});
          expect(deniedPlainly.authorities.map(({ type }) => type)).toEqual([Type.SOA]);
        }
      },
    );
  });
}

function placeOf({ port }: RunningNodens): { host: string; port: number } {
  return { host: "127.0.0.1", port };
}

/** Asks once. Throws where no reply comes. */
async function askOne(
  nodens: RunningNodens,
  name: string,
  type: number = Type.A,
  protocol: "udp" | "tcp" = "udp",
  opt?: TestOpt,
): Promise<ReadMessage> {
  const [reply] = await askAll(placeOf(nodens), protocol, [buildQuery(name, type, { opt })]);
  if (reply === undefined) throw new Error(`no reply to ${name}`);
  return readMessage(reply);
}

function addressesIn(reply: ReadMessage): string[] {
  return reply.answers.filter(({ type }) => type === Type.A).map(({ data }) => data.join("."));
}
