import { describe, expect, test } from "vitest";
import { answerAtOnce } from "../../../src/upstream/choose-path.ts";
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
    ["not where that is not known, and nothing overflows yet, though UDP is proven", serverThat(undefined), false],
    ["not by a server that is down", serverThat(true, { isUp: false }), false],
  ])("%s", (_name, server, expected) => {
    expect(answerAtOnce([server], "tcp")).toBe(expected);
  });
});

test("questions over UDP are answered at once, whatever is known", () => {
  expect(answerAtOnce([serverThat(undefined)], "udp")).toBe(true);
});
