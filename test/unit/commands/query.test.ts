import { Packet } from "dns2";
import { describe, expect, test } from "vitest";
import { query, type QueryFlags } from "../../../src/commands/query.ts";
import { createFakeClock, type FakeClock } from "../../support/program/fake-clock.ts";
import { replyTo, startScriptedServer } from "./scripted-server.ts";

interface Run {
  readonly name?: string;
  readonly type?: string;
  readonly flags: Partial<QueryFlags>;
  readonly clock?: FakeClock;
}

async function run({ name = "www.example.com", type, flags, clock = createFakeClock() }: Run) {
  let [output, errors] = ["", ""];
  const pauses: number[] = [];
  const exitCode = await query(
    name,
    type,
    { server: "127.0.0.1:9", timeoutMs: "5000", edns: true, ...flags },
    {
      write: (text) => void (output += text),
      writeError: (text) => void (errors += text),
      clock,
      pause: (delayMs) => Promise.resolve(pauses.push(delayMs)),
    },
  );
  return { exitCode, output, errors, pauses, timersLeft: clock.pendingTimers() };
}

const address = { address: "192.0.2.1", ttl: 30 };
const answering = (message: Buffer) => [replyTo(message, { answers: [address] })];
const withoutId = (output: string): string => output.replace(/id \d+/, "id 1");

describe("what is printed", () => {
  test("status, EDNS, question, sections in columns, and how the reply arrived", async () => {
    const options = [Packet.Resource.EDNS.EDE(22, "at delegation")];
    const answers = [
      { type: 5, domain: "a.example.com", ttl: 300 },
      { ...address, name: "a.example.com" },
    ];
    const server = await startScriptedServer({ udp: (message) => [replyTo(message, { answers, options })] });
    const { exitCode, output, errors, timersLeft } = await run({ flags: { server: server.address } });
    expect({ exitCode, errors, timersLeft }).toEqual({ exitCode: 0, errors: "", timersLeft: 0 });
    expect(withoutId(output)).toBe(
      [
        ";; NOERROR, flags qr rd ra, id 1",
        ";; EDNS version 0, 4096 octets over UDP",
        ";; extended error 22 (no reachable authority): at delegation",
        ";; question",
        "www.example.com. IN A",
        ";; answer",
        "www.example.com. 300 IN CNAME a.example.com.",
        "a.example.com.   30  IN A     192.0.2.1",
        `;; 0.0 ms, server ${server.address}, UDP, 95 octets`,
        "",
      ].join("\n"),
    );
  });

  test("a denial is a reply like any other: exit code 0, its SOA under authority", async () => {
    const soa = { type: 6, primary: "ns", admin: "root", serial: 1, refresh: 2, retry: 3, expiration: 4, minimum: 5 };
    const server = await startScriptedServer({
      udp: (message) => [replyTo(message, { rcode: 3, authorities: [{ ...soa, name: "example.com", ttl: 5 }] })],
    });
    const { exitCode, output } = await run({ flags: { server: server.address } });
    expect(exitCode).toBe(0);
    expect(output).toContain(";; NXDOMAIN, flags qr rd ra,");
    expect(output).toContain(";; no EDNS\n");
    expect(output).toContain(";; authority\nexample.com. 5 IN SOA ns. root. 1 2 3 4 5\n");
  });

  test("--short: the data of the answers and nothing else", async () => {
    const server = await startScriptedServer({ udp: answering });
    const { output, errors } = await run({ flags: { server: server.address, short: true } });
    expect({ output, errors }).toEqual({ output: "192.0.2.1\n", errors: "" });
  });

  test("--short without answers: nothing, and the rcode as an error", async () => {
    const server = await startScriptedServer({ udp: (message) => [replyTo(message, { rcode: 2 })] });
    const { exitCode, output, errors } = await run({ flags: { server: server.address, short: true } });
    expect({ exitCode, output, errors }).toEqual({ exitCode: 0, output: "", errors: ";; SERVFAIL, no answers\n" });
  });

  test("--json: the same as an object", async () => {
    const server = await startScriptedServer({ udp: answering });
    const { output } = await run({ flags: { server: server.address, json: true } });
    expect(JSON.parse(output)).toEqual({
      id: expect.any(Number),
      rcode: "NOERROR",
      flags: ["qr", "rd", "ra"],
      edns: null,
      question: { name: "www.example.com.", class: "IN", type: "A" },
      answer: [{ name: "www.example.com.", ttlSeconds: 30, class: "IN", type: "A", data: "192.0.2.1" }],
      authority: [],
      additional: [],
      problems: [],
      elapsedMs: 0,
      server: server.address,
      protocol: "UDP",
      sizeBytes: 49,
      remarks: [],
    });
  });
});

