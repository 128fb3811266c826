import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadSettings, type FlagValues } from "../../../src/settings/load-settings.ts";
import { formatProblem } from "../../../src/settings/problem.ts";
import { settingsSchema, type Settings } from "../../../src/settings/settings-table.ts";
import { tableEntries } from "../../../src/settings/table-entries.ts";

const environment = { HOST_IP: "10.1.2.3", FLOWS: "2", LEVEL: "debug", SWITCH: "false" };

/** A server that nodens cannot do without, for texts that are about something else. */
const server = { host: "192.0.2.53", port: 53 };

function load(text: string, overrides: FlagValues = {}) {
  const needed = /servers|intercept/.test(text) ? {} : { upstream: [server.host] };
  return loadSettings({
    filePath: "n.yaml",
    env: environment,
    readFile: () => text,
    overrides: { ...needed, ...overrides },
  });
}

function settingsOf(text: string, overrides: FlagValues = {}): Settings {
  const loaded = load(text, overrides);
  if ("problems" in loaded) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return loaded.settings;
}

function problemsOf(text: string, overrides: FlagValues = {}): string[] {
  const loaded = load(text, overrides);
  return "problems" in loaded ? loaded.problems.map(formatProblem) : [];
}

function warningsOf(text: string): string[] {
  const loaded = load(text);
  return "warnings" in loaded ? loaded.warnings.map(formatProblem) : ["there were problems"];
}

const defaults = settingsSchema.parse({});
const defaultsWithServer = settingsSchema.parse({ upstream: { servers: [server.host] } });
const emptyTexts = ["", "# nothing\n", "---\n", "listen:\nupstream:\n  tcp:\n", "{}"];

test.each(emptyTexts)("%j gives the defaults", (text) => {
  expect(settingsOf(text)).toEqual(defaultsWithServer);
});

test("without a file the defaults count, and no file is read", () => {
  const readFile = (): string => {
    throw new Error("read");
  };
  const overrides = { upstream: [server.host] };
  expect(loadSettings({ env: {}, readFile, overrides })).toEqual({ settings: defaultsWithServer, warnings: [] });
});

test("the defaults neither contradict each other nor raise doubts", () => {
  expect(load("")).toEqual({ settings: defaultsWithServer, warnings: [] });
});

describe("without a server", () => {
  const withoutServer = [...emptyTexts, "null", "upstream: { servers: [] }", "upstream:\n  embedded: false\n"];
  const nobody = /upstream\.servers is empty: nodens would have nobody to ask; .*upstream\.embedded.*--embedded/;

  test.each(withoutServer)("the file %j is refused, also where a flag asks for the embedded cluster DNS", (text) => {
    for (const embedded of [undefined, true])
      expect(problemsOf(text, { upstream: [], embedded })).toEqual([expect.stringMatching(nobody)]);
  });

  test("a file that asks for the embedded cluster DNS is taken", () => {
    expect(settingsOf("upstream: { servers: [], embedded: true }").upstream.embedded).toBe(true);
  });

  test("and without a file the flag decides", () => {
    const embedded = loadSettings({ env: {}, overrides: { embedded: true } });
    expect("settings" in embedded && embedded.settings.upstream.embedded).toBe(true);
    const loaded = loadSettings({ env: {} });
    expect("problems" in loaded ? loaded.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^nodens: upstream\.servers is empty: /),
    ]);
  });
});

