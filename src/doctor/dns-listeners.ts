/*
 * Who listens on port 53 in this network namespace, as the kernel lists sockets:
 *
 *     sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode …
 *      0: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 18345 …
 */
import { endianness } from "node:os";
import { hostOf, ipv4Octets, ipv6Octets, socketAddress } from "../runtime/socket-address.ts";
import type { NodeView } from "./node-view.ts";

/** A program that listens. */
export interface DnsListener {
  /** The address as an IP literal; "0.0.0.0" and "::" are every address. */
  readonly address: string;
  /** The name of the program; "" where this process may not see whose socket it is. */
  readonly program: string;
}

const column = { localAddress: 1, state: 3, inode: 9 } as const;
const portHex = ":0035";
/** TCP_LISTEN, and what the kernel prints for a UDP socket without a peer. */
const waiting = { tcp: "0A", udp: "07" } as const;

/** Lists them, each once; undefined where the kernel's lists cannot be read. */
export function dnsListeners({
  eachFileLine,
  socketOwners,
}: Pick<NodeView, "eachFileLine" | "socketOwners">): DnsListener[] | undefined {
  const found: { readonly address: string; readonly inode: string }[] = [];
  const canRead = (["udp", "udp6", "tcp", "tcp6"] as const).map((name) => {
    const state = waiting[name.startsWith("tcp") ? "tcp" : "udp"];
    return eachFileLine(`/proc/net/${name}`, (line) => {
      // Most lines are connections.
      if (!line.includes(portHex)) return;
      const fields = line.trim().split(/\s+/);
      const local = fields[column.localAddress] ?? "";
      if (!local.endsWith(portHex) || fields[column.state] !== state) return;
      found.push({ address: addressFromKernel(local.slice(0, -portHex.length)), inode: fields[column.inode] ?? "" });
    });
  });
  if (canRead[0] === false) return undefined;
  const inodes = new Set(found.map(({ inode }) => inode));
  const owners = inodes.size === 0 ? new Map<string, string>() : socketOwners(inodes);
  const byAddress = new Map<string, string>();
  for (const { address, inode } of found) byAddress.set(address, byAddress.get(address) || (owners.get(inode) ?? ""));
  return [...byAddress].map(([address, program]) => ({ address, program }));
}

/** Whether what is sent to this address finds one of them. */
export function isListenedOn(address: string, listeners: readonly DnsListener[]): boolean {
  return listeners.some((listener) => listener.address === address || isEveryAddress(listener.address));
}

/** Whether it stands for every address of the node. */
export function isEveryAddress(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** Each 32 bits are printed in the machine's own order, as one number. */
function addressFromKernel(text: string): string {
  const words = Array.from({ length: text.length / 8 }, (_, word) => text.slice(word * 8, word * 8 + 8));
  const octets = words.flatMap((word) => {
    const inOrder = [0, 2, 4, 6].map((at) => Number.parseInt(word.slice(at, at + 2), 16));
    return endianness() === "LE" ? inOrder.toReversed() : inOrder;
  });
  const isIpv4 = octets.length === ipv4Octets.sizeBytes;
  const address = socketAddress({ host: isIpv4 ? "0.0.0.0" : "::", port: 0 });
  address.set(octets, isIpv4 ? ipv4Octets.offset : ipv6Octets.offset);
  return hostOf(address);
}