describe("what is asked", () => {
  const example = labels("WWW", "example", "com");
  const rows: readonly (readonly [what: string, run: Run, hex: string])[] = [
    ["the name as it was typed, with EDNS", { name: "WWW.example.com", flags: {} }, `${example}00010001${opt("0000")}`],
    ["a final dot changes nothing", { name: "WWW.example.com.", flags: {} }, `${example}00010001${opt("0000")}`],
    ["--dnssec sets DO", { name: ".", flags: { dnssec: true } }, `0000010001${opt("8000")}`],
    ["--no-edns leaves OPT out", { name: ".", flags: { edns: false } }, "0000010001"],
    ["a type by mnemonic in any case", { name: ".", type: "aaaa", flags: { edns: false } }, "00001c0001"],
    ["a type by number", { name: ".", type: "TYPE65280", flags: { edns: false } }, "00ff000001"],
    ["type 0", { name: ".", type: "TYPE0", flags: { edns: false } }, "0000000001"],
    ["escapes", { name: "a\\.b.\\001", flags: { edns: false } }, "03612e6201010000010001"],
    [
      "the reverse name of an IPv4 address",
      { name: "10.96.0.1", flags: { edns: false } },
      `${labels("1", "0", "96", "10", "in-addr", "arpa")}000c0001`,
    ],
    [
      "the reverse name of an IPv6 address, whatever its form",
      { name: "::ffff:192.0.2.1", type: "PTR", flags: { edns: false } },
      `${labels(...`1020000cffff${"0".repeat(20)}`.split(""), "ip6", "arpa")}000c0001`,
    ],
    [
      "an address with another type, as a name",
      { name: "10.96.0.1", type: "A", flags: { edns: false } },
      `${labels("10", "96", "0", "1")}00010001`,
    ],
  ];
  test.each(rows)("%s", async (_what, { flags, ...asked }, hex) => {
    // The query with QR set is reply enough.
    const server = await startScriptedServer({ udp: (message) => [patched(message, 2, 0x81)] });
    await run({ ...asked, flags: { ...flags, server: server.address } });
    const [message = Buffer.alloc(0)] = server.udpQueries;
    // RD and AD, one question, one additional record if there is an OPT.
    const additional = flags.edns === false ? "0000" : "0001";
    expect(message.toString("hex", 2, 12)).toBe(`0120000100000000${additional}`);
    expect(message.toString("hex", 12)).toBe(hex);
  });

  test("a query for an address says what it asked instead", async () => {
    const server = await startScriptedServer({ udp: answering });
    const { output } = await run({ name: "10.96.0.1", flags: { server: server.address } });
    expect(output).toContain(";; 10.96.0.1 is an address: asked for the PTR record of its reverse name\n");
  });
});

describe("UDP and TCP", () => {
  test("--tcp asks over TCP alone", async () => {
    const server = await startScriptedServer({ tcp: answering });
    const { exitCode, output } = await run({ flags: { server: server.address, tcp: true } });
    expect(exitCode).toBe(0);
    expect(output).toContain(", TCP, 49 octets\n");
    expect([server.udpQueries.length, server.tcpQueries.length]).toEqual([0, 1]);
  });

  test("after a truncated reply the question is asked again over TCP, with a remark", async () => {
    const server = await startScriptedServer({
      udp: (message) => [replyTo(message, { flags: 0x0200 })],
      tcp: answering,
    });
    const { output } = await run({ flags: { server: server.address } });
    expect(output).toContain("www.example.com. 30 IN A 192.0.2.1\n");
    expect(output).toContain(", TCP, 49 octets\n;; truncated over UDP: asked again over TCP\n");
  });

  test("if TCP then fails, the truncated reply is shown with the reason", async () => {
    const server = await startScriptedServer({
      udp: (message) => [replyTo(message, { flags: 0x0200 })],
      closesTcp: true,
    });
    const { exitCode, output } = await run({ flags: { server: server.address } });
    expect(exitCode).toBe(0);
    expect(output).toContain("flags qr tc rd ra");
    expect(output).toMatch(/;; truncated over UDP, and then no reply .* closed the connection/);
  });

  const noise: readonly (readonly [what: string, make: (message: Buffer) => Buffer])[] = [
    ["nothing", () => Buffer.alloc(0)],
    ["half a header", (message) => replyTo(message).subarray(0, 6)],
    ["random octets", () => Buffer.from("garbage garbage garbage")],
    ["the query itself", (message) => message],
    ["another ID", (message) => patched(replyTo(message), 1, (message[1] ?? 0) ^ 1)],
    ["another name", (message) => patched(replyTo(message), 13, 0x78)],
    ["another type", (message) => patched(replyTo(message), 30, 28)],
    ["no question and no error", (message) => patched(replyTo(message), 5, 0)],
  ];
  test.each(noise)("over UDP, %s is ignored and counted while waiting for the reply", async (_what, make) => {
    const server = await startScriptedServer({ udp: (message) => [make(message), ...answering(message)] });
    const { exitCode, output } = await run({ flags: { server: server.address } });
    expect(exitCode).toBe(0);
    expect(output).toContain("192.0.2.1\n");
    expect(output).toContain(";; ignored before the reply: 1 that did not fit the question\n");
  });

  test.each(noise)("over TCP, %s is ignored and counted while waiting for the reply", async (_what, make) => {
    const server = await startScriptedServer({ tcp: (message) => [make(message), ...answering(message)] });
    const { output } = await run({ flags: { server: server.address, tcp: true } });
    expect(output).toContain("192.0.2.1\n");
    expect(output).toContain(";; ignored before the reply: 1 that did not fit the question\n");
  });

  test("an error without the question is a reply: the server could not read it", async () => {
    const server = await startScriptedServer({
      udp: (message) => [patched(replyTo(message, { rcode: 1 }), 5, 0).subarray(0, 12)],
    });
    const { exitCode, output } = await run({ flags: { server: server.address } });
    expect(exitCode).toBe(0);
    expect(output).toContain(";; FORMERR, flags qr rd ra,");
    expect(output).toContain(";; without the question\n");
  });
});

