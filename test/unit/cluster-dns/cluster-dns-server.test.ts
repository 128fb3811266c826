/* The embedded cluster DNS over real loopback sockets. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Packet } from "dns2";
import { describe, expect, onTestFinished, test } from "vitest";
import { startClusterDns } from "../../../src/cluster-dns/cluster-dns-server.ts";
import type { ClusterDns, ClusterDnsOptions } from "../../../src/cluster-dns/cluster-dns-server.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { describeWith } from "../../support/program/requirements.ts";
import { askUdp, framed, openTcp, openUdp, queryBytes, questionOf, startStubResolver } from "./dns-peers.ts";

const kubernetes = "kubernetes.default.svc.cluster.local";

async function start(options: Partial<ClusterDnsOptions> = {}): Promise<ClusterDns> {
  const server = await startClusterDns({ address: { host: "127.0.0.1", port: 0 }, outside: "built-in", ...options });
  onTestFinished(() => server.close());
  return server;
}

/** Starts a server whose outside names go to a stub resolver that has answered its probe. */
async function startWithResolver(options: Partial<ClusterDnsOptions> = {}) {
  const resolver = await startStubResolver();
  const server = await start({ outside: { resolvers: [resolver.address] }, ...options });
  // The probe is answered at once, but in the background: the table answers NXDOMAIN until the resolver is known.
  const isKnown = async () => {
    const asked = resolver.nextHeld().then((held) => held.answer());
    const client = await openUdp(server.address);
    for (let id = 1; id <= 100; id += 1) {
      client.send(queryBytes("known.example.net", { id }));
      const reply = await client.next();
      if (rcodeOf(reply) === Packet.RCODE.NOERROR) return asked;
    }
    throw new Error("the resolver was not used");
  };
  await isKnown();
  return { resolver, server };
}

/** Waits until a number has changed and then stayed the same for a fifth of a second. */
async function untilStill(read: () => number): Promise<void> {
  let last = Number.NaN;
  for (let stillCount = 0; stillCount < 20; stillCount += 1) {
    if (read() !== last) stillCount = 0;
    last = read();
    await delay(10);
  }
}

function rcodeOf(reply: Buffer): number {
  return (reply[3] ?? 0) & 0xf;
}

function addressesOf(reply: Buffer): (string | undefined)[] {
  const packet = Packet.parse(reply);
  expect(packet.errors).toEqual([]);
  return packet.answers.map(({ address, domain }) => address ?? domain);
}

function isTruncated(reply: Buffer): boolean {
  return ((reply[2] ?? 0) & 2) !== 0;
}

async function askTcp(server: ClusterDns, bytes: Buffer): Promise<Buffer> {
  const client = await openTcp(server.address);
  client.send(bytes);
  return client.next();
}

