import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDnsPacket, PacketFault, readPacket } from "../../../src/shadow/read-packet.ts";
import { buildPacket, type TestPacket } from "../../support/messages/ip-packets.ts";

const payload = Uint8Array.of(1, 2, 3, 4, 5);
const query6: TestPacket = { from: "fd44::10", to: "fd96::a", payload };
const options = { number: 60, rest: [0, 1, 4, 0, 0, 0, 0] };
const hopByHop = { number: 0, rest: [1, ...Array.from({ length: 14 }, () => 0)] };

function read(octets: Uint8Array, isReply = false) {
  const view = createDnsPacket();
  return { fault: readPacket(octets, octets.length, isReply, view), view };
}

function payloadOf(octets: Uint8Array): number[] {
  const { fault, view } = read(octets);
  expect(fault).toBe(0);
  return [...octets.subarray(view.payloadAt, view.payloadEnd)];
}

describe("the message is found", () => {
  test.each<[string, TestPacket]>([
    ["over IPv4", { payload }],
    ["behind IP options", { payload, optionOctets: 12 }],
    ["over TCP", { payload, tcp: { sequence: 9 } }],
    ["behind TCP options", { payload, tcp: { sequence: 9, optionOctets: 12 } }],
    ["over IPv6", query6],
    ["behind extension headers", { ...query6, extensions: [hopByHop, options] }],
    [
      "in a fragment that is the whole packet",
      { ...query6, extensions: [{ number: 44, rest: [0, 0, 0, 0, 0, 0, 9] }] },
    ],
  ])("%s", (_, packet) => expect(payloadOf(buildPacket(packet))).toEqual([...payload]));

  test("without what is padded behind it", () => {
    expect(payloadOf(Uint8Array.from([...buildPacket({ payload }), 0, 0, 0, 0]))).toEqual([...payload]);
  });
});

test("client and server change places in a reply", () => {
  const octets = buildPacket({ from: "10.96.0.10", to: "10.244.1.10", fromPort: 53, toPort: 41_000 });
  const { fault, view } = read(octets, true);
  expect(fault).toBe(0);
  expect([...octets.subarray(view.clientAt, view.clientAt + 4)]).toEqual([10, 244, 1, 10]);
  expect([...octets.subarray(view.serverAt, view.serverAt + 4)]).toEqual([10, 96, 0, 10]);
  expect(view.clientPort).toBe(41_000);
});

describe("a packet is told to be unusable", () => {
  const cutBy = (packet: TestPacket, octets: number) => buildPacket(packet).subarray(0, -octets);
  const patched = (packet: TestPacket, at: number, value: number) => {
    const octets = buildPacket(packet);
    octets[at] = value;
    return octets;
  };

  test.each<[string, Uint8Array, number]>([
    ["nothing at all", new Uint8Array(0), PacketFault.malformed],
    ["version 5", patched({ payload }, 0, 0x55), PacketFault.malformed],
    ["a header that is shorter than a header", patched({ payload }, 0, 0x44), PacketFault.malformed],
    ["a header that is longer than the packet", patched({}, 0, 0x4f), PacketFault.malformed],
    ["less than it says", cutBy({ payload }, 1), PacketFault.cut],
    ["less than it says, over IPv6", cutBy(query6, 1), PacketFault.cut],
    ["the first fragment", buildPacket({ payload, fragment: 0x2000 }), PacketFault.fragment],
    ["a later fragment", buildPacket({ payload, fragment: 0x0001 }), PacketFault.fragment],
    [
      "a fragment of IPv6",
      buildPacket({ ...query6, extensions: [{ number: 44, rest: [0, 0, 1, 0, 0, 0, 9] }] }),
      PacketFault.fragment,
    ],
    ["a UDP length beyond the packet", patched({ payload }, 25, 200), PacketFault.malformed],
    ["a UDP length below its header", patched({ payload }, 25, 7), PacketFault.malformed],
    ["a TCP header beyond the packet", patched({ tcp: { sequence: 1 } }, 32, 0xf0), PacketFault.malformed],
    ["another protocol", buildPacket({ payload, protocol: 1 }), PacketFault.other],
    [
      "another port behind an extension header",
      buildPacket({ ...query6, toPort: 80, extensions: [options] }),
      PacketFault.other,
    ],
    [
      "extension headers that lead beyond the packet",
      buildPacket({ ...query6, extensions: [{ number: 60, rest: [200, 0, 0, 0, 0, 0, 0] }] }),
      PacketFault.malformed,
    ],
  ])("%s", (_, octets, fault) => expect(read(octets).fault).toBe(fault));
});

test("whatever the octets, it ends, and what it finds lies within them", () => {
  const begun = [0x45, 0x46, 0x60].map((first) =>
    fc.uint8Array({ maxLength: 120 }).map((rest) => Uint8Array.of(first, ...rest)),
  );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), ...begun), fc.boolean(), (octets, isReply) => {
      const { fault, view } = read(octets, isReply);
      if (fault !== 0) return;
      expect(view.payloadAt).toBeLessThanOrEqual(view.payloadEnd);
      expect(view.payloadEnd).toBeLessThanOrEqual(octets.length);
    }),
  );
});
