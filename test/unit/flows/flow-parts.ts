/*
 * What the tests of flows/ share: attempts that remember what became of them, and servers that end with the test.
 */
import { createServer as createTcpServer, type Socket } from "node:net";
import { once } from "node:events";
import { onTestFinished } from "vitest";
import type { Attempt } from "../../../src/flows/attempt.ts";
import { type Flow, type FlowEnd, type FlowOptions, openFlow } from "../../../src/flows/flow.ts";
import { openDescriptorTcp } from "../../../src/flows/descriptor-tcp.ts";
import { openDescriptorUdp } from "../../../src/flows/descriptor-udp.ts";
import type { OpenSocket } from "../../../src/flows/flow-socket.ts";
import { openNodeTcp } from "../../../src/flows/node-tcp.ts";
import { openNodeUdp } from "../../../src/flows/node-udp.ts";
import type { LossReason } from "../../../src/flows/loss-reason.ts";
import { createRoundTrip } from "../../../src/flows/round-trip.ts";
import { canConnectSockets } from "../../../src/runtime/connected-socket.ts";
import { createServerCounters } from "../../../src/upstream/server-counters.ts";
import { transports } from "../../../src/upstream/transport.ts";
import type { Transport } from "../../../src/wire/transport.ts";
import { composeQuery, ownQuestion, type Question } from "../../../src/wire/question.ts";
import type { Reply } from "../../../src/wire/reply.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { a, nameBytes, readMessage, replyTo, Type } from "../../support/messages/messages.ts";
import {
  type ReceivedQuery,
  type Script,
  type ScriptedReply,
  type ScriptedUpstream,
  startScriptedUpstream,
} from "../../support/servers/scripted-upstream.ts";

/** The question for a lower-case name. */
export function questionFor(name: string, type: number = Type.A): Question {
  return ownQuestion(nameBytes(name), type);
}

/** An attempt, and what became of it. */
export interface TrackedAttempt {
  readonly attempt: Attempt;
  /** "waiting", "answered", or why it was lost. Throws when more than one function was called. */
  outcome(): "waiting" | "answered" | LossReason;
  /** The address in its answer. */
  address(): string;
}

/** Makes an attempt for a lower-case name. `onLost` runs in addition, inside the attempt's own. */
export function track(name: string, onLost: (reason: LossReason) => void = () => {}): TrackedAttempt {
  const question = questionFor(name);
  const calls: ("answered" | LossReason)[] = [];
  let reply: Reply | undefined;
  return {
    attempt: {
      question,
      packet: composeQuery(question),
      onSent() {},
      onSilent() {},
      onReply(heard) {
        calls.push("answered");
        reply = heard.kind === "whole" ? heard.reply : undefined;
      },
      onLost(reason) {
        calls.push(reason);
        onLost(reason);
      },
    },
    outcome() {
      if (calls.length > 1) throw new Error(`${name} was told ${calls.join(" and ")}`);
      return calls[0] ?? "waiting";
    },
    address: () => addressIn(reply?.packet),
  };
}

/** The first address record of a message, as text; "" without one. */
export function addressIn(packet: Uint8Array | undefined): string {
  return packet === undefined ? "" : (readMessage(packet).answers[0]?.data.join(".") ?? "");
}

/** Answers every query with 10.0.0.1. */
export const answerAll: Script = ({ bytes, name }) => replyTo(bytes, { answers: [a(name, "10.0.0.1")] });

/** Answers nothing. */
export const answerNothing: Script = () => undefined;

/** A scripted upstream that closes when the test ends. */
export async function startServer(script: Script): Promise<ScriptedUpstream> {
  const server = await startOnFreePort(script);
  onTestFinished(() => server.close());
  return server;
}

/** A port of 127.0.0.1 on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = await startOnFreePort(answerNothing);
  await server.close();
  return server.port;
}

/** The TCP twin of a free UDP port may be a connection's own port: then another is taken. */
async function startOnFreePort(script: Script): Promise<ScriptedUpstream> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startScriptedUpstream(script);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || attempt === 20) throw error;
    }
  }
}

/** A script that keeps every query until the test answers it. */
export interface HeldQueries {
  readonly script: Script;
  /** Those that wait, in order of arrival. */
  readonly waiting: readonly ReceivedQuery[];
  /** Answers the first, or the one for this name. */
  answer(name?: string): void;
  answerAllWaiting(): void;
}

/** Creates one. */
export function holdQueries(): HeldQueries {
  const waiting: ReceivedQuery[] = [];
  const resolvers = new Map<ReceivedQuery, (reply: ScriptedReply) => void>();
  function answer(name = waiting[0]?.name): void {
    const index = waiting.findIndex((query) => query.name === name);
    const [query] = index < 0 ? [] : waiting.splice(index, 1);
    if (query === undefined) throw new Error(`nobody waits for ${name}`);
    resolvers.get(query)?.(answerAll(query) as Uint8Array);
  }
  return {
    script: (query) =>
      new Promise((resolve) => {
        waiting.push(query);
        resolvers.set(query, resolve);
      }),
    waiting,
    answer,
    answerAllWaiting() {
      while (waiting.length > 0) answer();
    },
  };
}

/** A server that accepts, and from then on does with the socket what it is told. Its port; it ends with the test. */
export async function startRawServer(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}

/** How a transport's sockets can be opened here, each with a name: through the C library, where it can be called, and through Node. */
export function waysToOpen(transport: Transport): [string, OpenSocket][] {
  const { descriptor, node } = {
    udp: { descriptor: openDescriptorUdp, node: openNodeUdp },
    tcp: { descriptor: openDescriptorTcp, node: openNodeTcp },
  }[transport];
  const ways: [string, OpenSocket][] = [["through Node", node]];
  return canConnectSockets() ? [["through the C library", descriptor], ...ways] : ways;
}

/** Limits of a flow, as the settings have them by default. */
export const flowLimits = { maxDepth: 32, connectTimeoutMs: 1000, idleTimeoutMs: 8000, maxWrongReplies: 16 };

/** A flow over a real socket to a port of 127.0.0.1, and everything that it said. It is closed when the test ends. */
export function openTestFlow(
  transport: Transport,
  port: number,
  limits: Partial<FlowOptions["limits"]> = {},
  host = "127.0.0.1",
  openSocket: OpenSocket = transports[transport].openSocket,
) {
  const clock = createFakeClock();
  const counters = createServerCounters();
  const ends: FlowEnd[] = [];
  let silences = 0;
  const flow: Flow = openFlow({
    server: { host, port },
    transport,
    isInOrder: transports[transport].isInOrder,
    openSocket,
    clock,
    counters,
    limits: { ...flowLimits, ...limits },
    roundTrip: createRoundTrip(800),
    onHeard() {},
    onQuiet() {},
    onSilent: () => void (silences += 1),
    onEnd: (end) => ends.push(end),
  });
  onTestFinished(() => flow.close("stopped"));
  return { flow, clock, counters, ends, silenceCount: () => silences };
}

/** Answers nothing until `count` queries named `q<number>.test` are there, and then all, the last first, each with its number in the address. */
export function answerInReverse(count: number): Script {
  const queries: ReceivedQuery[] = [];
  return (query) => {
    queries.push(query);
    if (queries.length < count) return undefined;
    return queries
      .toReversed()
      .map(({ bytes, name }) => replyTo(bytes, { answers: [a(name, `10.0.0.${name.slice(1, -5)}`)] }));
  };
}
