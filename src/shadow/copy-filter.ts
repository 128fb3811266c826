/*
 * Which packets are copied, as a program for the kernel. Each query of a pod and each reply to it is seen once, at the pod's own link:
 *
 *     pod ── query, to the address that was asked ──▶ comes in  ──┐   ┌── DNAT ──▶ leaves for kube-dns: another address, not copied
 *     pod ◀── reply, from the address that was asked ── leaves  ◀─┘   └── comes in from kube-dns: not copied
 *
 * On a bridge a query passes the port, with the bridge's link address in it and not the port's, and then the bridge; but where br_netfilter
 * shows bridged packets to kube-proxy's rules, it has been translated by then, so that it has to be taken at the port. Where it has not been, it
 * is copied twice, as is a reply that leaves by the bridge and by the port: whoever reads the copies knows the second one. A packet with a VLAN
 * tag passes the interface without one too.
 */
import { bpf, bpfAncillary, type BpfInstruction } from "../runtime/bpf-program.ts";
import { addressOctets } from "../runtime/server-address.ts";

const ethernet = { ipv4: 0x0800, ipv6: 0x86dd } as const;
const protocol = { tcp: 6, udp: 17 } as const;
/** Hop-by-hop options, routing, fragment, destination options: what follows them is looked at by whoever reads the copy. */
const extensionHeaders = [0, 43, 44, 60] as const;
const packetType = { forThisHost: 0, forAnother: 3, outgoing: 4 } as const;
const dnsPort = 53;

const reject = bpf.result(0);

/**
 * The filter for a packet socket without link headers: queries that come in for one of `addresses` (IP literals), and replies that leave from
 * one, over UDP and TCP on port 53. `keptSizeBytes` is how much of a packet is kept. Later fragments are not copied: they have no ports.
 */
export function copyFilter(addresses: readonly string[], keptSizeBytes: number): BpfInstruction[] {
  const accept = bpf.result(keptSizeBytes);
  const octets = addresses.map(addressOctets);
  const ipv4 = ipv4Part(wordsOf(octets, 4), accept);
  const ipv6 = ipv6Part(wordsOf(octets, 16), accept);
  return [
    bpf.loadWord(bpfAncillary.isVlanTagged),
    ...unlessEqual(0, reject),
    bpf.loadWord(bpfAncillary.protocol),
    bpf.jumpIfEqual(ethernet.ipv6, 0, 1),
    bpf.jump(2 + ipv4.length),
    ...unlessEqual(ethernet.ipv4, reject),
    ...ipv4,
    ...ipv6,
  ];
}

function ipv4Part(addresses: readonly (readonly number[])[], accept: BpfInstruction): BpfInstruction[] {
  const at = { fragment: 6, protocol: 9, source: 12, destination: 16 } as const;
  const direction = (port: number, address: number) => [
    bpf.loadHalfBehindIndex(port),
    ...unlessEqual(dnsPort, reject),
    ...ifAny(addresses, address, accept),
    reject,
  ];
  return [
    bpf.loadOctet(at.protocol),
    bpf.jumpIfEqual(protocol.udp, 2, 0),
    ...unlessEqual(protocol.tcp, reject),
    bpf.loadHalf(at.fragment),
    bpf.jumpIfAnyBit(0x1fff, 0, 1),
    reject,
    bpf.indexBehindIpv4(0),
    ...byDirection(direction(2, at.destination), direction(0, at.source)),
  ];
}

function ipv6Part(addresses: readonly (readonly number[])[], accept: BpfInstruction): BpfInstruction[] {
  const at = { nextHeader: 6, source: 8, destination: 24, ports: 40 } as const;
  const ports = [protocol.udp, protocol.tcp];
  const known = [...ports, ...extensionHeaders];
  const direction = (port: number, address: number) => [
    bpf.loadOctet(at.nextHeader),
    // To the comparison of ports, which lies behind the last of these and a rejection, or past its three instructions.
    ...known.map((value, index) => bpf.jumpIfEqual(value, known.length - index + (index < ports.length ? 0 : 3), 0)),
    reject,
    bpf.loadHalf(at.ports + port),
    ...unlessEqual(dnsPort, reject),
    ...ifAny(addresses, address, accept),
    reject,
  ];
  return byDirection(direction(2, at.destination), direction(0, at.source));
}

/** `incoming` for packets that come in for one host, `outgoing` for those that leave. */
function byDirection(incoming: readonly BpfInstruction[], outgoing: readonly BpfInstruction[]): BpfInstruction[] {
  return [
    bpf.loadWord(bpfAncillary.packetType),
    bpf.jumpIfEqual(packetType.outgoing, 0, 1),
    bpf.jump(3 + incoming.length),
    bpf.jumpIfEqual(packetType.forThisHost, 2, 0),
    ...unlessEqual(packetType.forAnother, reject),
    ...incoming,
    ...outgoing,
  ];
}

/** Ends with `end` unless what was loaded is `value`. */
function unlessEqual(value: number, end: BpfInstruction): BpfInstruction[] {
  return [bpf.jumpIfEqual(value, 1, 0), end];
}

/** Ends with `accept` if the words from `offset` on are those of one of the addresses. */
function ifAny(addresses: readonly (readonly number[])[], offset: number, accept: BpfInstruction): BpfInstruction[] {
  return addresses.flatMap((words) => [
    ...words.flatMap((word, index) => [
      bpf.loadWord(offset + 4 * index),
      bpf.jumpIfEqual(word, 0, 2 * (words.length - index) - 1),
    ]),
    accept,
  ]);
}

/** The addresses of this size in 32-bit words. */
function wordsOf(addresses: readonly (readonly number[])[], sizeBytes: number): number[][] {
  return addresses
    .filter(({ length }) => length === sizeBytes)
    .map((octets) =>
      Array.from({ length: sizeBytes / 4 }, (_, index) =>
        octets.slice(4 * index, 4 * index + 4).reduce((word, octet) => word * 256 + octet, 0),
      ),
    );
}
