/*
 * Resolvers and tools that people use, against a nodens in front of the embedded cluster DNS and a small scripted world
 * outside: dig, kdig, c-ares as Node has it, and getaddrinfo of glibc and musl with a pod's resolv.conf.
 */
import { execFile } from "node:child_process";
import { Resolver } from "node:dns/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { readMessage } from "../support/messages/messages.ts";
import { metricSum } from "../support/program/metric-sums.ts";
import { answerFromOutside, manyAddresses } from "../support/servers/outside-world.ts";
import { type PodResolvConf, writeResolvConf } from "../support/node/pod-lookups.ts";
import { describeWith, findCommand } from "../support/program/requirements.ts";
import { type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
import { type ScriptedUpstream, startScriptedUpstream } from "../support/servers/scripted-upstream.ts";

const run = promisify(execFile);

let outside: ScriptedUpstream;
let nodens: RunningNodens;

beforeAll(async () => {
  outside = await startScriptedUpstream(answerFromOutside);
  nodens = await runNodens({ settings: { upstream: { outsideServers: [outside.address] } } });
});
afterAll(async () => {
  await nodens.stop();
  await outside.close();
});

/** What a client prints and what it must not. */
interface Row {
  readonly what: string;
  readonly args: readonly string[];
  readonly prints: readonly RegExp[];
  readonly printsNot?: readonly RegExp[];
}

const web = "web.shop.svc.cluster.local";
const large = "large.example.test";

/** dig's header line for a reply with exactly these flags and counts. */
function header(flags: string, question: number, answer: number): RegExp {
  return new RegExp(`;; flags: ${flags}; QUERY: ${question}, ANSWER: ${answer}, `);
}

/** dig's lines for an OPT record with these flags and nothing in it. */
function bareOpt(flags: string): RegExp {
  return new RegExp(`; EDNS: version: 0, flags:${flags}; udp: 1232\n;; QUESTION SECTION:`);
}

const noEdns = /EDNS:/;

describeWith(["dig"], "dig", () => {
  const rows: Row[] = [
    {
      what: "a Service over UDP",
      args: [web],
      prints: [/status: NOERROR/, header("qr aa rd ra", 1, 1), /\sIN\s+A\s+10\.96\.12\.7\n/, /\(UDP\)/],
    },
    { what: "a Service over TCP", args: ["+tcp", web], prints: [/IN\s+A\s+10\.96\.12\.7\n/, /\(TCP\)/] },
    {
      what: "an absent name, with the SOA of the zone",
      args: ["absent.shop.svc.cluster.local"],
      prints: [/status: NXDOMAIN/, header("qr aa rd ra", 1, 0), /cluster\.local\.\s+\d+\s+IN\s+SOA/],
    },
    {
      what: "a type that a name has not",
      args: [web, "AAAA"],
      prints: [/status: NOERROR/, header("qr aa rd ra", 1, 0), /\sSOA\s/],
    },
    { what: "a reverse name", args: ["-x", "10.96.12.7"], prints: [/PTR\s+web\.shop\.svc\.cluster\.local\./] },
    {
      what: "a port by SRV",
      args: [`_http._tcp.${web}`, "SRV"],
      prints: [/SRV\s+0 \d+ 80 web\.shop\.svc\.cluster\.local\./],
    },
    {
      what: "an outside alias",
      args: ["www.example.test"],
      prints: [header("qr rd ra", 1, 2), /CNAME\s+example\.test\./],
    },
    { what: "the spelling of the question", args: ["WwW.eXample.TEST"], prints: [/^;WwW\.eXample\.TEST\./m] },
    { what: "no EDNS where there was none", args: ["+noedns", web], prints: [/status: NOERROR/], printsNot: [noEdns] },
    { what: "+dnssec", args: ["+dnssec", web], prints: [/status: NOERROR/, bareOpt(" do")] },
    { what: "+nsid", args: ["+nocookie", "+nsid", web], prints: [bareOpt("")], printsNot: [/NSID/] },
    { what: "+cookie", args: ["+cookie", web], prints: [bareOpt("")], printsNot: [/COOKIE/] },
    { what: "+subnet", args: ["+subnet=192.0.2.0/24", web], prints: [bareOpt("")], printsNot: [/CLIENT-SUBNET/] },
    { what: "+padding", args: ["+padding=128", web], prints: [bareOpt("")] },
    { what: "+keepalive over UDP", args: ["+keepalive", web], prints: [bareOpt("")] },
    { what: "an unknown option", args: ["+ednsopt=100:abcd", web], prints: [/status: NOERROR/, bareOpt("")] },
    { what: "unknown EDNS flags", args: ["+ednsflags=0x40", web], prints: [/status: NOERROR/, bareOpt("")] },
    {
      what: "EDNS version 1",
      args: ["+edns=1", "+noednsnegotiation", web],
      prints: [/status: BADVERS/, /EDNS: version: 0/, /ANSWER: 0/],
    },
    { what: "+norecurse", args: ["+norecurse", web], prints: [/;; flags: qr aa ra; /] },
    { what: "+cdflag", args: ["+cdflag", web], prints: [header("qr aa rd ra cd", 1, 1)] },
    { what: "+zflag", args: ["+zflag", web], prints: [header("qr aa rd ra", 1, 1)], printsNot: [/MBZ: 0x[1-9]/] },
    ...["status", "notify", "update", "15"].map((opcode) => ({
      what: `opcode ${opcode}`,
      args: [`+opcode=${opcode}`, web],
      prints: [/status: NOTIMP/],
    })),
    { what: "a header without a question", args: ["+header-only"], prints: [/status: FORMERR/] },
    { what: "another class", args: ["CH", "TXT", "version.bind"], prints: [/status: REFUSED/] },
    { what: "a zone transfer", args: ["cluster.local", "AXFR"], prints: [/; Transfer failed\./] },
    {
      what: "a large answer, again over TCP",
      args: [large],
      prints: [/retrying in TCP mode/, header("qr rd ra", 1, 100)],
    },
    { what: "a large answer over TCP", args: ["+tcp", large], prints: [header("qr rd ra", 1, 100)] },
    {
      what: "what fits into 1232 octets, cut behind a whole record",
      args: ["+ignore", "+bufsize=1232", large],
      prints: [header("qr tc rd ra", 1, 74), bareOpt("")],
    },
    {
      what: "what fits into 1232 octets although more were offered",
      args: ["+ignore", "+bufsize=4096", large],
      prints: [header("qr tc rd ra", 1, 74)],
    },
    {
      what: "what fits into 512 octets without EDNS",
      args: ["+ignore", "+noedns", large],
      prints: [header("qr tc rd ra", 1, 29)],
      printsNot: [noEdns],
    },
    {
      what: "what fits into 512 octets although less were offered",
      args: ["+ignore", "+bufsize=100", large],
      prints: [header("qr tc rd ra", 1, 29)],
    },
  ];

  test.each(rows)("$what", async ({ args, prints, printsNot = [] }) => {
    const text = await dig(args);
    for (const pattern of prints) expect(text).toMatch(pattern);
    for (const pattern of printsNot) expect(text).not.toMatch(pattern);
    expect(text).not.toMatch(/malformed|unexpected|mismatch|extra (?:bytes|input)/i);
  });

  test("many questions on one TCP connection", async () => {
    const names = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? web : `absent${index}.example.test`));
    const connectionsBefore = await metricSum(nodens, "nodens_tcp_connections_accepted_total");
    const text = await dig(["+tcp", "+keepopen", ...names]);
    expect(text.match(/status: NOERROR/g)).toHaveLength(10);
    expect(text.match(/status: NXDOMAIN/g)).toHaveLength(10);
    expect((await metricSum(nodens, "nodens_tcp_connections_accepted_total")) - connectionsBefore).toBe(1);
  });

  test("nothing of a client's EDNS reaches the server outside", async () => {
    outside.forget();
    const options = ["+subnet=192.0.2.0/24", "+cookie", "+nsid", "+ednsopt=100:abcd", "+padding=64", "+bufsize=4000"];
    expect(await dig([...options, "only.asked.here.example.test"])).toMatch(/status: NXDOMAIN/);
    const [sent] = outside.received.map(({ bytes }) => readMessage(bytes));
    expect(sent?.opts).toMatchObject([{ udpSize: 1232, options: [], dnssecOk: false }]);
  });

  async function dig(args: readonly string[]): Promise<string> {
    const common = ["@127.0.0.1", "-p", String(nodens.port), "+time=5", "+tries=1"];
    // dig ends with 9 where no answer came, and says so.
    const { stdout } = await run(findCommand("dig") as string, [...common, ...args]);
    return stdout;
  }
});

