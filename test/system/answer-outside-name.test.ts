/*
 * `search.answerOutsideName` in the real program: the first suffix query of an outside name is answered with that name, in front of
 * the embedded cluster DNS, which runs in the test process and counts what it is asked.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ClusterZone } from "../../src/cluster-dns/cluster-zone.ts";
import type { ZoneDefinition } from "../../src/cluster-dns/zone-file.ts";
import { nameBytes, type ReadMessage, Type } from "../support/messages/messages.ts";
import { ask } from "../support/program/nodens-and-upstream.ts";
import { metricSum } from "../support/program/metric-sums.ts";
import { describeWith, findCommand } from "../support/program/requirements.ts";
import { projectFolder, type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
import { until } from "../support/servers/scripted-upstream.ts";
import {
  type CountedClusterDns,
  podSearchList,
  searchZone,
  startCountedClusterDns,
} from "../support/servers/search-zone.ts";
import { openStubResolver, type StubResolver } from "../support/servers/stub-resolver.ts";

const run = promisify(execFile);
const noError = 0;
const nxdomain = 3;
const settleMs = 60;

const world: ZoneDefinition = {
  ...searchZone,
  outside: { ttl: 300, names: { ...searchZone.outside?.names, "www.com": { A: ["192.0.2.66"] }, "empty.com": {} } },
};

interface Setup {
  readonly cluster: CountedClusterDns;
  readonly nodens: RunningNodens;
  readonly client: StubResolver;
}

interface SetupOptions {
  readonly search?: Record<string, unknown>;
  readonly cache?: Record<string, unknown>;
  readonly listen?: Record<string, unknown>;
  readonly wrap?: (zone: ClusterZone) => ClusterZone;
}

/** A cold nodens with the setting on, unless `search` says otherwise, and a client. All of it ends with the test. */
async function setUp({ search = {}, cache = {}, listen = {}, wrap }: SetupOptions = {}): Promise<Setup> {
  const cluster = await startCountedClusterDns(world, wrap);
  onTestFinished(() => cluster.dns.close());
  const settings = {
    listen,
    cache,
    search: { answerOutsideName: true, ...search },
    upstream: { servers: [cluster.address] },
  };
  const nodens = await runNodens({ settings });
  onTestFinished(async () => void (await nodens.stop()));
  const client = await openStubResolver(nodens.port);
  onTestFinished(() => client.close());
  return { cluster, nodens, client };
}

/** What a first lookup teaches nodens: neither a namespace nor a Service in `default` is named "com". */
async function teach({ client }: Setup, searchList: readonly string[] = podSearchList): Promise<void> {
  expect(await client.lookUp("example.com", searchList)).toMatchObject({
    outcome: "found",
    queries: 2 * (searchList.length + 1),
  });
}

function suffixed(name: string): string {
  return `${name}.${podSearchList[0]}`;
}

/** Owner, type and data of each answer, without their TTLs. */
function answersOf({ answers }: ReadMessage): string[] {
  return answers.map(({ name, type, data }) => `${name} ${type} ${Buffer.from(data).toString("hex")}`);
}

function hexName(name: string): string {
  return Buffer.from(nameBytes(name)).toString("hex");
}

