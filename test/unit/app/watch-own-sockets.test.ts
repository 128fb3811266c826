import { describe, expect, onTestFinished, test } from "vitest";
import { watchOwnSockets } from "../../../src/app/watch-own-sockets.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

const hangs = "7 of 16 queries to nodens's own address were not answered; is another nodens hanging there?";

/** A watch over sockets that answer as `seen` says. */
function start() {
  const clock = createFakeClock();
  const lines: string[] = [];
  const note = (_fields: object, message: string) => void lines.push(message);
  const seen = { answers: true, silence: undefined as string | undefined, closeLooks: 0 };
  const sockets = {
    nextAnswers: () => Promise.resolve(seen.answers),
    findSilence() {
      seen.closeLooks += 1;
      return Promise.resolve(seen.silence);
    },
  };
  const evidence = watchOwnSockets(sockets, clock, { info: note, warn: note, error: note });
  onTestFinished(evidence.close);
  return { evidence, seen, clock, lines };
}

describe("the watch over nodens's own sockets", () => {
  test("takes one question a second for enough while it is answered", async () => {
    const { evidence, seen, clock } = start();
    await clock.advance(60_000);
    expect([evidence.trouble(), seen.closeLooks]).toEqual([undefined, 0]);
  });

  test("looks closely at a question that was not answered, and lets a burst of one pod pass", async () => {
    const { evidence, seen, clock, lines } = start();
    Object.assign(seen, { answers: false, silence: hangs });
    await clock.advance(2000);
    Object.assign(seen, { silence: undefined });
    await clock.advance(10_000);
    expect([evidence.trouble(), lines]).toEqual([undefined, []]);
    expect(seen.closeLooks).toBeGreaterThan(2);
  });

  test("says what is wrong after three close looks, once, also where the next question happens to be answered", async () => {
    const { evidence, seen, clock, lines } = start();
    Object.assign(seen, { answers: false, silence: hangs });
    await clock.advance(1000);
    seen.answers = true;
    await clock.advance(2000);
    expect(evidence.trouble()).toBe(hangs);
    await clock.advance(60_000);
    expect([evidence.trouble(), lines]).toEqual([hangs, [hangs]]);
  });

  test("takes it back after one close look that finds nothing", async () => {
    const { evidence, seen, clock, lines } = start();
    Object.assign(seen, { answers: false, silence: hangs });
    await clock.advance(3000);
    Object.assign(seen, { answers: true, silence: undefined });
    await clock.advance(1000);
    expect([evidence.trouble(), lines]).toEqual([undefined, [hangs, `no longer: ${hangs}`]]);
  });

  test("ends when it is closed", async () => {
    const { evidence, seen, clock } = start();
    evidence.close();
    Object.assign(seen, { answers: false, silence: hangs });
    await clock.advance(10_000);
    expect([evidence.trouble(), seen.closeLooks]).toEqual([undefined, 0]);
  });
});
