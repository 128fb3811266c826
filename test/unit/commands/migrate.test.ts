import { readdirSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { migrate } from "../../../src/commands/migrate.ts";
import { corefileFolder, fixture, load, podEnvironment, run, settingsOf } from "./run-migrate.ts";

const kubeDns = { host: "10.96.0.10", port: 53 };

describe("every example", () => {
  test.each(readdirSync(corefileFolder))("%s becomes settings that load without a problem or a warning", (name) => {
    const { code, output } = run(fixture(name));
    expect([0, 65]).toContain(code);
    expect(load(output).upstream.servers).not.toEqual([]);
  });

  test.each(readdirSync(corefileFolder))("%s: every place that is named is a line of it", (name) => {
    const { output, errors } = run(fixture(name));
    const lines = [...`${output}${errors.join("\n")}`.matchAll(/\bF:(\d+)/g)].map(([, line]) => Number(line));
    expect(lines.length).toBeGreaterThan(1);
    expect(Math.max(...lines)).toBeLessThan(fixture(name).split("\n").length);
  });
});

describe("the Corefile of NodeLocal DNSCache, as its manifest has it,", () => {
  const { code, output, errors } = run(fixture("node-local-dns"));
  const settings = load(output);

  test("is carried over without a loss", () => {
    expect(code).toBe(0);
    expect(errors.filter((line) => line.includes("LOST"))).toEqual([]);
  });

  test("becomes an interception of the Service that it took the address of, asking that Service itself", () => {
    expect(settings.attach).toMatchObject({ mode: "intercept", addresses: ["169.254.20.10"], virtualAddresses: [] });
    expect(settings.listen.addresses).toEqual([]);
    expect(settings.upstream).toMatchObject({ servers: [kubeDns], outsideServers: [], clusterTransport: "tcp" });
    expect(settings.cluster).toMatchObject({ domain: "cluster.local", reverseZones: ["in-addr.arpa", "ip6.arpa"] });
  });

  test("keeps its TTLs, the shortest where blocks differ", () => {
    expect(settings.cache).toMatchObject({ maxTtlSeconds: 30, maxDenialTtlSeconds: 30, maxClusterDenialTtlSeconds: 5 });
  });

  test("has its metrics at the same port of the node's address", () => {
    expect(settings.admin.address).toEqual({ host: "10.0.0.9", port: 9253 });
    expect(load(output, { KUBE_DNS_IP: "10.96.0.10" }).admin.address).toEqual({ host: "0.0.0.0", port: 9253 });
  });

  test("says in the settings which line each one comes from, and why this attach mode was chosen", () => {
    expect(output).toContain("clusterTransport: tcp # F:10\n");
    expect(output).toContain("# intercept, because the kube-dns Service's address ${KUBE_DNS_IP} was bound too");
    expect(output).toContain("# Set in the environment when nodens starts: ${KUBE_DNS_IP}, ${HOST_IP}.\n");
  });

  test("says once, with its line, what nodens does anyway", () => {
    expect(errors.filter((line) => line.includes(": errors: "))).toEqual([
      "F:2: errors: failures are logged and counted",
    ]);
  });

  test("says that outside names go to kube-dns", () => {
    expect(errors.find((line) => line.startsWith("F:44: forward:"))).toContain("upstream.outsideServers");
  });

  test("with its addresses filled in, needs none from the environment to serve pods", () => {
    const { upstream, attach } = load(run(fixture("node-local-dns.yaml")).output, {});
    expect(upstream.servers).toEqual([kubeDns]);
    expect(attach.mode).toBe("intercept");
  });
});

describe("a manifest", () => {
  test("is read like the Corefile in it, with lines of the manifest", () => {
    const { output, errors } = run(fixture("node-local-dns.yaml"));
    expect(output).toContain("maxClusterDenialTtlSeconds: 5 # F:8\n");
    expect(errors).toContain("F:5: errors: failures are logged and counted");
  });

  const corefile = "cluster.local {\n errors\n forward . 10.96.0.10\n}\n";
  const configMap = { apiVersion: "v1", kind: "ConfigMap", data: { Corefile: corefile } };
  test.each([
    ["JSON", JSON.stringify(configMap), 1],
    ["JSON over several lines", JSON.stringify(configMap, null, 2), 5],
    ["a List", JSON.stringify({ apiVersion: "v1", kind: "List", items: [{ kind: "Secret" }, configMap] }), 1],
    ["a YAML list", `- kind: Secret\n- ${JSON.stringify(configMap)}`, 2],
    ["several documents", `kind: Service\n---\n${JSON.stringify(configMap)}`, 3],
    ["YAML with the text in quotes", `kind: ConfigMap\ndata:\n  Corefile: ${JSON.stringify(corefile)}\n`, 3],
    ["the name under which pods mount it", `kind: ConfigMap\ndata:\n  Corefile.base: ${JSON.stringify(corefile)}\n`, 3],
  ])("may be %s; the place named is that of the value", (_what, text, line) => {
    const { code, output, errors } = run(text);
    expect(code).toBe(0);
    expect(load(output)).toMatchObject({ cluster: { domain: "cluster.local" }, upstream: { servers: [kubeDns] } });
    expect(errors[0]).toMatch(new RegExp(`^F:${line}: line 2 of Corefile(?:\\.base)?: errors: `));
  });

  test("of kube-dns becomes stub domains and outside servers, and kube-dns is asked", () => {
    const { code, output } = run(fixture("kube-dns.yaml"));
    expect(code).toBe(0);
    expect(load(output).upstream).toMatchObject({
      servers: [kubeDns],
      stubDomains: {
        "acme.local": [
          { host: "192.0.2.4", port: 53 },
          { host: "192.0.2.5", port: 5300 },
        ],
      },
      outsideServers: [
        { host: "192.0.2.8", port: 53 },
        { host: "192.0.2.9", port: 53 },
      ],
    });
    expect(output).toContain("acme.local: [192.0.2.4, 192.0.2.5:5300] # F:8\n");
  });

  test("of kube-dns beside one of NodeLocal DNSCache says which servers are asked for outside names", () => {
    const { code, output } = run(`${fixture("node-local-dns.yaml")}---\n${fixture("kube-dns.yaml")}`);
    expect(code).toBe(0);
    const { upstream } = load(output);
    expect(upstream.servers).toEqual([kubeDns]);
    expect(upstream.outsideServers).toHaveLength(2);
    expect(Object.keys(upstream.stubDomains)).toEqual(["acme.local"]);
  });

  test("says that it does not say how pods reach nodens", () => {
    expect(run(fixture("kube-dns.yaml")).output).toContain("# That file does not say how pods reach nodens");
    expect(run(fixture("node-local-dns.yaml")).output).not.toContain("# How pods reach nodens");
  });

  test.each([
    ["federations: 'f=example.com'", "federations: LOST: nodens does not answer names of federations"],
    [`stubDomains: '{"a.example": ["ns.example"]}'`, "stubDomains: LOST: ns.example is not an IP address"],
    [`stubDomains: '{"a..b": ["192.0.2.1"]}'`, 'stubDomains: LOST: "a..b" is not a domain name'],
  ])("with %s: the loss is reported", (data, error) => {
    const { code, output, errors } = run(`kind: ConfigMap\ndata:\n  ${data}\n`);
    expect(code).toBe(65);
    expect(errors).toEqual([expect.stringContaining(error)]);
    expect(load(output).upstream.servers).toEqual([kubeDns]);
  });
});

describe("what cannot be read is refused with its place, and nothing is written:", () => {
  test.each([
    ["", "F: has no server block with a CoreDNS plugin"],
    ["# {}\n", "F: has no server block with a CoreDNS plugin"],
    ["a b\nc d\n", "F: has no server block with a CoreDNS plugin"],
    ["hello", "F:1:1: nothing follows hello"],
    [". {\n errors", "F:1:3: this { is never closed"],
    ["kind: ConfigMap\ndata:\n  Corefile: |\n    . {\n      errors {\n    }\n", "F:4:7: this { is never closed"],
    [
      'kind: ConfigMap\ndata:\n  Corefile: ". {\\n  }\\n  }\\n"\n',
      "F:3: line 3:3 of Corefile: found } without a matching {",
    ],
    [
      "kind: ConfigMap\ndata: [\n",
      "F:3:1: Flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
    ["kind: Service\n", "F: has no ConfigMap"],
    ["kind: ConfigMap\ndata: { a: b }\n", "F: has no ConfigMap with a Corefile, stubDomains or upstreamNameservers"],
    ["kind: ConfigMap\n", "F: has no ConfigMap with a Corefile, stubDomains or upstreamNameservers"],
    [
      "kind: ConfigMap\ndata:\n  stubDomains: '[1]'\n",
      "F:3: line 1 of stubDomains: stubDomains is not a JSON map from zones to servers",
    ],
    [
      "kind: ConfigMap\ndata:\n  stubDomains: '{\"a\": 1}'\n",
      "F:3: line 1 of stubDomains: stubDomains of a is not a JSON list of addresses",
    ],
    [
      "kind: ConfigMap\ndata:\n  upstreamNameservers: |\n    [\n",
      "F:4: upstreamNameservers is not a JSON list of addresses",
    ],
  ])("%j", (text, expected) => {
    expect(run(text)).toEqual({ code: 78, output: "", errors: [expected] });
  });

  test("a manifest that is nested too deep", () => {
    const { code, output, errors } = run(`kind: ${"[".repeat(30_000)}`);
    expect({ code, output }).toEqual({ code: 78, output: "" });
    expect(errors).toHaveLength(1);
  });

  test("a missing file", () => {
    let errors = "";
    const code = migrate("/nowhere/Corefile", { env: {}, write: () => {}, writeError: (text) => (errors += text) });
    expect(code).toBe(78);
    expect(errors).toMatch(/^nodens: cannot read \/nowhere\/Corefile: ENOENT/);
  });
});

describe("settings that nodens would refuse are left out with the reason:", () => {
  test.each([
    [
      "a server where nodens itself listens",
      "cluster.local {\n bind 10.0.0.9\n forward . 10.96.0.10\n}\n. {\n bind 10.0.0.9\n forward . 10.0.0.9 192.0.2.1\n}",
      "upstream.outsideServers: LOST: 10.0.0.9 is left out: it is 10.0.0.9:53, where nodens itself listens",
      "outsideServers: [192.0.2.1]",
    ],
    [
      "metrics on the DNS port",
      "cluster.local {\n bind 10.0.0.9\n forward . 10.96.0.10\n prometheus 10.0.0.9:53\n}",
      "admin.address: LOST: 10.0.0.9:53 is left out: it is 10.0.0.9:53, which listen.addresses has too",
      "servers: [10.96.0.10]",
    ],
    [
      "a variable in the place of a stub domain",
      "cluster.local {\n forward . 10.96.0.10\n}\n{$COMPANY} {\n forward . 192.0.2.1\n}",
      "upstream.stubDomains.${COMPANY}: LOST: [192.0.2.1] is left out: it is not a domain name",
      "servers: [10.96.0.10]",
    ],
  ])("%s", (_what, text, error, kept) => {
    const { code, output, errors } = run(text);
    expect(code).toBe(65);
    expect(errors.some((line) => line.includes(error))).toBe(true);
    expect(output).toContain(kept);
    load(output);
  });

  test("when no server is left, kube-dns is asked, and not the embedded cluster DNS", () => {
    expect(settingsOf("cluster.local {\n bind 127.0.0.1\n forward . 127.0.0.1\n}").upstream.servers).toEqual([kubeDns]);
  });
});

describe("whatever the text is,", () => {
  const address = fc.constantFrom(
    "10.96.0.10",
    "169.254.20.10",
    "fd00::10",
    "fd00:10:96::a",
    "::",
    "eth0",
    "{$HOST_IP}",
    "__PILLAR__LOCAL__DNS__",
    "__PILLAR__DNS__SERVER__",
  );
  const server = fc.oneof(
    address,
    fc.constantFrom(
      "__PILLAR__CLUSTER__DNS__:53",
      "/etc/resolv.conf",
      "tls://192.0.2.1",
      "192.0.2.1:0",
      "[fd00::1]:53",
      "x",
    ),
  );
  const zone = fc.constantFrom(
    "cluster.local",
    ".",
    "in-addr.arpa:53",
    "corp.example",
    "a..b",
    "__proto__",
    "constructor",
    "{$ZONE}",
    "10.96.0.0/12",
    ".:1053",
  );
  const value = fc.constantFrom("30", "0", "-1", "99999999999", "x", "5s", "1000h");
  const line = fc.oneof(
    fc.tuple(zone, server, server).map((words) => `forward ${words.join(" ")}`),
    fc.tuple(server, server).map((words) => `forward . ${words.join(" ")} {\n force_tcp\n next NXDOMAIN\n}`),
    fc.tuple(address, address).map((words) => `bind ${words.join(" ")}`),
    fc
      .tuple(value, value, value)
      .map(([a, b, c]) => `cache ${a} {\n success ${b} ${c}\n denial ${c} ${b}\n servfail ${a}\n serve_stale ${b}\n}`),
    address.map((host) => `prometheus ${host}:53`),
    value.map((size) => `bufsize ${size}\nhealth {\n lameduck ${size}\n}`),
    fc.constantFrom("constructor", "__proto__ {\n x\n}", "hosts", "log", "import a", "cache"),
  );
  const block = fc
    .tuple(zone, zone, fc.array(line, { maxLength: 6 }))
    .map(([one, other, lines]) => `${one} ${other} {\n${lines.join("\n")}\n}`);
  const corefile = fc.array(block, { minLength: 1, maxLength: 4 }).map((blocks) => blocks.join("\n"));

  test("a Corefile's settings load, and kube-dns or another server is asked", () => {
    fc.assert(
      fc.property(corefile, (text) => {
        const { code, output } = run(text);
        expect(output === "").toBe(code === 78);
        if (code === 78) return;
        const own = (parse(output) as { attach?: { addresses?: string[] } }).attach?.addresses ?? ["169.254.20.10"];
        const service = own.every((address) => address.includes(":")) ? "fd00:10:96::b" : "10.96.0.11";
        const { upstream } = load(output, { ...podEnvironment, KUBE_DNS_IP: service });
        expect(upstream.servers).not.toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test("bytes are refused or become settings, and nothing throws", () => {
    const soup = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString()),
      corefile.map((text) => JSON.stringify({ kind: "ConfigMap", data: { Corefile: text, stubDomains: text } })),
      fc
        .json()
        .map(
          (json) =>
            `kind: ConfigMap\ndata:\n  stubDomains: ${JSON.stringify(json)}\n  upstreamNameservers: ${JSON.stringify(json)}\n`,
        ),
      fc
        .array(
          fc.constantFrom(
            "kind: ConfigMap",
            "data:",
            "\n",
            "  ",
            "Corefile: |",
            "{",
            "}",
            "- ",
            "&a",
            "*a",
            "errors",
            '"',
          ),
          { maxLength: 40 },
        )
        .map((words) => words.join("")),
    );
    fc.assert(
      fc.property(soup, (text) => {
        const { code, output, errors } = run(text);
        expect([0, 65, 78]).toContain(code);
        expect(output === "").toBe(code === 78);
        if (code === 78) expect(errors.length).toBeGreaterThan(0);
      }),
      { numRuns: 800 },
    );
  });
});
