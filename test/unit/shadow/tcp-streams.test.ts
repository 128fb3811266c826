import { expect, test } from "vitest";
import { createDnsPacket, readPacket } from "../../../src/shadow/read-packet.ts";
import { createTcpStreams } from "../../../src/shadow/tcp-streams.ts";
import { buildPacket } from "../../support/messages/ip-packets.ts";
import { concat, u16 } from "../../support/messages/messages.ts";

const syn = 0x02;
const rst = 0x04;
const message = Uint8Array.of(10, 11, 12, 13);
const framed = concat([u16(4), message]);

function createFollowed() {
  const streams = createTcpStreams();
  const heard: number[][] = [];
  const packet = createDnsPacket();

  function sends(sequence: number, payload: Uint8Array = new Uint8Array(0), flags = 0x10, key = "pod"): void {
    const octets = buildPacket({ tcp: { sequence, flags }, payload });
    readPacket(octets, octets.length, false, packet);
    streams.take(key, octets, packet, false, (whole) => heard.push([...whole]));
  }

  return { sends, heard, lost: streams.lostCount };
}

test("a message is heard once it is whole, however it is cut into segments", () => {
  const { sends, heard, lost } = createFollowed();
  sends(99, undefined, syn);
  for (const [index, octet] of [...framed, ...framed].entries()) sends(100 + index, Uint8Array.of(octet));
  expect(heard).toEqual([[...message], [...message]]);
  expect(lost()).toBe(0);
});

test("what is sent again is heard once", () => {
  const { sends, heard } = createFollowed();
  sends(99, undefined, syn);
  sends(100, framed.subarray(0, 4));
  sends(100, framed.subarray(0, 4));
  sends(102, framed.subarray(2));
  sends(100, framed);
  expect(heard).toEqual([[...message]]);
});

test("the numbers of the stream start over behind the greatest", () => {
  const { sends, heard } = createFollowed();
  sends(0xffff_fffe, undefined, syn);
  sends(0xffff_ffff, framed.subarray(0, 3));
  sends(2, framed.subarray(3));
  expect(heard).toEqual([[...message]]);
});

test("a connection with a gap is given up, and counted", () => {
  const { sends, heard, lost } = createFollowed();
  sends(99, undefined, syn);
  sends(103, framed.subarray(3));
  sends(100, framed);
  expect(heard).toEqual([]);
  expect(lost()).toBe(2);
});

test("one whose beginning was not seen is counted, and one that is only closed is not", () => {
  const { sends, lost } = createFollowed();
  sends(500, framed);
  sends(600, undefined, 0x11);
  expect(lost()).toBe(1);
});

test("a reset ends it", () => {
  const { sends, heard } = createFollowed();
  sends(99, undefined, syn);
  sends(100, undefined, rst);
  sends(100, framed);
  expect(heard).toEqual([]);
});

test("of more connections than are followed, the oldest is forgotten", () => {
  const { sends, heard } = createFollowed();
  for (let index = 0; index < 300; index += 1) sends(99, undefined, syn, `pod ${index}`);
  sends(100, framed, 0x10, "pod 0");
  expect(heard).toEqual([]);
  sends(100, framed, 0x10, "pod 299");
  expect(heard).toHaveLength(1);
});

test("a message that is too long ends the connection", () => {
  const { sends, lost } = createFollowed();
  sends(99, undefined, syn);
  sends(100, concat([u16(60_000), message]));
  expect(lost()).toBe(1);
});
