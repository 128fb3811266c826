/*
 * For random states of a chain, what is foreseen for a client's questions is what then happens when the client asks them.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Answer } from "../../src/resolve/answer.ts";
import type { Foresight } from "../../src/resolve/step.ts";
import { shortCircuits } from "../../src/search/rules.ts";
import { a, aaaa, nameBytes, soa, Type } from "../support/messages/messages.ts";
import { queryFor } from "../support/messages/parsed-messages.ts";
import { createWorld, nxdomain, type UpstreamReply, type WorldSettings } from "../support/world/create-world.ts";

const servfail = 2;

/** Names of every kind that a rule or step tells apart. */
const names = [
  "example.com",
  "web.default.svc.cluster.local",
  "com.default.svc.cluster.local",
  "com.svc.cluster.local",
  "example.com.default.svc.cluster.local",
  "other.com.default.svc.cluster.local",
  "example.com.svc.cluster.local",
  "example.com.cluster.local",
  "www.example.com.default.svc.cluster.local",
  "www.example.com.svc.cluster.local",
  "www.example.com",
];
const types = ["A", "AAAA"] as const;
type AddressType = (typeof types)[number];

/** What upstream says to everything that is open. */
const outcomes = ["data", "nodata", "nxdomain", "timeout", "servfail"] as const;

type Step =
  | { readonly kind: "asks"; readonly name: string; readonly type: AddressType }
  | { readonly kind: "upstream"; readonly says: (typeof outcomes)[number] }
  | { readonly kind: "passes"; readonly ms: number }
  | { readonly kind: "loop"; readonly isLooping: boolean };

const anyName = fc.constantFrom(...names);
const anyType = fc.constantFrom(...types);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("asks" as const), name: anyName, type: anyType }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("upstream" as const), says: fc.constantFrom(...outcomes) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("passes" as const), ms: fc.constantFrom(100, 900, 2000, 20_000, 40_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("loop" as const), isLooping: fc.boolean() }) },
);

const anySettings = fc.record({
  shortCircuit: fc.constantFrom(...shortCircuits),
  answersOutsideNames: fc.boolean(),
  maxInFlight: fc.constantFrom(1, 2, 3, 5, 8, 1000),
});
type AnySettings = typeof anySettings extends fc.Arbitrary<infer Settings> ? Settings : never;

/** A world whose clients are looked at as a listener sees them: what each got at once, and what was asked for it. */
function createWatched(settings: WorldSettings) {
  const world = createWorld({ showsSchema: true, prefetches: false, ...settings });
  const { resolver, clock, loopGuard, schedule } = world;
  const isTurnAwaited = () => ["long", "short"].some((route) => schedule.waitingCount(route) > 0);

  function ask(name: string, type: AddressType, client: string): Outcome {
    const query = queryFor(name, Type[type]);
    const askedBefore = world.asked.length;
    const wasTurnAwaited = isTurnAwaited();
    const joinedBefore = resolver.counters.coalesced;
    const entry = resolver.lookup(query, clock.nowMs());
    const absence = entry === undefined ? resolver.deny(query, clock.nowMs()) : undefined;
    const resolved = entry ?? absence ?? resolver.resolve(query, client, () => {});
    const said = sayWhat();
    return { said, asked: world.asked.slice(askedBefore), isTurnAwaited: wasTurnAwaited || isTurnAwaited() };

    function sayWhat(): string {
      if (entry !== undefined) return "message";
      if (absence !== undefined) return `denied ${absence.rule}`;
      if (resolved === "later") return resolver.counters.coalesced > joinedBefore ? "joins" : "waits";
      return sayOf(resolved as Answer);
    }
  }

  async function take(step: Step): Promise<void> {
    if (step.kind === "asks") ask(step.name, step.type, "10.0.0.1");
    else if (step.kind === "passes") await clock.advance(step.ms);
    else if (step.kind === "loop") setLoop(step.isLooping);
    else await world.upstream.settlesAll((text) => replyFor(text, step.says));
    await clock.advance(0);
  }

  function setLoop(isLooping: boolean): void {
    loopGuard.startRound();
    if (isLooping) loopGuard.isOwnProbe(loopGuard.probeFor(nameBytes("cluster.local")));
    loopGuard.endRound();
  }

  return { ask, take, foresees: (name: string) => world.foresees(name, ...types), clock };
}

interface Outcome {
  readonly said: string;
  readonly asked: readonly string[];
  /** Whether questions wait for their turn: this one may be among them, or have been brought forward. */
  readonly isTurnAwaited?: boolean;
}