describe("once all suffixes are known to be absent", () => {
  test("a client that stops at the first answer has the right addresses after one round trip", async () => {
    const setup = await setUp();
    const { client, cluster, nodens } = setup;
    await teach(setup);
    cluster.asked.length = 0;
    expect(await client.lookUp("www.example.com", podSearchList)).toEqual({
      addresses: ["192.0.2.10", "20010db8000000000000000000000010"],
      outcome: "found",
      tried: [suffixed("www.example.com")],
      queries: 2,
    });
    await delay(settleMs);
    expect(cluster.asked.toSorted()).toEqual(["www.example.com 1", "www.example.com 28"]);
    expect(await metricSum(nodens, "nodens_outside_answers_total")).toBe(2);
    // The name itself, asked by somebody with ndots:1, is not touched.
    const [{ answers }] = await client.askBoth("www.example.com");
    expect(answers).toMatchObject([
      { name: "www.example.com", type: Type.CNAME },
      { name: "example.com", type: Type.A },
    ]);
  });

  test.each(["udp", "tcp"] as const)("a reply over %s is the CNAME, then the name's own records", async (transport) => {
    const setup = await setUp();
    await teach(setup);
    const name = "wWw.ExAmple.com.default.svc.cluster.local";
    for (const [type, data] of [
      [Type.A, "c000020a"],
      [Type.AAAA, "20010db8000000000000000000000010"],
    ] as const) {
      const reply = await ask(transport, setup.nodens.port, name, type, { opt: {} });
      expect(reply.questions).toEqual([{ name, type, class: 1 }]);
      expect([reply.rcode, reply.opts.length]).toEqual([noError, 1]);
      expect(answersOf(reply)).toEqual([
        `${suffixed("www.example.com")} ${Type.CNAME} ${hexName("www.example.com")}`,
        `www.example.com ${Type.CNAME} ${hexName("example.com")}`,
        `example.com ${type} ${data}`,
      ]);
      expect(reply.answers[0]?.ttl).toBeLessThanOrEqual(5);
      expect(reply.answers[0]?.ttl).toBeGreaterThan(0);
    }
  });

  test("a type that the outside name does not have is NODATA behind the CNAME, not NXDOMAIN", async () => {
    const setup = await setUp();
    await teach(setup);
    const [v4, v6] = await setup.client.askBoth(suffixed("baidu.com"));
    const alias = `${suffixed("baidu.com")} ${Type.CNAME} ${hexName("baidu.com")}`;
    expect([v4.rcode, v6.rcode]).toEqual([noError, noError]);
    expect(answersOf(v4)).toEqual([alias, `baidu.com ${Type.A} c0000214`]);
    expect(answersOf(v6)).toEqual([alias]);
    expect(v6.authorities).toMatchObject([{ type: Type.SOA }]);
  });
});

describe("is denied as ever", () => {
  test("while a suffix is not known to be absent: until each has been tried", async () => {
    const searchList = [...podSearchList, "corp.example"];
    const setup = await setUp({ search: { suffixes: ["corp.example"] } });
    await teach(setup, searchList);
    const pair = await setup.client.askBoth(suffixed("www.example.com"));
    expect(pair.map(({ rcode }) => rcode)).toEqual([nxdomain, nxdomain]);
    expect(await setup.client.lookUp("www.example.com", searchList)).toMatchObject({ outcome: "found", queries: 10 });
    expect(await setup.client.lookUp("www.example.com", searchList)).toMatchObject({ outcome: "found", queries: 2 });
  });

  /** The outside name "half.com" has an IPv4 address, and is denied or a failure for IPv6. */
  function withHalfName(rcode: number) {
    return (zone: ClusterZone): ClusterZone => {
      const answer: ClusterZone["answer"] = (question) => {
        if (question.name.toLowerCase() !== "half.com") return zone.answer(question);
        const isAddress = question.type === Type.A;
        const behind = zone.answer({
          ...question,
          name: isAddress ? "web.default.svc.cluster.local" : "absent.cluster.local",
        });
        if (behind === undefined || !isAddress) return behind && { ...behind, rcode };
        return { ...behind, answers: behind.answers.map((record) => ({ ...record, name: question.name })) };
      };
      return Object.assign(Object.create(zone) as ClusterZone, { answer });
    };
  }

  test.each([
    ["is absent", "nope.com", nxdomain],
    ["has no address", "empty.com", nxdomain],
    ["is denied for one type", "half.com", nxdomain],
    ["fails for one type", "half.com", 2],
  ])("when the outside name %s", async (_, name, rcode) => {
    const setup = await setUp({ wrap: withHalfName(rcode) });
    await teach(setup);
    const codes = (await setup.client.askBoth(suffixed(name))).map((reply) => reply.rcode);
    expect(codes).toEqual([nxdomain, nxdomain]);
    expect(await metricSum(setup.nodens, "nodens_outside_answers_total")).toBe(0);
  });

  test("for a client that asks for signatures, and for everybody where it is off, as it is by default", async () => {
    const on = await setUp();
    await teach(on);
    const more = { opt: { dnssecOk: true } };
    // DO has denials of its own: they are learned first.
    for (const suffix of podSearchList) await ask("udp", on.nodens.port, `example.com.${suffix}`, Type.A, more);
    const signed = await ask("udp", on.nodens.port, suffixed("www.example.com"), Type.A, more);
    expect([signed.rcode, signed.answers]).toEqual([nxdomain, []]);

    const off = await setUp({ search: { answerOutsideName: undefined } });
    await teach(off);
    expect(await off.client.lookUp("www.example.com", podSearchList)).toMatchObject({ outcome: "found", queries: 8 });
  });
});

