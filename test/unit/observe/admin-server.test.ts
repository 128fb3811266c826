import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type AdminServer,
  type AdminServerOptions,
  connectionLifeMs,
  maxConnections,
  startAdminServer,
} from "../../../src/observe/admin-server.ts";
import { findFreePort } from "../../support/servers/free-port.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

const registry = { contentType: Registry.PROMETHEUS_CONTENT_TYPE, metrics: async () => "nodens_inflight 0\n" };
const build = { version: "0.1.0", revision: "abc", nodeVersion: "v26.10.0" };

async function start(overrides: Partial<AdminServerOptions> = {}) {
  const clock = createFakeClock();
  const server = await startAdminServer({
    place: { host: "127.0.0.1", port: 0 },
    isAllowed: () => true,
    registry,
    build,
    isReady: () => ({ ready: true, reasons: [] }),
    explain: () => ({ explanation: {} }),
    localPages: new Map(),
    localActions: new Map(),
    clock,
    ...overrides,
  });
  onTestFinished(async () => {
    const ending = server.close();
    await clock.advance(connectionLifeMs);
    await ending;
  });
  return { server, clock, url: `http://127.0.0.1:${portOf(server)}` };
}

/** An address of this machine that is not loopback. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nodens-admin-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function portOf({ place }: AdminServer): number {
  return "port" in place ? place.port : 0;
}

/** Opens a connection and collects what comes. `closed` resolves with it when the server has closed. */
async function open(port: number): Promise<{ socket: Socket; closed: Promise<string> }> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let received = "";
  socket.on("data", (octets) => (received += octets.toString()));
  // A reset is one way to be closed.
  socket.on("error", () => {});
  const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(received)));
  await once(socket, "connect");
  return { socket, closed };
}

async function ask(port: number, text: string): Promise<string> {
  const { socket, closed } = await open(port);
  socket.write(text);
  return closed;
}

