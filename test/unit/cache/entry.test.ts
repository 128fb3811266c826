import { describe, expect, test } from "vitest";
import { ageSecondsOf, createEntry, hasName, keyOfEntry, questionOfEntry } from "../../../src/cache/entry.ts";
import { addressTypes } from "../../../src/cache/key.ts";
import { questionKey } from "../../../src/wire/question.ts";
import { ttlOffsetOf, type StoredMessage } from "../../../src/wire/stored-message.ts";
import { a, cname, nameBytes, soa, Type } from "../../support/messages/messages.ts";
import {
  addressEntry,
  denialEntry,
  entryFor,
  nxdomain,
  questionFor,
  replyFor,
} from "../../support/messages/parsed-messages.ts";

function ttlsOf(stored: StoredMessage): number[] {
  const view = new DataView(stored.octets.buffer, stored.octets.byteOffset);
  return Array.from({ length: stored.recordCount }, (_, index) => view.getUint32(ttlOffsetOf(stored, index)));
}

describe("createEntry", () => {
  test("an answer lives for its lifetime from now on, and is due for a refresh in the last tenth of it", () => {
    expect(addressEntry("a.example", 300, 5000)).toMatchObject({
      kind: "answer",
      type: Type.A,
      class: 1,
      dnssecOk: false,
      checkingDisabled: false,
      storedAtMs: 5000,
      expiresAtMs: 305_000,
      refreshAtMs: 275_000,
      hits: 0,
    });
  });

  test("a denial is never prefetched", () => {
    expect(denialEntry("a.example", Type.A, 300)).toMatchObject({ kind: "denial", refreshAtMs: Infinity });
  });

  test("a shared denial has a type of its own", () => {
    expect(denialEntry("a.example", Type.AAAA, 5, 0, true).type).toBe(addressTypes);
    const key = keyOfEntry(denialEntry("a.example", Type.AAAA, 5, 0, true));
    expect(key).toBe(keyOfEntry(denialEntry("a.example", Type.A, 5, 0, true)));
    expect(key).not.toBe(keyOfEntry(denialEntry("a.example", Type.A, 5)));
  });

  test("C5: the SOA of a kept denial shows the denial's lifetime", () => {
    const question = questionFor("gone.example", Type.A);
    expect(ttlsOf(entryFor(question, { rcode: nxdomain, authorities: [soa("example", 900, 3)] }))).toEqual([3]);
  });

  test("a denial after an alias shows the shorter lifetime of the two", () => {
    const answers = [cname("gone.example", "there.example", 2)];
    const entry = entryFor(questionFor("gone.example", Type.A), {
      rcode: nxdomain,
      answers,
      authorities: [soa("example", 900, 30)],
    });
    expect(ttlsOf(entry)).toEqual([2, 2]);
    expect(entry.expiresAtMs).toBe(2000);
  });

  test("a denial that is not kept is passed on unchanged", () => {
    const question = questionFor("gone.example", Type.A);
    const entry = entryFor(question, { rcode: nxdomain, authorities: [soa("example", 900, 0)] });
    expect(ttlsOf(entry)).toEqual([900]);
    expect(entry.expiresAtMs).toBe(entry.storedAtMs);
  });

  test("no TTL exceeds the longest lifetime", () => {
    const question = questionFor("a.example", Type.A);
    const reply = replyFor(question, { answers: [a("a.example", "192.0.2.1", 100), a("a.example", "192.0.2.2", 9)] });
    const entry = createEntry(question, reply, { kind: "answer", ttlSeconds: 9 }, 60, false, 0);
    expect(ttlsOf(entry)).toEqual([60, 9]);
  });

  test("the name is stored folded, whatever spelling upstream sent it in", () => {
    const question = questionFor("wWw.Example", Type.A);
    const reply = replyFor(question, { answers: [a("www.example", "192.0.2.1")] });
    reply.packet[13] = 0x57;
    const entry = createEntry(question, reply, { kind: "answer", ttlSeconds: 30 }, 60, false, 0);
    expect(hasName(entry, nameBytes("www.example"), 13)).toBe(true);
  });
});

describe("ageSecondsOf", () => {
  const entry = addressEntry("www.example", 30, 1000);

  test.each([
    [1000, 0],
    [1999, 0],
    [2000, 1],
    [30_999, 29],
    [31_000, 30],
  ])("at %i ms an entry of 1000 ms is %i s old", (nowMs, age) => {
    expect(ageSecondsOf(entry, nowMs)).toBe(age);
  });
});

describe("questionOfEntry", () => {
  test.each([{}, { dnssecOk: true }, { checkingDisabled: true }])("is the question that was asked: %o", (details) => {
    const question = questionFor("www.example", Type.A, details);
    expect(questionKey(questionOfEntry(addressEntry("www.example", 30, 0, details)))).toBe(questionKey(question));
  });

  test("owns its name", () => {
    const entry = addressEntry("www.example", 30);
    questionOfEntry(entry).name.fill(0);
    expect(hasName(entry, nameBytes("www.example"), 13)).toBe(true);
  });
});
