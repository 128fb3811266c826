import { describe, expect, test } from "vitest";
import { createLoopGuard } from "../../../src/resolve/loop-guard.ts";
import { isAtOrBelow } from "../../../src/wire/name.ts";
import { readMessage, nameBytes, Type } from "../../support/messages/messages.ts";
import { composeQuery } from "../../../src/wire/question.ts";
import { questionFor } from "../../support/messages/parsed-messages.ts";

const secret = "0a1B2c3D4e5f";
const zone = nameBytes("cluster.local");

describe("the probe", () => {
  test.each(["cluster.local", "."])("of zone %s is a name below it that holds the secret", (zoneName) => {
    const probe = createLoopGuard(secret).probeFor(nameBytes(zoneName));
    const [question] = readMessage(composeQuery(probe)).questions;
    expect(isAtOrBelow(probe.name, nameBytes(zoneName))).toBe(true);
    expect(question).toMatchObject({ type: Type.HINFO, class: 1 });
    expect(question?.name.startsWith(`${secret.toLowerCase()}.nodens-loop-probe`)).toBe(true);
  });

  test("is recognised when it arrives, in any spelling", () => {
    const guard = createLoopGuard(secret);
    expect(guard.isOwnProbe(guard.probeFor(zone))).toBe(true);
    expect(guard.isOwnProbe(questionFor(`${secret.toUpperCase()}.nodens-loop-probe.cluster.local`, Type.HINFO))).toBe(
      true,
    );
  });

  test.each([
    ["of another nodens", `ffff.nodens-loop-probe.cluster.local`, Type.HINFO],
    ["with another type", `${secret}.nodens-loop-probe.cluster.local`, Type.A],
    ["with the secret as part of a longer label", `${secret}x.nodens-loop-probe.cluster.local`, Type.HINFO],
    ["with the secret further down", `x.${secret}.nodens-loop-probe.cluster.local`, Type.HINFO],
    ["that is an ordinary name", "kubernetes.default.svc.cluster.local", Type.HINFO],
    ["that is the root", ".", Type.HINFO],
  ])("is not one %s", (_, name, type) => {
    const guard = createLoopGuard(secret);
    expect(guard.isOwnProbe(questionFor(name, type))).toBe(false);
    expect(guard.isLooping()).toBe(false);
  });
});

describe("looping", () => {
  test("starts at once when a probe arrives", () => {
    const guard = createLoopGuard(secret);
    expect(guard.isLooping()).toBe(false);
    guard.startRound();
    guard.isOwnProbe(guard.probeFor(zone));
    expect(guard.isLooping()).toBe(true);
  });

  test("goes on while each round sees a probe, and ends with a round that sees none", () => {
    const guard = createLoopGuard(secret);
    const round = (seesProbe: boolean) => {
      guard.startRound();
      if (seesProbe) guard.isOwnProbe(guard.probeFor(zone));
      const during = guard.isLooping();
      guard.endRound();
      return [during, guard.isLooping()];
    };
    expect(round(true)).toEqual([true, true]);
    expect(round(true)).toEqual([true, true]);
    // Until the round is over nobody knows.
    expect(round(false)).toEqual([true, false]);
    expect(round(false)).toEqual([false, false]);
  });

  test("is not concluded from a probe outside a round: others know its name by then", () => {
    const guard = createLoopGuard(secret);
    guard.startRound();
    guard.endRound();
    expect(guard.isOwnProbe(guard.probeFor(zone))).toBe(true);
    expect(guard.isLooping()).toBe(false);
  });
});
