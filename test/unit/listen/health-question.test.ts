import { describe, expect, test } from "vitest";
import { createHealthQuestion } from "../../../src/listen/health-question.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";
import { composeQuery } from "../../../src/wire/question.ts";
import { createQueryView, readQuery } from "../../../src/wire/query.ts";
import { buildQuery, nameBytes, readMessage, Type } from "../../support/messages/messages.ts";

const zone = nameBytes("cluster.local");
const health = createHealthQuestion(zone, "5e1f");
const name = "nodens-health.cluster.local";

function viewOf(packet: Uint8Array) {
  const view = createQueryView(0x5eed);
  expect(readQuery(packet, packet.length, view)).toBe(0);
  return view;
}

function at(host: string) {
  return socketAddress({ host, port: 53 });
}

function answerTo(packet: Uint8Array): Uint8Array {
  const target = new Uint8Array(600).fill(0xaa);
  return target.slice(0, health.answer(target, viewOf(packet)));
}

describe("the health question", () => {
  test("is a name of its own in the cluster zone, for a type that no client looks up", () => {
    const { questions } = readMessage(composeQuery(health.question));
    expect(questions).toMatchObject([{ name, type: Type.HINFO, class: 1 }]);
  });

  test.each<[string, string, string]>([
    ["from the address that is asked, as the kernel reports it", "169.254.20.10", "169.254.20.10"],
    ["from an IPv6 address that the settings spell differently", "fd00::a", "FD00:0:0::000A"],
  ])("is asked %s", (_name, client, host) => {
    expect(health.isAsked(viewOf(composeQuery(health.question)), at(client), at(host))).toBe(true);
    expect(health.isAsked(viewOf(buildQuery(name.toUpperCase(), Type.HINFO)), at(client), at(host))).toBe(true);
  });

  test("is asked under another name too, which says nothing to the node's rules", () => {
    const packet = composeQuery(health.watch);
    expect(readMessage(packet).questions).toMatchObject([{ name: "nodens-watch.cluster.local", type: Type.HINFO }]);
    expect(health.isAsked(viewOf(packet), at("10.0.0.7"), at("10.0.0.7"))).toBe(true);
    expect(health.isAsked(viewOf(packet), at("10.0.0.1"), at("10.0.0.7"))).toBe(false);
    expect(health.isOwnAnswer(answerTo(packet))).toBe(true);
  });

  test("is not the one that the node's rules send on to kube-dns, which is the same for another name", () => {
    const { questions } = readMessage(composeQuery(health.away));
    expect(questions).toMatchObject([{ name: "nodens-away.cluster.local", type: Type.HINFO, class: 1 }]);
    expect(health.isAsked(viewOf(composeQuery(health.away)), at("10.0.0.7"), at("10.0.0.7"))).toBe(false);
  });

  test.each<[string, string, string]>([
    ["by a pod", name, "10.0.0.1"],
    ["from another address of the machine", name, "127.0.0.1"],
    ["for a name below it", `a.${name}`, "169.254.20.10"],
    ["for the zone above it", "cluster.local", "169.254.20.10"],
    ["for another zone", "nodens-health.example", "169.254.20.10"],
  ])("is not asked %s", (_name, asked, client) => {
    expect(health.isAsked(viewOf(buildQuery(asked, Type.HINFO)), at(client), at("169.254.20.10"))).toBe(false);
  });
});

describe("its answer", () => {
  test.each([
    ["with EDNS", composeQuery(health.question)],
    ["without", buildQuery(name, Type.HINFO)],
  ])("is one record with TTL 0, %s", (_name, packet) => {
    const { rcode, answers, authorities, questions } = readMessage(answerTo(packet));
    expect([rcode, authorities, questions[0]?.name]).toEqual([0, [], name]);
    expect(answers).toMatchObject([{ name, type: Type.HINFO, ttl: 0 }]);
  });

  test("tells processes apart", () => {
    const other = createHealthQuestion(zone, "0abc");
    const answer = answerTo(composeQuery(health.question));
    expect([health.isOwnAnswer(answer), other.isOwnAnswer(answer)]).toEqual([true, false]);
  });

  test("is not taken for the denial from a process that does not know the question", () => {
    expect(health.isOwnAnswer(composeQuery(health.question))).toBe(false);
  });
});
