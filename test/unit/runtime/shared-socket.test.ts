import { once } from "node:events";
import { createSocket, type Socket } from "node:dgram";
import { connect, createServer, type Server } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { bindSharedSocket, type SharedSocket } from "../../../src/runtime/shared-socket.ts";
import { describeWith } from "../../support/program/requirements.ts";
import { findFreePort } from "../../support/servers/free-port.ts";

const hosts = [
  { host: "127.0.0.1", needs: [] },
  { host: "::1", needs: ["::1"] },
];

for (const { host, needs } of hosts) {
  describeWith(needs, `a shared UDP socket on ${host}`, () => {
    test("is bound to the address, first alone and then beside another one", async () => {
      const port = await findFreePort();
      const [first, second] = [share("udp", host, port), share("udp", host, port)];
      await udpMember(first, host);
      expect([first.isShared, second.isShared]).toStrictEqual([false, true]);
      expect((await udpMember(second, host)).socket.address()).toMatchObject({ address: host, port });
    });

    test("gets nothing new after leaving, and still has what was queued for it", async () => {
      const port = await findFreePort();
      const [leaving, staying] = [share("udp", host, port), share("udp", host, port)];
      const senders = await Promise.all(Array.from({ length: 100 }, () => udpSender(host, port)));
      // Nobody reads yet: everything is in the kernel's queues of the two sockets.
      await Promise.all(senders.map(send));
      leaving.leave();
      const [old, young] = [await udpMember(leaving, host), await udpMember(staying, host)];
      await until(() => old.seen.length + young.seen.length === 100);
      expect(old.seen.length).toBeGreaterThan(0);
      const queued = old.seen.length;
      await Promise.all(senders.map(send));
      await until(() => old.seen.length + young.seen.length === 200);
      expect(old.seen.length).toBe(queued);
    });

    test("can still reply after leaving to those it has read from", async () => {
      const port = await findFreePort();
      const leaving = share("udp", host, port);
      const { socket, seen } = await udpMember(leaving, host);
      const sender = await udpSender(host, port);
      await send(sender);
      leaving.leave();
      await until(() => seen.length === 1);
      const reply = once(sender, "message");
      socket.send("reply", seen[0] ?? 0, host);
      expect(String((await reply)[0])).toBe("reply");
    });

    test("refuses what comes after leaving alone, so that clients need not wait", async () => {
      const port = await findFreePort();
      share("udp", host, port).leave();
      const sender = createSocket(host === "::1" ? "udp6" : "udp4");
      onTestFinished(() => void sender.close());
      sender.connect(port, host);
      await once(sender, "connect");
      const refused = once(sender, "error");
      sender.send("x");
      expect((await refused)[0]).toMatchObject({ code: "ECONNREFUSED" });
    });

    test("cannot be bound to the address of a program that does not share", async () => {
      const taken = createSocket(host === "::1" ? "udp6" : "udp4");
      onTestFinished(() => void taken.close());
      taken.bind(0, host);
      await once(taken, "listening");
      expect(() => bindSharedSocket("udp", { host, port: taken.address().port })).toThrow(
        expect.objectContaining({ code: "EADDRINUSE" }),
      );
    });
  });

  describeWith(needs, `a shared TCP socket on ${host}`, () => {
    test("takes no new connection after leaving while there is another one", async () => {
      const port = await findFreePort();
      const [leaving, staying] = [share("tcp", host, port), share("tcp", host, port)];
      const [old, young] = [await tcpMember(leaving), await tcpMember(staying)];
      await Promise.all(Array.from({ length: 50 }, () => visit(host, port)));
      expect(old.count).toBeGreaterThan(0);
      leaving.leave();
      const before = old.count;
      await Promise.all(Array.from({ length: 50 }, () => visit(host, port)));
      expect(old.count).toBe(before);
      expect(young.count).toBe(100 - before);
    });

    test("still takes what comes after leaving alone, until it is closed", async () => {
      const port = await findFreePort();
      const leaving = share("tcp", host, port);
      const member = await tcpMember(leaving);
      leaving.leave();
      await visit(host, port);
      expect(member.count).toBe(1);
    });

    test("loses no connection when it joins after others came and went", async () => {
      const port = await findFreePort();
      const [first, second] = [share("tcp", host, port), share("tcp", host, port)];
      const [leaver, stayer] = [await tcpMember(first), await tcpMember(second)];
      first.leave();
      leaver.server.close();
      await once(leaver.server, "close");
      const third = await tcpMember(share("tcp", host, port));
      await Promise.all(Array.from({ length: 50 }, () => visit(host, port)));
      expect(stayer.count + third.count).toBe(50);
      third.server.close();
      await once(third.server, "close");
      await visit(host, port);
      expect(stayer.count + third.count).toBe(51);
    });
  });
}

test("the error says which call the system refused, and why", () => {
  expect(() => bindSharedSocket("udp", { host: "192.0.2.1", port: 5300 })).toThrow(
    expect.objectContaining({ code: "EADDRNOTAVAIL", syscall: "bind" }),
  );
});

function share(protocol: "udp" | "tcp", host: string, port: number): SharedSocket {
  const shared = bindSharedSocket(protocol, { host, port });
  if (shared === undefined) throw new Error("this Node cannot call the C library");
  return shared;
}

async function udpMember({ fd }: SharedSocket, host: string): Promise<{ socket: Socket; seen: number[] }> {
  const socket = createSocket(host === "::1" ? "udp6" : "udp4");
  onTestFinished(() => void socket.close());
  const seen: number[] = [];
  socket.on("message", (_, peer) => seen.push(peer.port));
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.bind({ fd }, resolve));
  return { socket, seen };
}

async function udpSender(host: string, port: number): Promise<Socket> {
  const socket = createSocket(host === "::1" ? "udp6" : "udp4");
  onTestFinished(() => void socket.close());
  socket.connect(port, host);
  await once(socket, "connect");
  return socket;
}

function send(sender: Socket): Promise<void> {
  return new Promise((resolve, reject) => sender.send("x", (error) => (error === null ? resolve() : reject(error))));
}

async function tcpMember({ fd }: SharedSocket): Promise<{ server: Server; readonly count: number }> {
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    socket.end("seen");
  });
  onTestFinished(() => void server.close());
  server.listen({ fd });
  await once(server, "listening");
  return {
    server,
    get count() {
      return count;
    },
  };
}

/** Resolves when the server has said goodbye. */
async function visit(host: string, port: number): Promise<void> {
  const socket = connect(port, host);
  socket.resume();
  await once(socket, "end");
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}
