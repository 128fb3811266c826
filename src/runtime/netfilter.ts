/*
 * Questions to the kernel's nftables over netlink, without nft: that reads much of a node's rules at each run, and some of what nodens
 * wants to know every few seconds takes one small message.
 *
 *     message    length (4) type (2) flags (2) sequence (4) port (4)     in the machine's own order, here little-endian
 *                family (1) version (1) resource (2)
 *     attribute  length (2) type (2) value, filled up to four octets      values are in network order; a nested one holds attributes
 */
import { libc, SocketConstant } from "./libc.ts";

/** An element of a set. */
export interface SetElement {
  /** Its key, as hexadecimal digits. */
  readonly key: string;
  /** What its counter has counted; 0 without one. */
  readonly packets: number;
  /** In how many ms it will be taken out; undefined where it stays. */
  readonly expiresInMs: number | undefined;
}

/** Questions to nftables in this network namespace. Each is undefined where the kernel does not answer it: for want of NET_ADMIN, say. */
export interface Netfilter {
  /** A number that changes with every change of any rule, and not with what packets do. */
  generation(): number | undefined;
  /** The elements of a set of the family inet. */
  elements(table: string, set: string): SetElement[] | undefined;
}

const MessageType = {
  error: 2,
  done: 3,
  newSetElement: 0xa0c,
  getSetElement: 0xa0d,
  newGeneration: 0xa0f,
  getGeneration: 0xa10,
};
const flagRequest = 1;
const flagDump = 0x300;
const familyInet = 1;
const headerSizeBytes = 20;
const netfilterProtocol = 12;
const dontWait = 0x40;
const replySizeBytes = 65_536;

/** The kernel's own. */
export const netfilter: Netfilter = {
  generation() {
    const reply = exchange(composeMessage(MessageType.getGeneration, flagRequest, []));
    return reply === undefined ? undefined : readGeneration(reply);
  },
  elements(table, set) {
    const flags = flagRequest | flagDump;
    const reply = exchange(
      composeMessage(MessageType.getSetElement, flags, [composeText(1, table), composeText(2, set)]),
    );
    return reply === undefined ? undefined : readElements(reply);
  },
};

/** A message of these attributes. */
function composeMessage(type: number, flags: number, attributes: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(headerSizeBytes);
  const message = Buffer.concat([header, ...attributes]);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt8(familyInet, 16);
  return message;
}

function composeText(type: number, text: string): Buffer {
  const length = 4 + text.length + 1;
  const attribute = Buffer.alloc(padded(length));
  attribute.writeUInt16LE(length, 0);
  attribute.writeUInt16LE(type, 2);
  attribute.write(text, 4, "latin1");
  return attribute;
}

/** Sends a request and reads its whole reply; undefined where the kernel refuses. Answers of the kernel are there at once. */
function exchange(request: Buffer): Buffer | undefined {
  if (libc === undefined) return undefined;
  const { AF_NETLINK, SOCK_DGRAM, SOCK_CLOEXEC } = SocketConstant;
  const socket = libc.socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, netfilterProtocol);
  if (socket === -1) return undefined;
  try {
    if (libc.send(socket, request, request.length, 0) === -1) return undefined;
    const parts: Buffer[] = [];
    for (;;) {
      const part = Buffer.alloc(replySizeBytes);
      const sizeBytes = libc.recv(socket, part, part.length, dontWait);
      if (sizeBytes <= 0) return undefined;
      parts.push(part.subarray(0, sizeBytes));
      const types = new Set(readMessages(part.subarray(0, sizeBytes)).map(({ type }) => type));
      if (types.has(MessageType.error)) return undefined;
      // A list ends with a message of its own.
      if (types.has(MessageType.done) || request.readUInt16LE(6) === flagRequest) return Buffer.concat(parts);
    }
  } finally {
    libc.close(socket);
  }
}

/** The number in the reply to a question for the generation; undefined where it has none. */
export function readGeneration(reply: Buffer): number | undefined {
  const message = readMessages(reply).find(({ type }) => type === MessageType.newGeneration);
  const [generation] = message === undefined ? [] : (readAttributes(message.body).get(1) ?? []);
  return generation?.length === 4 ? generation.readUInt32BE(0) : undefined;
}

/** The elements in the reply to a question for those of a set. What was cut off is left out, or has no packets. */
export function readElements(reply: Buffer): SetElement[] {
  return readMessages(reply)
    .filter(({ type }) => type === MessageType.newSetElement)
    .flatMap(({ body }) => readAttributes(body).get(3) ?? [])
    .flatMap((list) => readAttributes(list).get(1) ?? [])
    .map((element) => {
      const attributes = readAttributes(element);
      const value = nested(attributes, 1).get(1)?.[0];
      // Of an expression: its name, and its data; of a counter: octets, and packets.
      const [expression] = attributes.get(7) ?? [];
      const counter = expression === undefined ? undefined : nested(readAttributes(expression), 2);
      const [packets] = counter?.get(2) ?? [];
      const [expiration] = attributes.get(5) ?? [];
      return {
        key: value?.toString("hex") ?? "",
        packets: packets?.length === 8 ? Number(packets.readBigUInt64BE(0)) : 0,
        expiresInMs: expiration?.length === 8 ? Number(expiration.readBigUInt64BE(0)) : undefined,
      };
    });
}

function nested(attributes: ReadonlyMap<number, readonly Buffer[]>, type: number): Map<number, Buffer[]> {
  return readAttributes(attributes.get(type)?.[0] ?? Buffer.alloc(0));
}

function readMessages(reply: Buffer): { type: number; body: Buffer }[] {
  const messages: { type: number; body: Buffer }[] = [];
  for (let at = 0; at + 16 <= reply.length;) {
    const length = Math.max(16, reply.readUInt32LE(at));
    messages.push({ type: reply.readUInt16LE(at + 4), body: reply.subarray(at + headerSizeBytes, at + length) });
    at += padded(length);
  }
  return messages;
}

/** The values by type; of some types there are several. */
function readAttributes(body: Buffer): Map<number, Buffer[]> {
  const attributes = new Map<number, Buffer[]>();
  for (let at = 0; at + 4 <= body.length;) {
    const length = Math.max(4, body.readUInt16LE(at));
    // Its highest bits say how the value is written.
    const type = body.readUInt16LE(at + 2) & 0x3fff;
    attributes.set(type, [...(attributes.get(type) ?? []), body.subarray(at + 4, at + length)]);
    at += padded(length);
  }
  return attributes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
