/* A DNS server that answers as a test says, and the replies that tests have it send. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server } from "node:net";
import { Packet, type EdnsOption, type Resource } from "dns2";
import { onTestFinished } from "vitest";

/** What comes back for a query: each buffer is a message of its own, none is silence. */
type Script = (query: Buffer) => readonly Buffer[];

interface ScriptedServer {
  /** "127.0.0.1:PORT", the same port for UDP and TCP. */
  readonly address: string;
  readonly udpQueries: readonly Buffer[];
  readonly tcpQueries: readonly Buffer[];
  /** Resolves when the first query has come. */
  readonly asked: Promise<void>;
}

/**
 * Starts a server on a free port until the test ends. With `closesTcp` it closes each connection once it has replied, and of each
 * framed reply it sends only the first `cutsTcpAt` octets.
 */
export async function startScriptedServer(scripts: {
  udp?: Script;
  tcp?: Script;
  closesTcp?: boolean;
  cutsTcpAt?: number;
}): Promise<ScriptedServer> {
  const [udpQueries, tcpQueries]: [Buffer[], Buffer[]] = [[], []];
  const { promise: asked, resolve: noteAsked } = Promise.withResolvers<void>();
  const tcp = createServer((socket) => {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    socket.on("data", (frame: Buffer) => {
      const query = frame.subarray(2);
      tcpQueries.push(query);
      noteAsked();
      for (const message of scripts.tcp?.(query) ?? []) socket.write(framed(message).subarray(0, scripts.cutsTcpAt));
      if (scripts.closesTcp === true) socket.end();
    });
  });
  const udp = createSocket("udp4");
  udp.on("message", (query, { port: clientPort, address }) => {
    udpQueries.push(query);
    for (const message of scripts.udp?.(query) ?? []) udp.send(message, clientPort, address);
    noteAsked();
  });
  onTestFinished(() => {
    tcp.close();
    udp.close();
  });
  const port = await bindBoth(udp, tcp);
  return { address: `127.0.0.1:${port}`, udpQueries, tcpQueries, asked };
}

/** A port that is free for TCP may be taken for UDP: then another is tried. */
async function bindBoth(udp: Socket, tcp: Server): Promise<number> {
  for (;;) {
    tcp.listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as AddressInfo;
    udp.bind(port, "127.0.0.1");
    try {
      await once(udp, "listening");
      return port;
    } catch {
      tcp.close();
      await once(tcp, "close");
    }
  }
}

interface ReplyShape {
  readonly rcode?: number;
  readonly flags?: number;
  readonly answers?: readonly Partial<Resource>[];
  readonly authorities?: readonly Partial<Resource>[];
  /** Options of an OPT record; without them there is no OPT. */
  readonly options?: readonly EdnsOption[];
}

/** A reply to `query`. Records have its name, class IN and type A unless they say otherwise. RD and RA are set. */
export function replyTo(query: Buffer, shape: ReplyShape = {}): Buffer {
  const request = Packet.parse(query);
  const reply = Packet.createResponseFromRequest(request);
  const fill = (record: Partial<Resource>): Resource =>
    new Packet.Resource({ name: request.questions[0]?.name ?? "", class: 1, type: 1, ...record });
  reply.answers = (shape.answers ?? []).map(fill);
  reply.authorities = (shape.authorities ?? []).map(fill);
  if (shape.options !== undefined) reply.additionals = [Packet.Resource.EDNS([...shape.options])];
  const message = reply.toBuffer();
  message.writeUInt16BE(0x8180 | (shape.flags ?? 0) | (shape.rcode ?? 0), 2);
  return message;
}

function framed(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([message.length >>> 8, message.length & 0xff]), message]);
}