describe("over UDP", () => {
  test("a Service is answered with the query's ID, RD and AA, without RA", async () => {
    const server = await start();
    const reply = await askUdp(server.address, queryBytes(kubernetes, { id: 0xbeef }));
    expect(reply.readUInt16BE(0)).toBe(0xbeef);
    expect(reply.readUInt16BE(2)).toBe(0x8500);
    expect(addressesOf(reply)).toEqual(["10.96.0.1"]);
  });

  test("the question comes back octet for octet, and the owner names point to it", async () => {
    const server = await start();
    const query = queryBytes("KubeRNetes.Default.SVC.cluster.LOCAL");
    const reply = await askUdp(server.address, query);
    expect(questionOf(reply)).toEqual(questionOf(query));
    expect(Packet.parse(reply).answers[0]?.name).toBe("KubeRNetes.Default.SVC.cluster.LOCAL");
  });

  test("a dot inside a label stays inside it, in the question and in the owner name", async () => {
    const server = await start();
    const query = queryBytes(["a.\\b", "1-2-3-4", "shop", "pod", "cluster", "local"]);
    const reply = await askUdp(server.address, query);
    expect(questionOf(reply)).toEqual(questionOf(query));
    const answerStart = 12 + questionOf(reply).length;
    expect(reply.subarray(answerStart).toString("hex")).toBe("c00c000100010000001e000401020304");
    expect(rcodeOf(await askUdp(server.address, queryBytes(["kubernetes.default", "svc", "cluster", "local"])))).toBe(
      3,
    );
  });

  test("the name may be as long as a name can be, or the root", async () => {
    const server = await start();
    const long = ["x".repeat(63), "y".repeat(63), "z".repeat(63), ".".repeat(47), "cluster", "local"];
    const query = queryBytes(long);
    expect(query.length).toBe(12 + 255 + 4);
    expect(questionOf(await askUdp(server.address, query))).toEqual(questionOf(query));
    const root = await askUdp(server.address, queryBytes("."));
    expect(Packet.parse(root).authorities).toMatchObject([{ name: "", primary: "ns.root.invalid" }]);
  });

  test("a denial carries the SOA of the zone", async () => {
    const server = await start();
    const packet = Packet.parse(await askUdp(server.address, queryBytes("baidu.com.cluster.local")));
    expect(packet.header).toMatchObject({ rcode: 3, aa: 1, ancount: 0, nscount: 1 });
    expect(packet.authorities).toMatchObject([{ name: "cluster.local", ttl: 30, minimum: 30 }]);
  });

  test.each([
    ["an ExternalName Service", "partner.shop.svc.cluster.local", ["www.example.com", "example.com", "192.0.2.10"]],
    ["a name of the built-in table", "WWW.example.com", ["example.com", "192.0.2.10"]],
    ["a name above a listed one", "b.example.com", []],
    ["a listed name without records", "empty.example.com", []],
  ])("%s is answered", async (_what, name, expected) => {
    const server = await start();
    const reply = await askUdp(server.address, queryBytes(name));
    expect(rcodeOf(reply)).toBe(Packet.RCODE.NOERROR);
    expect(addressesOf(reply)).toEqual(expected);
  });

  test("a name that nobody knows is NXDOMAIN with the SOA of a made-up root, without AA", async () => {
    const server = await start();
    const packet = Packet.parse(await askUdp(server.address, queryBytes("nowhere.example.net")));
    expect(packet.header).toMatchObject({ rcode: 3, aa: 0, ra: 1 });
    expect(packet.authorities).toMatchObject([{ name: "", type: Packet.TYPE.SOA, minimum: 300 }]);
  });

  test.each([
    ["class CH", queryBytes(kubernetes, { class: 3 }), Packet.RCODE.REFUSED],
    ["class ANY", queryBytes(kubernetes, { class: 255 }), Packet.RCODE.REFUSED],
    ["AXFR in the zone", queryBytes("cluster.local", { type: 252 }), Packet.RCODE.REFUSED],
    ["IXFR elsewhere", queryBytes("example.com", { type: 251 }), Packet.RCODE.REFUSED],
    ["EDNS version 1", queryBytes(kubernetes, { ednsSize: 1232, ednsVersion: 1 }), Packet.RCODE.BADVERS],
  ])("%s is refused", async (_what, query, rcode) => {
    const server = await start();
    expect(Packet.parse(await askUdp(server.address, query)).header).toMatchObject({ rcode, ancount: 0 });
  });

  test("every query that can be read is counted and reported", async () => {
    const seen: unknown[] = [];
    const server = await start({ onQuery: (info) => seen.push(info) });
    await askUdp(server.address, queryBytes("Web.shop.svc.cluster.local", { type: 28 }));
    await askTcp(server, queryBytes("example.com"));
    await askUdp(server.address, queryBytes("example.com").fill(0xff, 4, 6));
    expect(server.queryCount).toBe(2);
    expect(seen).toEqual([
      { name: "Web.shop.svc.cluster.local", type: 28, protocol: "udp" },
      { name: "example.com", type: 1, protocol: "tcp" },
    ]);
  });
});

describe("EDNS and truncation", () => {
  test.each([
    ["no OPT", {}, 512],
    ["an OPT that offers 100 octets", { ednsSize: 100 }, 512],
    ["an OPT that offers 1232 octets", { ednsSize: 1232 }, 1232],
  ])("%s: as many whole records as fit, and TC", async (_what, shape, limitBytes) => {
    const server = await start();
    const reply = await askUdp(server.address, queryBytes("large.example.com", shape));
    const packet = Packet.parse(reply);
    expect(packet.errors).toEqual([]);
    expect(isTruncated(reply)).toBe(true);
    expect(packet.answers).toHaveLength(packet.header.ancount);
    expect(packet.additionals).toHaveLength("ednsSize" in shape ? 1 : 0);
    expect(reply.length).toBeLessThanOrEqual(limitBytes);
    expect(reply.length + 16).toBeGreaterThan(limitBytes);
  });

  test("the whole answer comes if there is room for it, and over TCP", async () => {
    const server = await start();
    for (const reply of [
      await askUdp(server.address, queryBytes("large.example.com", { ednsSize: 4096 })),
      await askTcp(server, queryBytes("large.example.com")),
    ]) {
      expect(isTruncated(reply)).toBe(false);
      expect(addressesOf(reply)).toHaveLength(88);
    }
  });

  test.each([
    ["without DO", { ednsSize: 1400 }, "00002905780000000000" + "00"],
    ["with DO", { ednsSize: 1400, dnssecOk: true }, "00002905780000800000" + "00"],
  ])("an OPT is answered with one of the same size %s, last in the message", async (_what, shape, option) => {
    const server = await start();
    for (const name of [kubernetes, "absent.cluster.local", "example.com"]) {
      const reply = await askUdp(server.address, queryBytes(name, shape));
      expect(reply.subarray(-11).toString("hex")).toBe(option);
    }
  });
});

