import { expect, test } from "vitest";
import { learnNameDenials } from "../../../src/resolve/learn-name-denials.ts";
import { createNameDenials } from "../../../src/search/name-denials.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange-state.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import { aaaa, nameBytes, soa, Type } from "../../support/messages/messages.ts";
import { nxdomain, replyFor, type ReplySpec } from "../../support/messages/parsed-messages.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

const suffix = nameBytes("corp.internal");
const denied = (owner: string): ReplySpec => ({ rcode: nxdomain, authorities: [soa(owner)] });

/** Learns, with what is said about each name in turn; where nothing is said, nobody answers. */
async function learn(said: Record<string, ReplySpec[]>) {
  const clock = createFakeClock();
  const nameDenials = createNameDenials([nameBytes("cluster.local"), suffix], { hasSchema: () => false }, clock.nowMs);
  const asked: string[] = [];
  const askOwn = (question: { name: Uint8Array; type: number }): Promise<ExchangeResult> => {
    const name = nameToText(question.name);
    asked.push(`${name} ${question.type}`);
    const spec = said[name]?.shift();
    const full = { ...question, nameHash: 0, class: 1, dnssecOk: false, checkingDisabled: false };
    const reply = spec && replyFor({ ...full, recursionDesired: true }, spec);
    return Promise.resolve(reply === undefined ? { failure: "timeout" } : { reply });
  };
  void learnNameDenials(suffix, { nameDenials, askOwn, clock }, () => clock.nowMs() > 1_020_000);
  for (let second = 0; second < 15; second += 1) await clock.advance(1000);
  return { isShown: nameDenials.areShownFor(suffix), asked };
}

test("asks for AAAA of the suffix, and NODATA shows that its zone denies names", async () => {
  expect(await learn({ "corp.internal": [{ authorities: [soa("corp.internal")] }] })).toEqual({
    isShown: true,
    asked: [`corp.internal ${Type.AAAA}`],
  });
});

test("where the suffix itself is denied, the zone that denies it is asked", async () => {
  const { isShown, asked } = await learn({ "corp.internal": [denied(".")], ".": [{ authorities: [soa(".")] }] });
  expect(isShown).toBe(true);
  expect(asked).toEqual([`corp.internal ${Type.AAAA}`, `. ${Type.AAAA}`]);
});

test.each<[string, Record<string, ReplySpec[]>]>([
  ["a zone that denies its own name", { "corp.internal": [denied("corp.internal")] }],
  ["a denial of nobody's", { "corp.internal": [{ rcode: nxdomain }] }],
  ["an address", { "corp.internal": [{ answers: [aaaa("corp.internal", 1, 30)] }] }],
])("%s shows nothing, and is not asked again", async (_, said) => {
  const { isShown, asked } = await learn(said);
  expect(isShown).toBe(false);
  expect(asked).toHaveLength(1);
});

test("asks again every ten seconds while nobody answers, or only with failures", async () => {
  const { isShown, asked } = await learn({ "corp.internal": [{ rcode: 2 }, { authorities: [soa(".")] }] });
  expect(isShown).toBe(true);
  expect(asked).toHaveLength(2);
});
