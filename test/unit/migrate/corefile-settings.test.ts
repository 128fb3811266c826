/*
 * What each line of a Corefile becomes.
 */
import { describe, expect, test } from "vitest";
import { fixture, load, podEnvironment, run, settingsOf } from "../commands/run-migrate.ts";

const cluster = "cluster.local {\n forward . 10.96.0.10\n}\n";
const server = (host: string, port = 53) => ({ host, port });

/** The errors about a block of the cluster's names with these lines. */
function errorsOf(...lines: string[]): readonly string[] {
  return run(`cluster.local {\n${lines.join("\n")}\n forward . 10.96.0.10\n}\n`).errors;
}

/** The settings of such a block. */
function settingsWith(...lines: string[]) {
  return settingsOf(`cluster.local {\n${lines.join("\n")}\n forward . 10.96.0.10\n}\n`);
}

describe("the cluster's zone", () => {
  test.each([
    [
      "is cluster.local where there is such a block",
      `a.example {\n forward . 192.0.2.1\n}\n${cluster}`,
      "cluster.local",
    ],
    [
      "is asked where its addresses are looked up",
      "k8s.test in-addr.arpa {\n forward . 10.3.0.10\n}\na.example {\n forward . 192.0.2.1\n}",
      "k8s.test",
    ],
    [
      "is asked of the kube-dns Service",
      "k8s.test {\n forward . __PILLAR__CLUSTER__DNS__\n}\na.example {\n forward . 192.0.2.1\n}",
      "k8s.test",
    ],
    ["may be a variable", "{$ZONE} in-addr.arpa {\n forward . 10.3.0.10\n}", "k8s.test"],
  ])("%s", (_what, text, domain) => {
    expect(settingsOf(text).cluster.domain).toBe(domain);
    expect(run(text).errors.join("\n")).not.toContain("cannot be told");
  });

  test("is not guessed: a company's zone with servers of its own stays a stub domain", () => {
    const { code, output, errors } = run(
      ". {\n forward . /etc/resolv.conf\n}\ncorp.example {\n forward . 192.0.2.1\n}",
    );
    expect(code).toBe(65);
    expect(errors).toContainEqual(expect.stringMatching(/^F:4: zone: LOST: .* set cluster\.domain$/));
    const {
      cluster: { domain },
      upstream,
    } = load(output);
    expect(domain).toBe("cluster.local");
    expect(upstream).toMatchObject({
      servers: [server("10.96.0.10")],
      stubDomains: { "corp.example": [server("192.0.2.1")] },
    });
  });
});