describe("malformed messages", () => {
  const good = queryBytes(kubernetes);
  const changed = (offset: number, ...octets: number[]) => {
    const bytes = Buffer.from(queryBytes(kubernetes, { ednsSize: 1232 }));
    bytes.set(octets, offset);
    return bytes;
  };
  const defects: [string, Buffer, number | undefined][] = [
    ["no octets", Buffer.alloc(0), undefined],
    ["a header that is cut off", good.subarray(0, 11), undefined],
    ["a response", changed(2, 0x81), undefined],
    ["only a header that announces a question", good.subarray(0, 12), Packet.RCODE.FORMERR],
    ["no question", changed(4, 0, 0), Packet.RCODE.FORMERR],
    ["two questions", changed(4, 0, 2), Packet.RCODE.FORMERR],
    ["65535 of everything", changed(4, 255, 255, 255, 255, 255, 255, 255, 255), Packet.RCODE.FORMERR],
    ["a name that ends in the middle", good.subarray(0, 20), Packet.RCODE.FORMERR],
    ["a question without a class", good.subarray(0, good.length - 2), Packet.RCODE.FORMERR],
    ["a label of a reserved type", changed(12, 0x4a), Packet.RCODE.FORMERR],
    ["a pointer to itself as the name", changed(12, 0xc0, 12), Packet.RCODE.FORMERR],
    [
      "a name of 256 octets",
      queryBytes(["a", "b", "c"].map((octet) => octet.repeat(63)).concat("d".repeat(62))),
      Packet.RCODE.FORMERR,
    ],
    ["an OPT that is cut off", changed(0, 0x12).subarray(0, -1), Packet.RCODE.FORMERR],
    ["an OPT whose data is longer than the message", changed(good.length + 9, 0, 9), Packet.RCODE.FORMERR],
    ["two OPTs", Buffer.concat([changed(11, 2), changed(11, 2).subarray(good.length)]), Packet.RCODE.FORMERR],
    ["a NOTIFY", changed(2, 0x20), Packet.RCODE.NOTIMP],
    ["an UPDATE", changed(2, 0x29), Packet.RCODE.NOTIMP],
  ];

  test.each(defects)("%s over UDP", async (_defect, bytes, rcode) => {
    const server = await start();
    const client = await openUdp(server.address);
    client.send(bytes);
    client.send(queryBytes(kubernetes, { id: 0x7777 }));
    const reply = await client.next();
    if (rcode !== undefined) {
      expect(reply.readUInt16BE(0)).toBe(bytes.readUInt16BE(0));
      expect(rcodeOf(reply)).toBe(rcode);
      expect(reply.readUInt32BE(4)).toBe(0);
    }
    const next = rcode === undefined ? reply : await client.next();
    expect(next.readUInt16BE(0)).toBe(0x7777);
    expect(addressesOf(next)).toEqual(["10.96.0.1"]);
  });

  test.each(defects.filter(([, bytes]) => bytes.length >= 12))("%s over TCP", async (_defect, bytes, rcode) => {
    const server = await start();
    const client = await openTcp(server.address);
    client.send(bytes, queryBytes(kubernetes, { id: 0x7777 }));
    if (rcode !== undefined) expect(rcodeOf(await client.next())).toBe(rcode);
    expect((await client.next()).readUInt16BE(0)).toBe(0x7777);
  });

  test.each([0, 1, 11])("a frame of %i octets closes the connection", async (length) => {
    const server = await start();
    const client = await openTcp(server.address);
    client.send(queryBytes(kubernetes), Buffer.alloc(length), queryBytes(kubernetes));
    await client.ended;
    expect(client.waiting()).toBe(1);
  });
});

