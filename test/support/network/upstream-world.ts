/*
 * An upstream with the default settings over a simulated network: tests ask it, make faults, let time pass, and see what came.
 */
import { upstreamOptionsOf } from "../../../src/app/parts-of-settings.ts";
import { defaultSettings, type Settings } from "../../../src/settings/settings-table.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange-state.ts";
import { createServerCounters, type ServerCounters } from "../../../src/upstream/server-counters.ts";
import { createUpstream, type Upstream } from "../../../src/upstream/upstream.ts";
import { ownQuestion } from "../../../src/wire/question.ts";
import { a, nameBytes, readMessage, replyTo, Type } from "../messages/messages.ts";
import { createFakeClock, type FakeClock } from "../program/fake-clock.ts";
import {
  createSimulatedNetwork,
  type Pod,
  type SimulatedFlow,
  type SimulatedNetwork,
  type SimulatedQuery,
  type SimulatedReply,
} from "./simulated-network.ts";

/** A question, and what came of it. */
export interface AskedUpstream {
  readonly name: string;
  readonly askedAtMs: number;
  /** How long it took; undefined while it waits. */
  tookMs(): number | undefined;
  /** "10.0.0.1", "rcode 2", "truncated", the reason of the failure, or "waiting". */
  outcome(): string;
  /** How often it arrived at a pod. */
  arrivals(): SimulatedQuery[];
}

/** What the world is made of. */
export interface UpstreamWorldOptions {
  /** Addresses, each with the pods behind it, in the order of preference. */
  readonly servers: readonly (readonly Pod[])[];
  readonly settings?: (settings: Settings) => Settings;
  readonly random?: () => number;
}

/** The world. */
export interface UpstreamWorld {
  readonly clock: FakeClock;
  readonly network: SimulatedNetwork;
  readonly upstream: Upstream;
  /** Asks for A. Cluster names go over TCP first, others over UDP first. */
  ask(name: string): AskedUpstream;
  /** Asks one name after the other, each as soon as the one before has ended, with a pause between. */
  askInTurn(names: readonly string[], pauseMs?: number): Promise<AskedUpstream[]>;
  /** Asks every `everyMs`, whatever came of those before. Lets 5 s pass behind the last. */
  askSteadily(names: readonly string[], everyMs: number): Promise<AskedUpstream[]>;
  /** The flows that are open now. */
  openFlows(): SimulatedFlow[];
  /** The sum of a counter over all servers. */
  count(read: (counters: ServerCounters) => number): number;
}

/** Answers every A query with `address`, with OPT when it was asked with one. */
export function createPod(address = "10.0.0.1", answer: Pod["answer"] = answersWith(address)): Pod {
  return { answer, isSilent: false, ports: { udp: "open", tcp: "open" } };
}

/** The answer of a pod with nothing wrong. */
export function answersWith(address: string): (query: SimulatedQuery) => SimulatedReply {
  return ({ bytes, name, hasOpt }) =>
    replyTo(bytes, { flags: 0x8180, answers: [a(name, address)], ...(hasOpt ? { opt: {} } : {}) });
}

/** The same, later: `delayMs` from the query. */
export function answersAfter(delayMs: number, address = "10.0.0.1"): (query: SimulatedQuery) => SimulatedReply {
  return (query) => [{ message: answersWith(address)(query) as Uint8Array, afterMs: delayMs }];
}

/** Numbers that look random and are the same in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Creates one. Nothing is open. */
export function createUpstreamWorld(options: UpstreamWorldOptions): UpstreamWorld {
  const clock = createFakeClock();
  const network = createSimulatedNetwork(clock, options.random ?? seededRandom(1));
  const addresses = options.servers.map((pods, index) => {
    const host = `10.96.0.${10 + index}`;
    network.place(host, pods);
    return { host, port: 53 };
  });
  const counters: ServerCounters[] = [];
  const settings = (options.settings ?? ((same: Settings) => same))(defaultSettings());
  const upstream = createUpstream({
    ...upstreamOptionsOf(settings, addresses),
    clock,
    sockets: network.sockets,
    countersFor() {
      const created = createServerCounters();
      counters.push(created);
      return created;
    },
    onAllDown() {},
    onHealthChange() {},
  });

  function ask(name: string): AskedUpstream {
    const askedAtMs = clock.nowMs();
    let result: ExchangeResult | undefined;
    let tookMs: number | undefined;
    upstream.ask(ownQuestion(nameBytes(name), Type.A), (outcome) => {
      result = outcome;
      tookMs = clock.nowMs() - askedAtMs;
    });
    return {
      name,
      askedAtMs,
      tookMs: () => tookMs,
      outcome: () => describe(result),
      arrivals: () => network.received.filter((query) => query.name === name),
    };
  }

  return {
    clock,
    network,
    upstream,
    ask,
    async askInTurn(names, pauseMs = 0) {
      const asked: AskedUpstream[] = [];
      for (const name of names) {
        const current = ask(name);
        asked.push(current);
        while (current.tookMs() === undefined) await clock.advance(1);
        if (pauseMs > 0) await clock.advance(pauseMs);
      }
      return asked;
    },
    async askSteadily(names, everyMs) {
      const asked: AskedUpstream[] = [];
      for (const name of names) {
        asked.push(ask(name));
        await clock.advance(everyMs);
      }
      await clock.advance(5000);
      return asked;
    },
    openFlows: () => network.flows.filter(({ isClosed }) => !isClosed),
    count: (read) => counters.reduce((sum, each) => sum + read(each), 0),
  };
}

function describe(result: ExchangeResult | undefined): string {
  if (result === undefined) return "waiting";
  if ("failure" in result) return result.failure;
  const { packet, rcode, flags } = result.reply;
  if (rcode !== 0) return `rcode ${rcode}`;
  if ((flags & 0x0200) !== 0) return "truncated";
  return readMessage(packet).answers[0]?.data.join(".") ?? "no data";
}
