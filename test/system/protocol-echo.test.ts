/*
 * What a reply repeats of its query, its flags, and where it leaves from: rows B of the protocol checklist.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openTcp } from "../support/messages/ask.ts";
import {
  a,
  buildQuery,
  cname,
  concat,
  Flags,
  nameBytes,
  readMessage,
  replyTo,
  soa,
  Type,
  u16,
} from "../support/messages/messages.ts";
import {
  ask,
  askRaw,
  type NodensAndUpstream,
  startNodensAndUpstream,
  transports,
} from "../support/program/nodens-and-upstream.ts";
import { findFreePort } from "../support/servers/free-port.ts";
import { describeWith } from "../support/program/requirements.ts";
import type { Script } from "../support/servers/scripted-upstream.ts";

let pair: NodensAndUpstream;
let port: number;

beforeAll(async () => {
  pair = await startNodensAndUpstream();
  ({ port } = pair.nodens);
});
afterAll(() => pair.stop());

const data: Script = ({ bytes }) => replyTo(bytes, { answers: [a("@12", "192.0.2.1", 60)] });
const denial: Script = ({ bytes }) => replyTo(bytes, { rcode: 3, authorities: [soa("example")] });
const failure: Script = ({ bytes }) => replyTo(bytes, { rcode: 2 });
const clusterDenial: Script = ({ bytes }) => replyTo(bytes, { rcode: 3, authorities: [soa("cluster.local")] });
const many: Script = ({ bytes }) =>
  replyTo(bytes, { answers: Array.from({ length: 40 }, (_, index) => a("@12", `192.0.2.${index}`, 60)) });

describe.each(transports)("over %s", (transport) => {
  test.each([
    ["a miss", data, "example", 0],
    ["a denial", denial, "example", 3],
    ["a SERVFAIL", failure, "example", 2],
  ] as const)("B1: %s and its repetition keep ID and spelling", async (_name, script, zone, rcode) => {
    const name = pair.name(script, zone);
    for (const [id, spelling] of [[0x0b01, capitals(name, 2)], [0x0b02, capitals(name, 3)], [0xfffe, name]] as const) {
      await expectEcho(spelling, Type.A, id, rcode);
    }
    // Only failures, of which a second opinion is asked, take more than one query.
    expect(pair.asked(name)).toHaveLength(rcode === 2 ? 2 : 1);
  }); // prettier-ignore

  test("B1: a denial that holds for the other address type too keeps ID and spelling", async () => {
    const name = pair.name(clusterDenial, "default.svc.cluster.local");
    await expectEcho(capitals(name, 2), Type.A, 0x0b03, 3);
    await expectEcho(capitals(name, 3), Type.AAAA, 0x0b04, 3);
    expect(pair.asked(name)).toHaveLength(1);
  });

  test("B1: a truncated reply keeps ID and spelling", async () => {
    const name = pair.name(many);
    for (const id of [0x0b05, 0x0b06]) {
      const { flags } = await expectEcho(capitals(name, 2), Type.A, id, 0);
      expect(flags & Flags.TC).toBe(transport === "udp" ? Flags.TC : 0);
    }
  });

  test("B1: the cache takes no notice of case", async () => {
    const name = `wwW.${pair.name(data)}`;
    pair.script(name, data);
    await ask(transport, port, name.replace("wwW", "wWw"));
    await ask(transport, port, name.replace("wwW", "WwW").toUpperCase());
    expect(pair.asked(name)).toHaveLength(1);
  });

  test.each([
    ["data", 0, 0, 0x8180],
    ["authoritative data", 0, Flags.AA, 0x8580],
    ["NODATA", 0, 0, 0x8180],
    ["authoritative NODATA", 0, Flags.AA, 0x8580],
    ["NXDOMAIN", 3, 0, 0x8183],
    ["authoritative NXDOMAIN", 3, Flags.AA, 0x8583],
    ["SERVFAIL", 2, 0, 0x8182],
    ["authoritative SERVFAIL", 2, Flags.AA, 0x8182],
    ["data of an upstream that sets reserved bits", 0, Flags.Z, 0x8180],
  ])("B2: the flags of %s, on the miss and on the repetition", async (kind, rcode, flags, expected) => {
    const sections = kind.includes("data") ? { answers: [a("@12", "192.0.2.2")] } : { authorities: [soa("example")] };
    const name = pair.name(({ bytes }) => replyTo(bytes, { rcode, flags, ...sections }));
    expect((await ask(transport, port, name)).flags).toBe(expected);
    expect((await ask(transport, port, name)).flags).toBe(expected);
    // CD makes it another question.
    const withCd = { flags: Flags.RD | Flags.CD };
    expect((await ask(transport, port, name, Type.A, withCd)).flags).toBe(expected | Flags.CD);
    expect((await ask(transport, port, name, Type.A, withCd)).flags).toBe(expected | Flags.CD);
  });

  test("B2: RA is set even if upstream did not set it", async () => {
    const name = pair.name(({ bytes }) => {
      const reply = replyTo(bytes, { authorities: [soa("example")] });
      reply[3] = (reply[3] as number) & 0x7f;
      return reply;
    });
    expect((await ask(transport, port, name)).flags).toBe(0x8180);
    expect((await ask(transport, port, name)).flags).toBe(0x8180);
  });

  test("B2: AD goes to those who understand it", async () => {
    const name = pair.name(({ bytes }) => replyTo(bytes, { flags: Flags.AD, answers: [a("@12", "192.0.2.2")] }));
    expect((await ask(transport, port, name)).flags).toBe(0x8180);
    expect((await ask(transport, port, name, Type.A, { flags: Flags.RD | Flags.AD })).flags).toBe(0x81a0);
    expect((await ask(transport, port, name, Type.A, { opt: { dnssecOk: true } })).flags).toBe(0x81a0);
  });

  test("B2: a chain of aliases has the flags of its answer", async () => {
    const name = pair.name(({ bytes, name: asked }) =>
      replyTo(bytes, { flags: Flags.AA, answers: [cname(asked, "b2.example"), a("b2.example", "192.0.2.2")] }),
    );
    expect((await ask(transport, port, name)).flags).toBe(0x8580);
    expect((await ask(transport, port, name)).flags).toBe(0x8580);
  });

  /** Asks, and compares ID, code and the octets of the question. */
  async function expectEcho(name: string, type: number, id: number, rcode: number) {
    const query = buildQuery(name, type, { id });
    const reply = await askRaw(transport, port, query, 10_000);
    const read = readMessage(reply as Uint8Array);
    expect([read.id, read.rcode]).toEqual([id, rcode]);
    const question = concat([nameBytes(name), u16(type), u16(1)]);
    expect(reply?.slice(12, 12 + question.length)).toEqual(question);
    return read;
  }
});