describe("over TCP, one query at a time", () => {
  test("pipelined queries are answered in order, and wait behind a slow outside name", async () => {
    const { resolver, server } = await startWithResolver();
    const earlierCount = server.queryCount;
    const client = await openTcp(server.address);
    client.send(
      queryBytes(kubernetes, { id: 1 }),
      queryBytes("slow.example.net", { id: 2 }),
      queryBytes(kubernetes, { id: 3 }),
    );
    client.send(queryBytes("absent.cluster.local", { id: 4 }));
    expect((await client.next()).readUInt16BE(0)).toBe(1);
    const slow = await resolver.nextHeld();
    // Another connection is served in the meantime, so there was time to answer 3 and 4 too.
    expect(addressesOf(await askTcp(server, queryBytes(kubernetes)))).toEqual(["10.96.0.1"]);
    expect(client.waiting()).toBe(0);
    expect(server.queryCount - earlierCount).toBe(3);
    slow.answer();
    const ids = [await client.next(), await client.next(), await client.next()].map((reply) => reply.readUInt16BE(0));
    expect(ids).toEqual([2, 3, 4]);
  });

  test("over UDP nothing waits for a slow outside name", async () => {
    const { resolver, server } = await startWithResolver();
    const client = await openUdp(server.address);
    client.send(queryBytes("slow.example.net", { id: 1 }));
    const slow = await resolver.nextHeld();
    client.send(queryBytes(kubernetes, { id: 2 }));
    expect((await client.next()).readUInt16BE(0)).toBe(2);
    slow.answer();
    expect((await client.next()).readUInt16BE(0)).toBe(1);
  });

  test("a query may arrive octet by octet", async () => {
    const server = await start();
    const client = await openTcp(server.address);
    client.socket.setNoDelay(true);
    for (const octet of framed(queryBytes(kubernetes))) {
      client.socket.write(Buffer.from([octet]));
      await new Promise(setImmediate);
    }
    expect(addressesOf(await client.next())).toEqual(["10.96.0.1"]);
  });

  test("queries sent before the client closes its side are all answered, and then the connection is closed", async () => {
    const server = await start();
    const client = await openTcp(server.address);
    client.socket.end(Buffer.concat([1, 2, 3].map((id) => framed(queryBytes(kubernetes, { id })))));
    await client.ended;
    const ids = [await client.next(), await client.next(), await client.next()].map((reply) => reply.readUInt16BE(0));
    expect(ids).toEqual([1, 2, 3]);
  });

  test("hundreds of queries in one segment are answered", async () => {
    const server = await start();
    const client = await openTcp(server.address);
    client.send(...Array.from({ length: 300 }, (_, id) => queryBytes(kubernetes, { id })));
    for (let id = 0; id < 300; id += 1) expect((await client.next()).readUInt16BE(0)).toBe(id);
  });

  test("a client that does not read its answers is not read from, and loses none", async () => {
    const { server } = await startWithResolver();
    const earlierCount = server.queryCount;
    const client = await openTcp(server.address);
    client.socket.pause();
    const total = 200;
    client.send(...Array.from({ length: total }, (_, id) => queryBytes("huge.example.net", { id })));
    await untilStill(() => server.queryCount);
    expect(server.queryCount - earlierCount).toBeLessThan(total);
    client.socket.resume();
    for (let id = 0; id < total; id += 1) expect((await client.next()).readUInt16BE(0)).toBe(id);
  });

  test("the first query must be complete within 3 s", async () => {
    const clock = createFakeClock();
    const server = await start({ clock });
    const client = await openTcp(server.address);
    client.socket.write(framed(queryBytes(kubernetes)).subarray(0, 5));
    await expect.poll(() => clock.pendingTimers()).toBe(1);
    await clock.advance(2_999);
    expect(clock.pendingTimers()).toBe(1);
    await clock.advance(1);
    await client.ended;
  });

  test("a connection is closed 10 s after its last answer", async () => {
    const clock = createFakeClock();
    const server = await start({ clock });
    const client = await openTcp(server.address);
    for (const waitMs of [9_999, 9_999]) {
      client.send(queryBytes(kubernetes));
      await client.next();
      await expect.poll(() => clock.pendingTimers()).toBe(1);
      await clock.advance(waitMs);
    }
    client.send(queryBytes(kubernetes));
    await client.next();
    await expect.poll(() => clock.pendingTimers()).toBe(1);
    await clock.advance(10_000);
    await client.ended;
  });
});

