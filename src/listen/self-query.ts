/*
 * nodens as its own client: the only proof that pods are answered is an answer.
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { createFrameReader, frameMessage } from "../wire/framing.ts";
import { HeaderOffset } from "../wire/header.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import { composeQuery, type Question } from "../wire/question.ts";
import { repeatsQuestion } from "../wire/reply.ts";

/** How to ask. */
interface AskOptions {
  readonly protocol: "udp" | "tcp";
  readonly timeoutMs: number;
}

/** Asks `address` from a socket of its own. Whether a reply to the question, of any rcode, came in time. */
export function askOwnSocket(
  address: ServerAddress,
  question: Question,
  { protocol, timeoutMs }: AskOptions,
  clock: Clock,
): Promise<boolean> {
  return new Promise((resolve) => {
    const packet = composeQuery(question);
    const id = 1 + Math.floor(Math.random() * 0xfffe);
    writeU16(packet, HeaderOffset.id, id);
    const open = protocol === "udp" ? openUdp : openTcp;
    const end = open(address, packet, finishIfReply, () => finish(false));
    const cancelTimer = clock.after(timeoutMs, () => finish(false));
    let isFinished = false;

    function finishIfReply(message: Uint8Array): void {
      const isOurs = message.length > 1 && readU16(message, HeaderOffset.id) === id;
      if (isOurs && repeatsQuestion(message, question.name, question.type, question.class)) finish(true);
    }

    function finish(isAnswered: boolean): void {
      if (isFinished) return;
      isFinished = true;
      cancelTimer();
      end();
      resolve(isAnswered);
    }
  });
}

/** Sends the packet, hands over what comes back, and returns a function that ends all. */
type Open = (
  address: ServerAddress,
  packet: Uint8Array,
  onMessage: (message: Uint8Array) => void,
  onError: () => void,
) => () => void;

const openUdp: Open = (address, packet, onMessage, onError) => {
  const socket = createSocket(isIPv6(address.host) ? "udp6" : "udp4");
  socket.on("error", onError);
  socket.on("message", onMessage);
  // Not as an argument of `connect`: that would be called with the error too.
  socket.on("connect", () => socket.send(packet));
  socket.connect(address.port, address.host);
  return () => socket.close();
};

const openTcp: Open = (address, packet, onMessage, onError) => {
  const socket = connect({ host: address.host, port: address.port });
  const reader = createFrameReader();
  socket.on("error", onError);
  socket.on("close", onError);
  socket.on("data", (chunk: Buffer) => {
    reader.push(chunk, (message) => {
      onMessage(message);
      return true;
    });
  });
  socket.write(frameMessage(packet, packet.length));
  return () => socket.destroy();
};
