import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { alreadyLoaded } from "../../../src/commands/already-loaded.ts";
import { explain, type ExplainFlags } from "../../../src/commands/explain.ts";
import { explainPage } from "../../../src/explain/explain-page.ts";
import { type AdminServerOptions, startAdminServer } from "../../../src/observe/admin-server.ts";
import { formatServerAddress } from "../../../src/runtime/server-address.ts";
import type { Foresight } from "../../../src/resolve/step.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

async function run(name: string, flags: Partial<ExplainFlags> = {}, file?: string, hasColours = false) {
  let [output, errors] = ["", ""];
  const exitCode = await explain(
    name,
    { namespace: "default", color: true, ...flags },
    {
      ...alreadyLoaded,
      write: (text) => void (output += text),
      writeError: (text) => void (errors += text),
      hasColours,
      ...(file === undefined ? {} : { readFile: () => file }),
    },
  );
  return { exitCode, output, errors };
}

/** A page without the line ends around it. */
const page = (text: string) => `${text.replace(/^\n/, "").trimEnd()}\n`;

describe("by the rules", () => {
  test("an outside name", async () => {
    expect(await run("baidu.com")).toEqual({
      exitCode: 0,
      errors: "",
      output: page(`
baidu.com  has 1 dot, fewer than ndots:5: the suffixes come first
  search default.svc.cluster.local svc.cluster.local cluster.local; ndots:5
  by the rules alone; --against ADDR:PORT asks a running nodens

            the first time                                  once that is known
 ┌ 1  baidu.com + default.svc.cluster.local                                         if absent: go on
 │    A     asks com.default.svc.cluster.local instead      denied: that parent is absent
 │    AAAA  waits for A: a denial serves both               denied: that parent is absent
 ├ 2  baidu.com + svc.cluster.local                                                 if absent: go on
 │    A     asks com.svc.cluster.local instead              denied: that parent is absent
 │    AAAA  waits for A: a denial serves both               denied: that parent is absent
 ├ 3  baidu.com + cluster.local                                                        absent: go on
 │    A     denied: no cluster zone can have this name      denied
 │    AAAA  denied: no cluster zone can have this name      denied
 └ 4  baidu.com as it stands                                                       if found: the end
      A     asked (outside, UDP)                            from the cache
      AAAA  asked (outside, UDP)                            from the cache

Queries that reach kube-dns
  without nodens                    8  ████████████████████████
  through nodens, the first time    4  ████████████
  the next *.com name               2  ██████
  the same name again               0

Advice
  - Write baidu.com. with a final dot if the program accepts that: 2 queries instead of 8.
  - ndots:1 in the pod's dnsConfig would do the same for every such name. But then musl (Alpine)
    never tries a suffix for names with a dot, also for web.shop.
`),
    });
  });

  test("a Service by its short name", async () => {
    const { output } = await run("web", { namespace: "staging" });
    expect(output).toBe(
      page(`
web  has no dots, fewer than ndots:5: the suffixes come first
  search staging.svc.cluster.local svc.cluster.local cluster.local; ndots:5
  by the rules alone; --against ADDR:PORT asks a running nodens

            the first time                                  once that is known
 ─ 1  web + staging.svc.cluster.local                                              if found: the end
      A     asked (cluster, TCP)                            from the cache
      AAAA  waits for A: a denial serves both               from the cache
 ┆ 2  web + svc.cluster.local, not reached
 ┆ 3  web + cluster.local, not reached
 ┆ 4  web as it stands, not reached

Queries that reach kube-dns
  without nodens                    2  ██████
  through nodens, the first time    2  ██████
  the same name again               0

Advice
  - web is written well: the first suffix completes it.
`),
    );
  });

  test.each([
    ["web.staging.svc.cluster.local", "staging", "Write web instead: the first suffix completes it."],
    [
      "web.staging.svc.cluster.local",
      "prod",
      "Write web.staging instead: svc and the zone are appended, which completes it.",
    ],
    ["kubernetes.default.svc.cluster.local.", "prod", undefined],
  ])("%s in the namespace %s", async (name, namespace, advice) => {
    const { output } = await run(name, { namespace });
    const flat = output.replaceAll(/\s+/g, " ");
    if (advice === undefined) expect(flat).not.toContain("Advice");
    else expect(flat).toContain(advice);
  });

  test("says so if a namespace has the name of a top-level domain", async () => {
    const { output } = await run("web.shop");
    expect(output.replaceAll(/\s+/g, " ")).toContain(
      "shop is also a public top-level domain, so web.shop is taken for an outside name. If there is a namespace shop, step 2 has the answer",
    );
    expect((await run("example.com")).output).not.toContain("public top-level domain");
  });

  test("many dots: glibc goes on where musl stops", async () => {
    const { output } = await run("web.staging", { resolvConf: "f" }, "search svc.cluster.local\noptions ndots:1\n");
    expect(output).toContain("has 1 dot, not fewer than ndots:1: asked as it stands first");
    expect(output).toContain("  for glibc; musl sends 2, of which nodens passes on 2\n");
    expect(output).toContain("musl (Alpine) never tries a suffix");
  });

  test("is not wider than 100 columns unless a name is", async () => {
    for (const name of ["web", "example.com", "a.b.example.com", "web.staging.svc.cluster.local", "a.b.c.d.e.f."]) {
      const { output } = await run(name);
      expect(output.split("\n").filter((line) => line.length > 100)).toEqual([]);
    }
  });

  test("has colours only on a terminal that shows them, and none with --no-color", async () => {
    const plain = (await run("example.com")).output;
    const coloured = (await run("example.com", {}, undefined, true)).output;
    expect(plain).toMatch(/^[ -~┌├└─│┆█\n]+$/);
    expect(coloured).toContain("\x1b[");
    // oxlint-disable-next-line no-control-regex
    expect(coloured.replaceAll(/\x1b\[\d+m/g, "")).toBe(plain);
    expect((await run("example.com", { color: false }, undefined, true)).output).toBe(plain);
  });

  test("--json is the explanation", async () => {
    const { output } = await run("www.baidu.com", { json: true, clusterDomain: "K8s.Test." });
    const explanation = JSON.parse(output);
    expect(explanation).toMatchObject({
      name: "www.baidu.com",
      search: ["default.svc.k8s.test", "svc.k8s.test", "k8s.test"],
      ndots: 5,
      clusterDomain: "k8s.test",
      source: "rules",
      likelyStep: 3,
    });
    expect(explanation.steps[1].queries).toEqual([
      {
        type: "A",
        now: { kind: "asksParent", parent: "com.svc.k8s.test", isOnItsWay: false, route: "cluster", transport: "tcp" },
        later: { kind: "denied", rule: "absentParent", ttlSeconds: 5 },
      },
      {
        type: "AAAA",
        now: { kind: "waits", forType: "A" },
        later: { kind: "denied", rule: "absentParent", ttlSeconds: 5 },
      },
    ]);
  });
});

describe("with a resolv.conf", () => {
  const file = "search shop.svc.k8s.test svc.k8s.test k8s.test ec2.internal\nnameserver 10.96.0.10\noptions ndots:2\n";

  test("its search list, ndots and cluster domain are used", async () => {
    const { output, errors } = await run("web", { resolvConf: "f", json: true }, file);
    expect(errors).toBe("");
    expect(JSON.parse(output)).toMatchObject({
      search: ["shop.svc.k8s.test", "svc.k8s.test", "k8s.test", "ec2.internal"],
      ndots: 2,
      clusterDomain: "k8s.test",
    });
  });

  test("doubtful lines are warnings", async () => {
    const { exitCode, errors } = await run("web", { resolvConf: "f" }, `${file}turbo on\n`);
    expect(exitCode).toBe(0);
    expect(errors).toBe(
      'f:4: has the keyword "turbo", which resolvers do not know; allowed: nameserver, search, domain, options (warning)\n',
    );
  });

  test("a file that is not there: exit code 78", async () => {
    const { exitCode, output, errors } = await run("web", { resolvConf: "/nonexistent/resolv.conf" });
    expect({ exitCode, output }).toEqual({ exitCode: 78, output: "" });
    expect(errors).toMatch(/^nodens: cannot read \/nonexistent\/resolv\.conf: ENOENT[^\n]*\n$/);
  });

  test("a file that is not a resolv.conf: exit code 78", async () => {
    const { exitCode, errors } = await run("web", { resolvConf: "f" }, "x".repeat(70_000));
    expect([exitCode, errors]).toEqual([78, "nodens: f is not a resolv.conf: it is too long\n"]);
  });
});

test.each([
  ["", {}, "no name to explain"],
  ["a..b", {}, "'a..b' is not a name that programs look up: use labels of 1 to 63 characters, at most 253 in all"],
  ["fd00::1", {}, "'fd00::1' is an IP address: resolvers do not look those up"],
  ["web", { namespace: "a b" }, "'a b' is not a namespace: use one label of 1 to 63 letters, digits and dashes"],
  ["web", { clusterDomain: "." }, "'.' is not a domain name that a cluster can have"],
  [
    "web",
    { against: "nodens:9253" },
    "'nodens:9253' is not an admin address: it must be an IP address and a port, as in 127.0.0.1:9253, or the path of the Unix socket admin.sock",
  ],
])("unusable: %j %j, one line and exit code 64", async (name, flags, error) => {
  expect(await run(name, flags)).toEqual({ exitCode: 64, output: "", errors: `nodens: ${error}\n` });
});

describe("against a running nodens", () => {
  /** An admin server whose nodens has the zone k8s.test, knows www.example.com, and nothing else. */
  async function startAdmin(
    rules = { absentParent: true, absentBySchema: true },
    more: Partial<AdminServerOptions> = {},
  ): Promise<string> {
    const clock = createFakeClock();
    const foresee = (name: Uint8Array, types: readonly number[]): Foresight[] =>
      types.map(() => {
        if (name.length === 17) return { kind: "cached", verdict: "data", ttlSeconds: 12 };
        return { kind: "denied", rule: "absentParent", ttlSeconds: 4 };
      });
    const state = { clusterDomain: "k8s.test", source: "running", rules, foresee } as const;
    const server = await startAdminServer({
      place: { host: "127.0.0.1", port: 0 },
      isAllowed: () => true,
      registry: { contentType: "text/plain; version=0.0.4; charset=utf-8", metrics: async () => "" },
      build: { version: "0", revision: "0", nodeVersion: "0" },
      isReady: () => ({ ready: true, reasons: [] }),
      explain: (parameters) => explainPage(parameters, state),
      localPages: new Map(),
      localActions: new Map(),
      clock,
      ...more,
    });
    onTestFinished(() => server.close());
    return "path" in server.place ? server.place.path : formatServerAddress(server.place);
  }

  /** Something else that answers HTTP. */
  async function startOther(status: number, body: string): Promise<string> {
    const server = createServer((_request, response) => response.writeHead(status).end(body));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  test("asks over its Unix socket as well", async () => {
    const path = join(mkdtempSync(join(tmpdir(), "nodens-explain-")), "admin.sock");
    onTestFinished(() => rmSync(dirname(path), { recursive: true, force: true }));
    const flags = { against: await startAdmin(undefined, { place: { path } }), json: true };
    const { exitCode, output } = await run("www.example.com", flags);
    expect([exitCode, JSON.parse(output)]).toMatchObject([0, { clusterDomain: "k8s.test" }]);
    expect(await run("web", { against: `${path}.missing` })).toMatchObject({
      exitCode: 69,
      errors: `nodens: nothing at ${path}.missing answers /explain: ENOENT\n`,
    });
  });

  test("says why it is not told anything", async () => {
    const against = await startAdmin(undefined, { isAllowed: () => false });
    const { exitCode, errors } = await run("web", { against });
    expect(exitCode).toBe(64);
    expect(errors).toMatch(/^nodens: nodens at 127\.0\.0\.1:\d+ says: this client is not among those of admin\.allow/);
  });

  test("shows its state, with its own zone", async () => {
    const { exitCode, output } = await run("www.example.com", { against: await startAdmin() });
    expect(exitCode).toBe(0);
    expect(output).toContain(
      page(`
www.example.com  has 2 dots, fewer than ndots:5: the suffixes come first
  search default.svc.k8s.test svc.k8s.test k8s.test; ndots:5
  state of a running nodens

 ┌ 1  www.example.com + default.svc.k8s.test                                           absent: go on
 │    A     denied: its parent is absent, 4 s left
 │    AAAA  denied: its parent is absent, 4 s left
 ├ 2  www.example.com + svc.k8s.test                                                   absent: go on
 │    A     denied: its parent is absent, 4 s left
 │    AAAA  denied: its parent is absent, 4 s left
 ├ 3  www.example.com + k8s.test                                                       absent: go on
 │    A     denied: its parent is absent, 4 s left
 │    AAAA  denied: its parent is absent, 4 s left
 └ 4  www.example.com as it stands                                                    found: the end
      A     from the cache: answer, 12 s left
      AAAA  from the cache: answer, 12 s left

Queries that reach kube-dns
  without nodens         8  ████████████████████████
  through nodens, now    0
`),
    );
  });

  test("says which rules are not in use", async () => {
    const { output } = await run("a.test", {
      against: await startAdmin({ absentBySchema: false, absentParent: false }),
    });
    expect(output).toContain("state of a running nodens; no rule is in use\n");
    expect(output).toContain("Not all search rules are in use");
  });

  test("passes on the search list and ndots from a file or a cluster domain", async () => {
    const against = await startAdmin();
    const file = "search a.test b.test\noptions ndots:3\n";
    const fromFile = JSON.parse((await run("web", { against, json: true, resolvConf: "f" }, file)).output);
    expect(fromFile).toMatchObject({ search: ["a.test", "b.test"], ndots: 3, clusterDomain: "k8s.test" });
    const fromDomain = JSON.parse((await run("web", { against, json: true, clusterDomain: "x.test" })).output);
    expect(fromDomain).toMatchObject({ search: ["default.svc.x.test", "svc.x.test", "x.test"] });
  });

  test("nothing there: one line and exit code 69", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    expect(await run("web", { against: `127.0.0.1:${port}` })).toEqual({
      exitCode: 69,
      output: "",
      errors: `nodens: nothing at 127.0.0.1:${port} answers /explain: ECONNREFUSED\n`,
    });
  });

  test.each([
    [404, "no such page", "answered 404 to /explain: is it the admin address of a nodens?"],
    [302, "", "answered 302 to /explain: is it the admin address of a nodens?"],
    [200, "<html>", "answered /explain, but not as nodens does"],
    [200, '{"steps":[]}', "answered /explain with something that this version does not understand"],
  ])("another server there (%i, %j): one line and exit code 69", async (status, body, words) => {
    const against = await startOther(status, body);
    expect(await run("web", { against })).toEqual({
      exitCode: 69,
      output: "",
      errors: `nodens: ${against} ${words}\n`,
    });
  });

  test("an endless answer is cut short", async () => {
    const against = await startOther(200, "x".repeat(2 * 1024 * 1024));
    const { exitCode, errors } = await run("web", { against });
    expect(exitCode).toBe(69);
    expect(errors).toContain("its answer is over 1048576 octets");
  });

  test("a refusal is shown in its own words, without control characters: exit code 64", async () => {
    const against = await startOther(400, "no \x1b[31mway\nmore");
    expect(await run("web", { against })).toEqual({
      exitCode: 64,
      output: "",
      errors: `nodens: nodens at ${against} says: no ?[31mway\n`,
    });
  });
});
