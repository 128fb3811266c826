import { describe, expect, test } from "vitest";
import { answerAtOnce, firstTarget } from "../../../src/upstream/choose-path.ts";
import type { Server } from "../../../src/upstream/server.ts";

/** A server of which only this is looked at. */
function serverThat(isQueueing: boolean | undefined, { hasUdp = true, isUp = true } = {}): Server {
  const tcp = { roundTrip: { isQueueing: () => isQueueing } };
  const udp = { leastLoad: () => (hasUdp ? 0 : undefined) };
  return { health: { isUp: () => isUp }, paths: { tcp, udp } } as unknown as Server;
}

describe("questions over connections are answered at once", () => {
  test.each([
    ["where they have been seen not to wait for each other", serverThat(false, { hasUdp: false }), true],
    ["where they wait, and UDP is proven, which takes those that would", serverThat(true), true],
    ["not where they wait, and there is no UDP", serverThat(true, { hasUdp: false }), false],
    ["where that is not known, and UDP is proven, which takes what would be many", serverThat(undefined), true],
    ["not where that is not known, and there is no UDP", serverThat(undefined, { hasUdp: false }), false],
    ["not by a server that is down", serverThat(true, { isUp: false }), false],
  ])("%s", (_name, server, expected) => {
    expect(answerAtOnce([server], "tcp")).toBe(expected);
  });
});

test("questions over UDP are answered at once, whatever is known", () => {
  expect(answerAtOnce([serverThat(undefined)], "udp")).toBe(true);
});

describe("the first target of a question over connections", () => {
  interface Situation {
    /** Questions before this one on the best proven flow; undefined if none is proven. */
    readonly load?: number;
    readonly onTrial?: number;
    readonly isQueueing?: boolean;
    readonly hasUdp?: boolean;
    readonly isTrialDue?: boolean;
  }

  function chosen({ load, onTrial = 0, isQueueing, hasUdp = true, isTrialDue = false }: Situation) {
    let wantsUdp = false;
    const tcp = {
      transport: "tcp",
      roundTrip: { isQueueing: () => isQueueing, takeTrial: () => isTrialDue },
      leastLoad: () => load,
      loadOnTrial: () => onTrial,
      isTroubled: () => false,
      isFailed: () => false,
    };
    const udp = {
      transport: "udp",
      leastLoad: () => (hasUdp ? 0 : undefined),
      goodFlows: () => [],
      want: () => (wantsUdp = true),
    };
    const health = { isUp: () => true, isRefusing: () => false };
    const server = { health, earlySends: { areHelping: () => false }, paths: { tcp, udp } } as unknown as Server;
    const target = firstTarget([server], "tcp");
    return { transport: target?.path.transport, wantsUdp };
  }

  test.each<[string, Situation, "tcp" | "udp"]>([
    ["is the connection that is free", { load: 0, isQueueing: true }, "tcp"],
    ["is UDP where it would wait behind another", { load: 1, isQueueing: true }, "udp"],
    ["is the connection where questions do not wait for each other", { load: 9, isQueueing: false }, "tcp"],
    ["is the connection for one more while nothing is known", { load: 1 }, "tcp"],
    ["is UDP for more than that while nothing is known", { load: 2 }, "udp"],
    [
      "is the connection once in a while, to see whether it still has to wait",
      { load: 1, isQueueing: true, isTrialDue: true },
      "tcp",
    ],
    ["is a connection that is opened for it", {}, "tcp"],
    ["is UDP while a connection is opened for another", { onTrial: 1 }, "udp"],
    ["is the connection where UDP is not proven", { load: 5, isQueueing: true, hasUdp: false }, "tcp"],
  ])("%s", (_name, situation, transport) => {
    expect(chosen(situation).transport).toBe(transport);
  });

  test("makes UDP ready where several wait, not where two come together", () => {
    expect(chosen({ load: 2, isQueueing: true, hasUdp: false }).wantsUdp).toBe(true);
    expect(chosen({ load: 1, isQueueing: true, hasUdp: false }).wantsUdp).toBe(false);
  });
});