describe("no reply: one line, exit code 69, no timer left", () => {
  test.each([
    ["UDP", {}],
    ["TCP", { tcp: true }],
  ])("silence over %s", async (protocol, flags) => {
    const server = await startScriptedServer({ udp: () => [], tcp: () => [] });
    const clock = createFakeClock();
    const done = run({ flags: { ...flags, server: server.address, timeoutMs: "700" }, clock });
    await server.asked;
    await clock.advance(699);
    expect(clock.pendingTimers()).toBe(1);
    await clock.advance(1);
    expect(await done).toMatchObject({
      exitCode: 69,
      output: "",
      errors: `nodens: no reply from ${server.address} over ${protocol}: nothing within 700 ms\n`,
      timersLeft: 0,
    });
  });

  test("only messages that do not fit, then the end of the connection", async () => {
    const server = await startScriptedServer({ tcp: () => [Buffer.from("garbage garbage")], closesTcp: true });
    const { exitCode, errors } = await run({ flags: { server: server.address, tcp: true } });
    expect(exitCode).toBe(69);
    expect(errors).toContain(": the server closed the connection, except for 1 that did not fit the question\n");
  });

  test.each([
    ["UDP", {}],
    ["TCP", { tcp: true }],
  ])("a closed port over %s is noticed at once", async (protocol, flags) => {
    const { exitCode, errors, timersLeft } = await run({ flags: { ...flags, server: "127.0.0.1:1" } });
    expect({ exitCode, timersLeft }).toEqual({ exitCode: 69, timersLeft: 0 });
    expect(errors).toBe(`nodens: no reply from 127.0.0.1:1 over ${protocol}: connection refused (ECONNREFUSED)\n`);
  });

  test("a connection that the server closes", async () => {
    const server = await startScriptedServer({ closesTcp: true });
    const { exitCode, errors } = await run({ flags: { server: server.address, tcp: true } });
    expect(exitCode).toBe(69);
    expect(errors).toContain(" over TCP: the server closed the connection\n");
  });
});

describe("a reply cut off", () => {
  test("by the end of the connection is no reply", async () => {
    const server = await startScriptedServer({ tcp: answering, closesTcp: true, cutsTcpAt: 20 });
    const { exitCode, errors } = await run({ flags: { server: server.address, tcp: true } });
    expect(exitCode).toBe(69);
    expect(errors).toContain(": the server closed the connection inside a message\n");
  });
});

