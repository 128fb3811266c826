import { describe, expect, test } from "vitest";
import { Fault, type FaultCode, faultNames } from "../../../src/wire/fault.ts";
import { createQueryView, readQuery } from "../../../src/wire/query.ts";
import { parseReply } from "../../../src/wire/reply.ts";
import { loadMalformed } from "../../support/messages/malformed-packets.ts";

const queries = loadMalformed("malformed");
const replies = loadMalformed("malformed-replies");

/** What a client sees for each fault: nothing if the packet does not tell who asks, or that anybody asks. */
const answerTo: Partial<Record<keyof typeof Fault, string>> = {
  shortHeader: "silence",
  wrongDirection: "silence",
  opcode: "NOTIMP",
};

/** The name of the fault that a parser returned, or "none". */
function outcomeOf(result: unknown): string | undefined {
  return typeof result === "number" ? faultNames[-result] : "none";
}

describe("faultNames", () => {
  test("names every fault at its negated number", () => {
    for (const [name, code] of Object.entries(Fault)) expect(faultNames[-code]).toBe(name);
    expect(faultNames).toHaveLength(Object.keys(Fault).length + 1);
  });

  test("no two faults share a number, and none is an offset", () => {
    const codes: FaultCode[] = Object.values(Fault);
    expect(new Set(codes).size).toBe(codes.length);
    expect(Math.max(...codes)).toBeLessThan(0);
  });
});

describe("the malformed packets", () => {
  test.each(Object.keys(Fault))("there is at least one for %s", (name) => {
    expect(queries.map(({ fault }) => fault)).toContain(name);
  });

  test.each(queries)("$name: expects the reply that its fault gets", ({ fault, expect: expected }) => {
    expect(expected).toBe(answerTo[fault as keyof typeof Fault] ?? "FORMERR");
  });

  test.each(replies)("$name: expects to be ignored", ({ expect: expected }) => {
    expect(expected).toBe("ignored");
  });
});

describe("readQuery names the defect", () => {
  test.each(queries)("$name: $fault", ({ packet, fault }) => {
    expect(outcomeOf(readQuery(packet, packet.length, createQueryView(1)))).toBe(fault);
  });
});

describe("parseReply names the defect", () => {
  test.each(replies)("$name: $fault", ({ packet, fault }) => {
    expect(outcomeOf(parseReply(packet))).toBe(fault);
  });
});
