/*
 * The search rules of the real program in front of the embedded cluster DNS, which runs in the test process and counts what it
 * is asked.
 */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ClusterZone } from "../../src/cluster-dns/cluster-zone.ts";
import { a, aaaa, type ReadMessage, replyTo, Type } from "../support/messages/messages.ts";
import { metricSum } from "../support/program/metric-sums.ts";
import { type RunningNodens, runNodens } from "../support/program/run-nodens.ts";
import { startScriptedUpstream, until } from "../support/servers/scripted-upstream.ts";
import {
  type CountedClusterDns,
  podSearchList,
  searchZone,
  startCountedClusterDns,
} from "../support/servers/search-zone.ts";
import { openStubResolver, type StubResolver } from "../support/servers/stub-resolver.ts";

const nxdomain = 3;
/** What is under way upstream when a client has its answer is over by then. */
const settleMs = 60;

interface Setup {
  readonly cluster: CountedClusterDns;
  readonly nodens: RunningNodens;
  readonly client: StubResolver;
}

/** A cold nodens in front of a cluster DNS, and a client. All of it ends with the test. */
async function setUp(
  search: Record<string, unknown> = {},
  { cache = {}, cluster }: { cache?: Record<string, unknown>; cluster?: CountedClusterDns } = {},
): Promise<Setup> {
  const upstream = cluster ?? (await startCountedClusterDns());
  onTestFinished(() => upstream.dns.close());
  const nodens = await runNodens({
    settings: { upstream: { servers: [upstream.address] }, search, cache },
    hasMovableClock: true,
  });
  onTestFinished(async () => void (await nodens.stop()));
  const client = await openClient(nodens.port);
  return { cluster: upstream, nodens, client };
}

async function openClient(port: number): Promise<StubResolver> {
  const client = await openStubResolver(port);
  onTestFinished(() => client.close());
  return client;
}

/** How many questions reach the cluster DNS while `action` runs. */
async function countAsked(cluster: CountedClusterDns, action: () => Promise<unknown>): Promise<number> {
  cluster.asked.length = 0;
  await action();
  await delay(settleMs);
  return cluster.asked.length;
}

describe("questions upstream for one lookup, with three suffixes", () => {
  test.each([
    { name: "baidu.com", next: "example.com", outcome: "found", straight: 8, first: 4, afterwards: 2 },
    { name: "www.baidu.com", next: "www.example.com", outcome: "found", straight: 8, first: 3, afterwards: 2 },
    { name: "a.b.example.com", next: "c.d.example.com", outcome: "found", straight: 8, first: 2, afterwards: 2 },
    { name: "nope.com", next: "nor.com", outcome: "noName", straight: 8, first: 4, afterwards: 2 },
    { name: "web", next: "web", outcome: "found", straight: 2, first: 2, afterwards: 0 },
    // Service names with a namespace, and with more.
    { name: "api.ns2", next: "api.ns2", outcome: "found", straight: 4, first: 3, afterwards: 0 },
    { name: "api.ns2.svc", next: "api.ns2.svc", outcome: "found", straight: 6, first: 3, afterwards: 0 },
  ])("$name: $straight straight, $first at first, $afterwards for $next", async (row) => {
    const { cluster, client } = await setUp();
    const straightClient = await openClient(cluster.dns.address.port);
    const lookUp = (by: StubResolver, name: string) => async () => {
      expect((await by.lookUp(name, podSearchList)).outcome).toBe(row.outcome);
    };
    expect(await countAsked(cluster, lookUp(straightClient, row.name))).toBe(row.straight);
    expect(await countAsked(cluster, lookUp(client, row.name))).toBeLessThanOrEqual(row.first);
    expect(await countAsked(cluster, lookUp(client, row.next))).toBeLessThanOrEqual(row.afterwards);
    // The very same name again, while its own answer lives.
    expect(await countAsked(cluster, lookUp(client, row.name))).toBe(0);
  });

  test("and with two further suffixes that only rule 1 knows: one each, and none while that denial lives", async () => {
    const suffixes = ["ec2.internal", "corp.example"];
    const searchList = [...podSearchList, ...suffixes];
    const { cluster, client } = await setUp({ suffixes });
    const lookUp = (name: string) => async () => void (await client.lookUp(name, searchList));
    expect(await countAsked(cluster, lookUp("baidu.com"))).toBeLessThanOrEqual(6);
    expect(await countAsked(cluster, lookUp("example.com"))).toBeLessThanOrEqual(4);
    expect(await countAsked(cluster, lookUp("baidu.com"))).toBe(0);
  });

  test("a Service in a namespace whose name is a top-level domain costs one more, once", async () => {
    const { cluster, client } = await setUp();
    const searchList = ["dev.svc.cluster.local", ...podSearchList.slice(1)];
    const lookUp = async () => expect((await client.lookUp("com", searchList)).addresses).toEqual(["10.96.1.7"]);
    expect(await countAsked(cluster, lookUp)).toBeLessThanOrEqual(3);
    const other = async () => expect((await client.lookUp("www.com", searchList)).addresses).toEqual(["10.244.2.7"]);
    expect(await countAsked(cluster, other)).toBeLessThanOrEqual(2);
  });

  test("the IPv6 that a Service does not have is no dearer than any denial", async () => {
    const { cluster, client } = await setUp();
    await client.lookUp("web", podSearchList);
    const again = await countAsked(cluster, async () => {
      for (let lookup = 0; lookup < 20; lookup += 1) {
        const [v4, v6] = await client.askBoth("web.default.svc.cluster.local");
        expect([v4.rcode, v6.rcode, v4.answers.length, v6.answers.length]).toEqual([0, 0, 1, 0]);
        expect(v6.authorities).toMatchObject([{ type: Type.SOA, name: "cluster.local" }]);
      }
    });
    expect(again).toBe(0);
  });
});

