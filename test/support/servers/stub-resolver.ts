/*
 * A client as musl is one: it walks the search list, asks A and AAAA at once from one socket, needs both replies, goes on after
 * NXDOMAIN, stops at NODATA, and takes nothing but the two for an answer.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { buildQuery, type ReadMessage, readMessage, Type } from "../messages/messages.ts";

/** Where a walk ended. */
export interface Lookup {
  /** Addresses of both families as text, in the order of the replies; none when the walk failed. */
  readonly addresses: readonly string[];
  readonly outcome: "found" | "noData" | "noName";
  /** The names that were tried, in order. */
  readonly tried: readonly string[];
  /** How many queries were sent. */
  readonly queries: number;
}

/** A client with one socket. */
export interface StubResolver {
  /** One question. Rejects when there is no reply within five seconds. */
  ask(name: string, type: number): Promise<ReadMessage>;
  /** A and AAAA of one name, at once. Rejects when they contradict each other, or are failures. */
  askBoth(name: string): Promise<readonly [ReadMessage, ReadMessage]>;
  /** A whole lookup of a name with fewer than five dots, with `ndots:5`. */
  lookUp(name: string, searchList: readonly string[]): Promise<Lookup>;
  close(): void;
}

const waitMs = 5000;
const nxdomain = 3;

/** Opens a client of a server on 127.0.0.1, or elsewhere. `localAddress` is the client's own. */
export async function openStubResolver(
  port: number,
  { host = "127.0.0.1", localAddress }: { host?: string; localAddress?: string } = {},
): Promise<StubResolver> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 1024 * 1024 });
  const waiting = new Map<number, (reply: ReadMessage) => void>();
  let nextId = 1;
  if (localAddress !== undefined) {
    socket.bind(0, localAddress);
    await once(socket, "listening");
  }
  socket.connect(port, host);
  await once(socket, "connect");
  socket.on("error", () => {});
  socket.on("message", (bytes) => {
    const reply = readMessage(new Uint8Array(bytes));
    waiting.get(reply.id)?.(reply);
  });

  function ask(name: string, type: number): Promise<ReadMessage> {
    const id = nextId++ & 0xffff;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new Error(`no reply to ${name} type ${type} within ${waitMs} ms`));
      }, waitMs);
      waiting.set(id, (reply) => {
        clearTimeout(timer);
        waiting.delete(id);
        resolve(reply);
      });
      socket.send(buildQuery(name, type, { id }));
    });
  }

  async function askBoth(name: string): Promise<readonly [ReadMessage, ReadMessage]> {
    const pair = await Promise.all([ask(name, Type.A), ask(name, Type.AAAA)]);
    const codes = pair.map(({ rcode }) => rcode);
    if (codes.some((code) => code !== 0 && code !== nxdomain))
      throw new Error(`${name}: rcodes ${codes.join(" and ")}`);
    if (codes[0] !== codes[1])
      throw new Error(`${name}: A and AAAA contradict each other, rcodes ${codes.join(" and ")}`);
    return pair;
  }

  async function lookUp(name: string, searchList: readonly string[]): Promise<Lookup> {
    const tried: string[] = [];
    for (const candidate of [...searchList.map((suffix) => `${name}.${suffix}`), name]) {
      tried.push(candidate);
      const pair = await askBoth(candidate);
      if (pair[0].rcode === nxdomain) continue;
      const addresses = pair.flatMap(addressesIn);
      return { addresses, outcome: addresses.length > 0 ? "found" : "noData", tried, queries: tried.length * 2 };
    }
    return { addresses: [], outcome: "noName", tried, queries: tried.length * 2 };
  }

  return { ask, askBoth, lookUp, close: () => void socket.close() };
}

/** The addresses in a reply: IPv4 dotted, IPv6 as 32 hexadecimal digits. */
function addressesIn({ answers }: ReadMessage): string[] {
  return answers
    .filter(({ type }) => type === Type.A || type === Type.AAAA)
    .map(({ type, data }) => (type === Type.A ? data.join(".") : Buffer.from(data).toString("hex")));
}
