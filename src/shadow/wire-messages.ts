/*
 * From copies of packets to DNS messages, with who asked whom.
 */
import { ipv4Octets, ipv6Octets, socketAddress, type SocketAddress } from "../runtime/socket-address.ts";
import { createAddressText } from "./address-text.ts";
import type { CopyOutcome } from "./figures.ts";
import { createDnsPacket, packetFaultNames, readPacket, TcpFlag } from "./read-packet.ts";
import { createTcpStreams } from "./tcp-streams.ts";

/** A message on the wire. Valid during the call that it is given to. */
export interface WireMessage {
  octets: Uint8Array;
  isReply: boolean;
  isTcp: boolean;
  /** Who asks, with the port. */
  clientAddress: SocketAddress;
  /** The same and the address that is asked as IP literals, and the port that the client asks from. */
  client: string;
  server: string;
  port: number;
  /** When it passed, in monotonic milliseconds. */
  atMs: number;
}

/** Who takes what was read. */
export interface MessageTaker {
  /** A query has come over a flow, or a connection has begun: each may take an entry of connection tracking. */
  onFlow(message: WireMessage): void;
  onMessage(message: WireMessage): void;
  /** A copy could not be used. */
  onUnusable(outcome: CopyOutcome): void;
}

/** Reads copies. */
export interface WireMessages {
  /** Takes a copy of a packet, from the IP header on. `isReply`: it was leaving from a server's address. Never throws for what it says. */
  take(octets: Uint8Array, sizeBytes: number, isReply: boolean, atMs: number): void;
  /** How many connections could not be followed. */
  lostStreams(): number;
}

/** Creates a reader for `taker`. */
export function createWireMessages(taker: MessageTaker): WireMessages {
  const packet = createDnsPacket();
  const addressText = createAddressText();
  const streams = createTcpStreams();
  const clients = createAddresses();
  const servers = createAddresses();
  const message: WireMessage = {
    octets: new Uint8Array(0),
    isReply: false,
    isTcp: false,
    clientAddress: clients.ipv4,
    client: "",
    server: "",
    port: 0,
    atMs: 0,
  };

  function take(octets: Uint8Array, sizeBytes: number, isReply: boolean, atMs: number): void {
    const fault = readPacket(octets, sizeBytes, isReply, packet);
    if (fault !== 0) {
      // A packet on another port says nothing: behind extension headers the filter does not look at ports.
      const name = packetFaultNames[-fault];
      if (name === "fragment" || name === "cut" || name === "malformed") taker.onUnusable(name);
      return;
    }
    const { clientAt, serverAt, addressSizeBytes, isTcp, payloadAt, payloadEnd } = packet;
    message.isReply = isReply;
    message.isTcp = isTcp;
    message.clientAddress = placeAddress(clients, octets, clientAt, addressSizeBytes, packet.clientPort);
    message.client = addressText(message.clientAddress);
    message.server = addressText(placeAddress(servers, octets, serverAt, addressSizeBytes, 0));
    message.port = packet.clientPort;
    message.atMs = atMs;
    if (!isReply && (!isTcp || (packet.tcpFlags & TcpFlag.SYN) !== 0)) taker.onFlow(message);
    if (isTcp) {
      const flow = `${message.client} ${message.port} ${message.server}`;
      streams.take(flow, octets, packet, isReply, give);
    } else give(octets.subarray(payloadAt, payloadEnd));
  }

  function give(octets: Uint8Array): void {
    message.octets = octets;
    taker.onMessage(message);
  }

  return { take, lostStreams: streams.lostCount };
}

/** An address of each family, to be written over. */
interface Addresses {
  readonly ipv4: SocketAddress;
  readonly ipv6: SocketAddress;
}

function createAddresses(): Addresses {
  return { ipv4: socketAddress({ host: "0.0.0.0", port: 0 }), ipv6: socketAddress({ host: "::", port: 0 }) };
}

/** The address of `sizeBytes` octets at an offset of the packet, as the kernel would give it. Valid until the next one is placed. */
function placeAddress(
  { ipv4, ipv6 }: Addresses,
  octets: Uint8Array,
  at: number,
  sizeBytes: number,
  port: number,
): SocketAddress {
  const address = sizeBytes === ipv4Octets.sizeBytes ? ipv4 : ipv6;
  const { offset } = address === ipv4 ? ipv4Octets : ipv6Octets;
  for (let octet = 0; octet < sizeBytes; octet += 1) address[offset + octet] = octets[at + octet] as number;
  address[2] = port >> 8;
  address[3] = port & 0xff;
  return address;
}