describe("a thousand clients at once", () => {
  test("cause one question for each type of a cold name", async () => {
    const name = "cold.example.com";
    const upstream = await startScriptedUpstream(async ({ bytes, type }) => {
      // Long enough for all of them to be waiting.
      await delay(250);
      return replyTo(bytes, { answers: [type === Type.A ? a(name, "192.0.2.9") : aaaa(name, 9)] });
    });
    onTestFinished(() => upstream.close());
    const settings = { upstream: { servers: [upstream.address], udp: { retransmitMs: 2000 } } };
    const nodens = await runNodens({ settings });
    onTestFinished(async () => void (await nodens.stop()));
    // Twenty pods with fifty processes each.
    const pods = await Promise.all(
      Array.from({ length: 20 }, (_, pod) => openStubResolver(nodens.port, { localAddress: `127.0.1.${pod + 1}` })),
    );
    onTestFinished(() => pods.forEach((pod) => pod.close()));
    const pairs = await Promise.all(
      pods.flatMap((pod, index) =>
        Array.from({ length: 50 }, async () => {
          await delay(index * 4);
          return pod.askBoth(name);
        }),
      ),
    );
    expect(pairs).toHaveLength(1000);
    expect(pairs.every(([v4, v6]) => v4.answers.length === 1 && v6.answers.length === 1)).toBe(true);
    expect(upstream.received.map(({ type }) => type).toSorted((left, right) => left - right)).toEqual([
      Type.A,
      Type.AAAA,
    ]);
    expect(await metricSum(nodens, "nodens_coalesced_total")).toBeGreaterThan(1000);
  });
});

describe("what is created after it was denied", () => {
  test("a Service is visible within five seconds, and so is one in a new namespace", async () => {
    const { cluster, client, nodens } = await setUp();
    const names = ["late.default.svc.cluster.local", "late.ns3.svc.cluster.local", "late-0.late.ns3.svc.cluster.local"];
    await client.ask("ns3.svc.cluster.local", Type.A);
    for (const name of names) expect((await client.askBoth(name))[0].rcode, name).toBe(nxdomain);
    const service = { clusterIPs: ["10.96.0.70"], endpoints: [{ ip: "10.244.0.70", hostname: "late-0" }] };
    cluster.zone.addService("default", "late", service);
    cluster.zone.addService("ns3", "late", service);
    // Its own denial and its parent's are equally old.
    await nodens.moveClock({ monotonicMs: 5000 });
    for (const name of names) expect((await client.ask(name, Type.A)).rcode, name).toBe(0);
  });
});

