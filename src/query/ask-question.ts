/*
 * Asks one question for a person, and collects what can be known about where the reply came from.
 */
import { randomInt } from "node:crypto";
import { Packet } from "dns2";
import { askOnce } from "../runtime/ask-once.ts";
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress } from "../runtime/server-address.ts";
import { RrClass } from "../wire/codes.ts";
import { ourUdpSizeBytes } from "../wire/edns.ts";
import { Flag, HeaderOffset, headerSizeBytes, rcodeMask } from "../wire/header.ts";
import { repeatsQuestion } from "../wire/reply.ts";
import type { Reception } from "./print-reply.ts";
import type { Request } from "./read-request.ts";
import { readReply } from "./read-reply.ts";

/**
 * Asks over UDP, and again over TCP when the reply is truncated; over TCP alone when the request says so. Never rejects; `failure` is
 * a message for people. A reply that stayed truncated is returned with a remark that says so.
 */
export async function askQuestion(request: Request, clock: Clock): Promise<Reception | { readonly failure: string }> {
  const first = await askOver(request.startsOverTcp ? "TCP" : "UDP", request, clock);
  if ("failure" in first || first.protocol === "TCP" || !first.reply.flags.includes("tc")) return first;
  const second = await askOver("TCP", request, clock);
  if ("failure" in second) {
    return { ...first, remarks: [...first.remarks, `truncated over UDP, and then ${second.failure}`] };
  }
  return { ...second, remarks: [...second.remarks, "truncated over UDP: asked again over TCP"] };
}

async function askOver(
  protocol: Reception["protocol"],
  request: Request,
  clock: Clock,
): Promise<Reception | { readonly failure: string }> {
  const { server, timeoutMs, remarks } = request;
  const id = randomInt(0x1_0000);
  const isReply = (message: Buffer): boolean => isReplyTo(message, id, request);
  const transport = protocol === "UDP" ? "udp" : "tcp";
  const outcome = await askOnce(composeQuery(id, request), { server, protocol: transport, timeoutMs, clock, isReply });
  if ("failure" in outcome) {
    const others =
      outcome.ignoredCount === 0 ? "" : `, except for ${outcome.ignoredCount} that did not fit the question`;
    return { failure: `no reply from ${formatServerAddress(server)} over ${protocol}: ${outcome.failure}${others}` };
  }
  const { message, elapsedMs, ignoredCount } = outcome;
  const ignored = `ignored before the reply: ${ignoredCount} that did not fit the question`;
  return {
    reply: readReply(message),
    server: formatServerAddress(server),
    protocol,
    elapsedMs,
    sizeBytes: message.length,
    remarks: ignoredCount === 0 ? remarks : [...remarks, ignored],
  };
}

/** RD and AD are set: AD asks whether the data was authenticated (RFC 6840 §5.7). */
function composeQuery(id: number, request: Request): Buffer {
  const packet = new Packet();
  packet.header = new Packet.Header({ id, rd: 1 });
  packet.questions.push(new Packet.Question("", request.type, RrClass.IN));
  const opt = { doFlag: request.dnssecOk, udpPayloadSize: ourUdpSizeBytes };
  if (request.hasEdns) packet.additionals.push(Packet.Resource.EDNS([], opt));
  const message = packet.toBuffer();
  message[HeaderOffset.flags + 1] = Flag.AD;
  // dns2 wrote the root, one octet, where the name goes: it cannot read escapes, and takes type 0 for ANY.
  message.writeUInt16BE(request.type, headerSizeBytes + 1);
  return Buffer.concat([
    message.subarray(0, headerSizeBytes),
    request.spelledName,
    message.subarray(headerSizeBytes + 1),
  ]);
}

function isReplyTo(message: Buffer, id: number, { name, type }: Request): boolean {
  if (message.length < headerSizeBytes || message.readUInt16BE(HeaderOffset.id) !== id) return false;
  const flags = message.readUInt16BE(HeaderOffset.flags);
  if ((flags & Flag.QR) === 0) return false;
  // A server that could not read the question cannot repeat it.
  const isBareError = message.readUInt16BE(HeaderOffset.questionCount) === 0 && (flags & rcodeMask) !== 0;
  return isBareError || repeatsQuestion(message, name, type, RrClass.IN);
}
