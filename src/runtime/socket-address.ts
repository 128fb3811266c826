/*
 * Addresses of sockets as the kernel has them, on Linux. The family follows from the length:
 *
 *     struct sockaddr_in { u16 family; u16 port; u8 address[4]; u8 zero[8]; }
 *     struct sockaddr_in6 { u16 family; u16 port; u32 flow; u8 address[16]; u32 scope; }, port and address in network order.
 */
import { isIPv6 } from "node:net";
import { endianness, networkInterfaces } from "node:os";
import { addressOctets, type ServerAddress } from "./server-address.ts";

/** An address as the kernel has it: 16 octets for IPv4, 28 for IPv6. */
export type SocketAddress = Uint8Array;

/** The sizes of the two forms. */
export const ipv4SocketAddressSizeBytes = 16;
export const ipv6SocketAddressSizeBytes = 28;

/** Where the address itself starts in each form, and how long it is. */
export const ipv4Octets = { offset: 4, sizeBytes: 4 } as const;
export const ipv6Octets = { offset: 8, sizeBytes: 16 } as const;

const scopeOffset = 24;
const families = { ipv4: 2, ipv6: 10 } as const;

/** Where the family's lower octet is: it is in the machine's order. */
const familyOffset = endianness() === "LE" ? 0 : 1;

/** Writes an address in the kernel's form. Throws for a host that is not an IP literal. */
export function socketAddress({ host, port }: ServerAddress): Buffer<ArrayBuffer> {
  const isLong = isIPv6(host);
  const memory = Buffer.alloc(isLong ? ipv6SocketAddressSizeBytes : ipv4SocketAddressSizeBytes);
  memory[familyOffset] = isLong ? families.ipv6 : families.ipv4;
  memory.writeUInt16BE(port, 2);
  memory.set(addressOctets(host), isLong ? ipv6Octets.offset : ipv4Octets.offset);
  if (isLong) memory.set(new Uint8Array(new Uint32Array([scopeOf(host)]).buffer), scopeOffset);
  return memory;
}

/** The port of an address. */
export function portOf(address: SocketAddress): number {
  return ((address[2] as number) << 8) | (address[3] as number);
}

/** Gives an address another port. */
export function setPort(address: SocketAddress, port: number): void {
  address[2] = port >> 8;
  address[3] = port & 0xff;
}

/** The host of an address as an IP literal, without a zone. For people: it costs more than a query. */
export function hostOf(address: SocketAddress): string {
  const { offset, sizeBytes } = octetsOf(address);
  return hostText(address.subarray(offset, offset + sizeBytes));
}

/** An IP literal of the octets of an IPv4 or IPv6 host. */
export function hostText(octets: Uint8Array): string {
  if (octets.length === ipv4Octets.sizeBytes) return octets.join(".");
  const groups = Array.from({ length: 8 }, (_, group) =>
    (((octets[group * 2] as number) << 8) | (octets[group * 2 + 1] as number)).toString(16),
  );
  // The URL parser gives every IPv6 literal its one spelling (RFC 5952).
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/** A string that is the same for equal hosts only, whatever the port: a key for maps, not for people. */
export function hostKey(address: SocketAddress): string {
  const { offset, sizeBytes } = octetsOf(address);
  // All at once: the engine looks up each text of two letters in a table of its own.
  if (sizeBytes === ipv4Octets.sizeBytes)
    return String.fromCharCode(
      address[offset] as number,
      address[offset + 1] as number,
      address[offset + 2] as number,
      address[offset + 3] as number,
    );
  return Reflect.apply(String.fromCharCode, undefined, address.subarray(offset, offset + sizeBytes));
}

/** The same for short-lived maps: made and compared faster, and a number for IPv4. */
export function quickHostKey(address: SocketAddress): string | number {
  if (address.length !== ipv4SocketAddressSizeBytes) return hostKey(address);
  let key = 0;
  for (let at = ipv4Octets.offset; at < ipv4Octets.offset + ipv4Octets.sizeBytes; at += 1)
    key = key * 256 + (address[at] as number);
  return key;
}

/** Whether both have the same host, whatever the port and the zone. */
export function hasSameHost(one: SocketAddress, other: SocketAddress): boolean {
  if (one.length !== other.length) return false;
  const { offset, sizeBytes } = octetsOf(one);
  for (let at = offset; at < offset + sizeBytes; at += 1) if (one[at] !== other[at]) return false;
  return true;
}

function octetsOf(address: SocketAddress): typeof ipv4Octets | typeof ipv6Octets {
  return address.length === ipv4SocketAddressSizeBytes ? ipv4Octets : ipv6Octets;
}

/** The number of the interface that a link-local address names ("fe80::1%eth0"); 0 if it names none. */
function scopeOf(host: string): number {
  const [bare, name] = host.split("%");
  if (name === undefined) return 0;
  const known = networkInterfaces()[name]?.find((local) => local.address === bare);
  return known?.family === "IPv6" ? known.scopeid : Number(name) || 0;
}