describe("everything that exists is found with the rules on", () => {
  const names = [
    // Other namespaces, among them one that is named like a top-level domain.
    "api.ns2.svc",
    "com.dev.svc",
    "www.com.dev.svc",
    "dev.svc",
    "empty.svc",
    "kube-dns.kube-system.svc",
    // Endpoints of headless and other Services.
    "db.default.svc",
    "db-0.db.default.svc",
    "db-2.db.default.svc",
    "10-244-3-7.cache.ns2.svc",
    "fd00-10-244--1f.cache.ns2.svc",
    "10-244-0-7.web.default.svc",
    "starting.default.svc",
    // Ports.
    "_http._tcp.web.default.svc",
    "http.tcp.web.default.svc",
    "_postgres._tcp.db.default.svc",
    "_dns._udp.api.ns2.svc",
    "_tcp.web.default.svc",
    "_http._tcp.absent.default.svc",
    // ExternalNames, and names below them.
    "partner.default.svc",
    "www.partner.default.svc",
    "inner.default.svc",
    "x.inner.default.svc",
    // Pods.
    "1-2-3-4.default.pod",
    "fd00--1.default.pod",
    "a.b.10-244-3-7.ns2.pod",
    "1-2-3-4.absent.pod",
    "no-address.default.pod",
    // The zone's own.
    "dns-version",
    "ns.dns",
    "dns",
    "svc",
    "pod",
    "dual.default.svc",
    "six.default.svc",
    // Absent ones.
    "absent.default.svc",
    "baidu.com.default.svc",
    "baidu.com.svc",
    "baidu.com",
    "www.baidu.com.default.svc",
  ].map((name) => `${name}.cluster.local`);
  const types = [Type.A, Type.AAAA, Type.TXT, Type.SRV, Type.HTTPS, Type.SOA];

  test("as without nodens: the same codes and the same records, first and again, in any order", async () => {
    const { cluster, client, nodens } = await setUp();
    const straight = await openClient(cluster.dns.address.port);
    const questions = names.flatMap((name) => types.map((type) => ({ name, type })));
    for (const order of [questions, questions.toReversed(), questions]) {
      for (const { name, type } of order) {
        const [expected, got] = await Promise.all([straight.ask(name, type), client.ask(name, type)]);
        expect(contentOf(got), `${name} type ${type}`).toEqual(contentOf(expected));
      }
    }
    expect(await metricSum(nodens, "nodens_short_circuit_total", /rule="schema"/)).toBeGreaterThan(0);
    expect(await metricSum(nodens, "nodens_short_circuit_total", /rule="learned"/)).toBeGreaterThan(0);
    expect(await metricSum(nodens, "nodens_rule_disagreements_total")).toBe(0);
  });

  /** What must be the same. A denial has an SOA, whose TTL and serial are not compared. */
  function contentOf({ rcode, answers, authorities }: ReadMessage) {
    const records = answers.map(({ name, type, data }) => `${name} ${type} ${Buffer.from(data).toString("hex")}`);
    return { rcode, records: records.toSorted(), soa: authorities.map(({ name, type }) => `${name} ${type}`) };
  }

  test("a denial carries the zone's SOA, with a TTL that clients may keep it for", async () => {
    const { client } = await setUp();
    for (const name of [
      "baidu.com.cluster.local",
      "baidu.com.svc.cluster.local",
      "www.baidu.com.default.svc.cluster.local",
    ]) {
      for (const reply of await client.askBoth(name)) {
        expect(reply.rcode).toBe(nxdomain);
        const [soa] = reply.authorities;
        expect(soa).toMatchObject({ name: "cluster.local", type: Type.SOA });
        expect(soa?.ttl).toBeGreaterThan(0);
        expect(soa?.ttl).toBeLessThanOrEqual(5);
      }
    }
  });
});

