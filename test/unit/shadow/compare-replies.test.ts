import { describe, expect, test } from "vitest";
import { digestOf, relationOf, type ReplyDigest } from "../../../src/shadow/compare-replies.ts";
import {
  a,
  aaaa,
  buildQuery,
  cname,
  replyTo,
  soa,
  type TestMessage,
  txt,
  Type,
} from "../../support/messages/messages.ts";

function digest(reply: TestMessage & { rcode?: number }, name = "www.example.com"): ReplyDigest {
  const digested = digestOf(replyTo(buildQuery(name, Type.A), reply));
  if (digested === undefined) throw new Error("the reply cannot be read");
  return digested;
}

const name = "www.example.com";
const both = [a(name, "192.0.2.1"), a(name, "192.0.2.2")];

describe("two replies say the same", () => {
  test.each<[string, Parameters<typeof digest>[0], Parameters<typeof digest>[0]]>([
    ["in another order", { answers: both }, { answers: both.toReversed() }],
    ["with other TTLs", { answers: [a(name, "192.0.2.1", 300)] }, { answers: [a(name, "192.0.2.1", 7)] }],
    ["with a record twice", { answers: both }, { answers: [...both, both[0] ?? a(name, "")] }],
    [
      "in capital letters",
      { answers: [cname("WWW.example.com", "EDGE.example.net")] },
      { answers: [cname(name, "edge.example.net")] },
    ],
    [
      "with other records beside the answer",
      { answers: both, authorities: [soa("example.com")] },
      { answers: both, opt: {} },
    ],
    ["as NXDOMAIN, whatever its SOA", { rcode: 3, authorities: [soa("a.example")] }, { rcode: 3 }],
  ])("%s", (_, one, other) => expect(relationOf(digest(one), digest(other))).toBe("same"));
});

describe("two replies differ", () => {
  test.each<[string, Parameters<typeof digest>[0], Parameters<typeof digest>[0]]>([
    ["in the code", { rcode: 3 }, { rcode: 0 }],
    ["in the address", { answers: [a(name, "192.0.2.1")] }, { answers: [a(name, "192.0.2.9")] }],
    ["in the type", { answers: [a(name, "192.0.2.1")] }, { answers: [aaaa(name, 1)] }],
    ["in the owner", { answers: [a(name, "192.0.2.1")] }, { answers: [a("example.com", "192.0.2.1")] }],
    ["in a text", { answers: [txt(name, "one")] }, { answers: [txt(name, "One")] }],
    ["because one has nothing", { answers: both }, {}],
  ])("%s", (_, one, other) => expect(relationOf(digest(one), digest(other))).toBe("different"));
});

test("parts of a larger set are known by what they share", () => {
  const other = [a(name, "192.0.2.2"), a(name, "192.0.2.3")];
  expect(relationOf(digest({ answers: both }), digest({ answers: other }))).toBe("partial");
});

test("a reply lives as long as its shortest TTL, a denial as its SOA says", () => {
  expect(digest({ answers: [a(name, "192.0.2.1", 60), cname(name, "x.example", 20)] }).lifeSeconds).toBe(20);
  expect(digest({ rcode: 3, authorities: [soa("example.com", 30, 5)] }).lifeSeconds).toBe(5);
  expect(digest({ rcode: 3 }).lifeSeconds).toBe(0);
});

test("what cannot be read has no digest", () => {
  const reply = replyTo(buildQuery(name, Type.A), { answers: both });
  expect(digestOf(reply.subarray(0, reply.length - 3))).toBeUndefined();
  expect(digestOf(new Uint8Array(0))).toBeUndefined();
});
