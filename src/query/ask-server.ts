/*
 * One message to one server, over a socket of its own, and the wait for the reply: what `query` does on the network. The
 * clients of dns2 are not used because they turn to public servers where they are not told otherwise.
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { getSystemErrorMessage } from "node:util";
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { createFrameReader, frameMessage } from "../wire/framing.ts";

/** Where and how to ask. */
export interface Exchange {
  readonly server: ServerAddress;
  readonly protocol: "UDP" | "TCP";
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Whether a message from the server is the reply. Others are counted and waited past. */
  readonly isReply: (message: Buffer) => boolean;
}

/** The reply, owned by the caller, or in words why there is none. */
export type Outcome =
  | { readonly message: Buffer; readonly elapsedMs: number; readonly ignoredCount: number }
  | { readonly failure: string };

/** Sends `query` and waits for its reply. The time is counted from sending, without the opening of a TCP connection. Never rejects. */
export function askServer(query: Buffer, exchange: Exchange): Promise<Outcome> {
  const { server, protocol, timeoutMs, clock, isReply } = exchange;
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let ignoredCount = 0;
  let sentMs = clock.nowMs();
  const close = (protocol === "UDP" ? openUdp : openTcp)(query, server, {
    sent: () => void (sentMs = clock.nowMs()),
    received(message) {
      if (isReply(message)) finish({ message, elapsedMs: clock.nowMs() - sentMs, ignoredCount });
      else ignoredCount += 1;
    },
    failed: fail,
  });
  const cancelTimeout = clock.after(timeoutMs, () => fail(`nothing within ${timeoutMs} ms`));

  function fail(reason: string): void {
    const ignored = ignoredCount === 0 ? "" : `, except for ${ignoredCount} that did not fit the question`;
    finish({ failure: `no reply from ${formatServerAddress(server)} over ${protocol}: ${reason}${ignored}` });
  }

  function finish(outcome: Outcome): void {
    cancelTimeout();
    close();
    resolve(outcome);
  }
  return promise;
}

/** What a socket tells. Nothing is told before the function that opened it has returned, nor after it was closed. */
interface Events {
  sent(): void;
  /** The message is the receiver's to keep. */
  received(message: Buffer): void;
  failed(reason: string): void;
}

/** The socket is connected, so that the kernel drops what others send and reports a closed port. Returns what closes it. */
function openUdp(query: Buffer, server: ServerAddress, events: Events): () => void {
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  let isOpen = true;
  socket.on("error", (error) => {
    if (isOpen) events.failed(describeError(error));
  });
  socket.on("message", (message) => {
    if (isOpen) events.received(message);
  });
  socket.on("connect", () => {
    if (!isOpen) return;
    events.sent();
    socket.send(query);
  });
  socket.connect(server.port, server.host);
  return () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
}

function openTcp(query: Buffer, server: ServerAddress, events: Events): () => void {
  const socket = connect(server.port, server.host);
  const frames = createFrameReader();
  let isOpen = true;
  socket.on("error", (error) => {
    if (isOpen) events.failed(describeError(error));
  });
  socket.on("connect", () => {
    events.sent();
    socket.write(frameMessage(query, query.length));
  });
  socket.on("data", (chunk: Buffer) =>
    frames.push(chunk, (message) => {
      events.received(Buffer.from(message));
      return isOpen;
    }),
  );
  socket.on("end", () => {
    const where = frames.isInsideMessage() ? " inside a message" : "";
    if (isOpen) events.failed(`the server closed the connection${where}`);
  });
  return () => {
    isOpen = false;
    socket.destroy();
  };
}

function describeError(error: NodeJS.ErrnoException): string {
  return error.errno === undefined ? error.message : `${getSystemErrorMessage(error.errno)} (${error.code})`;
}
