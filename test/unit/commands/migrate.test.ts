import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readCorefile } from "../../../src/commands/corefile.ts";
import { migrate } from "../../../src/commands/migrate.ts";
import { loadSettings } from "../../../src/settings/load-settings.ts";
import type { Settings } from "../../../src/settings/settings-table.ts";
import { projectFolder } from "../../support/run-nodens.ts";

const env = { KUBE_DNS_IP: "10.96.0.10" };

function run(text: string) {
  let [output, errors] = ["", ""];
  const code = migrate("Corefile", {
    env,
    write: (more) => (output += more),
    writeError: (more) => (errors += more),
    readFile: () => text,
  });
  return { code, output, errors: errors.split("\n").slice(0, -1) };
}

function fixture(name: string): string {
  return readFileSync(join(projectFolder, "test", "fixtures", "corefiles", name), "utf8");
}

/** The settings that the output leads to. */
function load(output: string): Settings {
  const loaded = loadSettings({ filePath: "nodens.yaml", env, readFile: () => output });
  if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
  return loaded.settings;
}

const kubeDns = { host: "10.96.0.10", port: 53 };

describe("the Corefile of NodeLocal DNSCache, as its manifest has it", () => {
  const { code, output, errors } = run(fixture("node-local-dns"));

  test("is carried over without a loss", () => {
    expect(code).toBe(0);
    expect(errors.filter((line) => line.includes("LOST"))).toEqual([]);
  });

  test("becomes an interception of the Service that it took the address of, asking that Service itself", () => {
    const { attach, listen, upstream, cluster } = load(output);
    expect(attach).toMatchObject({ mode: "intercept", addresses: ["169.254.20.10"], virtualAddresses: [] });
    expect(listen.addresses).toEqual([]);
    expect(upstream).toMatchObject({ servers: [kubeDns], outsideServers: [], clusterTransport: "tcp" });
    expect(cluster).toMatchObject({ domain: "cluster.local", reverseZones: ["in-addr.arpa", "ip6.arpa"] });
  });

  test("keeps its times to live, of blocks that differ the shortest", () => {
    expect(load(output).cache).toMatchObject({
      maxTtlSeconds: 30,
      maxDenialTtlSeconds: 30,
      maxClusterDenialTtlSeconds: 5,
    });
  });

  test("says of every setting which line it comes from", () => {
    expect(output).toContain("clusterTransport: tcp # line 11\n");
  });

  test("says once, with its line, what nodens does without being told", () => {
    expect(errors.filter((line) => line.includes(": errors: "))).toEqual([
      "Corefile:2: errors: failures are logged and counted",
    ]);
  });

  test("says that outside names go to kube-dns", () => {
    expect(errors.find((line) => line.startsWith("Corefile:44: forward:"))).toContain("upstream.outsideServers");
  });
});

describe("a Corefile with plugins that have no counterpart", () => {
  const { code, output, errors } = run(fixture("many-plugins"));

  test("is carried over as far as it goes, and the exit code says that something is lost", () => {
    expect(code).toBe(65);
    const { cluster, upstream, admin, log, listen } = load(output);
    expect(cluster.domain).toBe("cluster.local");
    expect(admin.address).toEqual({ host: "10.0.0.9", port: 9253 });
    expect(log.queries).toBe(true);
    expect(listen.maxUdpReplyBytes).toBe(1400);
    expect(upstream.outsideServers).toEqual([{ host: "192.0.2.53", port: 53 }]);
    expect(upstream.outsideTransport).toBe("tcp");
    expect(upstream.stubDomains).toMatchObject({ "corp.example": [{ host: "192.0.2.1", port: 53 }] });
  });

  test.each([
    ["keepttl", 14],
    ["tls_servername", 19],
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
      errors.filter((text) => text.startsWith(`Corefile:${line}: `) && text.includes("LOST: ") && text.includes(what)),
    ).not.toEqual([]);
  });

  test("says that the cluster's zone cannot be told where there are several that could be it", () => {
    expect(errors.some((line) => line.includes("set cluster.domain"))).toBe(true);
  });
});

