import { Packet } from "dns2";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  composeFault,
  composeReply,
  emptyReply,
  makeRecord,
  parseQuery,
  splitName,
} from "../../../src/cluster-dns/dns-message.ts";
import { queryBytes, questionOf } from "./dns-peers.ts";

/** A name as a query can carry it: labels of any octets, 255 octets in all. */
const labels = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 63 }), { maxLength: 8 })
  .map((list) => list.map((octets) => Buffer.from(octets).toString("latin1")))
  .filter((list) => list.reduce((sum, label) => sum + label.length + 1, 1) <= 255);

describe("a query", () => {
  test("of arbitrary octets is parsed or is a fault, and never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (octets) => {
        const bytes = Buffer.from(octets);
        const query = parseQuery(bytes);
        if ("fault" in query) composeFault(bytes, query);
        else composeReply(query, emptyReply(0), "udp");
      }),
      { numRuns: 2_000 },
    );
  });

  test("with some octets changed is parsed or is a fault, and never throws", () => {
    const good = queryBytes("kubernetes.default.svc.cluster.local", { ednsSize: 1232 });
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(good);
        for (const [offset, octet] of changes) bytes[offset] = octet;
        const query = parseQuery(bytes);
        if (!("fault" in query)) composeReply(query, emptyReply(0), "udp");
      }),
      { numRuns: 2_000 },
    );
  });

  test("with any name gets its question back octet for octet, and is split into its labels", () => {
    fc.assert(
      fc.property(labels, (list) => {
        const bytes = queryBytes(list);
        const query = parseQuery(bytes);
        if ("fault" in query) throw new Error(query.fault);
        const answers = [makeRecord(query.name, Packet.TYPE.A, 5, { address: "192.0.2.1" })];
        const reply = composeReply(query, { ...emptyReply(0), answers }, "udp");
        expect(questionOf(reply)).toEqual(questionOf(bytes));
        const owner = list.length === 0 ? "00" : "c00c";
        expect(reply.subarray(questionOf(bytes).length + 12).toString("hex")).toBe(
          `${owner}0001000100000005${"0004c0000201"}`,
        );
        expect(splitName(query.name).map((label) => label.replace(/\\(.)/gs, "$1"))).toEqual(list);
      }),
    );
  });
});

describe("a reply", () => {
  const query = parseQuery(queryBytes("www.shop.svc.Cluster.local"));
  if ("fault" in query) throw new Error(query.fault);

  test("that is cut in the additional section has TC too, as in CoreDNS", () => {
    const additionals = Array.from({ length: 60 }, (_, index) =>
      makeRecord("x.cluster.local", Packet.TYPE.A, 5, { address: `192.0.2.${index}` }),
    );
    const reply = composeReply(query, { ...emptyReply(0), additionals }, "udp");
    const packet = Packet.parse(reply);
    expect(packet.errors).toEqual([]);
    expect(packet.header.tc).toBe(1);
    expect(packet.additionals.length).toBeGreaterThan(20);
    expect(reply.length).toBeLessThanOrEqual(512);
  });

  test("repeats RD and CD, and none of the query's other flags", () => {
    const bytes = queryBytes("a.test");
    bytes.writeUInt16BE(0x07f0, 2);
    const all = parseQuery(bytes);
    if ("fault" in all) throw new Error(all.fault);
    expect(composeReply(all, emptyReply(0), "udp").readUInt16BE(2)).toBe(0x8110);
  });
});