function sayOf(answer: Answer): string {
  if (answer.kind === "message") return answer.source === "stale" ? "stale" : "message";
  if (answer.kind === "error") return `error ${answer.extendedError}`;
  if (answer.kind === "denial" && answer.expiredAtMs !== undefined) return "stale";
  return answer.kind === "denial" ? "denied" : `dropped ${answer.reason}`;
}

function replyFor(text: string, says: (typeof outcomes)[number]): UpstreamReply | "timeout" {
  const [name = "", type] = text.split(" ");
  const authorities = [soa(name.endsWith("cluster.local") ? "cluster.local" : "com")];
  switch (says) {
    case "data":
      return { answers: [type === "A" ? a(name, "192.0.2.1") : aaaa(name, 1)] };
    case "nodata":
      return { authorities };
    case "nxdomain":
      return { rcode: nxdomain, authorities };
    case "servfail":
      return { rcode: servfail };
    default:
      return says;
  }
}

/** Foreseen is what happens to a client that waits for nothing yet. */
const newcomer = "10.0.0.2";

const asksForOutsideName = "asks for the outside name";

/** What a client is told for want of a stale answer. */
const withoutStale = { looping: "error 22", failed: "error 13", shed: "dropped inflight" } as const;

/** What a client must see where this was foreseen. */
function expectedFor(foresight: Foresight, name: string, type: AddressType): Outcome | typeof asksForOutsideName {
  const nothing: readonly string[] = [];
  switch (foresight.kind) {
    case "refused":
      throw new Error("addresses are looked up");
    case "cached":
      return { said: "message", asked: nothing };
    case "denied":
      return { said: `denied ${foresight.rule}`, asked: nothing };
    case "awayUpstream":
      return { said: "stale", asked: foresight.again ? [`${name} ${type}`] : nothing };
    case "looping":
    case "failed":
    case "shed":
      return { said: foresight.stale === undefined ? withoutStale[foresight.kind] : "stale", asked: nothing };
    case "shared":
      return { said: "joins", asked: nothing };
    case "waits":
      return { said: "waits", asked: nothing };
    case "asksParent":
      return { said: "waits", asked: foresight.isOnItsWay ? nothing : [`${foresight.parent} ${type}`] };
    case "forwarded":
      return { said: "waits", asked: [`${name} ${type}`] };
    default:
      return asksForOutsideName;
  }
}

function check(foresight: Foresight, happened: Outcome, name: string, type: AddressType): void {
  const expected = expectedFor(foresight, name, type);
  if (expected !== asksForOutsideName) {
    // Denied within `resolve`, as where outside names are answered, the rule is not told.
    const said = happened.said === "denied" && expected.said.startsWith("denied ") ? expected.said : happened.said;
    expect({ said, foresight }).toEqual({ said: expected.said, foresight });
    if (happened.isTurnAwaited !== true) expect(happened.asked).toEqual(expected.asked);
    return;
  }
  const outside = (foresight as Extract<Foresight, { kind: "outsideName" }>).outside;
  expect(happened.said).toBe("waits");
  for (const text of happened.asked) expect(text.split(" ")[0]).toBe(outside);
}

/** Where the asker's A takes the place of the question for AAAA that it then joins, and whose loss it shares. */
const pushedOutByItsOwnAsker: [AnySettings, Step[], string] = [
  { shortCircuit: "off", answersOutsideNames: false, maxInFlight: 2 },
  [
    { kind: "asks", name: "example.com.default.svc.cluster.local", type: "A" },
    { kind: "asks", name: "www.example.com", type: "AAAA" },
  ],
  "www.example.com",
];

test("what is foreseen for A and AAAA of a name, asked at once, is what then happens", async () => {
  await fc.assert(
    fc.asyncProperty(anySettings, fc.array(anyStep, { maxLength: 14 }), anyName, async (settings, steps, name) => {
      const watched = createWatched(settings);
      for (const step of steps) await watched.take(step);
      const foreseen = watched.foresees(name);
      const happened = types.map((type) => watched.ask(name, type, newcomer));
      foreseen.forEach((foresight, index) => {
        const type = types[index] ?? "A";
        check(foresight, happened[index] ?? { said: "nothing", asked: [] }, name, type);
      });
      await watched.clock.advance(60_000);
    }),
    { numRuns: 400, examples: [pushedOutByItsOwnAsker] },
  );
});