describe("a ConfigMap", () => {
  test("of kube-dns becomes stub domains and outside servers", () => {
    const { code, output } = run(fixture("kube-dns.yaml"));
    expect(code).toBe(0);
    expect(load(output).upstream).toMatchObject({
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
  });

  test("with a Corefile in it is read like the Corefile, as YAML, as JSON and in a list", () => {
    const plain = run(fixture("node-local-dns"));
    const configMap = { apiVersion: "v1", kind: "ConfigMap", data: { Corefile: fixture("node-local-dns") } };
    for (const manifest of [configMap, { apiVersion: "v1", kind: "List", items: [configMap] }]) {
      expect(run(JSON.stringify(manifest))).toEqual(plain);
    }
  });

  test("whose stubDomains are no map is refused", () => {
    const { code, output, errors } = run("kind: ConfigMap\ndata: { stubDomains: '{\"a\": 1}' }");
    expect({ code, output }).toEqual({ code: 78, output: "" });
    expect(errors).toEqual(["Corefile: stubDomains is not as kube-dns has it: a list of addresses is wanted"]);
  });
});

describe("addresses", () => {
  test("of its own alone become link-local", () => {
    const { output } = run(
      ". {\n bind 169.254.20.10\n forward . 10.96.0.10\n}\ncluster.local {\n forward . 10.96.0.10\n}",
    );
    expect(load(output).attach.mode).toBe("link-local");
  });

  test("of the node alone are listened on", () => {
    const { output } = run(". {\n bind 10.0.0.9 fd00::9\n forward . 10.96.0.10\n}");
    expect(load(output).listen.addresses).toEqual([
      { host: "10.0.0.9", port: 53 },
      { host: "fd00::9", port: 53 },
    ]);
  });

  test("of a Service are intercepted, and the Service that was asked is asked still", () => {
    const { output } = run("cluster.local {\n bind 169.254.20.10 10.96.0.10\n forward . 10.96.99.99\n}");
    expect(load(output)).toMatchObject({
      attach: { mode: "intercept", virtualAddresses: ["10.96.0.10"] },
      upstream: { servers: [{ host: "10.96.99.99", port: 53 }] },
    });
  });
});

describe("what is no Corefile", () => {
  test.each([
    ["", "Corefile: has neither a Corefile nor stubDomains or upstreamNameservers"],
    ["hello", "Corefile: has neither a Corefile nor stubDomains or upstreamNameservers"],
    [". {\n errors", "Corefile:1: the { has no } that ends it"],
    ["}", "Corefile:1: a } without a { before it"],
    [". {\n}\n{\n errors\n}", "Corefile:3: a block without a zone"],
    [". {\n {\n }\n}", "Corefile:2: a { without a name before it"],
    ["# {}\n", "Corefile: the Corefile has no server block"],
    [`. {\n${"a {\n".repeat(20)}${"}\n".repeat(20)}}`, "Corefile:17: nests too deeply"],
  ])("%j is refused with its place", (text, expected) => {
    expect(run(text)).toEqual({ code: 78, output: "", errors: [expected] });
  });

  test("is said of a file that cannot be read", () => {
    let errors = "";
    const code = migrate("/nowhere/Corefile", { env, write: () => {}, writeError: (text) => (errors += text) });
    expect(code).toBe(78);
    expect(errors).toMatch(/^nodens: cannot read \/nowhere\/Corefile: ENOENT/);
  });

  test("and whatever else it is, nothing throws or goes on for ever", () => {
    const word = fc.constantFrom(
      "{",
      "}",
      "(a)",
      "import",
      "a",
      ".",
      "forward",
      "\n",
      " ",
      '"',
      "#",
      "cache",
      "10",
      "{$X}",
      "bind",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join(" ")),
        ),
        (text) => {
          run(text);
          readCorefile(text, env);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("a snippet that imports itself is followed once", () => {
    const { unresolved } = readCorefile("(a) {\n import a\n}\n. {\n import a\n}", {});
    expect(unresolved).toEqual([{ line: 2, message: "imports itself: a" }]);
  });

  test("snippets that multiply each other are given up", () => {
    const snippets = Array.from(
      { length: 20 },
      (_, index) => `(s${index}) {\n${`import s${index + 1}\n`.repeat(10)}}\n`,
    );
    const { broken } = readCorefile(`${snippets.join("")}(s20) {\n errors\n}\n. {\n import s0\n}`, {});
    expect(broken?.message).toBe("imports too much");
  });
});

test("variables of the environment are put in where they are known", () => {
  const { blocks } = readCorefile(". {\n forward . {$A} {%B%} {$C}\n}", { A: "192.0.2.1", B: "192.0.2.2" });
  expect(blocks[0]?.directives[0]?.arguments).toEqual([".", "192.0.2.1", "192.0.2.2", "{$C}"]);
});