describe("forward", () => {
  test("of a single block for all names is for the cluster's and outside names alike", () => {
    const { code, output } = run(". {\n forward . 192.0.2.1 {\n force_tcp\n }\n}");
    expect(code).toBe(0);
    expect(load(output).upstream).toMatchObject({
      servers: [server("192.0.2.1")],
      outsideServers: [],
      clusterTransport: "tcp",
      outsideTransport: "tcp",
    });
  });

  test("of all other names is for outside names", () => {
    expect(
      settingsOf(`${cluster}. {\n forward . 192.0.2.1 dns://[2001:db8::1]:5353 192.0.2.1:53\n}`).upstream
        .outsideServers,
    ).toEqual([server("192.0.2.1"), server("2001:db8::1", 5353)]);
  });

  test("of a part of a block's names is a stub domain", () => {
    const { upstream } = settingsOf(`${cluster}. {\n forward corp.example 192.0.2.1\n forward . 192.0.2.2\n}`);
    expect(upstream.outsideServers).toEqual([server("192.0.2.2")]);
    expect(upstream.stubDomains).toEqual({ "corp.example": [server("192.0.2.1")] });
  });

  test("of reverse zones to other servers leaves the private ranges to these too", () => {
    const {
      cluster: { reverseZones },
      upstream,
    } = settingsOf(`${cluster}in-addr.arpa {\n forward . 192.0.2.1\n}`);
    expect(reverseZones).toEqual([]);
    expect(upstream.stubDomains).toEqual({ "in-addr.arpa": [server("192.0.2.1")] });
  });

  test.each([
    ["tls://192.0.2.1", /: LOST: tls:\/\/192\.0\.2\.1: nodens forwards over UDP and TCP only/],
    ["dns.example", /: LOST: dns\.example: not an IP address/],
    ["0.0.0.0", /: LOST: 0\.0\.0\.0: not an IP address that can be asked/],
    ["192.0.2.1:0", /: LOST: 192\.0\.2\.1:0: not an IP address that can be asked/],
  ])("to %s is lost, and the other servers stay", (target, error) => {
    const { code, output, errors } = run(`${cluster}corp.example {\n forward . 192.0.2.7 ${target}\n}`);
    expect(code).toBe(65);
    expect(errors).toContainEqual(expect.stringMatching(error));
    expect(load(output).upstream.stubDomains).toEqual({ "corp.example": [server("192.0.2.7")] });
  });

  test("of the cluster's names to nothing that can be asked goes to kube-dns, and is a loss", () => {
    const { code, output } = run("cluster.local {\n forward . tls://192.0.2.1\n}");
    expect(code).toBe(65);
    expect(load(output).upstream.servers).toEqual([server("10.96.0.10")]);
  });

  test("of a zone to the node's servers is a loss only where outside names go elsewhere", () => {
    const zone = "corp.example {\n forward . /etc/resolv.conf\n}\n";
    expect(run(`${cluster}${zone}. {\n forward . /run/systemd/resolve/resolv.conf\n}`).code).toBe(0);
    expect(run(`${cluster}${zone}. {\n forward . 192.0.2.1\n}`).code).toBe(65);
  });

  test("of a zone that another block has too, at another port, is a loss unless it is the same", () => {
    const second = (target: string) => `${cluster}. {\n forward . 192.0.2.1\n}\n.:1053 {\n forward . ${target}\n}`;
    expect(run(second("192.0.2.1")).code).toBe(0);
    const { code, output, errors } = run(second("192.0.2.2"));
    expect(code).toBe(65);
    expect(errors).toContain(
      "F:8: forward: LOST: . already goes to the servers of line 5; a zone has one list of servers",
    );
    expect(load(output).upstream.outsideServers).toEqual([server("192.0.2.1")]);
  });

  test.each([
    ["except a.example", true],
    ["source_address 10.0.0.9", true],
    ["frobnicate", true],
    ["constructor", true],
    ["policy round_robin", false],
    ["policy sequential", false],
    ["prefer_udp", false],
    ["max_concurrent 1000", false],
    ["expire 10s", false],
    ["health_check 5s", false],
    ["tls_servername dns.example", false],
    ["next NXDOMAIN", false],
  ])("with %s is a loss: %s", (option, isLoss) => {
    const errors = run(`cluster.local {\n forward . 10.96.0.10 {\n  ${option}\n }\n}`).errors.filter((line) =>
      line.startsWith("F:3: forward "),
    );
    expect(errors).toHaveLength(1);
    expect(errors[0]?.includes("LOST")).toBe(isLoss);
  });

  test("with next is a loss where there is a second one to ask", () => {
    const { errors } = run(`${cluster}. {\n forward . 192.0.2.1 {\n  next NXDOMAIN\n }\n forward . 192.0.2.2\n}`);
    expect(errors).toContainEqual(expect.stringMatching(/^F:6: forward next: LOST: /));
  });
});