describe("a file that is read again", () => {
  const earlier = "upstream:\n  servers:\n    - 192.0.2.1:5353\n    - 192.0.2.20\n";
  const again = (text: string) =>
    loadSettings({ filePath: "n.yaml", env: {}, readFile: () => text, earlierText: earlier });
  const servers = (text: string) => {
    const loaded = again(text);
    return "settings" in loaded ? loaded.settings.upstream.servers : undefined;
  };

  test("gives, wherever it was cut off, the servers that were written or none", () => {
    const written = new Set(["192.0.2.1:5353", "192.0.2.20:53"]);
    for (let end = 0; end < earlier.length - 1; end += 1) {
      for (const { host, port } of servers(earlier.slice(0, end)) ?? [])
        expect(written, String(end)).toContain(`${host}:${port}`);
    }
  });

  test.each(["", " \n", "# nothing\n", "---\n", "null\n", "\0".repeat(64), "\ufeff"])(
    "is refused when it is %j, also where flags say who is asked",
    (text) => {
      const overrides = { upstream: ["192.0.2.53"] };
      const loaded = loadSettings({
        filePath: "n.yaml",
        env: {},
        readFile: () => text,
        earlierText: earlier,
        overrides,
      });
      expect("problems" in loaded && loaded.problems.length).toBe(1);
    },
  );

  test("may stay without settings", () => {
    const overrides = { upstream: ["192.0.2.53"] };
    const source = {
      filePath: "n.yaml",
      env: {},
      readFile: () => "# flags\n",
      earlierText: "# only flags\n",
      overrides,
    };
    expect(loadSettings(source)).toEqual({ settings: defaultsWithServer, warnings: [] });
  });

  test("may be without settings on purpose", () => {
    const overrides = { upstream: ["192.0.2.53"] };
    const source = { filePath: "n.yaml", env: {}, readFile: () => "{}\n", earlierText: earlier, overrides };
    expect(loadSettings(source)).toEqual({ settings: defaultsWithServer, warnings: [] });
  });

  test("says where it was cut off", () => {
    const loaded = again(earlier.slice(0, 38));
    expect("problems" in loaded ? loaded.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^n\.yaml:3:18: looks cut off: .* end it with a line end$/),
    ]);
  });

  test.each([
    ["lost its last line", earlier.slice(0, earlier.lastIndexOf("    - ")), 1],
    ["lost its last line end", earlier.trimEnd(), 2],
    ["got a shorter number", `${earlier.slice(0, 38)}\n`, 1],
  ])("and %s is taken", (_name, text, count) => {
    expect(servers(text)).toHaveLength(count);
  });
});

test("every default is what the contract of the settings says", () => {
  expect(defaults.listen.addresses).toEqual([{ host: "127.0.0.1", port: 5353 }]);
  expect(defaults.listen.allow).toContainEqual({ address: "100.64.0.0", prefixLength: 10 });
  expect(defaults.admin.address).toEqual({ host: "127.0.0.1", port: 9253 });
  expect(defaults.cluster.reverseZones).toHaveLength(20);
  expect(defaults.cluster.reverseZones).toContain("31.172.in-addr.arpa");
  expect(defaults.cache).toMatchObject({ answersBytes: 33_554_432, denialsBytes: 8_388_608, staleAfterMs: 1800 });
});

test.each([
  ["FD00:20:0:0::0010", "fd00:20::10"],
  ["fd00:20::10", "fd00:20::10"],
  ["FE80::1%eth0", "fe80::1%eth0"],
  ["169.254.20.10", "169.254.20.10"],
])("the address %s arrives as the system lists it", (written, listed) => {
  expect(settingsOf(`attach: { addresses: ["${written}"] }`).attach.addresses).toEqual([listed]);
});

test("values arrive parsed: addresses, ranges, sizes, zones", () => {
  const settings = settingsOf(`
listen: { addresses: ["[::1]:0"], allow: [10.0.0.0/8, 192.0.2.1, "fd00::/8"] }
cluster: { domain: Cluster.Example. }
upstream:
  servers: [192.0.2.1, "192.0.2.2:5353", "fd00::a"]
  stubDomains: { Corp.Example.: [192.0.2.9] }
cache: { answersBytes: 512KiB, denialsBytes: 65536 }
`);
  expect(settings.listen.addresses).toEqual([{ host: "::1", port: 0 }]);
  expect(settings.listen.allow).toEqual([
    { address: "10.0.0.0", prefixLength: 8 },
    { address: "192.0.2.1", prefixLength: 32 },
    { address: "fd00::", prefixLength: 8 },
  ]);
  expect(settings.cluster.domain).toBe("cluster.example");
  expect(settings.upstream.servers).toEqual([
    { host: "192.0.2.1", port: 53 },
    { host: "192.0.2.2", port: 5353 },
    { host: "fd00::a", port: 53 },
  ]);
  expect(settings.upstream.stubDomains).toEqual({ "corp.example": [{ host: "192.0.2.9", port: 53 }] });
  expect(settings.cache).toMatchObject({ answersBytes: 524_288, denialsBytes: 65_536 });
});

