import { describe, expect, test } from "vitest";
import { createCommandLine, type CommandActions } from "../../../src/commands/command-line.ts";

/** Runs the command line with actions that only say that, and with what, they were called. */
async function run(args: readonly string[], overrides: Partial<CommandActions> = {}) {
  const calls: unknown[] = [];
  let [output, errors] = ["", ""];
  const note = (...call: unknown[]): Promise<number> => {
    calls.push(call);
    return Promise.resolve(0);
  };
  const actions: CommandActions = {
    serve: (flags) => note("serve", flags),
    check: (filePath) => note("check", filePath),
    query: (name, type, flags) => note("query", name, type, flags),
    explain: (name, flags) => note("explain", name, flags),
    top: (flags) => note("top", flags),
    tail: (flags) => note("tail", flags),
    cacheShow: (name, type, flags) => note("cacheShow", name, type, flags),
    cacheFlush: (name, flags) => note("cacheFlush", name, flags),
    advise: (flags) => note("advise", flags),
    doctor: (flags) => note("doctor", flags),
    migrate: (filePath) => note("migrate", filePath),
    detach: (filePath) => note("detach", filePath),
    untaint: (flags) => note("untaint", flags),
    reportReady: (flags) => note("report-ready", flags),
    version: () => note("version"),
    ...overrides,
  };
  const terminal = {
    write: (text: string) => void (output += text),
    writeError: (text: string) => void (errors += text),
  };
  const exitCode = await createCommandLine(actions, terminal).run(args);
  return { exitCode, output, errors, calls };
}

const queryDefaults = { server: "127.0.0.1:5353", timeoutMs: "5000", edns: true };

describe("what runs", () => {
  const rows: readonly (readonly [line: string, call: readonly unknown[]])[] = [
    ["", ["serve", {}]],
    ["migrate Corefile", ["migrate", "Corefile"]],
    ["detach", ["detach", undefined]],
    ["detach --config n.yaml", ["detach", "n.yaml"]],
    [
      "untaint --node n1 --taint example.com/nodens --admin 10.0.3.7",
      ["untaint", { node: "n1", taint: "example.com/nodens", admin: "10.0.3.7" }],
    ],
    [
      "report-ready --node n1 --condition example.com/Ready --admin 10.0.3.7",
      ["report-ready", { node: "n1", condition: "example.com/Ready", admin: "10.0.3.7" }],
    ],
    ["serve", ["serve", {}]],
    ["serve --embedded --config n.yaml", ["serve", { embedded: true, config: "n.yaml" }]],
    ["--listen 127.0.0.1:53", ["serve", { listen: ["127.0.0.1:53"] }]],
    ["--listen 127.0.0.1:53 --listen [::1]:53", ["serve", { listen: ["127.0.0.1:53", "[::1]:53"] }]],
    ["serve --upstream 10.0.0.1:53 --upstream=10.0.0.2:53", ["serve", { upstream: ["10.0.0.1:53", "10.0.0.2:53"] }]],
    [
      "--admin :9153 --cluster-domain k8s.test --config n.yaml",
      ["serve", { admin: ":9153", clusterDomain: "k8s.test", config: "n.yaml" }],
    ],
    ["check nodens.yaml", ["check", "nodens.yaml"]],
    ["version", ["version"]],
    ["--version", ["version"]],
    ["query example.com", ["query", "example.com", undefined, queryDefaults]],
    ["query example.com AAAA --tcp", ["query", "example.com", "AAAA", { ...queryDefaults, tcp: true }]],
    [
      "query --server [::1]:53 --dnssec --json --twice --timeout-ms 50 a b",
      ["query", "a", "b", { server: "[::1]:53", timeoutMs: "50", edns: true, dnssec: true, json: true, twice: true }],
    ],
    ["query a --no-edns --short", ["query", "a", undefined, { ...queryDefaults, edns: false, short: true }]],
    ["explain web", ["explain", "web", { namespace: "default", color: true }]],
    [
      "explain web --namespace shop --cluster-domain k8s.test --json --no-color --against 127.0.0.1:9253",
      [
        "explain",
        "web",
        { namespace: "shop", clusterDomain: "k8s.test", json: true, color: false, against: "127.0.0.1:9253" },
      ],
    ],
    ["advise --json", ["advise", { against: "127.0.0.1:9253", json: true }]],
    ["cache show web.test", ["cacheShow", "web.test", undefined, { against: "127.0.0.1:9253" }]],
    ["cache show web.test MX --json", ["cacheShow", "web.test", "MX", { against: "127.0.0.1:9253", json: true }]],
    [
      "cache flush web.test --below --against /run/nodens/admin.sock",
      ["cacheFlush", "web.test", { against: "/run/nodens/admin.sock", below: true }],
    ],
    ["tail --incident 1", ["tail", { against: "127.0.0.1:9253", incident: "1" }]],
    ["explain web --resolv-conf f", ["explain", "web", { namespace: "default", color: true, resolvConf: "f" }]],
  ];
  test.each(rows)("nodens %s", async (line, call) => {
    const args = line.split(" ").filter((word) => word !== "");
    expect(await run(args)).toEqual({ exitCode: 0, output: "", errors: "", calls: [call] });
  });

  test("the exit code is the action's", async () => {
    const { exitCode } = await run(["check", "f"], { check: () => 78 });
    expect(exitCode).toBe(78);
  });

  test("an action that throws: exit code 1 and the error", async () => {
    const { exitCode, errors } = await run([], { serve: () => Promise.reject(new Error("out of luck")) });
    expect(exitCode).toBe(1);
    expect(errors).toMatch(/^nodens: Error: out of luck\n/);
  });

  test("two runs do not share repeated flags", async () => {
    await run(["--listen", "127.0.0.1:1"]);
    expect((await run(["--listen", "127.0.0.1:2"])).calls).toEqual([["serve", { listen: ["127.0.0.1:2"] }]]);
  });
});