describe("bind", () => {
  const bound = (addresses: string, to = "10.96.0.10") => `cluster.local {\n bind ${addresses}\n forward . ${to}\n}\n`;
  test.each([
    [
      "an own address alone is link-local",
      "169.254.20.10",
      "10.96.0.10",
      { mode: "link-local", addresses: ["169.254.20.10"] },
      [],
    ],
    [
      "with the Service's, it is intercepted",
      "169.254.20.10 10.96.0.10",
      "10.96.0.10",
      { mode: "intercept", virtualAddresses: [] },
      [],
    ],
    [
      "with a Service that is not the one asked, that is named",
      "169.254.20.10 10.96.0.10",
      "10.96.7.7",
      { mode: "intercept", virtualAddresses: ["10.96.0.10"] },
      [],
    ],
    [
      "of both families",
      "169.254.20.10 fd00:20::10 10.96.0.10 fd00:10:96::a",
      "10.96.0.10 fd00:10:96::a",
      { mode: "intercept", addresses: ["169.254.20.10", "fd00:20::10"], virtualAddresses: [] },
      [],
    ],
    [
      "IPv6 alone, beside the Service that is asked",
      "fd00:20::10 fd00:10:96::a",
      "fd00:10:96::a",
      { mode: "intercept", addresses: ["fd00:20::10"] },
      [],
    ],
    [
      "the node's addresses are listened on",
      "10.0.0.9 fd00::9",
      "10.96.0.10",
      { mode: "host-ip" },
      [server("10.0.0.9"), server("fd00::9")],
    ],
    [
      "the node's address as a variable is listened on",
      "{$HOST_IP}",
      "10.96.0.10",
      { mode: "host-ip" },
      [server("10.0.0.9")],
    ],
    [
      "the node's address beside loopback is what pods ask",
      "127.0.0.1 {$HOST_IP}",
      "10.96.0.10",
      { mode: "host-ip" },
      [server("127.0.0.1"), server("10.0.0.9")],
    ],
    [
      "loopback alone is for no pod",
      "127.0.0.1 ::1",
      "10.96.0.10",
      { mode: "none" },
      [server("127.0.0.1"), server("::1")],
    ],
    ["any address is not the node's own", "0.0.0.0", "10.96.0.10", { mode: "none" }, [server("0.0.0.0")]],
    [
      "loopback is listened on beside an own address",
      "169.254.20.10 127.0.0.1",
      "10.96.0.10",
      { mode: "link-local" },
      [server("127.0.0.1")],
    ],
  ])("%s", (_what, addresses, to, attach, listening) => {
    const { code, output } = run(bound(addresses, to));
    expect(code).toBe(0);
    const settings = load(output);
    expect(settings.attach).toMatchObject(attach);
    expect(settings.listen.addresses).toEqual(listening);
  });

  test("is missing: nodens listens everywhere, on the ports of the blocks", () => {
    expect(
      settingsOf("cluster.local {\n forward . 10.96.0.10\n}\n.:1053 {\n forward . 192.0.2.1\n}").listen.addresses,
    ).toEqual([server("0.0.0.0"), server("::"), server("0.0.0.0", 1053), server("::", 1053)]);
  });

  test.each([
    ["eth0", "eth0 is not an IP address"],
    ["169.254.20.10 169.254.20.11", "169.254.20.11 is a second address of its family"],
    ["169.254.20.10 2001:db8::a", "2001:db8::a is not intercepted"],
  ])("of %s is a loss", (addresses, error) => {
    const { code, output, errors } = run(bound(addresses));
    expect(code).toBe(65);
    expect(errors).toContainEqual(expect.stringContaining(`F:2: bind: LOST: ${error}`));
    load(output);
  });

  test("of the Service warns of servers that end with NodeLocal DNSCache", () => {
    expect(run(fixture("dual-stack")).errors).toContainEqual(
      expect.stringContaining("may be NodeLocal DNSCache's second Service"),
    );
    expect(run(fixture("node-local-dns")).errors).not.toContainEqual(
      expect.stringContaining("second Service, kube-dns-upstream"),
    );
  });
});

describe("cache", () => {
  test.each([
    [["cache 20"], { maxTtlSeconds: 20, maxDenialTtlSeconds: 20, maxClusterDenialTtlSeconds: 20 }],
    [["cache"], { maxTtlSeconds: 3600, maxClusterDenialTtlSeconds: 5 }],
    [["cache 60 {", " denial 100 3", "}"], { maxTtlSeconds: 60, maxClusterDenialTtlSeconds: 3 }],
    [["cache {", " success 100 20", "}"], { maxTtlSeconds: 20, maxDenialTtlSeconds: 20 }],
    [["cache 90 {", " disable denial", "}"], { maxTtlSeconds: 90, maxClusterDenialTtlSeconds: 0 }],
    [["cache {", " serve_stale", "}"], { staleSeconds: 3600 }],
    [["cache {", " serve_stale 1h30m immediate", "}"], { staleSeconds: 5400 }],
    [["cache {", " servfail 2s", "}"], { maxFailureTtlSeconds: 2 }],
    [["cache {", " prefetch 10 1m 20%", "}"], { prefetch: true }],
    [["cache 9999999"], { maxTtlSeconds: 604_800 }],
  ])("%j", (lines, expected) => {
    expect(settingsWith(...lines).cache).toMatchObject(expected);
  });

  test("of blocks that differ the shortest time counts, and it is said", () => {
    const { output, errors } = run(
      `cluster.local {\n forward . 10.96.0.10\n cache 300\n}\n. {\n forward . 192.0.2.1\n cache 60\n}`,
    );
    expect(load(output).cache.maxTtlSeconds).toBe(60);
    expect(errors).toContain(
      "F:7: cache.maxTtlSeconds: differs from F:3; nodens has one value for all blocks, and takes the lowest",
    );
  });

  test.each([
    ["denial x y", '"y" is not a number of seconds'],
    ["servfail soon", '"soon" is not a duration'],
    ["disable success", "always remembers answers"],
    ["keepttl", "the TTL that is left"],
    ["frobnicate", "does not know this option"],
  ])("with %s is a loss", (option, error) => {
    expect(errorsOf("cache {", option, "}")).toContainEqual(
      expect.stringMatching(new RegExp(`^F:3: cache \\w+: LOST: .*${error}`)),
    );
  });
});