describe("the self-check", () => {
  const forbidden = "registry.example.com.cluster.local";

  /** As a `hosts` line in the cluster's DNS: a name that the schema has no place for, with an IPv4 address. */
  function withHostsLine(zone: ClusterZone): ClusterZone {
    const answer: ClusterZone["answer"] = (question) => {
      if (question.name.toLowerCase() !== forbidden) return zone.answer(question);
      const behind = zone.answer({ ...question, name: "web.default.svc.cluster.local" });
      return behind && { ...behind, answers: behind.answers.map((record) => ({ ...record, name: question.name })) };
    };
    return Object.assign(Object.create(zone) as ClusterZone, { answer });
  }

  test("finds a name that the schema forbids: the rule is off, in one log line and in the metrics", async () => {
    const cluster = await startCountedClusterDns(searchZone, withHostsLine);
    const { client, nodens } = await setUp({ checkOneIn: 1 }, { cluster });
    expect(await ruleOn(nodens)).toEqual({ schema: 1, learned: 1 });
    await client.ask(forbidden, Type.A);
    await until("the name is found", async () => (await client.ask(forbidden, Type.A)).answers.length === 1);
    const [v4, v6] = await client.askBoth(forbidden);
    expect([v4.rcode, v6.rcode]).toEqual([0, 0]);
    // Names that are absent are asked for from now on.
    expect(await countAsked(cluster, () => client.ask("other.com.cluster.local", Type.A))).toBe(1);
    expect(await ruleOn(nodens)).toEqual({ schema: 0, learned: 1 });
    expect(await metricSum(nodens, "nodens_rule_disagreements_total", /rule="schema"/)).toBeGreaterThanOrEqual(1);
    const lines = nodens.logs().filter(({ rule }) => rule === "schema");
    expect(lines).toHaveLength(1);
    expect(String(lines[0]?.["name"])).toContain(forbidden);
  });

  test("has nothing to do where the name is exempted", async () => {
    const cluster = await startCountedClusterDns(searchZone, withHostsLine);
    const { client, nodens } = await setUp({ checkOneIn: 1, exemptions: [forbidden] }, { cluster });
    expect((await client.ask(forbidden, Type.A)).answers).toHaveLength(1);
    expect((await client.ask("other.com.cluster.local", Type.A)).rcode).toBe(nxdomain);
    await delay(settleMs);
    expect(await ruleOn(nodens)).toEqual({ schema: 1, learned: 1 });
  });

  async function ruleOn(nodens: RunningNodens) {
    return {
      schema: await metricSum(nodens, "nodens_rule_on", /rule="schema"/),
      learned: await metricSum(nodens, "nodens_rule_on", /rule="learned"/),
    };
  }
});

describe("an upstream that shows no schema version, as the older kube-dns", () => {
  test("is asked for every name, also below a namespace that it denies though it exists", async () => {
    const cluster = await startCountedClusterDns(searchZone, (zone) => {
      const answer: ClusterZone["answer"] = (question) => {
        const name = question.name.toLowerCase();
        const isDenied = name === "dns-version.cluster.local" || /^[^.]+\.svc\.cluster\.local$/.test(name);
        return zone.answer(isDenied ? { ...question, name: "absent.cluster.local" } : question);
      };
      return Object.assign(Object.create(zone) as ClusterZone, { answer });
    });
    const { client, nodens } = await setUp({}, { cluster });
    expect((await client.ask("default.svc.cluster.local", Type.A)).rcode).toBe(nxdomain);
    expect((await client.ask("web.default.svc.cluster.local", Type.A)).answers).toHaveLength(1);
    expect(await countAsked(cluster, () => client.askBoth("baidu.com.cluster.local"))).toBe(2);
    // That a Service has no IPv6 address is not a denial of its name: from then on a denial holds for both types.
    expect((await client.ask("web.default.svc.cluster.local", Type.AAAA)).rcode).toBe(0);
    expect(await countAsked(cluster, () => client.askBoth("example.com.cluster.local"))).toBe(1);
    expect(await metricSum(nodens, "nodens_short_circuit_total", /rule="(?:schema|learned)"/)).toBe(0);
  });
});

