import { describe, expect, test } from "vitest";
import { followChain } from "../../../src/wire/answer-chain.ts";
import { aliasesFirst, withoutProofs } from "../../../src/wire/rebuild-reply.ts";
import { parseReply, type Reply } from "../../../src/wire/reply.ts";
import {
  a,
  cname,
  nameBytes,
  readMessage,
  soa,
  type TestMessage,
  type TestRecord,
  Type,
} from "../../support/messages/messages.ts";
import { questionFor, replyFor } from "../../support/messages/parsed-messages.ts";

const name = "www.example";
const question = questionFor(name, Type.A);
const signature: TestRecord = { name, type: 46, ttl: 60, data: nameBytes("example") };
const proof: TestRecord = { name: "a.example", type: 47, ttl: 60, data: nameBytes("z.example") };
/** A type whose data may hold compressed names, of which nothing more is known here (RFC 3597 §4). */
const obscure: TestRecord = { name, type: 17, ttl: 60, data: nameBytes("mail.example") };

/** What a message holds, by section. */
function typesOf(reply: Reply) {
  const { answers, authorities, additionals } = readMessage(reply.packet.slice());
  return [answers, authorities, additionals].map((records) => records.map(({ type }) => type));
}

function stripped(spec: TestMessage, asked = question): Reply {
  return withoutProofs(replyFor(asked, spec), asked);
}

describe("a reply for a client without DO", () => {
  test("stays what it is where nothing proves anything", () => {
    const reply = replyFor(question, { answers: [a(name, "192.0.2.1"), obscure] });
    expect(withoutProofs(reply, question)).toBe(reply);
  });

  test("is written anew without signatures and proofs, and can be read", () => {
    const reply = stripped({
      answers: [a(name, "192.0.2.1"), signature],
      authorities: [proof, soa("example")],
      additionals: [signature, a("ns.example", "192.0.2.2")],
    });
    expect(typesOf(reply)).toEqual([[Type.A], [Type.SOA], [Type.A]]);
    expect(parseReply(reply.packet.slice())).toMatchObject({ rcode: 0 });
  });

  test("keeps what was asked for", () => {
    const asked = questionFor(name, 46);
    expect(typesOf(stripped({ answers: [signature] }, asked))[0]).toEqual([46]);
  });

  test.each<[string, TestMessage, number[][]]>([
    [
      "the first of the authorities",
      { answers: [a(name, "192.0.2.1"), obscure], authorities: [proof, soa("example")] },
      [[Type.A, 17], [], []],
    ],
    [
      "an answer",
      { answers: [a(name, "192.0.2.1"), signature, obscure], authorities: [soa("example")] },
      [[Type.A], [], []],
    ],
    [
      "an additional",
      { answers: [obscure], authorities: [soa("example")], additionals: [a(name, "192.0.2.1"), signature] },
      [[17], [Type.SOA], [Type.A]],
    ],
  ])("ends before %s that proves something, where a record cannot be written anew", (_, spec, types) => {
    const reply = stripped(spec);
    expect(
      [reply.answers, reply.authorities, reply.additionals].map((records) => records.map(({ type }) => type)),
    ).toEqual(types);
    const { answers, authorities } = readMessage(reply.packet.slice());
    expect([answers.length, authorities.length]).toEqual([types[0]?.length, types[1]?.length]);
  });
});

describe("an answer section out of order", () => {
  const answers = [a("web.example", "192.0.2.1"), cname(name, "web.example")];

  function inOrder(spec: TestMessage): Reply {
    const reply = replyFor(question, spec);
    return aliasesFirst(reply, followChain(reply, question));
  }

  test("is given alias first, with the other sections", () => {
    expect(typesOf(inOrder({ answers, authorities: [soa("example")] }))).toEqual([
      [Type.CNAME, Type.A],
      [Type.SOA],
      [],
    ]);
  });

  test("is given without the other sections where those cannot be written anew", () => {
    expect(typesOf(inOrder({ answers, authorities: [obscure] }))).toEqual([[Type.CNAME, Type.A], [], []]);
  });

  test("stays as it is where a record of its own cannot be written anew", () => {
    expect(typesOf(inOrder({ answers: [...answers, obscure] }))[0]).toEqual([Type.A, Type.CNAME, 17]);
  });
});
