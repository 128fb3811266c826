/*
 * The real program in front of a scripted upstream. Every test makes up its own names and scripts them, so that tests share
 * one program without disturbing each other; a question that nobody scripted is remembered and answered with nothing.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { askTcp, askUdp, openTcp } from "../messages/ask.ts";
import { findFreePort } from "../servers/free-port.ts";
import { buildQuery, readMessage, type ReadMessage, replyTo, type TestMessage, Type } from "../messages/messages.ts";
import { type RunningNodens, runNodens, type RunOptions } from "./run-nodens.ts";
import {
  type ReceivedQuery,
  type Script,
  type ScriptedUpstream,
  startScriptedUpstream,
} from "../servers/scripted-upstream.ts";

/** How a client speaks to nodens. */
export const transports = ["udp", "tcp"] as const;
export type Transport = (typeof transports)[number];

/** Zones by how nodens speaks to its upstream about them, with the default settings. */
export const zoneByUpstreamTransport = { udp: "example", tcp: "default.svc.cluster.local" } as const;

/** A nodens, the upstream behind it, and the names that tests made up. */
export interface NodensAndUpstream {
  readonly nodens: RunningNodens;
  readonly upstream: ScriptedUpstream;
  /** A name that nobody has asked for yet, in an outside zone (asked over UDP) or in `zone`. Queries for it go to `script`. */
  name(script: Script, zone?: string): string;
  /** Scripts a name that the test chose itself, or scripts one anew. */
  script(name: string, script: Script): void;
  /** What upstream was asked about this very name, in any spelling. */
  asked(name: string): ReceivedQuery[];
  /** What upstream was asked though no test scripted it. */
  unscripted(): ReceivedQuery[];
  stop(): Promise<void>;
}

/** Starts both. The settings are those of the file; `upstream.servers` is filled in unless it is there. */
export async function startNodensAndUpstream({
  isUdpSilent = false,
  ...options
}: RunOptions & { readonly isUdpSilent?: boolean } = {}): Promise<NodensAndUpstream> {
  const scripts = new Map<string, Script>();
  const unscripted: ReceivedQuery[] = [];
  const upstream = await startScriptedUpstream(
    (query) => {
      const script = scripts.get(query.name.toLowerCase());
      if (script !== undefined) return script(query);
      unscripted.push(query);
      return replyTo(query.bytes, { rcode: 2 });
    },
    await findFreePort(),
    { isUdpSilent },
  );
  const chosen = (options.settings?.["upstream"] ?? {}) as Record<string, unknown>;
  const settings = { ...options.settings, upstream: { servers: [upstream.address], ...chosen } };
  const nodens = await runNodens({ ...options, settings }).catch(async (error: unknown) => {
    await upstream.close();
    throw error;
  });
  let count = 0;
  return {
    nodens,
    upstream,
    name(script, zone = zoneByUpstreamTransport.udp) {
      count += 1;
      const name = `n${count}.${zone}`;
      scripts.set(name, script);
      return name;
    },
    script: (name, script) => void scripts.set(name.toLowerCase(), script),
    asked: (name) => upstream.received.filter((query) => query.name.toLowerCase() === name.toLowerCase()),
    unscripted: () => unscripted,
    async stop() {
      await nodens.stop();
      await upstream.close();
    },
  };
}

/** Sends one message over either transport. The reply's octets, or undefined when none came within `waitMs`. */
export async function askRaw(
  transport: Transport,
  port: number,
  packet: Uint8Array,
  waitMs?: number,
): Promise<Uint8Array | undefined> {
  if (transport === "udp") return askUdp(port, packet, waitMs);
  const [reply] = await askTcp(port, [packet], 1, waitMs);
  return reply;
}

