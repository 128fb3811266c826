/*
 * Whatever the network does, a question has one outcome, costs three sends over a transport at most, and leaves nothing behind.
 */
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { transportNames } from "../../../src/upstream/transport.ts";
import type { Transport } from "../../../src/wire/transport.ts";
import type { Upstream } from "../../../src/upstream/upstream.ts";
import { replyTo } from "../../support/messages/messages.ts";
import type { Pod, SimulatedQuery, SimulatedReply } from "../../support/network/simulated-network.ts";
import { answersWith, createPod, createUpstreamWorld, seededRandom } from "../../support/network/upstream-world.ts";

/** What a pod does with one query. */
const behaviours: Readonly<Record<string, (query: SimulatedQuery) => SimulatedReply>> = {
  answers: answersWith("10.0.0.1"),
  "is silent": () => undefined,
  "answers late": (query) => [{ message: answersWith("10.0.0.1")(query) as Uint8Array, afterMs: 700 }],
  "answers after the deadline": (query) => [{ message: answersWith("10.0.0.1")(query) as Uint8Array, afterMs: 6000 }],
  "answers twice": (query) =>
    [0, 3].map((afterMs) => ({ message: answersWith("10.0.0.1")(query) as Uint8Array, afterMs })),
  "says FORMERR": ({ bytes }) => replyTo(bytes, { rcode: 1 }),
  "says SERVFAIL": ({ bytes }) => replyTo(bytes, { rcode: 2 }),
  "says REFUSED": ({ bytes }) => replyTo(bytes, { rcode: 5 }),
  truncates: ({ bytes }) => replyTo(bytes, { flags: 0x0200 }),
  "cuts its reply": (query) => (answersWith("10.0.0.1")(query) as Uint8Array).slice(0, -13),
  "answers another question": ({ bytes }) => replyTo(bytes, { questions: [{ name: "other.test", type: 1 }] }),
  "closes the connection": ({ flow }) => {
    if (flow.transport === "tcp") flow.closeByServer();
    return undefined;
  },
};

const behaviour = fc.constantFrom(...Object.keys(behaviours));
const port = fc.constantFrom("open", "open", "open", "closed", "silent");
const podPlan = fc.record({ does: fc.array(behaviour, { minLength: 1, maxLength: 6 }), udp: port, tcp: port });
/** What happens between two steps of 40 ms. */
const event = fc.constantFrom(
  "ask",
  "ask",
  "ask",
  "kill a flow",
  "no descriptors",
  "descriptors",
  "no buffers",
  "buffers",
);

function podOf({ does, udp, tcp }: { does: string[]; udp: string; tcp: string }): Pod {
  let turn = 0;
  const pod = createPod("10.0.0.1", (query) => {
    const next = does[turn++ % does.length] ?? "answers";
    return behaviours[next]?.(query);
  });
  Object.assign(pod.ports, { udp, tcp } as Record<Transport, string>);
  return pod;
}

/**
 * Returns a function that says whether nodens has ever concluded that packets are being lost. A pod that leaves some questions unanswered
 * looks no different from a network that loses them.
 */
function watchForLoss({ routes }: Upstream): () => boolean {
  const servers = new Set(routes.flatMap((route) => route.servers));
  const spies = [...servers].map(({ earlySends }) => vi.spyOn(earlySends, "areHelping"));
  return () => spies.some(({ mock }) => mock.results.some(({ value }) => value === true));
}

describe("an exchange", () => {
  test(
    "P5: has one outcome, three sends at most, or as many over each transport once packets seem to be lost, and leaves no timer, whatever pods and network do",
    { timeout: 60_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(podPlan, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
          fc.array(event, { minLength: 1, maxLength: 40 }),
          fc.constantFrom(0, 0, 0.2, 0.5),
          fc.integer(),
          async (plans, events, loss, seed) => {
            const servers = plans.map((pods) => pods.map(podOf));
            const world = createUpstreamWorld({ servers, random: seededRandom(seed) });
            const wasLossSeen = watchForLoss(world.upstream);
            const { faults } = world.network;
            faults.loss = loss;
            const asked = [];
            for (const [index, what] of events.entries()) {
              if (what === "ask") {
                asked.push(world.ask(`n${index}.example.com`), world.ask(`n${index}.default.svc.cluster.local`));
              }
              if (what === "kill a flow") {
                const [flow] = world.openFlows();
                if (flow !== undefined) flow.isDead = true;
              }
              if (what.endsWith("descriptors")) faults.openFails = what === "descriptors" ? undefined : "exhausted";
              if (what.endsWith("buffers")) faults.sendFails = what === "buffers" ? undefined : "exhausted";
              await world.clock.advance(40);
            }
            await world.clock.advance(5000);
            for (const each of asked) {
              expect(each.outcome()).not.toBe("waiting");
              expect(each.tookMs()).toBeLessThanOrEqual(4500);
              if (!wasLossSeen()) expect(each.arrivals().length).toBeLessThanOrEqual(3);
              for (const transport of transportNames) {
                expect(each.arrivals().filter((query) => query.transport === transport).length).toBeLessThanOrEqual(3);
              }
            }
            world.upstream.close();
            // The kernels of this network go on with their handshakes for a while.
            await world.clock.advance(600_000);
            expect(world.openFlows()).toEqual([]);
            expect(world.clock.pendingTimers()).toBe(0);
          },
        ),
        { numRuns: 150 },
      );
    },
  );

  test("ends at once when the upstream is closed", async () => {
    const pod = createPod("10.0.0.1", () => undefined);
    const world = createUpstreamWorld({ servers: [[pod]] });
    const asked = world.ask("a.example.com");
    await world.clock.advance(10);
    world.upstream.close();
    await world.clock.advance(0);
    expect(asked.outcome()).toBe("stopped");
  });

  test("takes no longer than the deadline", async () => {
    const pod = createPod("10.0.0.1", () => undefined);
    const world = createUpstreamWorld({ servers: [[pod]] });
    const asked = world.ask("a.example.com");
    await world.clock.advance(4500);
    expect([asked.outcome(), asked.tookMs()]).toEqual(["timeout", 4500]);
  });
});