describeWith(["kdig"], "kdig", () => {
  const rows: Row[] = [
    { what: "a Service over UDP", args: [web], prints: [/status: NOERROR/, /IN\s+A\s+10\.96\.12\.7\n/, /\(UDP\)/] },
    { what: "a Service over TCP", args: ["+tcp", web], prints: [/IN\s+A\s+10\.96\.12\.7\n/, /\(TCP\)/] },
    { what: "no EDNS where there was none", args: ["+noedns", web], prints: [/NOERROR/], printsNot: [/EDNS PSEUDO/] },
    {
      what: "EDNS with options that are not answered",
      args: ["+edns=0", "+nsid", "+cookie", "+padding=64", "+subnet=192.0.2.0/24", "+dnssec", web],
      prints: [/Version: 0; flags: do; UDP size: 1232 B; ext-rcode: NOERROR\n\n/],
    },
    { what: "EDNS version 1", args: ["+edns=1", web], prints: [/ext-rcode: BADVERS/] },
    { what: "a large answer, again over TCP", args: [large], prints: [/ANSWER: 100;/, /\(TCP\)/] },
    {
      what: "what fits into 512 octets",
      args: ["+ignore", "+noedns", large],
      prints: [/Flags: qr tc rd ra;.*ANSWER: 29;/],
    },
  ];

  test.each(rows)("$what", async ({ args, prints, printsNot = [] }) => {
    const text = await kdig(args);
    for (const pattern of prints) expect(text).toMatch(pattern);
    for (const pattern of printsNot) expect(text).not.toMatch(pattern);
    expect(text).not.toMatch(/WARNING: (?!response truncated|truncated)/i);
  });

  test("many questions on one TCP connection", async () => {
    const names = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? web : `absent${index}.example.test`));
    const connectionsBefore = await metricSum(nodens, "nodens_tcp_connections_accepted_total");
    const text = await kdig(["+tcp", "+keepopen", ...names]);
    expect(text.match(/status: NOERROR/g)).toHaveLength(10);
    expect(text.match(/status: NXDOMAIN/g)).toHaveLength(10);
    expect((await metricSum(nodens, "nodens_tcp_connections_accepted_total")) - connectionsBefore).toBe(1);
  });

  async function kdig(args: readonly string[]): Promise<string> {
    const common = ["@127.0.0.1", "-p", String(nodens.port), "+timeout=5", "+retry=0"];
    const { stdout, stderr } = await run(findCommand("kdig") as string, [...common, ...args]);
    return stdout + stderr;
  }
});