test("variables are expanded, and take the type that the text has without quotes", () => {
  const settings = settingsOf(`
listen: { addresses: ["\${HOST_IP}:53"] }
upstream:
  tcp:
    maxFlows: \${FLOWS}
log:
  level: \${LEVEL}
  queries: \${SWITCH}
`);
  expect(settings.listen.addresses).toEqual([{ host: "10.1.2.3", port: 53 }]);
  expect(settings.upstream.tcp.maxFlows).toBe(2);
  expect(settings.log).toEqual({ level: "debug", queries: false });
});

test("a flag overrides the file, also where the file is wrong", () => {
  const overrides = {
    listen: ["127.0.0.2:53"],
    upstream: ["192.0.2.1"],
    admin: "127.0.0.2:80",
    clusterDomain: "c.example",
  };
  const settings = settingsOf("listen: { addresses: nonsense }\ncluster: { domain: b.example }", overrides);
  expect(settings.listen.addresses).toEqual([{ host: "127.0.0.2", port: 53 }]);
  expect(settings.upstream.servers).toEqual([{ host: "192.0.2.1", port: 53 }]);
  expect(settings.admin.address).toEqual({ host: "127.0.0.2", port: 80 });
  expect(settings.cluster.domain).toBe("c.example");
});

test("flags that were not given override nothing", () => {
  const overrides = { listen: [], upstream: undefined, admin: undefined };
  const text = "listen: { addresses: ['127.0.0.2:53'] }\nupstream: { servers: [192.0.2.1] }";
  expect(settingsOf(text, overrides).listen.addresses).toHaveLength(1);
});

test("an empty flag is a problem, not an absent flag", () => {
  expect(problemsOf("", { admin: "" })).toEqual([expect.stringMatching(/^--admin: admin\.address is "";/)]);
});

test("a problem in a flag names the flag", () => {
  expect(problemsOf("log: { level: loud }", { listen: ["localhost:53"], clusterDomain: "a..b" })).toEqual([
    expect.stringMatching(/^--listen: listen\.addresses\[0\] is "localhost:53"; allowed: a list of ADDR:PORT/),
    expect.stringMatching(/^--cluster-domain: cluster\.domain is "a\.\.b"; allowed: a domain name/),
    expect.stringMatching(/^n\.yaml:1:15: log\.level is "loud"; allowed: one of trace, /),
  ]);
});

