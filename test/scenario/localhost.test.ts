/*
 * Names of the very host (RFC 6761 §6.3): answered here, whatever becomes of upstream.
 */
import { expect, test } from "vitest";
import { nameBytes, Type } from "../support/messages/messages.ts";
import { createWorld, type TypeName } from "../support/world/create-world.ts";

const loopback = "127.0.0.1".split(".").map(Number);
const loopback6 = [...new Uint8Array(15), 1];
const ptr6 = `1.${"0.".repeat(31)}ip6.arpa`;

test.each<[string, TypeName, number[]]>([
  ["localhost", "A", loopback],
  ["localhost", "AAAA", loopback6],
  ["LocalHost", "A", loopback],
  ["x.localhost", "A", loopback],
  ["a.b.localhost", "AAAA", loopback6],
  ["1.0.0.127.in-addr.arpa", "PTR", [...nameBytes("localhost")]],
  [ptr6, "PTR", [...nameBytes("localhost")]],
])("%s %s is answered without asking", async (name, type, data) => {
  const world = createWorld();
  const reply = (await world.asks(name, type)).reply();
  expect(reply).toMatchObject({ rcode: 0, questions: [{ name }], answers: [{ type: Type[type] }] });
  expect([...(reply.answers[0]?.data ?? [])]).toEqual(data);
  expect(world.upstream.received).toHaveLength(0);
  expect(world.foresees(name, type)).toEqual([{ kind: "ownHost", hasData: true }]);
});

test.each<[string, TypeName]>([
  ["localhost", "TXT"],
  ["x.localhost", "HTTPS"],
  ["1.0.0.127.in-addr.arpa", "A"],
])("%s %s is no data, with an SOA", async (name, type) => {
  const world = createWorld();
  const reply = (await world.asks(name, type)).reply();
  expect(reply).toMatchObject({ rcode: 0, answers: [], authorities: [{ type: Type.SOA }] });
  expect(world.upstream.received).toHaveLength(0);
});

test.each<[string, TypeName]>([
  ["localhost.default.svc.cluster.local", "A"],
  ["localhost.example", "A"],
  ["xlocalhost", "A"],
  ["x.1.0.0.127.in-addr.arpa", "PTR"],
  ["2.0.0.127.in-addr.arpa", "PTR"],
])("%s %s is a name like any other", async (name, type) => {
  const world = createWorld();
  expect((await world.asks(name, type)).isWaiting()).toBe(true);
  expect(world.upstream.received).toHaveLength(1);
});