describe("Services and namespaces that come and go", () => {
  const seed = Number(process.env["SEED"] ?? Date.now() & 0xffff);
  const denialSeconds = 2;
  const rounds = 600;
  /**
   * Between a change in the cluster and nodens having heard of it from a reply that was on its way: longer on a busy machine, for which
   * the slowest reply of the test speaks.
   */
  const latencyMs = () => 700 + 3 * slowestReplyMs;
  let slowestReplyMs = 0;
  const namespaces = ["default", "com", "dev", "ns2"];
  const services = ["web", "com", "db"];
  const asked = namespaces.flatMap((namespace) => [
    `${namespace}.svc`,
    ...services.flatMap((service) => [
      `${service}.${namespace}.svc`,
      `db-0.${service}.${namespace}.svc`,
      `10-244-0-9.${service}.${namespace}.svc`,
      `http.tcp.${service}.${namespace}.svc`,
      `baidu.${service}.${namespace}.svc`,
    ]),
  ]).map((name) => `${name}.cluster.local`); // prettier-ignore

  test(`none is denied for longer than a denial may live (SEED=${seed})`, { timeout: 60_000 }, async () => {
    let movedMs = 0;
    const nowMs = () => performance.now() + movedMs;
    const random = createRandom(seed);
    const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
    const cluster = await startCountedClusterDns({ zone: "cluster.local", ttl: 3, namespaces: { default: {} } });
    const { client, nodens } = await setUp(
      { checkOneIn: 0 },
      { cluster, cache: { maxClusterDenialTtlSeconds: denialSeconds } },
    );
    /** Since when each name has existed without a break, or Infinity. */
    const existsSinceMs = new Map(asked.map((name) => [name, Infinity]));
    const vanishedAtMs = new Map(asked.map((name) => [name, -Infinity]));
    const problems: string[] = [];
    let denials = 0;
    let found = 0;

    function noteChange(): void {
      for (const name of asked) {
        const exists = cluster.zone.answer({ name, type: Type.A })?.rcode !== nxdomain;
        const since = existsSinceMs.get(name) as number;
        if (exists && since === Infinity) existsSinceMs.set(name, nowMs());
        if (!exists && since !== Infinity) {
          existsSinceMs.set(name, Infinity);
          vanishedAtMs.set(name, nowMs());
        }
      }
    }

    function change(): void {
      const namespace = pick(namespaces);
      const service = pick(services);
      const endpoints = [{ ip: "10.244.0.9" }, { ip: "10.244.0.10", hostname: "db-0" }];
      const ports = [{ name: "http", port: 80 }];
      const actions = [
        () => cluster.zone.addService(namespace, service, { clusterIPs: ["10.96.0.7"], ports, endpoints }),
        () => cluster.zone.addService(namespace, service, { ports, endpoints }),
        () =>
          cluster.zone.addService(namespace, service, {
            endpoints: endpoints.map((one) => ({ ...one, ready: false })),
          }),
        () => cluster.zone.removeService(namespace, service),
        () => cluster.zone.removeNamespace(namespace),
        () => cluster.zone.addNamespace(namespace),
      ];
      pick(actions)();
      noteChange();
    }

    async function askOne(name: string): Promise<void> {
      const sentAtMs = nowMs();
      const since = existsSinceMs.get(name) as number;
      const pair = await Promise.all([client.ask(name, Type.A), client.ask(name, Type.AAAA)]);
      slowestReplyMs = Math.max(slowestReplyMs, nowMs() - sentAtMs);
      const codes = pair.map(({ rcode }) => rcode);
      const ageMs = sentAtMs - since;
      for (const { rcode, authorities } of pair) {
        if (rcode !== nxdomain) {
          found += 1;
          continue;
        }
        denials += 1;
        const ttl = authorities[0]?.ttl ?? 0;
        if (ttl > denialSeconds) problems.push(`${name} is denied for ${ttl} s`);
        // The name as it is now, if it was there before the question and is still: what vanished meanwhile may be denied.
        if (existsSinceMs.get(name) !== since || since === Infinity) continue;
        if (ageMs > denialSeconds * 1000 + latencyMs())
          problems.push(`${name} is denied ${ageMs} ms after it was created`);
        // TTLs are whole seconds, and what is left of one is rounded up for stored denials.
        const untilMs = ageMs + ttl * 1000;
        if (untilMs > (denialSeconds + 1) * 1000 + latencyMs()) problems.push(`${name} is denied until ${untilMs} ms`);
      }
      const vanishedMs = nowMs() - (vanishedAtMs.get(name) as number);
      const isSettled = ageMs > denialSeconds * 1000 + latencyMs() || (since === Infinity && vanishedMs > 5000);
      if (isSettled && codes[0] !== codes[1] && existsSinceMs.get(name) === since)
        problems.push(`${name}: A and AAAA contradict each other`);
    }

    for (let round = 0; round < rounds; round += 1) {
      if (random(4) === 0) change();
      await Promise.all([askOne(pick(asked)), askOne(pick(asked)), askOne(pick(asked))]);
      const passedMs = random(40);
      movedMs += passedMs;
      await nodens.moveClock({ monotonicMs: passedMs });
    }
    expect(problems).toEqual([]);
    // The test has seen what it is about.
    expect(denials).toBeGreaterThan(100);
    expect(found).toBeGreaterThan(100);
    expect(await metricSum(nodens, "nodens_short_circuit_total", /rule="learned"/)).toBeGreaterThan(10);
  });
});

/** A pseudo-random generator (mulberry32): whole numbers from 0 up to, not including, a limit. */
function createRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}