test.each([
  ["upstream:\n  maxSends: 7", "n.yaml:2:13: upstream.maxSends is 7; allowed: a whole number from 1 to 3"],
  ["upstream:\n  maxSends: 1.5", "n.yaml:2:13: upstream.maxSends is 1.5; allowed: a whole number from 1 to 3"],
  ["upstream:\n  maxSends: '2'", 'n.yaml:2:13: upstream.maxSends is "2"; allowed: a whole number from 1 to 3'],
  ["upstream:\n  maxSends:", "n.yaml:2:3: upstream.maxSends is empty; allowed: a whole number from 1 to 3"],
  ["cache: { prefetch: yes }", 'n.yaml:1:20: cache.prefetch is "yes"; allowed: true or false'],
  ["metrics: { compat: no }", 'n.yaml:1:20: metrics.compat is "no"; allowed: one of coredns, off'],
  ["admin: 5", "n.yaml:1:8: admin is 5; allowed: a map with the keys address, allow"],
  ["log: []", "n.yaml:1:6: log is an empty list; allowed: a map with the keys level, queries"],
  ["- a", /^n\.yaml:1:1: holds a list; allowed: a map with the keys listen, attach, admin, /],
  ["text", /^n\.yaml:1:1: holds "text"; allowed: a map with the keys listen, /],
  [
    "cache: { answersBytes: 63KiB }",
    /^n\.yaml:1:24: cache\.answersBytes is "63KiB"; allowed: bytes .* from 64KiB to 1GiB$/,
  ],
  ["cache: { answersBytes: 32MB }", /cache\.answersBytes is "32MB"; allowed/],
  ["cache: { answersBytes: -1 }", /cache\.answersBytes is -1; allowed/],
  [
    "listen: { addresses: [] }",
    "n.yaml:1:22: listen.addresses is empty, and attach.mode adds no address: nodens would listen nowhere",
  ],
  [
    "listen:\n  allow:\n    - 10.0.0.0/8\n    - 10.0.0.0/33",
    /^n\.yaml:4:7: listen\.allow\[1\] is "10\.0\.0\.0\/33"; allowed/,
  ],
  ["upstream: { servers: [kube-dns] }", /^n\.yaml:1:23: upstream\.servers\[0\] is "kube-dns"; .* no host names/],
  ["upstream: { servers: ['192.0.2.1:0'] }", /upstream\.servers\[0\] is "192\.0\.2\.1:0"/],
  ["upstream: { servers: ['[::]:53'] }", /upstream\.servers\[0\] is "\[::\]:53"/],
  [
    "upstream: { stubDomains: { a..b: [192.0.2.1] } }",
    /^n\.yaml:1:\d+: upstream\.stubDomains\.a\.\.b is not a domain name/,
  ],
  [
    "upstream: { stubDomains: { a: [192.0.2.1], A.: [192.0.2.1] } }",
    /^n\.yaml:1:48: .* is a zone that is already there/,
  ],
  ["upstream: { stubDomains: { a: [] } }", /upstream\.stubDomains\.a is an empty list/],
  ["cluster: { domain: . }", /cluster\.domain is "\."; allowed: a domain name/],
])("%j is refused", (text, expected) => {
  expect(problemsOf(text)).toEqual([typeof expected === "string" ? expected : expect.stringMatching(expected)]);
});

test.each([
  [
    "upstream:\n  sevrers: []",
    /^n\.yaml:2:3: upstream\.sevrers is not a setting \(did you mean upstream\.servers\?\); allowed: servers, /,
  ],
  [
    "maxFlows: 3",
    /^n\.yaml:1:1: maxFlows is not a setting \(did you mean upstream\.tcp\.maxFlows\?\); allowed: listen, /,
  ],
  ["zzzzzzzz: 3", /^n\.yaml:1:1: zzzzzzzz is not a setting; allowed: listen, /],
  ["__proto__: 3", /^n\.yaml:1:1: __proto__ is not a setting; allowed: listen, /],
])("the unknown key in %j is an error that names the nearest known one", (text, expected) => {
  expect(problemsOf(text)).toEqual([expect.stringMatching(expected)]);
});

