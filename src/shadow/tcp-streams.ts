/*
 * DNS over TCP out of copied segments. Few pods use it, mostly after a reply that was cut, so this follows connections only as long as their
 * segments come in order; one that has a gap is given up and counted, like one whose beginning was not seen.
 */
import { createFrameReader, type FrameReader, tooLong } from "../wire/framing.ts";
import { type DnsPacket, TcpFlag } from "./read-packet.ts";

/** Follows connections. */
export interface TcpStreams {
  /** Takes a segment of the connection with this key, and gives the messages that it completes to `onMessage`, during the call. */
  take(key: string, octets: Uint8Array, packet: DnsPacket, isReply: boolean, onMessage: OnMessage): void;
  /** How many connections were given up with something in them unread. */
  lostCount(): number;
}

/** A whole message, valid during the call. */
export type OnMessage = (message: Uint8Array) => void;

interface Stream {
  readonly toServer: Side;
  readonly toClient: Side;
}

interface Side {
  /** The number of the octet that comes next; -1 before the SYN. */
  next: number;
  readonly reader: FrameReader;
}

const mostStreams = 256;
/** Messages over TCP are hardly longer; a connection with a longer one is given up. */
const maxMessageBytes = 16_384;

/** Creates it, without connections. It holds 8 MiB at most, if every connection has an unfinished message of the greatest size. */
export function createTcpStreams(): TcpStreams {
  const streams = new Map<string, Stream>();
  let lost = 0;

  function take(key: string, octets: Uint8Array, packet: DnsPacket, isReply: boolean, onMessage: OnMessage): void {
    const { tcpFlags, sequence, payloadAt, payloadEnd } = packet;
    if ((tcpFlags & TcpFlag.RST) !== 0) {
      streams.delete(key);
      return;
    }
    const stream = (tcpFlags & TcpFlag.SYN) !== 0 ? begin(key, isReply, sequence) : streams.get(key);
    const payloadSize = payloadEnd - payloadAt;
    if (stream === undefined) {
      if (payloadSize > 0) lost += 1;
      return;
    }
    const side = isReply ? stream.toClient : stream.toServer;
    if (payloadSize > 0 && !push(side, octets.subarray(payloadAt, payloadEnd), sequence, onMessage)) {
      lost += 1;
      streams.delete(key);
    }
  }

  function begin(key: string, isReply: boolean, sequence: number): Stream {
    const known = streams.get(key);
    // The server's SYN belongs to the client's, which was seen before it. A second one of the client begins a connection of its own.
    const stream = isReply && known !== undefined ? known : { toServer: side(), toClient: side() };
    (isReply ? stream.toClient : stream.toServer).next = (sequence + 1) >>> 0;
    if (stream !== known) {
      streams.delete(key);
      makeRoom();
      streams.set(key, stream);
    }
    return stream;
  }

  /** The oldest goes: most connections end without anybody noticing here, because nothing waits for their last segments. */
  function makeRoom(): void {
    for (const key of streams.keys()) {
      if (streams.size < mostStreams) return;
      streams.delete(key);
    }
  }

  return { take, lostCount: () => lost };
}

function side(): Side {
  return { next: -1, reader: createFrameReader(maxMessageBytes) };
}

/** Gives the octets that are new to the reader. Returns false for a gap, for a beginning that was not seen, and for a message that is too long. */
function push(to: Side, octets: Uint8Array, sequence: number, onMessage: OnMessage): boolean {
  if (to.next < 0) return false;
  // How much of it has been there already, because it was sent again.
  const known = (to.next - sequence) | 0;
  if (known < 0) return false;
  if (known >= octets.length) return true;
  const fresh = octets.subarray(known);
  to.next = (to.next + fresh.length) >>> 0;
  const taken = to.reader.push(fresh, (message) => {
    onMessage(message);
    return true;
  });
  return taken !== tooLong;
}