test("B2: the flags of a truncated reply", async () => {
  const plain = pair.name(many);
  const authoritative = pair.name((query) => {
    const reply = (many(query) as Uint8Array).slice();
    reply[2] = (reply[2] as number) | 0x04;
    return reply;
  });
  for (const expected of [0x8380, 0x8380]) expect((await ask("udp", port, plain)).flags).toBe(expected);
  for (const expected of [0x8780, 0x8780]) expect((await ask("udp", port, authoritative)).flags).toBe(expected);
});

describe("B3: a reply leaves from the address and port that were asked", () => {
  test("with several addresses", async () => {
    const hosts = ["127.0.0.1", "127.0.0.2"];
    const several = await startNodensAndUpstream({
      settings: { listen: { addresses: hosts.map((host) => `${host}:0`) } },
    });
    onTestFinished(() => several.stop());
    const name = several.name(data);
    const listening = [...several.nodens.stdout().matchAll(/(127\.0\.0\.\d):(\d+)(?=[, ])/g)].slice(0, 2);
    expect(listening.map(([, host]) => host)).toEqual(hosts);
    for (const [, host, listeningPort] of listening) await expectSource(host as string, Number(listeningPort), name);
  });

  test("with a wildcard", async () => {
    const listeningPort = await findFreePort();
    const wildcard = await startNodensAndUpstream({
      settings: { listen: { addresses: [`0.0.0.0:${listeningPort}`] } },
    });
    onTestFinished(() => wildcard.stop());
    await expectSource("127.0.0.1", listeningPort, wildcard.name(data));
  });

  describeWith(["::1"], "over IPv6", () => {
    test("with ::1", async () => {
      const ipv6 = await startNodensAndUpstream({ settings: { listen: { addresses: ["[::1]:0"] } } });
      onTestFinished(() => ipv6.stop());
      const listeningPort = Number(/\[::1\]:(\d+)/.exec(ipv6.nodens.stdout())?.[1]);
      await expectSource("::1", listeningPort, ipv6.name(data));
    });
  });

  /** Asks twice, for a miss and a hit, from a socket that takes replies from anywhere. */
  async function expectSource(host: string, listeningPort: number, name: string): Promise<void> {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    onTestFinished(() => void socket.close());
    for (const id of [1, 2]) {
      const replied = once(socket, "message", { signal: AbortSignal.timeout(10_000) });
      socket.send(buildQuery(name, Type.A, { id }), listeningPort, host);
      const [, from] = (await replied) as [Buffer, { address: string; port: number }];
      expect([from.address, from.port]).toEqual([host, listeningPort]);
    }
    const client = await openTcp(listeningPort, host);
    onTestFinished(() => void client.socket.destroy());
    client.socket.write(concat([u16(buildQuery(name, Type.A).length), buildQuery(name, Type.A)]));
    expect(await client.read(1)).toHaveLength(1);
  }
});

/** The name with every n-th letter in upper case. */
function capitals(name: string, every: number): string {
  return [...name].map((letter, index) => (index % every === 0 ? letter.toUpperCase() : letter)).join("");
}