describe("c-ares, as Node has it", () => {
  test("addresses of one family and of the other", async () => {
    const resolver = createResolver();
    expect(await resolver.resolve4(web)).toEqual(["10.96.12.7"]);
    expect(await resolver.resolve6("v6.only.example.test")).toEqual(["fd00::12"]);
  });

  test("no data, and no such name, as different errors", async () => {
    const resolver = createResolver();
    await expect(resolver.resolve6(web)).rejects.toMatchObject({ code: "ENODATA" });
    await expect(resolver.resolve4("absent.example.test")).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  test("a large answer in full, over TCP", async () => {
    expect((await createResolver().resolve4(large)).toSorted()).toEqual(manyAddresses.toSorted());
  });

  function createResolver(): Resolver {
    const resolver = new Resolver({ timeout: 5000, tries: 1 });
    resolver.setServers([`127.0.0.1:${nodens.port}`]);
    return resolver;
  }
});

/** What getaddrinfo must find: addresses, sorted, or the name of an error. */
const lookups: Readonly<Record<string, string>> = {
  web: "10.96.12.7",
  api: "10.96.12.8 fd00:10:96::c08",
  "kubernetes.default": "10.96.0.1",
  "kubernetes.default.svc": "10.96.0.1",
  [web]: "10.96.12.7",
  db: "10.244.1.21 10.244.1.22",
  "example.test": "192.0.2.10 fd00::10",
  "www.example.test": "192.0.2.10 fd00::10",
  "a.b.example.test": "192.0.2.11",
  "v6.only.example.test": "fd00::12",
  "a.b.example.test.": "192.0.2.11",
  absent: "EAI_NONAME",
  "absent.default": "EAI_NONAME",
  "absent.example.test": "EAI_NONAME",
  "text.only.example.test.": "EAI_NODATA or EAI_NONAME",
};

const libraries = [
  { library: "glibc", compiler: "gcc", leastOfLarge: manyAddresses.length },
  // Before 1.2.4 musl never asks over TCP and uses what fits into 512 octets; after that it takes 48 addresses at most.
  { library: "musl", compiler: "musl-gcc", leastOfLarge: 29 },
] as const;

for (const { library, compiler, leastOfLarge } of libraries) {
  describeWith(["root", "unshare", "mount", compiler], `getaddrinfo of ${library}, with a pod's resolv.conf`, () => {
    // resolv.conf knows no ports, so this nodens has port 53 of an address that nobody else uses.
    const address = `127.${64 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;
    let client: CompiledClient;
    let resolvConf: PodResolvConf;
    let served: RunningNodens;

    beforeAll(async () => {
      client = await compileClient("getaddrinfo", compiler);
      resolvConf = writeResolvConf(address, ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
      served = await runNodens({
        settings: { listen: { addresses: [`${address}:53`] }, upstream: { outsideServers: [outside.address] } },
      });
    });
    afterAll(async () => {
      await served?.stop();
      client?.remove();
      resolvConf?.remove();
    });

    test("every name ends with the right answer, after at most two questions for each name that is tried", async () => {
      const names = Object.keys(lookups);
      const asked = await metricSum(served, "coredns_dns_requests_total");
      const found = await lookUp(names);
      expect(found).toEqual(lookups);
      // Three suffixes and the name itself.
      const requests = (await metricSum(served, "coredns_dns_requests_total")) - asked;
      expect(requests).toBeGreaterThanOrEqual(names.length * 2);
      expect(requests).toBeLessThanOrEqual(names.length * 4 * 2);
    });

    test("a second look finds the same, in the cache", async () => {
      const names = ["web", "kubernetes.default", "www.example.test"];
      const first = await lookUp(names);
      outside.forget();
      expect(await lookUp(names)).toEqual(first);
      expect(outside.received).toEqual([]);
    });

    test(`of a large answer ${leastOfLarge} addresses at least, and all of them right`, async () => {
      const addresses = (await lookUp([large]))[large]?.split(" ") ?? [];
      expect(addresses.length).toBeGreaterThanOrEqual(leastOfLarge);
      expect(addresses.filter((one) => !manyAddresses.includes(one))).toEqual([]);
      expect(new Set(addresses).size).toBe(addresses.length);
    });

    /** Runs the client in a mount namespace of its own, where our resolv.conf stands in the place of the machine's. */
    async function lookUp(names: readonly string[]): Promise<Record<string, string>> {
      const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
      const command = [resolvConf.path, client.path, ...names];
      const { stdout } = await run(findCommand("unshare") as string, ["--mount", "sh", "-c", script, ...command]);
      return Object.fromEntries(stdout.trimEnd().split("\n").map(readLine));
    }
  });
}

/** A line of the client: the name, and its addresses, sorted, or its error. */
function readLine(line: string): [string, string] {
  const [name = "", outcome, ...rest] = line.split(" ");
  if (outcome === "ok") return [name, rest.toSorted().join(" ")];
  const error = rest.join(" ");
  // For a name without addresses glibc and musl from 1.2.4 on say the one, older musl the other.
  const isWithoutAddress = name.startsWith("text.only") && /^EAI_NO(?:DATA|NAME)$/.test(error);
  return [name, isWithoutAddress ? "EAI_NODATA or EAI_NONAME" : error];
}