describe("where it came from", () => {
  test.each([
    [3, "from a cache, past its TTL, because no fresh answer was available"],
    [19, "from a cache, past its TTL, because no fresh answer was available"],
    [13, "a failure that the server remembers: it did not ask again"],
  ])("extended error %i says it", async (code, origin) => {
    const options = [Packet.Resource.EDNS.EDE(code)];
    const server = await startScriptedServer({ udp: (message) => [replyTo(message, { options })] });
    const { output } = await run({ flags: { server: server.address } });
    expect(output.endsWith(`\n;; ${origin}\n`)).toBe(true);
  });

  test("a single answer does not say it, and nothing is claimed", async () => {
    const server = await startScriptedServer({ udp: answering });
    const { output, pauses } = await run({ flags: { server: server.address } });
    expect(output).not.toContain("cache");
    expect(pauses).toEqual([]);
  });

  test.each([
    [30, 28, "TTL 30, then 28: the second came from a cache, the server's or one behind it"],
    [30, 30, "TTL 30, then 30: no sign of a cache"],
    [1, 30, "TTL 1, then 30: the answer was fetched afresh in between"],
  ])("--twice, TTL %i and then %i", async (first, second, verdict) => {
    const ttls = [first, second];
    const server = await startScriptedServer({
      udp: (message) => [replyTo(message, { answers: [{ ...address, ttl: ttls.shift() ?? 0 }] })],
    });
    const { output, pauses } = await run({ flags: { server: server.address, twice: true } });
    expect(output.endsWith(`\n;; asked twice, 1100 ms apart: 0.0 ms, then 0.0 ms; ${verdict}\n`)).toBe(true);
    expect(pauses).toEqual([1100]);
  });

  test("--twice without any TTL has nothing to compare", async () => {
    const server = await startScriptedServer({ udp: (message) => [replyTo(message, { rcode: 2 })] });
    const { output } = await run({ flags: { server: server.address, twice: true } });
    expect(output).toContain("; without a TTL there is nothing to compare\n");
  });

  test("--twice, the second time stale", async () => {
    const options = [[], [Packet.Resource.EDNS.EDE(3)]];
    const server = await startScriptedServer({
      udp: (message) => [replyTo(message, { answers: [address], options: options.shift() ?? [] })],
    });
    const { output } = await run({ flags: { server: server.address, twice: true } });
    expect(output).toContain("; the second was from a cache, past its TTL,");
  });

  test("--twice as JSON has both replies", async () => {
    const server = await startScriptedServer({ udp: answering });
    const { output } = await run({ flags: { server: server.address, twice: true, json: true } });
    const printed = JSON.parse(output) as { id: number; remarks: string[]; second: { id: number; answer: object[] } };
    expect(printed.remarks).toEqual([expect.stringContaining("no sign of a cache")]);
    expect(printed.second.answer).toHaveLength(1);
    expect(server.udpQueries.map((message) => message.readUInt16BE(0))).toEqual([printed.id, printed.second.id]);
  });
});

describe("what cannot be asked: one line, exit code 64", () => {
  const rows: readonly (readonly [run: Run, error: string])[] = [
    [{ name: "a..b", flags: {} }, "'a..b' is not a domain name: labels have 1 to 63 octets"],
    [{ name: "", flags: {} }, "'' is not a domain name"],
    [{ name: "a b", flags: {} }, "spaces are written \\032"],
    [{ name: `${"a".repeat(64)}.com`, flags: {} }, "is not a domain name"],
    [{ name: "münchen.de", flags: {} }, "'münchen.de' is not ASCII: ask for xn--mnchen-3ya.de"],
    [{ type: "AAAB", flags: {} }, "'AAAB' is not a record type that nodens knows (did you mean AAAA?)"],
    [{ type: "TYPE65536", flags: {} }, "'TYPE65536' is not a record type that nodens knows"],
    [{ type: "frobnicate", flags: {} }, "(write TYPE followed by its number, as in TYPE65)"],
    [{ flags: { server: "localhost:53" } }, "'localhost:53' is not a server: it must be an IP address and a port"],
    [{ flags: { server: "127.0.0.1:0" } }, "'127.0.0.1:0' is not a server"],
    [{ flags: { timeoutMs: "0" } }, "'0' is not a timeout: it must be 1 to 600000 milliseconds"],
    [{ flags: { timeoutMs: "600001" } }, "'600001' is not a timeout"],
    [{ flags: { timeoutMs: "5s" } }, "'5s' is not a timeout"],
  ];
  test.each(rows)("%o", async (asked, error) => {
    const { exitCode, output, errors } = await run(asked);
    expect({ exitCode, output }).toEqual({ exitCode: 64, output: "" });
    expect(errors).toContain(error);
    expect(errors.trimEnd()).toMatch(/^nodens: [^\n]*$/);
  });
});

function labels(...texts: readonly string[]): string {
  const octets = texts.flatMap((text) => [text.length, ...Buffer.from(text)]);
  return Buffer.from([...octets, 0]).toString("hex");
}

/** An OPT record with a size of 1232 octets and these flags. */
function opt(flags: string): string {
  return `00002904d00000${flags}0000`;
}

/** A copy with one octet replaced. */
function patched(message: Buffer, offset: number, octet: number): Buffer {
  const copy = Buffer.from(message);
  copy[offset] = octet;
  return copy;
}
