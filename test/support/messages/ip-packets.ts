/*
 * IP packets for tests, as a packet socket without link headers gives them: built independently of src/shadow.
 */
import { addressOctets } from "../../../src/runtime/server-address.ts";
import { concat, u16, u32 } from "./messages.ts";

/** A packet to build. Left out: from 10.244.1.10 port 40000 to 10.96.0.10 port 53, over UDP. Both addresses are of one family. */
export interface TestPacket {
  readonly from?: string;
  readonly to?: string;
  readonly fromPort?: number;
  readonly toPort?: number;
  /** The numbers and flags of TCP; UDP without it. */
  readonly tcp?: { readonly sequence: number; readonly flags?: number; readonly optionOctets?: number };
  readonly payload?: Uint8Array;
  /** Of IPv4: octets of options, and the field with the fragment's flags and offset. */
  readonly optionOctets?: number;
  readonly fragment?: number;
  /** Of IPv6: extension headers, each its number with what follows the "next header" octet. */
  readonly extensions?: readonly { readonly number: number; readonly rest: readonly number[] }[];
  /** Another protocol number than the transport's. */
  readonly protocol?: number;
}

/** The pod and the Service of a packet that says nothing else. */
export const podAddress = "10.244.1.10";
export const serviceAddress = "10.96.0.10";

/** Builds it. */
export function buildPacket(packet: TestPacket): Uint8Array {
  const { from = podAddress, to = serviceAddress, tcp } = packet;
  const transport = tcp === undefined ? udpOf(packet) : tcpOf(packet, tcp);
  const protocol = packet.protocol ?? (tcp === undefined ? 17 : 6);
  return from.includes(":")
    ? ipv6Of(packet, from, to, protocol, transport)
    : ipv4Of(packet, from, to, protocol, transport);
}

function udpOf({ fromPort = 40_000, toPort = 53, payload = new Uint8Array(0) }: TestPacket): Uint8Array {
  return concat([u16(fromPort), u16(toPort), u16(8 + payload.length), u16(0), payload]);
}

function tcpOf(
  { fromPort = 40_000, toPort = 53, payload = new Uint8Array(0) }: TestPacket,
  { sequence, flags = 0x10, optionOctets = 0 }: NonNullable<TestPacket["tcp"]>,
): Uint8Array {
  const head = [u16(fromPort), u16(toPort), u32(sequence), u32(0)];
  const offset = ((20 + optionOctets) / 4) << 4;
  const tail = [Uint8Array.of(offset, flags), u16(1000), u16(0), u16(0), new Uint8Array(optionOctets)];
  return concat([...head, ...tail, payload]);
}

function ipv4Of(
  { optionOctets = 0, fragment = 0x4000 }: TestPacket,
  from: string,
  to: string,
  protocol: number,
  transport: Uint8Array,
): Uint8Array {
  const headerSize = 20 + optionOctets;
  return concat([
    Uint8Array.of(0x40 | (headerSize / 4), 0),
    u16(headerSize + transport.length),
    u16(7),
    u16(fragment),
    Uint8Array.of(64, protocol),
    u16(0),
    Uint8Array.from(addressOctets(from)),
    Uint8Array.from(addressOctets(to)),
    new Uint8Array(optionOctets),
    transport,
  ]);
}

function ipv6Of(
  { extensions = [] }: TestPacket,
  from: string,
  to: string,
  protocol: number,
  transport: Uint8Array,
): Uint8Array {
  const numbers = [...extensions.map(({ number }) => number), protocol];
  const headers = extensions.map(({ rest }, index) => Uint8Array.of(numbers[index + 1] ?? protocol, ...rest));
  const body = concat([...headers, transport]);
  return concat([
    u32(0x6000_0000),
    u16(body.length),
    Uint8Array.of(numbers[0] ?? protocol, 64),
    Uint8Array.from(addressOctets(from)),
    Uint8Array.from(addressOctets(to)),
    body,
  ]);
}
