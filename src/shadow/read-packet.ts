/*
 * A copied packet, read in place as far as the DNS message in it: IPv4 or IPv6 with its extension headers, UDP or TCP. Nothing is believed
 * that does not lie within the copy.
 */
import { readU16, readU32, readU8 } from "../wire/octets.ts";

/** Why a copy cannot be used, as a negative number. */
export const PacketFault = {
  /** It ends within a header, or its lengths contradict each other. */
  malformed: -1,
  /** Part of a packet. The others have no ports, and are not copied. */
  fragment: -2,
  /** The kernel kept less of it than there was. */
  cut: -3,
  /** Neither UDP nor TCP, or not on port 53. */
  other: -4,
} as const;

/** The names of these, by number without its sign. Index 0 is unused. */
export const packetFaultNames: readonly string[] = ["none", ...Object.keys(PacketFault)];

/** What was read. Offsets are into the copy, and valid as long as it is. */
export interface DnsPacket {
  isTcp: boolean;
  /** Where the addresses of the client and of the server start, and how long each is: 4 or 16. */
  clientAt: number;
  serverAt: number;
  addressSizeBytes: number;
  clientPort: number;
  /** The DNS message over UDP, or a piece of the stream over TCP. */
  payloadAt: number;
  payloadEnd: number;
  /** Of TCP: the number of the payload's first octet, and the flags. */
  sequence: number;
  tcpFlags: number;
}

/** Flags of TCP (RFC 9293 §3.1). */
export const TcpFlag = { FIN: 1, SYN: 2, RST: 4 } as const;

/** Creates an empty view. */
export function createDnsPacket(): DnsPacket {
  return {
    isTcp: false,
    clientAt: 0,
    serverAt: 0,
    addressSizeBytes: 0,
    clientPort: 0,
    payloadAt: 0,
    payloadEnd: 0,
    sequence: 0,
    tcpFlags: 0,
  };
}

/** Reads the first `sizeBytes` octets into `packet`. `isReply`: it comes from the server. Returns 0, or a PacketFault. Never throws. */
export function readPacket(octets: Uint8Array, sizeBytes: number, isReply: boolean, packet: DnsPacket): number {
  if (sizeBytes < 1) return PacketFault.malformed;
  const version = readU8(octets, 0) >> 4;
  if (version === 4) return readIpv4(octets, sizeBytes, isReply, packet);
  return version === 6 ? readIpv6(octets, sizeBytes, isReply, packet) : PacketFault.malformed;
}

function readIpv4(octets: Uint8Array, sizeBytes: number, isReply: boolean, packet: DnsPacket): number {
  const headerSize = (readU8(octets, 0) & 0x0f) * 4;
  if (sizeBytes < ipv4HeaderSize || headerSize < ipv4HeaderSize || headerSize > sizeBytes) return PacketFault.malformed;
  const end = readU16(octets, 2);
  if (end < headerSize) return PacketFault.malformed;
  if (end > sizeBytes) return PacketFault.cut;
  // All but "don't fragment" (RFC 791 §3.1).
  if ((readU16(octets, 6) & 0x3fff) !== 0) return PacketFault.fragment;
  placeAddresses(packet, isReply, 12, 4);
  return readTransport(octets, headerSize, end, readU8(octets, 9), isReply, packet);
}

const ipv4HeaderSize = 20;

function readIpv6(octets: Uint8Array, sizeBytes: number, isReply: boolean, packet: DnsPacket): number {
  if (sizeBytes < ipv6HeaderSize) return PacketFault.malformed;
  const end = ipv6HeaderSize + readU16(octets, 4);
  if (end > sizeBytes) return PacketFault.cut;
  let next = readU8(octets, 6);
  let at = ipv6HeaderSize;
  // Each has eight octets at least, so the end of the packet ends this (RFC 8200 §4).
  while (isExtension(next)) {
    if (at + 8 > end) return PacketFault.malformed;
    // The offset, and whether more follow (RFC 8200 §4.5). A fragment that is the whole packet is one (RFC 6946).
    if (next === fragmentHeader && (readU16(octets, at + 2) & 0xfff9) !== 0) return PacketFault.fragment;
    const size = next === fragmentHeader ? 8 : 8 + 8 * readU8(octets, at + 1);
    next = readU8(octets, at);
    at += size;
  }
  if (at > end) return PacketFault.malformed;
  placeAddresses(packet, isReply, 8, 16);
  return readTransport(octets, at, end, next, isReply, packet);
}

const ipv6HeaderSize = 40;
const fragmentHeader = 44;

/** Hop-by-hop options, routing, fragment, destination options. */
function isExtension(next: number): boolean {
  return next === 0 || next === 43 || next === fragmentHeader || next === 60;
}

/** Source and destination lie one behind the other. */
function placeAddresses(packet: DnsPacket, isReply: boolean, at: number, sizeBytes: number): void {
  packet.addressSizeBytes = sizeBytes;
  packet.clientAt = isReply ? at + sizeBytes : at;
  packet.serverAt = isReply ? at : at + sizeBytes;
}

function readTransport(
  octets: Uint8Array,
  at: number,
  end: number,
  protocol: number,
  isReply: boolean,
  packet: DnsPacket,
): number {
  if (protocol !== udp && protocol !== tcp) return PacketFault.other;
  packet.isTcp = protocol === tcp;
  if (at + (packet.isTcp ? 20 : 8) > end) return PacketFault.malformed;
  const [source, destination] = [readU16(octets, at), readU16(octets, at + 2)];
  if ((isReply ? source : destination) !== dnsPort) return PacketFault.other;
  packet.clientPort = isReply ? destination : source;
  return packet.isTcp ? readTcp(octets, at, end, packet) : readUdp(octets, at, end, packet);
}

const udp = 17;
const tcp = 6;
const dnsPort = 53;

function readUdp(octets: Uint8Array, at: number, end: number, packet: DnsPacket): number {
  const size = readU16(octets, at + 4);
  if (size < 8 || at + size > end) return PacketFault.malformed;
  packet.payloadAt = at + 8;
  packet.payloadEnd = at + size;
  packet.sequence = 0;
  packet.tcpFlags = 0;
  return 0;
}

function readTcp(octets: Uint8Array, at: number, end: number, packet: DnsPacket): number {
  const headerSize = (readU8(octets, at + 12) >> 4) * 4;
  if (headerSize < 20 || at + headerSize > end) return PacketFault.malformed;
  packet.payloadAt = at + headerSize;
  packet.payloadEnd = end;
  packet.sequence = readU32(octets, at + 4);
  packet.tcpFlags = readU8(octets, at + 13);
  return 0;
}
