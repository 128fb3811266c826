/*
 * An upstream that does what a test says, over UDP and TCP on one loopback port, and remembers what it was asked.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { concat, readMessage, u16 } from "../messages/messages.ts";

/** One query as it arrived. */
export interface ReceivedQuery {
  readonly protocol: "udp" | "tcp";
  readonly bytes: Uint8Array;
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** The asker's port: one per flow. */
  readonly port: number;
  /** TCP only: the connection it came on. */
  readonly connection?: Socket;
}

/** What to send back: nothing, one message, several in this order, or raw octets on the TCP connection. */
export type ScriptedReply = Uint8Array | readonly Uint8Array[] | { readonly raw: Uint8Array } | undefined;

/** Decides on a query. It may take its time: over UDP and TCP alike other queries go on. */
export type Script = (query: ReceivedQuery) => ScriptedReply | Promise<ScriptedReply>;

/** A running scripted upstream. */
export interface ScriptedUpstream {
  readonly port: number;
  /** "127.0.0.1:PORT". */
  readonly address: string;
  /** Every query so far, health and loop probes left out (see `probes`). */
  readonly received: ReceivedQuery[];
  /** The probes (see `isProbe`). They are answered NOERROR without data, unless the script decides on them. */
  readonly probes: ReceivedQuery[];
  /** TCP connections that are open now. */
  readonly connections: Set<Socket>;
  /** Replaces the script. */
  answerWith(script: Script): void;
  /** Forgets what was received. */
  forget(): void;
  close(): Promise<void>;
}

/** Starts an upstream on a free port of 127.0.0.1 (or on `port`). With `scriptsProbes` the script decides on probes too; with `isUdpSilent` nothing is received over UDP. */
export async function startScriptedUpstream(
  script: Script,
  port = 0,
  { scriptsProbes = false, isUdpSilent = false } = {},
): Promise<ScriptedUpstream> {
  const { udp, tcp, bound } = await bindBoth(port);

  let current = script;
  const received: ReceivedQuery[] = [];
  const probes: ReceivedQuery[] = [];
  const connections = new Set<Socket>();

  async function decide(query: ReceivedQuery): Promise<ScriptedReply> {
    if (isProbe(query)) {
      probes.push(query);
      return scriptsProbes ? current(query) : emptyReplyTo(query.bytes);
    }
    received.push(query);
    return current(query);
  }

  udp.on("message", (bytes, peer) => {
    if (isUdpSilent) return;
    const query = describe("udp", bytes, peer.port);
    void decide(query).then((reply) => {
      for (const message of messagesOf(reply)) udp.send(message, peer.port, peer.address);
    });
  });
  udp.on("error", () => {});
  tcp.on("connection", (connection) => {
    connections.add(connection);
    connection.on("close", () => connections.delete(connection));
    connection.on("error", () => {});
    let pending = new Uint8Array(0);
    connection.on("data", (chunk: Buffer) => {
      pending = new Uint8Array(concat([pending, chunk]));
      while (pending.length >= 2) {
        const size = ((pending[0] as number) << 8) | (pending[1] as number);
        if (pending.length < 2 + size) return;
        const query = { ...describe("tcp", pending.slice(2, 2 + size), connection.remotePort ?? 0), connection };
        pending = pending.slice(2 + size);
        void decide(query).then((reply) => {
          if (connection.destroyed) return;
          if (reply !== undefined && "raw" in reply) connection.write(reply.raw);
          else for (const message of messagesOf(reply)) connection.write(concat([u16(message.length), message]));
        });
      }
    });
  });

  return {
    port: bound,
    address: `127.0.0.1:${bound}`,
    received,
    probes,
    connections,
    answerWith(next) {
      current = next;
    },
    forget() {
      received.length = 0;
      probes.length = 0;
    },
    async close() {
      for (const connection of connections) connection.destroy();
      await Promise.all([
        new Promise<void>((resolve) => tcp.close(() => resolve())),
        new Promise<void>((resolve) => udp.close(() => resolve())),
      ]);
    },
  };
}

/** A UDP port whose TCP twin is free too: where the system picks, others are tried. */
async function bindBoth(port: number) {
  for (let attempt = 1; ; attempt += 1) {
    const udp = createSocket("udp4");
    udp.bind(port, "127.0.0.1");
    await once(udp, "listening");
    const tcp = createServer();
    const bound = udp.address().port;
    tcp.listen(bound, "127.0.0.1");
    try {
      await once(tcp, "listening");
      return { udp, tcp, bound };
    } catch (error) {
      udp.close();
      if (port !== 0 || attempt === 20) throw error;
    }
  }
}

/**
 * Waits until `condition` holds, asking every few milliseconds; throws after `limitMs` with what was waited for. Unless said otherwise
 * that is just before the test itself would end, for a busy machine.
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 25_000,
): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await delay(5);
  }
}

/**
 * Whether a query is one that nodens asks on its own account, not for a client: SOA of the cluster zone, NS of the root, HINFO of
 * the loop guard, TXT and A of the zone's schema version. The root is "." or "".
 */
export function isProbe({ name, type }: { readonly name: string; readonly type: number }): boolean {
  const isLoopProbe = type === 13 && name.includes("nodens-loop-probe");
  const isVersionProbe = (type === 16 || type === 1) && name === "dns-version.cluster.local";
  const isHealthProbe = (type === 2 && (name === "." || name === "")) || (type === 6 && name === "cluster.local");
  return isLoopProbe || isVersionProbe || isHealthProbe;
}

function emptyReplyTo(query: Uint8Array): Uint8Array {
  const reply = query.slice();
  reply[2] = (reply[2] as number) | 0x80;
  reply[3] = 0x80;
  return reply;
}

function describe(protocol: "udp" | "tcp", bytes: Uint8Array, port: number): ReceivedQuery {
  const { id, questions } = readMessage(bytes);
  const [question] = questions;
  return { protocol, bytes: new Uint8Array(bytes), id, name: question?.name ?? "", type: question?.type ?? 0, port };
}

function messagesOf(reply: ScriptedReply): readonly Uint8Array[] {
  if (reply === undefined || "raw" in reply) return [];
  return reply instanceof Uint8Array ? [reply] : reply;
}
