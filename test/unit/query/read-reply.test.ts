import { Packet, type Resource } from "dns2";
import { describe, expect, test } from "vitest";
import { readReply } from "../../../src/query/read-reply.ts";
import { replyTo } from "../commands/scripted-server.ts";

const query = new Packet();
query.header = new Packet.Header({ id: 7, rd: 1 });
query.questions = [new Packet.Question("Example.com", 1, 1)];
const queryBytes = query.toBuffer();

describe("the data of a record in presentation form", () => {
  const hex = (octets: string): Partial<Resource> => ({ data: Buffer.from(octets, "hex") });
  const rows: readonly (readonly [type: string, code: number, record: Partial<Resource>, data: string])[] = [
    ["A", 1, { address: "192.0.2.1" }, "192.0.2.1"],
    ["AAAA", 28, { address: "2001:db8::1" }, "2001:db8::1"],
    ["NS", 2, { ns: "ns.other.example" }, "ns.other.example."],
    ["CNAME", 5, { domain: "other.example" }, "other.example."],
    ["PTR", 12, { domain: "" }, "."],
    ["MX", 15, { priority: 10, exchange: "mx.other.example" }, "10 mx.other.example."],
    ["SRV", 33, { priority: 0, weight: 5, port: 443, target: "a.example" }, "0 5 443 a.example."],
    [
      "SOA",
      6,
      { primary: "ns.example", admin: "root.example", serial: 9, refresh: 1, retry: 2, expiration: 3, minimum: 4 },
      "ns.example. root.example. 9 1 2 3 4",
    ],
    ["TXT", 16, { data: ["v=1", 'say "hi" \\'] }, '"v=1" "say \\"hi\\" \\\\"'],
    ["CAA", 257, { flags: 0, tag: "issue", value: "ca.example" }, '0 issue "ca.example"'],
    ["DNSKEY", 48, { flags: 257, protocol: 3, algorithm: 8, key: "AQAB" }, "257 3 8 AQAB"],
    [
      "RRSIG",
      46,
      hex("0001080200000e1065920080658f5d803039076578616d706c6503636f6d00abcd"),
      "A 8 2 3600 20240101000000 20231230000000 12345 example.com. q80=",
    ],
    ["HTTPS", 65, hex("000100"), "\\# 3 000100"],
    ["DS", 43, hex("abcd"), "\\# 2 abcd"],
    ["TYPE65280", 65280, hex("00ff"), "\\# 2 00ff"],
    ["TYPE65281", 65281, hex(""), "\\# 0"],
  ];
  test.each(rows)("%s", (type, code, record, data) => {
    const { answer, problems } = readReply(replyTo(queryBytes, { answers: [{ ...record, type: code, ttl: 60 }] }));
    expect(answer).toEqual([{ name: "Example.com.", ttlSeconds: 60, class: "IN", type, data }]);
    expect(problems).toEqual([]);
  });
});

test("octets that a terminal could obey are escaped in names and text", () => {
  const { answer } = readReply(
    replyTo(queryBytes, { answers: [{ name: "a\u001b b\u00e9", type: 16, data: ["\u001b[2J\u00e9"] }] }),
  );
  expect(answer[0]).toMatchObject({ name: "a\\027\\032b\\233.", data: '"\\027[2J\\195\\169"' });
});

test("the header's flags and the question, spelled as the server spelled it", () => {
  expect(readReply(replyTo(queryBytes, { flags: 0x0630 }))).toMatchObject({
    id: 7,
    rcode: "NOERROR",
    flags: ["qr", "aa", "tc", "rd", "ra", "ad", "cd"],
    question: { name: "Example.com.", class: "IN", type: "A" },
    edns: null,
  });
});

test.each([
  [3, "stale answer"],
  [13, "cached error"],
  [19, "stale nxdomain answer"],
  [22, "no reachable authority"],
  [23, "network error"],
  [49152, "not registered"],
])("extended error %i is named: %s", (code, meaning) => {
  const { edns } = readReply(replyTo(queryBytes, { options: [Packet.Resource.EDNS.EDE(code, "why\u0007")] }));
  expect(edns?.extendedErrors).toEqual([{ code, meaning, text: "why\\007" }]);
});

test("the upper bits of the rcode come from OPT", () => {
  const reply = replyTo(queryBytes, { options: [] });
  reply[reply.length - 6] = 1;
  expect(readReply(reply)).toMatchObject({ rcode: "BADVERS", additional: [] });
});

test("a code without a name is a number", () => {
  expect(readReply(replyTo(queryBytes, { rcode: 13 })).rcode).toBe("RCODE13");
});

test("a record that cannot be decoded is named, and those after it are read", () => {
  const answers = [
    { type: 65280, data: Buffer.from("0102", "hex"), ttl: 1 },
    { address: "192.0.2.7", ttl: 1 },
  ];
  const reply = replyTo(queryBytes, { answers });
  // The first record's type becomes A, which its two octets cannot be: owner pointer (2), then the type.
  reply.writeUInt16BE(1, queryBytes.length + 2);
  const { answer, problems } = readReply(reply);
  expect(answer.map(({ data }) => data)).toEqual(["192.0.2.7"]);
  expect(problems).toEqual([
    expect.stringMatching(/^answers\[0\] at offset \d+: A decode: RDLENGTH is 2, expected 4$/),
  ]);
});

test("a reply without a question has none", () => {
  const reply = Buffer.from(queryBytes.subarray(0, 12));
  reply.writeUInt16BE(0x8181, 2);
  reply.writeUInt16BE(0, 4);
  expect(readReply(reply)).toMatchObject({ rcode: "FORMERR", question: null });
});