/** Asks for a name, and reads the reply. Fails when none comes. */
export async function ask(
  transport: Transport,
  port: number,
  name: string,
  type: number = Type.A,
  more: TestMessage = {},
): Promise<ReadMessage> {
  const reply = await askRaw(transport, port, buildQuery(name, type, more), 10_000);
  if (reply === undefined) throw new Error(`no reply to ${name} over ${transport}`);
  return readMessage(reply);
}

/**
 * Sends a message that must be dealt with at once, and everything that came back before the reply to a second message behind
 * it: silence is seen without waiting for it.
 */
export async function askBeforeSentinel(transport: Transport, port: number, packet: Uint8Array): Promise<Uint8Array[]> {
  // Answered by nodens itself, whatever it says, without delay.
  const sentinel = buildQuery("sentinel.bind", Type.TXT, { id: sentinelId });
  sentinel[sentinel.length - 1] = 3; // class CH
  const replies = await (transport === "udp" ? sendUdp(port, [packet, sentinel]) : sendTcp(port, [packet, sentinel]));
  expect(replies.at(-1)).toBeDefined();
  return replies.slice(0, -1);
}

const sentinelId = 0xbeef;

function isSentinel(reply: Uint8Array | undefined): boolean {
  return reply?.[0] === sentinelId >> 8 && reply[1] === (sentinelId & 0xff);
}

async function sendUdp(port: number, packets: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const socket = createSocket("udp4");
  const replies: Uint8Array[] = [];
  try {
    socket.connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.on("message", (reply) => replies.push(new Uint8Array(reply)));
    for (const packet of packets) socket.send(packet);
    const giveUpAt = performance.now() + 10_000;
    while (!isSentinel(replies.at(-1)) && performance.now() < giveUpAt) await delay(2);
    return isSentinel(replies.at(-1)) ? replies : [];
  } finally {
    socket.close();
  }
}

async function sendTcp(port: number, packets: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const client = await openTcp(port);
  try {
    for (const packet of packets) {
      client.socket.write(Uint8Array.of(packet.length >> 8, packet.length & 0xff));
      client.socket.write(packet);
    }
    const replies: Uint8Array[] = [];
    while (!isSentinel(replies.at(-1))) {
      const [reply] = await client.read(1, 10_000);
      if (reply === undefined) return [];
      replies.push(reply);
    }
    return replies;
  } finally {
    client.socket.destroy();
  }
}

/**
 * Asks many questions from one UDP socket, `window` of them open at a time. Each gets its index, modulo 65,536, as its ID. The
 * replies in the order of the questions; undefined where none came within `waitMs` of the last progress.
 */
export async function askFromOneSocket(
  port: number,
  count: number,
  packetFor: (index: number) => Uint8Array,
  { window = 100, waitMs = 5000 } = {},
): Promise<(Uint8Array | undefined)[]> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
  const replies: (Uint8Array | undefined)[] = Array.from({ length: count }, () => undefined);
  const openById = new Map<number, number>();
  let next = 0;
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  try {
    await new Promise<void>((resolve) => {
      let timer = setTimeout(resolve, waitMs);
      function sendMore(): void {
        while (next < count && openById.size < window) {
          const packet = packetFor(next).slice();
          const id = next & 0xffff;
          packet[0] = id >> 8;
          packet[1] = id & 0xff;
          openById.set(id, next);
          socket.send(packet);
          next += 1;
        }
        if (openById.size > 0) return;
        clearTimeout(timer);
        resolve();
      }
      socket.on("message", (reply) => {
        const id = ((reply[0] as number) << 8) | (reply[1] as number);
        const index = openById.get(id);
        if (index === undefined) return;
        openById.delete(id);
        replies[index] = new Uint8Array(reply);
        clearTimeout(timer);
        timer = setTimeout(resolve, waitMs);
        sendMore();
      });
      sendMore();
    });
    return replies;
  } finally {
    socket.close();
  }
}

/** The flags of a reply with everything but QR, opcode and rcode taken out. */
export function maskedFlags(flags: number): number {
  return flags & 0xf80f;
}