describe("other plugins", () => {
  test.each([
    ["prometheus 10.0.0.9:9353", { admin: { address: server("10.0.0.9", 9353) } }],
    ["prometheus [fd00::9]:9253", { admin: { address: server("fd00::9", 9253) } }],
    ["prometheus localhost:9153", { admin: { address: server("127.0.0.1", 9153) } }],
    ["prometheus {$HOST_IP}:9253", { admin: { address: server(podEnvironment.HOST_IP, 9253) } }],
    ["prometheus", { admin: { address: server("127.0.0.1", 9253) } }],
    ["prometheus metrics.example:9253", { admin: { address: server("127.0.0.1", 9253) } }],
    ["log", { log: { queries: true } }],
    ["log . {\n class all\n }", { log: { queries: true } }],
    ["log . {\n class error\n }", { log: { queries: false } }],
    ["bufsize 1400", { listen: { maxUdpReplyBytes: 1400 } }],
    ["bufsize 9000", { listen: { maxUdpReplyBytes: 4096 } }],
    ["health {\n lameduck 12s\n }", { shutdown: { drainMs: 12_000, gracePeriodSeconds: 15 } }],
    ["health {\n lameduck 20s\n }", { shutdown: { drainMs: 20_000, gracePeriodSeconds: 30 } }],
    ["health {\n lameduck 1h\n }", { shutdown: { drainMs: 60_000, gracePeriodSeconds: 70 } }],
  ])("%s", (line, expected) => {
    expect(settingsWith(line)).toMatchObject(expected);
  });

  test.each([
    "errors",
    "reload 30s",
    "loop",
    "ready",
    "loadbalance",
    "minimal",
    "health",
    "debug",
    "any",
    "autopath @kubernetes",
    "metadata",
  ])("%s: nothing is lost, and it is said what there is instead", (line) => {
    const own = errorsOf(line).filter((error) => error.startsWith("F:2: "));
    expect(own).toHaveLength(1);
    expect(own[0]).not.toContain("LOST");
  });

  test.each([
    "template",
    "hosts",
    "rewrite",
    "file",
    "dns64",
    "acl",
    "view",
    "whoami",
    "header",
    "dnssec",
    "tls",
    "etcd",
    "frobnicate",
    "constructor",
  ])("%s: it is said that it is lost", (plugin) => {
    expect(errorsOf(`${plugin} x`)).toContainEqual(expect.stringMatching(new RegExp(`^F:2: ${plugin}: LOST: `)));
  });

  test("a block that forwards nothing is remarked on", () => {
    expect(run(`${cluster}a.example {\n errors\n}`).errors).toContainEqual(
      expect.stringMatching(/^F:4: zone: no forward for a\.example; /),
    );
  });
});

describe("the Corefile of the cluster's own DNS", () => {
  const { code, output } = run(fixture("coredns.yaml"));

  test("stays, and is asked about everything", () => {
    expect(code).toBe(0);
    const settings = load(output);
    expect(settings.upstream).toMatchObject({ servers: [server("10.96.0.10")], outsideServers: [], stubDomains: {} });
    expect(settings.cluster.domain).toBe("cluster.local");
    expect(settings.cluster.reverseZones).toContain("96.10.in-addr.arpa");
  });

  test("has names that must be asked for although no Service has them", () => {
    expect(load(output).search.exemptions).toEqual(
      expect.arrayContaining(["old.default.svc.cluster.local", "printer.cluster.local"]),
    );
  });

  test("with clusters in its names says so", () => {
    expect(settingsOf(". {\n kubernetes k8s.test {\n  multicluster clusterset.local\n }\n}")).toMatchObject({
      cluster: { domain: "k8s.test" },
      search: { multicluster: true },
    });
  });
});

describe("a Corefile with much that has no counterpart", () => {
  const { code, output, errors } = run(fixture("many-plugins"));

  test("is carried over as far as it goes, and the exit code says that something is lost", () => {
    expect(code).toBe(65);
    expect(load(output)).toMatchObject({
      admin: { address: server("10.0.0.9", 9253) },
      log: { queries: true },
      listen: { maxUdpReplyBytes: 1400 },
      upstream: {
        stubDomains: {
          "corp.example": [server("192.0.2.1")],
          "k8s.example": [server("10.96.0.10"), server("10.96.0.11", 5300)],
        },
      },
    });
  });

  test.each([
    ["set cluster.domain", 7],
    ["keepttl", 14],
    ["tls://192.0.2.2", 23],
    ["resolver.example", 23],
    ["rewrite", 24],
    ["absent", 28],
    ["except", 32],
    ["hosts", 34],
    ["template", 37],
    ["tls://example.org", 41],
  ])("says that %s is lost, with its line", (what, line) => {
    expect(
      errors.filter((text) => text.startsWith(`F:${line}: `) && text.includes("LOST: ") && text.includes(what)),
    ).not.toEqual([]);
  });
});
