import { describe, expect, test, vi } from "vitest";
import { maxPastIds } from "../../../src/flows/past-ids.ts";
import { createWaitingAttempts } from "../../../src/flows/waiting-attempts.ts";
import { a, buildMessage, Flags, readMessage, replyTo, Type } from "../../support/messages/messages.ts";
import { track } from "./flow-parts.ts";

const nothing = () => {};

/** A set with one attempt for "a.test" in it. */
function oneWaiting() {
  const onEmpty = vi.fn<() => void>();
  const waiting = createWaitingAttempts(onEmpty);
  const tracked = track("a.test");
  const added = waiting.add(tracked.attempt, 1000);
  return { waiting, tracked, packet: tracked.attempt.packet, cancel: () => waiting.cancel(added), onEmpty };
}

describe("an attempt that is added", () => {
  test("leaves as its own query, in which only the ID is changed", () => {
    const waiting = createWaitingAttempts(nothing);
    const { attempt } = track("a.test");
    const before = attempt.packet.slice();
    const { id } = waiting.add(attempt, 1000);
    const { questions, opts, id: sentId } = readMessage(attempt.packet);
    expect(questions).toStrictEqual([{ name: "a.test", type: Type.A, class: 1 }]);
    expect(opts).toHaveLength(1);
    expect(sentId).toBe(id);
    expect(attempt.packet.slice(2)).toStrictEqual(before.slice(2));
  });

  test("has an ID that is not open on the flow", () => {
    const waiting = createWaitingAttempts(nothing);
    const ids = new Set<number>();
    for (let index = 0; index < 5000; index += 1) ids.add(waiting.add(track("a.test").attempt, 0).id);
    expect(ids.size).toBe(5000);
    expect(waiting.count()).toBe(5000);
  });
});

describe("a reply", () => {
  test("goes to the attempt with its ID", () => {
    const waiting = createWaitingAttempts(nothing);
    const tracked = ["a.test", "b.test", "c.test"].map((name) => track(name));
    const packets = tracked.map(({ attempt }) => {
      waiting.add(attempt, 0);
      return attempt.packet;
    });
    const second = replyTo(packets[1] as Uint8Array, { answers: [a("b.test", "10.0.0.2")] });
    expect(waiting.match(second, nothing)).toBe("answered");
    expect(tracked.map((each) => each.outcome())).toStrictEqual(["waiting", "answered", "waiting"]);
    expect(tracked[1]?.address()).toBe("10.0.0.2");
    expect(waiting.count()).toBe(2);
  });

  test("may spell the name in another case", () => {
    const { waiting, tracked, packet } = oneWaiting();
    const { id } = readMessage(packet);
    const mangled = buildMessage({ id, flags: Flags.QR, questions: [{ name: "A.TesT", type: Type.A }] });
    expect(waiting.match(mangled, nothing)).toBe("answered");
    expect(tracked.outcome()).toBe("answered");
  });

  test("counts once, and a duplicate answers nothing", () => {
    const { waiting, packet, onEmpty } = oneWaiting();
    const reply = replyTo(packet);
    expect(waiting.match(reply.slice(), nothing)).toBe("answered");
    expect(waiting.match(reply.slice(), nothing)).toBe("late");
    expect(onEmpty).toHaveBeenCalledOnce();
  });

  const right = { name: "a.test", type: Type.A };
  test.each([
    ["another ID", "unknown-id", (id: number) => buildMessage({ id: id ^ 1, flags: Flags.QR, questions: [right] })],
    ["another name", "wrong-question", (id: number) => other(id, { ...right, name: "b.test" })],
    ["a longer name", "wrong-question", (id: number) => other(id, { ...right, name: "a.test.test" })],
    ["a name above", "wrong-question", (id: number) => other(id, { ...right, name: "test" })],
    ["another type", "wrong-question", (id: number) => other(id, { ...right, type: Type.AAAA })],
    ["another class", "wrong-question", (id: number) => other(id, { ...right, class: 3 })],
    ["no question", "wrong-question", (id: number) => buildMessage({ id, flags: Flags.QR })],
    [
      "two questions",
      "wrong-question",
      (id: number) => buildMessage({ id, flags: Flags.QR, questions: [right, right] }),
    ],
    ["QR saying query", "malformed", (id: number) => buildMessage({ id, flags: 0, questions: [right] })],
    ["another opcode", "malformed", (id: number) => buildMessage({ id, flags: Flags.QR | 0x2000, questions: [right] })],
    ["three octets", "malformed", (id: number) => Uint8Array.of(id >> 8, id & 0xff, 0x80)],
    ["eleven octets", "malformed", (id: number) => other(id, right).slice(0, 11)],
    ["no octets", "malformed", () => new Uint8Array(0)],
  ] as const)("with %s changes nothing, and the right one is still taken", (_what, result, wrong) => {
    const { waiting, tracked, packet } = oneWaiting();
    expect(waiting.match(wrong(readMessage(packet).id), nothing)).toBe(result);
    expect(tracked.outcome()).toBe("waiting");
    expect(waiting.match(replyTo(packet), nothing)).toBe("answered");
    expect(tracked.outcome()).toBe("answered");
  });

  function other(
    id: number,
    question: { name: string; type: number; class?: number },
    counts: [number, number, number, number] = [1, 0, 0, 0],
  ): Uint8Array {
    return buildMessage({ id, flags: Flags.QR, questions: [question], counts });
  }
});

