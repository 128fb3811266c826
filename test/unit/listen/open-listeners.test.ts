import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { expandWildcard, ListenError, openListeners } from "../../../src/listen/open-listeners.ts";
import type { ServerAddress } from "../../../src/runtime/server-address.ts";
import { askTcp, askUdp } from "../../support/messages/ask.ts";
import { buildQuery, Type } from "../../support/messages/messages.ts";
import { addressAnswer, createFront, listenOptions } from "./front-parts.ts";
import { describeWith } from "../../support/program/requirements.ts";

/** Opens listeners, which are closed when the test ends. "hit.test" is in their cache. */
async function open(addresses: readonly ServerAddress[]) {
  const parts = createFront();
  parts.resolver.cached.set("hit.test", addressAnswer("hit.test", parts.clock.nowMs()));
  const listeners = await openListeners(addresses, parts.front, listenOptions);
  onTestFinished(async () => {
    await Promise.all(listeners.map((listener) => listener.close()));
  });
  return { ...parts, listeners };
}

/** The error that opening rejects with. */
async function errorOf(addresses: readonly ServerAddress[]): Promise<ListenError> {
  const outcome = await open(addresses).catch((error: unknown) => error);
  if (!(outcome instanceof ListenError)) throw new Error(`no ListenError but ${String(outcome)}`);
  return outcome;
}

/** A port of 127.0.0.1 that is taken for one protocol and, at the moment, free for the other. */
async function takenPort(protocol: "udp" | "tcp"): Promise<number> {
  if (protocol === "udp") {
    const socket = createSocket("udp4");
    onTestFinished(() => void socket.close());
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return socket.address().port;
  }
  const server = createServer();
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}

/** Opens the address and closes it again: rejects if any part of it was left open. */
async function openAndClose(address: ServerAddress): Promise<void> {
  const { front } = createFront();
  const listeners = await openListeners([address], front, listenOptions);
  await Promise.all(listeners.map((listener) => listener.close()));
}

const query = buildQuery("hit.test", Type.A);
const anyPort = { host: "127.0.0.1", port: 0 };

describe("listeners", () => {
  test("of an address are UDP and TCP on one port, even if the system picks it", async () => {
    const { listeners } = await open([anyPort, anyPort, { host: "127.0.0.2", port: 0 }]);
    expect(listeners.map(({ protocol }) => protocol)).toStrictEqual(["udp", "tcp", "udp", "tcp", "udp", "tcp"]);
    const ports = listeners.map(({ address }) => address.port);
    expect([ports[0], ports[2], ports[4]]).toStrictEqual([ports[1], ports[3], ports[5]]);
    expect(new Set(ports.slice(0, 4)).size).toBe(2);
    expect(listeners.at(-1)?.address.host).toBe("127.0.0.2");
  });

  test("answer over both", async () => {
    const { listeners } = await open([anyPort]);
    const port = listeners[0]?.address.port ?? 0;
    expect(await askUdp(port, query)).toBeDefined();
    expect(await askTcp(port, [query])).toHaveLength(1);
  });

  test("are none without an address", async () => {
    const { listeners } = await open([]);
    expect(listeners).toStrictEqual([]);
  });
});

describe("an address that cannot be opened", () => {
  test.each(["udp", "tcp"] as const)("is named with the reason: %s in use", async (protocol) => {
    const port = await takenPort(protocol);
    const error = await errorOf([{ host: "127.0.0.1", port }]);
    expect(error.message).toBe(
      `cannot listen on 127.0.0.1:${port} (${protocol}): the address is in use by another program`,
    );
    expect(error.code).toBe("EADDRINUSE");
    expect(error.cause).toMatchObject({ code: "EADDRINUSE" });
  });

  test("is named with the reason: not an address of this machine", async () => {
    const error = await errorOf([{ host: "192.0.2.1", port: 0 }]);
    expect(error.message).toBe("cannot listen on 192.0.2.1:0 (udp): this machine has no such address");
    expect(error.code).toBe("EADDRNOTAVAIL");
  });

  test.each(["udp", "tcp"] as const)("leaves nothing open: %s in use", async (protocol) => {
    const { listeners } = await open([anyPort]);
    const first = listeners[0]?.address as ServerAddress;
    await Promise.all(listeners.map((listener) => listener.close()));
    const port = await takenPort(protocol);
    await errorOf([first, { host: "127.0.0.1", port }]);
    await expect(openAndClose(first)).resolves.toBeUndefined();
  });

  test("leaves its other half closed: UDP, if TCP is in use", async () => {
    const port = await takenPort("tcp");
    await errorOf([{ host: "127.0.0.1", port }]);
    const udp = createSocket("udp4");
    onTestFinished(() => void udp.close());
    udp.bind(port, "127.0.0.1");
    await once(udp, "listening");
    expect(udp.address().port).toBe(port);
  });
});

describe("a wildcard stands for every address of its family", () => {
  test.each(["127.0.0.1", "10.96.0.10", "::1", "fd00::1"])("%s stands for itself", (host) => {
    expect(expandWildcard({ host, port: 53 })).toStrictEqual([{ host, port: 53 }]);
  });

  test("0.0.0.0", () => {
    const addresses = expandWildcard({ host: "0.0.0.0", port: 53 });
    expect(addresses).toContainEqual({ host: "127.0.0.1", port: 53 });
    for (const { host, port } of addresses) {
      expect(host).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      expect(host).not.toBe("0.0.0.0");
      expect(port).toBe(53);
    }
  });

  test("::, without link-local addresses, which need a zone", () => {
    for (const { host } of expandWildcard({ host: "::", port: 53 })) {
      expect(host).toContain(":");
      expect(host).not.toBe("::");
      expect(host).not.toMatch(/^fe80:/);
    }
  });
});

describeWith(["::1"], "on ::1", () => {
  test("both answer, on one port", async () => {
    const { listeners } = await open([{ host: "::1", port: 0 }]);
    const [udp, tcp] = listeners.map(({ address }) => address.port);
    expect(udp).toBe(tcp);
    expect(await askUdp(udp ?? 0, query, 3000, "::1")).toBeDefined();
  });

  test("the port may be that of 127.0.0.1", async () => {
    const { listeners } = await open([anyPort]);
    const port = listeners[0]?.address.port ?? 0;
    const beside = await open([{ host: "::1", port }]);
    expect(beside.listeners.map(({ address }) => address.port)).toStrictEqual([port, port]);
  });

  test("an error writes the address with brackets", async () => {
    const { listeners } = await open([{ host: "::1", port: 0 }]);
    const port = listeners[0]?.address.port ?? 0;
    const error = await errorOf([{ host: "::1", port }]);
    expect(error.message).toContain(`[::1]:${port} (udp)`);
  });

  test("is among the addresses of ::", () => {
    expect(expandWildcard({ host: "::", port: 5353 })).toContainEqual({ host: "::1", port: 5353 });
  });
});