test.each([
  ['a: "b\nc: 1', /^n\.yaml:2:5: cannot be read as YAML: Missing closing "quote$/],
  ["\tlog: {}", /^n\.yaml:1:1: cannot be read as YAML: Tabs are not allowed/],
  ["log: {}\n---\nlog: {}", /^n\.yaml:2:1: cannot be read as YAML: Source contains multiple documents/],
  ["log: !custom {}", /cannot be read as YAML: Unresolved tag/],
  ["upstream:\n  servers: [${HOST_IP}]", /^n\.yaml:2:14: cannot be read as YAML: .*write "\$\{NAME\}" with quotes/],
  ["log: &a {}\nadmin: *a", /^n\.yaml:2:8: admin is an alias; allowed: the value itself$/],
  ["log:\n  level: info\n  level: warn", /^n\.yaml:3:3: log\.level is written twice; allowed: each key once$/],
  ["log: {}\nlog: {}", /^n\.yaml:2:1: log is written twice/],
  [
    "listen:\n  addresses:\n    - ${NODE_IP}:53",
    /^n\.yaml:3:7: listen\.addresses\[0\] needs the environment variable NODE_IP, which is not set; allowed: /,
  ],
])("%j cannot be read", (text, expected) => {
  expect(problemsOf(text)).toEqual([expect.stringMatching(expected)]);
});

test("a file nested thousands of levels deep is refused, not fatal", () => {
  expect(problemsOf("[".repeat(100_000))).not.toEqual([]);
});

test.each([
  [
    "listen: { addresses: ['127.0.0.1:53', '127.0.0.1:53'] }",
    /^n\.yaml:1:39: listen\.addresses\[1\] is 127\.0\.0\.1:53 a second time$/,
  ],
  ["attach: { mode: link-local, addresses: [] }\nlisten: { addresses: [] }", /listen\.addresses is empty/],
  ["attach: { mode: link-local, addresses: [10.0.0.1, 10.0.0.2] }", /attach\.addresses\[1\] is a second IPv4 address/],
  [
    "attach: { mode: intercept }\nupstream: { servers: [192.0.2.1:5353] }",
    /attach\.virtualAddresses is empty, and upstream\.servers names none/,
  ],
  [
    "attach: { mode: intercept }\nupstream: { servers: ['fd00::a'] }",
    /\(fd00::a\) needs an IPv6 address in attach\.addresses/,
  ],
  [
    "attach: { mode: intercept, virtualAddresses: [169.254.20.10] }\nupstream: { servers: [192.0.2.1] }",
    /attach\.virtualAddresses\[0\] \(169\.254\.20\.10\) is in attach\.addresses too/,
  ],
  [
    "attach: { mode: intercept, virtualAddresses: [10.96.0.10, 10.96.0.10] }\nupstream: { servers: [192.0.2.1] }",
    /attach\.virtualAddresses\[1\] has 10\.96\.0\.10 a second time/,
  ],
  [
    "attach: { mode: link-local }\nupstream: { servers: [169.254.20.10] }",
    /upstream\.servers\[0\] is 169\.254\.20\.10:53, where nodens itself listens/,
  ],
  ["listen: { addresses: ['[::1]:53', '[0:0::1]:53'] }", /listen\.addresses\[1\] is \[0:0::1\]:53 a second time/],
  [
    "upstream: { outsideServers: [192.0.2.1, '192.0.2.1:53'] }",
    /upstream\.outsideServers\[1\] is 192\.0\.2\.1:53 a second time/,
  ],
  [
    "upstream: { servers: ['127.0.0.1:5353'] }",
    /^n\.yaml:1:23: upstream\.servers\[0\] is 127\.0\.0\.1:5353, .*: a loop$/,
  ],
  [
    "listen: { addresses: ['0.0.0.0:53'] }\nupstream: { servers: [127.0.0.53] }",
    /^n\.yaml:2:23: upstream\.servers\[0\] .*: a loop$/,
  ],
  ["upstream: { stubDomains: { a.b: ['127.0.0.1:5353'] } }", /upstream\.stubDomains\.a\.b\[0\] .*: a loop$/],
  [
    "admin: { address: '127.0.0.1:5353' }",
    /^n\.yaml:1:19: admin\.address is 127\.0\.0\.1:5353, which listen\.addresses has too$/,
  ],
  ["upstream: { stubDomains: { cluster.local: [192.0.2.1] } }", /stubDomains\.cluster\.local is a zone of the cluster/],
  [
    "upstream: { stubDomains: { 10.in-addr.arpa: [192.0.2.1] } }",
    /stubDomains\.10\.in-addr\.arpa is a zone of the cluster/,
  ],
  ["upstream: { udp: { retransmitMs: 4500 } }", /retransmitMs \(4500\) is not below upstream\.deadlineMs \(4500\)$/],
  [
    "upstream: { deadlineMs: 1200, tcp: { queryTimeoutMs: 1500 } }",
    /queryTimeoutMs \(1500\) is not below upstream\.deadlineMs \(1200\)$/,
  ],
  [
    "upstream: { health: { probeIntervalMs: 6000 } }",
    /probeIntervalMs \(6000\) is above upstream\.health\.maxBackoffMs \(5000\)$/,
  ],
  [
    "cache: { maxFailureTtlSeconds: 1, failureTtlSeconds: 2 }",
    /^n\.yaml:1:54: cache\.failureTtlSeconds \(2\) is above/,
  ],
  [
    "shutdown: { drainMs: 14000 }",
    /^n\.yaml:1:22: shutdown\.drainMs \(14000\) leaves less than 2000 ms of shutdown\.gracePeriodSeconds \(15\)/,
  ],
  ["shutdown: { gracePeriodSeconds: 6 }", /^n\.yaml:1:33: shutdown\.drainMs \(5000\) leaves less than 2000 ms/],
  ["limits: { maxWaiters: 1000 }", /limits\.maxWaitersPerClient \(4096\) is above limits\.maxWaiters \(1000\)$/],
])("%j contradicts itself", (text, expected) => {
  expect(problemsOf(text)).toEqual([expect.stringMatching(expected)]);
});

test("port 0 may be listened on any number of times", () => {
  expect(
    problemsOf("listen: { addresses: ['127.0.0.1:0', '127.0.0.1:0'] }\nadmin: { address: '127.0.0.1:0' }"),
  ).toEqual([]);
});

test("a contradiction made by a flag names the flag", () => {
  expect(problemsOf("", { upstream: ["127.0.0.1:5353"] })).toEqual([expect.stringMatching(/^--upstream: .*: a loop$/)]);
});

test.each([
  ["listen: { allow: [0.0.0.0/0] }", /^n\.yaml:1:19: listen\.allow\[0\] lets every IPv4 address ask/],
  ["listen: { allow: ['::/0'] }", /lets every IPv6 address ask/],
  [
    "upstream: { stubDomains: { corp.cluster.local: [192.0.2.1] } }",
    /^n\.yaml:1:\d+: upstream\.stubDomains\.corp\.cluster\.local lies below cluster\.domain \(cluster\.local\): /,
  ],
  ["cache: { staleAfterMs: 4500 }", /^n\.yaml:1:24: cache\.staleAfterMs is not below upstream\.deadlineMs/],
  [
    "upstream: { tcp: { queryTimeoutMs: 2000 } }",
    /the last of the 3 would leave after 6000 ms, upstream\.deadlineMs is 4500$/,
  ],
  ["upstream: { servers: ['fd00::a:53'] }", /if you meant 53 as the port, put the address in brackets$/],
])("%j is accepted with a warning", (text, expected) => {
  expect(warningsOf(text)).toEqual([expect.stringMatching(expected)]);
});

test("all problems of a file come at once, from top to bottom: syntax of values, unknown keys, limits, contradictions", () => {
  const text = `
listen:
  addresses: [localhost:53]
  allow: ["\${NOWHERE}"]
  port: 53
upstream:
  maxSends: 9
  maxSends: 8
  deadlineMs: 1000
cache:
  failureTtlSeconds: 4
  maxFailureTtlSeconds: 3
`;
  const starts = problemsOf(text).map((line) => /^(\S+): (\S+) /.exec(line)?.slice(1).join(" "));
  expect(starts).toEqual([
    "n.yaml:3:15 listen.addresses[0]",
    "n.yaml:4:11 listen.allow[0]",
    "n.yaml:5:3 listen.port",
    "n.yaml:8:3 upstream.maxSends",
    "n.yaml:8:13 upstream.maxSends",
    "n.yaml:9:15 upstream.tcp.connectTimeoutMs",
    "n.yaml:11:22 cache.failureTtlSeconds",
  ]);
});

test("an unreadable file is one line", () => {
  const loaded = loadSettings({ filePath: "/nonexistent/n.yaml", env: {} });
  expect("problems" in loaded ? loaded.problems.map(formatProblem) : []).toEqual([
    "/nonexistent/n.yaml: cannot be read: no such file or directory (ENOENT)",
  ]);
});

test("no text makes loading throw", () => {
  const line = fc.constantFrom(
    "listen:",
    "  tcp:",
    "  addresses: [",
    "- x",
    "upstream: {",
    "}",
    "? a",
    ": b",
    "  deadlineMs: ${X",
    "*a",
    "&a",
    "|",
    "!!map",
    "<<: *a",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(line).map((lines) => lines.join("\n")),
      ),
      (text) => {
        expect(() => load(text)).not.toThrow();
      },
    ),
    { interruptAfterTimeLimit: 2000 },
  );
});

test("every setting has a sentence of help, and one for its group", () => {
  for (const { path, notes, groupHelp } of tableEntries.values()) {
    expect(notes?.help ?? groupHelp, path).toMatch(/^[A-Z].*[.]$/s);
  }
});
