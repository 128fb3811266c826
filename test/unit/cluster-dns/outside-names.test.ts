import { Packet } from "dns2";
import { describe, expect, onTestFinished, test } from "vitest";
import { parseQuery } from "../../../src/cluster-dns/dns-message.ts";
import { createOutsideNames, parseNameServers } from "../../../src/cluster-dns/outside-names.ts";
import type { OutsideOptions } from "../../../src/cluster-dns/outside-names.ts";
import { answerFromTable } from "../../../src/cluster-dns/outside-table.ts";
import { readZoneFile } from "../../../src/cluster-dns/zone-file.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { queryBytes, startStubResolver } from "./dns-peers.ts";

const table = readZoneFile().outside;

function create(options: Partial<OutsideOptions>) {
  const names = createOutsideNames({ source: "built-in", table, ownAddresses: [], clock: systemClock, ...options });
  onTestFinished(() => names.close());
  return names;
}

function query(name: string) {
  const parsed = parseQuery(queryBytes(name));
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

describe("the nameserver lines of resolv.conf", () => {
  test.each([
    ["one line", "nameserver 10.0.0.2\n", ["10.0.0.2"]],
    [
      "several lines, both families",
      "# set by hand\nnameserver 10.0.0.2\n  nameserver\tfd00::2\noptions ndots:5",
      ["10.0.0.2", "fd00::2"],
    ],
    ["a host name is skipped", "nameserver dns.example.com\nsearch example.com", []],
    ["a comment is skipped", "#nameserver 10.0.0.2\n;nameserver 10.0.0.3", []],
    ["an empty file", "", []],
  ])("%s", (_what, text, expected) => {
    expect(parseNameServers(text).map(({ host }) => host)).toEqual(expected);
    expect(parseNameServers(text).every(({ port }) => port === 53)).toBe(true);
  });
});

describe("the table answers", () => {
  test("while no resolver has answered the probe", async () => {
    const names = create({ source: { resolvers: [{ host: "127.0.0.1", port: 1 }] } });
    expect(await names.lookUp(query("baidu.com"), "udp")).toMatchObject([
      { address: "192.0.2.20" },
      { address: "192.0.2.21" },
    ]);
  });

  test("if the resolver answers the probe with SERVFAIL, as it does offline", async () => {
    const resolver = await startStubResolver(Packet.RCODE.SERVFAIL);
    const names = create({ source: { resolvers: [resolver.address] } });
    for (let count = 0; count < 20; count += 1) {
      expect(await names.lookUp(query("baidu.com"), "udp")).toHaveLength(2);
      await new Promise(setImmediate);
    }
  });

  test.each([
    ["its own address", (port: number) => ({ host: "127.0.0.1", port })],
    ["every address of the machine", (port: number) => ({ host: "0.0.0.0", port })],
  ])("if the only resolver is %s", async (_what, ownAddress) => {
    const resolver = await startStubResolver();
    const names = create({
      source: { resolvers: [resolver.address] },
      ownAddresses: [ownAddress(resolver.address.port)],
    });
    for (let count = 0; count < 20; count += 1) {
      expect(await names.lookUp(query("baidu.com"), "udp")).toHaveLength(2);
      await new Promise(setImmediate);
    }
  });

  test.each([
    ["example.com", Packet.TYPE.MX, 0, ["mail.example.com"]],
    ["example.com", Packet.TYPE.TXT, 0, ["v=spf1 mx -all"]],
    ["example.com", Packet.TYPE.SRV, 0, []],
    ["www.example.com", Packet.TYPE.CNAME, 0, ["example.com"]],
    ["www.example.com", Packet.TYPE.AAAA, 0, ["example.com", "2001:db8::10"]],
    ["www.example.com", Packet.TYPE.SRV, 0, ["example.com"]],
    ["Example.COM", Packet.TYPE.A, 0, ["192.0.2.10"]],
    ["b.example.com", Packet.TYPE.A, 0, []],
    ["com", Packet.TYPE.A, 0, []],
    ["xample.com", Packet.TYPE.A, 3, []],
    ["constructor", Packet.TYPE.A, 3, []],
  ])("%s type %i", (name, type, rcode, expected) => {
    const reply = answerFromTable(table, { name, type });
    expect(reply.rcode).toBe(rcode);
    const data = reply.answers.map(
      ({ address, domain, exchange, data: text }) => address ?? domain ?? exchange ?? String(text),
    );
    expect(data).toEqual(expected);
  });

  test("a loop of CNAMEs with SERVFAIL", () => {
    const record = (name: string) => ({ A: [], AAAA: [], MX: [], TXT: [], CNAME: name });
    const looped = { ttl: 5, names: { "a.test": record("b.test"), "b.test": record("a.test") } };
    expect(answerFromTable(looped, { name: "a.test", type: Packet.TYPE.A }).rcode).toBe(Packet.RCODE.SERVFAIL);
  });
});

describe("a resolver", () => {
  test("that does not answer has a bounded number of questions waiting: the next one is refused", async () => {
    const resolver = await startStubResolver();
    const names = create({ source: { resolvers: [resolver.address] } });
    const known = resolver.nextHeld();
    while ((await Promise.race([names.lookUp(query("known.example.net"), "udp"), known])) instanceof Array) {
      await new Promise(setImmediate);
    }
    (await known).answer();
    const waiting = Array.from({ length: 300 }, (_, index) => names.answer(query(`n${index}.example.net`), "udp"));
    const refused = await Promise.race(waiting);
    expect((refused[3] ?? 0) & 0xf).toBe(Packet.RCODE.REFUSED);
    names.close();
    const rcodes = (await Promise.all(waiting)).map((reply) => (reply[3] ?? 0) & 0xf);
    expect(rcodes.filter((rcode) => rcode === Packet.RCODE.SERVFAIL).length).toBeGreaterThanOrEqual(249);
  });
});