describe("a Service", () => {
  test("that exists is never replaced by the outside name that it looks like", async () => {
    const setup = await setUp();
    await teach(setup);
    const searchList = ["dev.svc.cluster.local", ...podSearchList.slice(1)];
    // Two rounds: cold, and with everything known.
    for (let round = 0; round < 2; round += 1) {
      expect((await setup.client.lookUp("www.com", searchList)).addresses).toEqual(["10.244.2.7"]);
    }
    // In a namespace without it the very same name is the outside one.
    await setup.client.lookUp("www.com", podSearchList);
    expect(await setup.client.lookUp("www.com", podSearchList)).toMatchObject({
      addresses: ["192.0.2.66"],
      queries: 2,
    });
  });

  test("that is created takes the outside name's place within the life of the denials", async () => {
    const denialSeconds = 2;
    const setup = await setUp({ cache: { maxClusterDenialTtlSeconds: denialSeconds } });
    await teach(setup);
    const look = async () => (await setup.client.lookUp("www.com", podSearchList)).addresses;
    expect(await look()).toEqual(["192.0.2.66"]);
    setup.cluster.zone.addService("default", "com", { endpoints: [{ ip: "10.244.0.99", hostname: "www" }] });
    const createdAtMs = performance.now();
    await until("the Service is found", async () => (await look())[0] === "10.244.0.99");
    expect(performance.now() - createdAtMs).toBeLessThan(denialSeconds * 1000 + 1000);
  });
});

/** What real clients find; the same with the setting and without it. */
const lookups: Readonly<Record<string, string>> = {
  "example.com": "ok 192.0.2.10 2001:db8::10",
  "www.example.com": "ok 192.0.2.10 2001:db8::10",
  "baidu.com": "ok 192.0.2.20",
  "www.baidu.com": "ok 192.0.2.20",
  "c.d.example.com": "ok 192.0.2.12",
  web: "ok 10.96.0.7",
  "api.ns2": "ok 10.96.2.7",
  "nope.com": "error EAI_NONAME",
};

for (const [library, compiler] of [
  ["glibc", "gcc"],
  ["musl", "musl-gcc"],
] as const) {
  // prettier-ignore
  describeWith(["root", "unshare", "mount", compiler], `getaddrinfo of ${library}, with a pod's resolv.conf`, () => {
    test.each([
      { answerOutsideName: true, mostRequests: 6 * 2 + 2 * 8 },
      { answerOutsideName: false, mostRequests: 8 * 8 },
    ])("finds the same with $answerOutsideName", async ({ answerOutsideName, mostRequests }) => {
      // resolv.conf knows no ports, so this nodens has port 53 of an address that nobody else uses.
      const address = `127.${128 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;
      const { nodens } = await setUp({ listen: { addresses: [`${address}:53`] }, search: { answerOutsideName } });
      const folder = mkdtempSync(join(tmpdir(), "nodens-outside-name-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const source = join(projectFolder, "test", "fixtures", "clients", "getaddrinfo.c");
      await run(findCommand(compiler) as string, ["-o", join(folder, "client"), source]);
      const search = podSearchList.join(" ");
      writeFileSync(
        join(folder, "resolv.conf"),
        `nameserver ${address}\nsearch ${search}\noptions ndots:5 timeout:2\n`,
      );

      async function lookUp(names: readonly string[]): Promise<Record<string, string>> {
        const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
        const command = [join(folder, "resolv.conf"), join(folder, "client"), ...names];
        const { stdout } = await run(findCommand("unshare") as string, ["--mount", "sh", "-c", script, ...command]);
        return Object.fromEntries(stdout.trimEnd().split("\n").map(readLine));
      }

      const names = Object.keys(lookups);
      expect(await lookUp(names)).toEqual(lookups);
      const asked = await metricSum(nodens, "coredns_dns_requests_total");
      expect(await lookUp(names)).toEqual(lookups);
      const requests = (await metricSum(nodens, "coredns_dns_requests_total")) - asked;
      expect(requests).toBeLessThanOrEqual(mostRequests);
      const outsideAnswers = await metricSum(nodens, "nodens_outside_answers_total");
      if (answerOutsideName) expect(outsideAnswers).toBeGreaterThanOrEqual(10);
      else expect(outsideAnswers).toBe(0);
    });
  });
}

/** A line of the client: the name, then what came of it, addresses sorted. */
function readLine(line: string): [string, string] {
  const [name = "", outcome = "", ...rest] = line.split(" ");
  return [name, [outcome, ...rest.toSorted()].join(" ")];
}
