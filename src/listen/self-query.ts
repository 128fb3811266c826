/*
 * nodens as its own client: the only proof that pods are answered is an answer.
 */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { HeaderOffset } from "../wire/header.ts";
import { writeU16 } from "../wire/octets.ts";
import { composeQuery, type Question } from "../wire/question.ts";
import { repeatsQuestion } from "../wire/reply.ts";

/** Asks `address` over UDP, from a socket of its own. Whether a reply to the question came within `timeoutMs`. */
export function askOwnSocket(
  address: ServerAddress,
  question: Question,
  timeoutMs: number,
  clock: Clock,
): Promise<boolean> {
  return new Promise((resolve) => {
    const packet = composeQuery(question);
    writeU16(packet, HeaderOffset.id, 1 + Math.floor(Math.random() * 0xfffe));
    const socket = createSocket(isIPv6(address.host) ? "udp6" : "udp4");
    const cancelTimer = clock.after(timeoutMs, () => finish(false));
    let isFinished = false;

    function finish(isAnswered: boolean): void {
      if (isFinished) return;
      isFinished = true;
      cancelTimer();
      socket.close();
      resolve(isAnswered);
    }

    socket.on("error", () => finish(false));
    socket.on("message", (reply) => {
      const isOurs = reply[0] === packet[0] && reply[1] === packet[1];
      if (isOurs && repeatsQuestion(reply, question.name, question.type, question.class)) finish(true);
    });
    // Not as an argument of `connect`: that would be called with the error too.
    socket.on("connect", () => socket.send(packet));
    socket.connect(address.port, address.host);
  });
}