describe("pages", () => {
  test("/metrics is the registry's text in Prometheus' text format 0.0.4", async () => {
    const { url } = await start();
    const response = await fetch(`${url}/metrics?debug=1`);
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await response.text()).toBe("nodens_inflight 0\n");
  });

  test("/metrics of many at once is rendered once, and anew 100 ms later", async () => {
    let renderings = 0;
    const metrics = async () => `renderings ${(renderings += 1)}\n`;
    const { url, clock } = await start({ registry: { ...registry, metrics } });
    const bodies = Array.from({ length: 10 }, async () => (await fetch(`${url}/metrics`)).text());
    expect(new Set(await Promise.all(bodies))).toEqual(new Set(["renderings 1\n"]));
    await clock.advance(100);
    expect(await (await fetch(`${url}/metrics`)).text()).toBe("renderings 2\n");
  });

  test("/metrics that cannot be rendered is an error of that page, and the server goes on", async () => {
    const { url } = await start({ registry: { ...registry, metrics: () => Promise.reject(new Error("no numbers")) } });
    const response = await fetch(`${url}/metrics`);
    expect([response.status, await response.text()]).toEqual([500, "the page failed: Error: no numbers\n"]);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test("/healthz says ok", async () => {
    const { url } = await start();
    const response = await fetch(`${url}/healthz`);
    expect([response.status, await response.text()]).toEqual([200, "ok\n"]);
  });

  test("/readyz says ok when ready, and otherwise why not, one reason a line", async () => {
    let readiness = { ready: false, reasons: ["no upstream has answered", "the upstream leads back to nodens"] };
    const { url } = await start({ isReady: () => readiness });
    const early = await fetch(`${url}/readyz`);
    expect([early.status, await early.text()]).toEqual([
      503,
      "no upstream has answered\nthe upstream leads back to nodens\n",
    ]);
    readiness = { ready: true, reasons: [] };
    const late = await fetch(`${url}/readyz`);
    expect([late.status, await late.text()]).toEqual([200, "ok\n"]);
  });

  test("/version is JSON", async () => {
    const { url } = await start();
    expect(await (await fetch(`${url}/version`)).json()).toEqual(build);
  });

  test("/explain gets the parameters, decoded, and shows what they led to as JSON", async () => {
    const { url } = await start({ explain: (parameters) => ({ explanation: Object.fromEntries(parameters) }) });
    const response = await fetch(`${url}/explain?name=www.example.com&search=a.test+b.test%20c.test&x=1?2`);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual({ name: "www.example.com", search: "a.test b.test c.test", x: "1?2" });
  });

  test("/explain with wrong parameters is 400, with one line that says what is wrong", async () => {
    const { url } = await start({ explain: () => ({ wrong: "no name to explain" }) });
    const response = await fetch(`${url}/explain`);
    expect([response.status, await response.text()]).toEqual([400, "no name to explain\n"]);
  });

  test("/ links to the others", async () => {
    const { url } = await start();
    const text = await (await fetch(url)).text();
    for (const path of ["/metrics", "/healthz", "/readyz", "/version"]) expect(text).toContain(`href="${path}"`);
    expect(text).toContain('href="/explain?name=');
  });
});

describe("requests", () => {
  test("HEAD gets the head of GET, and no body", async () => {
    const { server } = await start();
    const received = await ask(portOf(server), "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(received).toContain("\r\nContent-Length: 3\r\n");
    expect(received).toMatch(/\r\n\r\n$/);
  });

  test.each([
    ["GET", "/nothing", 404],
    ["GET", "/metrics/../../etc/passwd", 404],
    ["POST", "/metrics", 405],
    ["DELETE", "/healthz", 405],
    ["BREW", "/", 400],
  ])("%s %s gets %i", async (method, path, status) => {
    const { server } = await start();
    const received = await ask(portOf(server), `${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(received).toContain(`HTTP/1.1 ${status} `);
    // Only a 405 says what is allowed instead (RFC 9110 §15.5.6).
    expect(received.includes("\r\nAllow: GET, HEAD\r\n")).toBe(status === 405);
  });

  test.each([
    ["a head of more than 8 KiB", `GET /${"x".repeat(9000)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ["another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", /^HTTP\/1\.1 400 /],
    [
      "a body that never ends",
      "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nxx",
      /^HTTP\/1\.1 405 /,
    ],
  ])("%s is refused, and the connection closed", async (_what, text, refusal) => {
    const { server } = await start();
    expect(await ask(portOf(server), text)).toMatch(refusal);
  });

  test("of many requests on one connection only the first is answered", async () => {
    const { server } = await start();
    const received = await ask(portOf(server), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000));
    expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });
});

describe("actions", () => {
  async function startWithAction(overrides: Partial<AdminServerOptions> = {}) {
    const done: string[] = [];
    const act = (parameters: URLSearchParams) => {
      done.push(parameters.get("name") ?? "");
      return { text: "done\n" };
    };
    const { url } = await start({ localActions: new Map([["/act", act]]), ...overrides });
    const ask = async (method: string, headers: Record<string, string> = {}) => {
      const response = await fetch(`${url}/act?name=a.test`, { method, headers });
      return [response.status, await response.text(), response.headers.get("allow")];
    };
    return { ask, done };
  }

  test("are done over POST, with the parameters of the address", async () => {
    const { ask, done } = await startWithAction();
    expect(await ask("POST")).toEqual([200, "done\n", null]);
    expect(done).toEqual(["a.test"]);
  });

  test("are not done over GET", async () => {
    const { ask, done } = await startWithAction();
    expect(await ask("GET")).toEqual([405, "only POST\n", "POST"]);
    expect(done).toEqual([]);
  });

  test.each(["http://evil.test", "http://127.0.0.1:9253", "null"])(
    "are not done for a page in a browser, of %s",
    async (origin) => {
      const { ask, done } = await startWithAction();
      expect((await ask("POST", { origin }))[0]).toBe(403);
      expect(done).toEqual([]);
    },
  );

  test("are not done for clients that are not on the list", async () => {
    const { ask, done } = await startWithAction({ isAllowed: () => false });
    expect((await ask("POST"))[0]).toBe(403);
    expect(done).toEqual([]);
  });
});

describe("connections", () => {
  test("one that sends an octet now and then is closed all the same", async () => {
    const { server, clock } = await start();
    const { socket, closed } = await open(portOf(server));
    socket.write("GET /healthz HTTP/1.1\r\n");
    await expect.poll(() => clock.pendingTimers()).toBe(1);
    for (let seconds = 1; seconds < connectionLifeMs / 1000; seconds += 1) {
      socket.write("x");
      await clock.advance(1000);
    }
    expect(socket.closed).toBe(false);
    await clock.advance(1000);
    expect(await closed).toBe("");
  });

  test("one that never reads its reply is closed all the same", async () => {
    const large = "x".repeat(32 * 1024 * 1024);
    const { server, clock } = await start({ registry: { ...registry, metrics: async () => large } });
    const { socket, closed } = await open(portOf(server));
    socket.pause();
    socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    await expect.poll(() => socket.readableLength).toBeGreaterThan(0);
    await clock.advance(connectionLifeMs);
    socket.resume();
    expect((await closed).length).toBeLessThan(large.length);
  });

  test("with all places taken the one that has been idle longest gives way, and requests are answered", async () => {
    const { server, clock, url } = await start();
    const idle = await Promise.all(Array.from({ length: maxConnections }, () => open(portOf(server))));
    await expect.poll(() => clock.pendingTimers()).toBe(maxConnections);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    await Promise.race(idle.map(({ closed }) => closed));
    expect(idle.filter(({ socket }) => socket.closed)).toHaveLength(1);
  });

  test("a thousand that do nothing leave no more open than there are places", async () => {
    const { server, clock, url } = await start();
    const idle: Awaited<ReturnType<typeof open>>[] = [];
    for (let count = 0; count < 1000; count += 1) idle.push(await open(portOf(server)));
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    await expect.poll(() => clock.pendingTimers()).toBeLessThanOrEqual(maxConnections);
    await expect.poll(() => idle.filter(({ socket }) => !socket.closed).length).toBeLessThanOrEqual(maxConnections);
  });

  test("no timer is left of connections that are closed", async () => {
    const { clock, url } = await start();
    await (await fetch(`${url}/healthz`)).text();
    await expect.poll(() => clock.pendingTimers()).toBe(0);
  });
});

describe("who may see what", () => {
  const paths = ["/", "/metrics", "/version", "/explain?name=a", "/healthz", "/readyz"];

  /** The status of each page for a client that asks from and at these addresses of this machine. */
  async function statuses(
    overrides: Partial<AdminServerOptions>,
    localAddress?: string,
    host = "127.0.0.1",
    headers: Record<string, string> = {},
  ) {
    const { server } = await start(overrides);
    return Promise.all(
      paths.map(async (path) => {
        const socketPath = "path" in server.place ? { socketPath: server.place.path } : { host, port: portOf(server) };
        const asking = request({ ...socketPath, path, agent: false, localAddress, headers }).end();
        const [response] = (await once(asking, "response")) as [IncomingMessage];
        response.resume();
        return response.statusCode;
      }),
    );
  }

  test("a client on the list that asks over loopback sees everything", async () => {
    const asked: string[] = [];
    const isAllowed = (client: string) => asked.push(client) > 0;
    expect(await statuses({ isAllowed }, "127.0.0.2")).toEqual([200, 200, 200, 200, 200, 200]);
    expect(new Set(asked)).toEqual(new Set(["127.0.0.2"]));
  });

  test("one that is not on the list sees whether nodens runs and is ready", async () => {
    expect(await statuses({ isAllowed: () => false })).toEqual([403, 403, 403, 403, 200, 200]);
  });

  test.skipIf(ownAddress === undefined)(
    "one on the list that asks elsewhere than on loopback is told no names",
    async () => {
      const place = { host: "0.0.0.0", port: 0 };
      expect(await statuses({ place }, ownAddress, ownAddress)).toEqual([200, 200, 200, 403, 200, 200]);
      // Not even where it says that it comes from loopback.
      expect(await statuses({ place }, "127.0.0.1", ownAddress)).toEqual([200, 200, 200, 403, 200, 200]);
    },
  );

  test.each(["rebound.example", "rebound.example:9253", "127.0.0.1.example", "[::2]:9253"])(
    "a browser on this machine that asks for %s, a name that leads here, is told no names",
    async (host) => {
      expect(await statuses({}, undefined, undefined, { host })).toEqual([200, 200, 200, 403, 200, 200]);
    },
  );

  test.each(["localhost:8080", "127.0.0.1", "[::1]:9253"])("whoever asks for %s is this machine", async (host) => {
    expect(await statuses({}, undefined, undefined, { host })).toEqual([200, 200, 200, 200, 200, 200]);
  });

  test("whoever may open the Unix socket sees everything", async () => {
    const path = join(temporaryFolder(), "below", "admin.sock");
    expect(await statuses({ place: { path }, isAllowed: () => false })).toEqual([200, 200, 200, 200, 200, 200]);
  });

  test("only this user may open the Unix socket, and one of an earlier process is no obstacle", async () => {
    const path = join(temporaryFolder(), "admin.sock");
    writeFileSync(path, "");
    const { server } = await start({ place: { path } });
    expect(statSync(path).mode & 0o022).toBe(0);
    await server.close();
    expect(existsSync(path)).toBe(false);
  });
});

describe("start and end", () => {
  test("an address in use is the system's error", async () => {
    const taken = createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as { port: number };
    await expect(start({ place: { host: "127.0.0.1", port } })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("an address of another machine is the system's error", async () => {
    await expect(start({ place: { host: "192.0.2.1", port: 0 } })).rejects.toMatchObject({ code: "EADDRNOTAVAIL" });
  });

  test("listens on IPv6", async () => {
    const { server } = await start({ place: { host: "::1", port: 0 } });
    expect((await fetch(`http://[::1]:${portOf(server)}/healthz`)).status).toBe(200);
  });

  test("close ends idle connections at once, and a second close does nothing", async () => {
    const { server, clock } = await start();
    const { closed } = await open(portOf(server));
    await expect.poll(() => clock.pendingTimers()).toBe(1);
    await server.close();
    expect(await closed).toBe("");
    await server.close();
  });

  test("close gives a request that is being answered a second, no more", async () => {
    const { server, clock } = await start({ registry: { ...registry, metrics: () => new Promise<string>(() => {}) } });
    const { socket, closed } = await open(portOf(server));
    socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    await expect.poll(() => clock.pendingTimers()).toBe(1);
    await ask(portOf(server), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    const ending = server.close();
    await clock.advance(900);
    expect(socket.closed).toBe(false);
    await clock.advance(100);
    await ending;
    expect(await closed).toBe("");
  });
});

test("a second one starts beside the first on the same port, and goes on when the first ends", async () => {
  const place = { host: "127.0.0.1", port: await findFreePort() };
  const first = await start({ place });
  const second = await start({ place });
  const ending = first.server.close();
  await first.clock.advance(connectionLifeMs);
  await ending;
  for (let count = 0; count < 10; count += 1) {
    const response = await fetch(`${second.url}/healthz`);
    expect(await response.text()).toBe("ok\n");
  }
});