describe("a command line that cannot be understood: one line, exit code 64, nothing runs", () => {
  const rows: readonly (readonly [line: string, error: string])[] = [
    ["srve", "unknown command 'srve' (did you mean serve?)"],
    ["quary example.com", "unknown command 'quary' (did you mean query?)"],
    [
      "frobnicate",
      "unknown command 'frobnicate' (there are serve, query, explain, top, tail, advise, cache, doctor, check, migrate, detach, untaint, report-ready, version, help)",
    ],
    ["help chekc", "unknown command 'chekc' (did you mean check?)"],
    ["--listn 127.0.0.1:53", "unknown option '--listn' (did you mean --listen?)"],
    ["serve --upsteam 10.0.0.1:53", "unknown option '--upsteam' (did you mean --upstream?)"],
    ["query a --dnsec", "unknown option '--dnsec' (did you mean --dnssec?)"],
    ["serve --frobnicate", "unknown option '--frobnicate'"],
    ["--listen", "option '--listen <ADDR:PORT>' argument missing"],
    ["serve now", "serve takes no arguments, but was given 'now'"],
    ["--listen 127.0.0.1:53 check f", "the command 'check' must come before its flags"],
    ["check", "missing required argument 'file'"],
    ["check a b", "too many arguments for 'check'. Expected 1 argument but got 2: a, b."],
    ["query", "missing required argument 'name'"],
    ["cache", "cache takes show or flush"],
    ["cache drop a", "unknown command 'drop' (there are show, flush)"],
    ["cache flush a A", "too many arguments for 'flush'. Expected 1 argument but got 2: a, A."],
    ["cache show a A B", "too many arguments for 'show'. Expected 2 arguments but got 3: a, A, B."],
    ["help cache shw", "unknown command 'shw' (did you mean show?)"],
    ["help check show", "check has no command 'show'"],
    ["cache flush", "missing required argument 'name'"],
    ["query a --short --json", "option '--short' cannot be used with option '--json'"],
    ["query a --short --twice", "option '--short' cannot be used with option '--twice'"],
    ["explain", "missing required argument 'name'"],
    [
      "explain a --resolv-conf f --namespace shop",
      "option '--resolv-conf <FILE>' cannot be used with option '--namespace <NS>'",
    ],
    ["query a --dnssec --no-edns", "option '--dnssec' cannot be used with option '--no-edns'"],
    [
      "top --tab pods",
      "option '--tab <NAME>' argument 'pods' is invalid. Allowed choices are clients, names, denied, waits, upstream, tail, kernel.",
    ],
  ];
  test.each(rows)("nodens %s", async (line, error) => {
    expect(await run(line.split(" "))).toEqual({ exitCode: 64, output: "", errors: `nodens: ${error}\n`, calls: [] });
  });
});

describe("help", () => {
  test.each([[["help"]], [["--help"]], [["-h"]]])("nodens %s shows commands, examples and exit codes", async (args) => {
    const { exitCode, output, errors, calls } = await run(args);
    expect({ exitCode, errors, calls }).toEqual({ exitCode: 0, errors: "", calls: [] });
    for (const word of ["serve", "check", "query", "explain", "version", "help", "Examples:", "Exit codes:"]) {
      expect(output).toContain(word);
    }
    expect(output).toMatch(/^ {2}(0|1|64|65|69|71|77|78) .*(\n {2}(0|1|64|65|69|71|77|78) .*){7}$/m);
  });

  test.each([
    ["serve", ["--listen", "--upstream", "--admin", "--cluster-domain", "--config", "Examples:"]],
    ["query", ["--server", "--tcp", "--dnssec", "--no-edns", "--twice", "--short", "--json", "--timeout-ms"]],
    ["explain", ["--namespace", "--resolv-conf", "--cluster-domain", "--against", "--json", "--no-color"]],
    ["check", ["<file>"]],
    ["cache", ["show", "flush"]],
    ["cache show", ["<name>", "[type]", "--json"]],
  ])("of %s: by `help` and by --help, the same, with every flag", async (command, words) => {
    const names = command.split(" ");
    const { output } = await run(["help", ...names]);
    for (const word of words) expect(output).toContain(word);
    expect((await run([...names, "--help"])).output).toBe(output);
  });
});