describe("an attempt that is cancelled", () => {
  test("hears nothing, and its reply answers nothing", () => {
    const { waiting, tracked, packet, cancel, onEmpty } = oneWaiting();
    cancel();
    expect(waiting.count()).toBe(0);
    expect(onEmpty).toHaveBeenCalledOnce();
    expect(waiting.match(replyTo(packet), nothing)).toBe("late");
    waiting.loseAll("closed");
    expect(tracked.outcome()).toBe("waiting");
  });

  test("is forgotten after many others", () => {
    const { waiting, packet, cancel } = oneWaiting();
    cancel();
    // With one more, its ID might be given out again.
    for (let count = 0; count < maxPastIds; count += 1) waiting.cancel(waiting.add(track("b.test").attempt, 0));
    expect(waiting.match(replyTo(packet), nothing)).toBe("unknown-id");
  });

  test("does not take with it the attempt that has got its ID since", () => {
    const waiting = createWaitingAttempts(nothing);
    const { attempt } = track("a.test");
    const first = waiting.add(attempt, 0);
    waiting.match(replyTo(attempt.packet), nothing);
    const later = track("b.test").attempt;
    for (let added = waiting.add(later, 0); ; added = waiting.add(later, 0)) {
      if (added.id === first.id) break;
      waiting.cancel(added);
    }
    waiting.cancel(first);
    expect(waiting.count()).toBe(1);
  });

  test("by the loss of another on the same flow is no longer reported lost", () => {
    const waiting = createWaitingAttempts(nothing);
    const second = track("b.test");
    let cancelSecond = nothing;
    const first = track("a.test", () => cancelSecond());
    waiting.add(first.attempt, 0);
    const added = waiting.add(second.attempt, 0);
    cancelSecond = () => waiting.cancel(added);
    waiting.loseAll("closed");
    expect([first.outcome(), second.outcome()]).toStrictEqual(["closed", "waiting"]);
  });
});

describe("a flow that ends", () => {
  test("reports everything that waits, once, with the reason", () => {
    const onEmpty = vi.fn<() => void>();
    const waiting = createWaitingAttempts(onEmpty);
    const tracked = ["a.test", "b.test"].map((name) => track(name));
    for (const { attempt } of tracked) waiting.add(attempt, 0);
    waiting.loseAll("unreachable");
    waiting.loseAll("closed");
    expect(tracked.map((each) => each.outcome())).toStrictEqual(["unreachable", "unreachable"]);
    expect(waiting.count()).toBe(0);
    expect(onEmpty).toHaveBeenCalledOnce();
  });
});