describe("its address", () => {
  test("is the same port for UDP and TCP, free again after close", async () => {
    const first = await startClusterDns({ address: { host: "127.0.0.1", port: 0 }, outside: "built-in" });
    const client = await openTcp(first.address);
    await Promise.all([client.ended, first.close()]);
    await first.close();
    const second = await start({ address: first.address });
    expect(second.address).toEqual(first.address);
  });

  test("may be IPv6", async () => {
    const server = await start({ address: { host: "::1", port: 0 } });
    expect(addressesOf(await askTcp(server, queryBytes(kubernetes)))).toEqual(["10.96.0.1"]);
  });

  test("is named by the error if it is in use", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void holder.close());
    await once(holder, "listening");
    const bound = holder.address();
    const port = bound !== null && typeof bound === "object" ? bound.port : 0;
    await expect(start({ address: { host: "127.0.0.1", port } })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}`);
  });
});

describe("outside names at a resolver", () => {
  test("the reply's bytes are relayed with the client's ID and spelling, and the query upstream has another ID", async () => {
    const { resolver, server } = await startWithResolver();
    const query = queryBytes("Some.Example.NET", { id: 7, ednsSize: 1400 });
    const client = await openUdp(server.address);
    const upstreamIds = new Set<number>();
    for (let count = 0; count < 5; count += 1) {
      client.send(query);
      const held = await resolver.nextHeld();
      expect(held.query.subarray(2)).toEqual(query.subarray(2));
      upstreamIds.add(held.query.readUInt16BE(0));
      held.answer();
      const reply = await client.next();
      expect(reply.readUInt16BE(0)).toBe(7);
      expect(questionOf(reply)).toEqual(questionOf(query));
      expect(reply.subarray(-16).toString("hex")).toBe("c00c00010001000000070004cb007101");
    }
    expect(upstreamIds.size).toBeGreaterThan(1);
  });

  test("an ExternalName is completed there, and is NODATA if that fails", async () => {
    const { resolver, server } = await startWithResolver();
    server.zone.addService("shop", "good", { externalName: "good.example.net" });
    server.zone.addService("shop", "bad", { externalName: "broken.example.net" });
    const client = await openUdp(server.address);
    client.send(queryBytes("good.shop.svc.cluster.local"));
    (await resolver.nextHeld()).answer();
    expect(addressesOf(await client.next())).toEqual(["good.example.net", "203.0.113.1"]);
    client.send(queryBytes("bad.shop.svc.cluster.local"));
    (await resolver.nextHeld()).answer();
    const packet = Packet.parse(await client.next());
    expect(packet.header).toMatchObject({ rcode: 0, ancount: 0, nscount: 1 });
  });

  test("a resolver that falls silent gives SERVFAIL after 1.5 s", async () => {
    const clock = createFakeClock();
    const { resolver, server } = await startWithResolver({ clock });
    const client = await openUdp(server.address);
    client.send(queryBytes("silent.example.net"));
    await resolver.nextHeld();
    await clock.advance(1_500);
    expect(rcodeOf(await client.next())).toBe(Packet.RCODE.SERVFAIL);
  });
});

const execute = promisify(execFile);

describeWith(["dig"], "dig", () => {
  async function dig(server: ClusterDns, ...words: string[]): Promise<string> {
    const common = ["@127.0.0.1", "-p", String(server.address.port), "+tries=1", "+time=2"];
    return (await execute("dig", [...common, ...words])).stdout;
  }

  test.each([
    ["over UDP", [kubernetes, "+short"], "10.96.0.1\n"],
    ["over TCP", [kubernetes, "+tcp", "+short"], "10.96.0.1\n"],
    ["SRV", ["_http._tcp.web.shop.svc.cluster.local", "SRV", "+short"], "0 100 80 web.shop.svc.cluster.local.\n"],
    ["reverse", ["-x", "10.96.0.1", "+short"], "kubernetes.default.svc.cluster.local.\n"],
    ["TXT", ["dns-version.cluster.local", "TXT", "+short"], '"1.1.0"\n'],
    ["an outside name", ["www.example.com", "+short"], "example.com.\n192.0.2.10\n"],
  ])("%s", async (_what, words, expected) => {
    const server = await start();
    expect(await dig(server, ...words)).toBe(expected);
  });

  test("reads the whole message without complaint", async () => {
    const server = await start();
    const text = await dig(server, "KUBERNETES.default.svc.cluster.local");
    expect(text).toContain("status: NOERROR");
    expect(text).toContain("flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1");
    expect(text).toMatch(/^KUBERNETES\.default\.svc\.cluster\.local\. 30\s+IN\s+A\s+10\.96\.0\.1$/m);
    expect(text).not.toMatch(/malformed|mismatch/i);
  });

  test("asks again over TCP if the answer is truncated", async () => {
    const server = await start();
    expect(await dig(server, "large.example.com", "+noedns", "+ignore")).toMatch(/flags: qr[^;]* tc/);
    const lines = (await dig(server, "large.example.com", "+noedns", "+short")).trim().split("\n");
    expect(lines.filter((line) => line.startsWith("198.51.100."))).toHaveLength(88);
  });
});
