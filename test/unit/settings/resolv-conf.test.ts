import { describe, expect, test } from "vitest";
import { formatProblem } from "../../../src/settings/problem.ts";
import { parseResolvConf } from "../../../src/settings/resolv-conf.ts";

const parse = (text: string) => parseResolvConf(text, "resolv.conf");
const problemsOf = (text: string) => parse(text).problems.map(formatProblem);

test("a pod's file, as kubelet writes it", () => {
  const text = [
    "search default.svc.cluster.local svc.cluster.local cluster.local ec2.internal",
    "nameserver 10.96.0.10",
    "options ndots:5",
    "",
  ].join("\n");
  expect(parse(text)).toEqual({
    nameservers: ["10.96.0.10"],
    search: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local", "ec2.internal"],
    options: { ndots: 5, timeoutSeconds: 5, attempts: 2, switches: [] },
    problems: [],
  });
});

test("an empty file means the defaults: no suffix, ndots:1", () => {
  expect(parse("")).toEqual({
    nameservers: [],
    search: [],
    options: { ndots: 1, timeoutSeconds: 5, attempts: 2, switches: [] },
    problems: [],
  });
});

describe("what is read", () => {
  test.each([
    ["search a.test b.test\nsearch c.test", ["c.test"]],
    ["domain a.test\nsearch b.test c.test", ["b.test", "c.test"]],
    ["search b.test c.test\ndomain a.test d.test", ["a.test"]],
    ["search a.test. . B.test", ["a.test", ".", "B.test"]],
    ["search\ta.test \t b.test  \r\n", ["a.test", "b.test"]],
  ])("the last search or domain wins, words are apart by blanks: %j", (text, search) => {
    expect(parse(text)).toMatchObject({ search, problems: [] });
  });

  test("options add up over lines, a later number wins, switches are kept once", () => {
    const text = "options ndots:3 use-vc timeout:1\noptions attempts:3 ndots:2 single-request use-vc edns0";
    expect(parse(text)).toMatchObject({
      options: { ndots: 2, timeoutSeconds: 1, attempts: 3, switches: ["use-vc", "single-request", "edns0"] },
      problems: [],
    });
  });

  test("nameservers of both families, with a zone index", () => {
    const text = "nameserver 10.0.0.1\nnameserver fd00::a\nnameserver fe80::1%eth0\nsortlist 10.0.0.0/8";
    expect(parse(text)).toMatchObject({ nameservers: ["10.0.0.1", "fd00::a", "fe80::1%eth0"], problems: [] });
  });

  test("comment lines and empty lines say nothing", () => {
    expect(parse("# search a.test\n; nameserver 1.2.3.4\n\n   \n  # indented\n")).toMatchObject({
      nameservers: [],
      search: [],
      problems: [],
    });
  });
});

describe("what is skipped is reported, with its line", () => {
  test.each([
    ["\nnameserver dns.test", 'resolv.conf:2: nameserver is "dns.test"; allowed: an IP address'],
    ["nameserver", "resolv.conf:1: nameserver has no value"],
    ["search", "resolv.conf:1: search has no value"],
    ["search a..b", 'resolv.conf:1: search has "a..b"; allowed: domain names'],
    [" search a.test", "resolv.conf:1: begins with a space, so resolvers skip the line"],
    [
      "server 10.0.0.1",
      'resolv.conf:1: has the keyword "server", which resolvers do not know; allowed: nameserver, search, domain, options',
    ],
    ["options ndots", 'resolv.conf:1: options ndots is "ndots"; allowed: ndots: and a number'],
    ["options ndots:five", 'resolv.conf:1: options has "ndots:five", which resolvers do not know'],
    ["options ndots:20", "resolv.conf:1: options ndots is 20, and counts as 15; allowed: 0 to 15"],
    ["options turbo", 'resolv.conf:1: options has "turbo", which resolvers do not know'],
    [
      "search a.test # ours",
      "resolv.conf:1: search is followed by a comment, which resolvers would read as values; nodens skips it",
    ],
    [
      "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4",
      "resolv.conf:4: nameserver is not among the first 3; resolvers ask only those",
    ],
  ])("%j", (text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  test("what stands around a bad line is read all the same", () => {
    const { search, options } = parse("search a.test\nnonsense here\noptions ndots:99 rotate");
    expect([search, options.ndots, options.switches]).toEqual([["a.test"], 15, ["rotate"]]);
  });

  test("33 suffixes: the first 32 count", () => {
    const text = `search ${Array.from({ length: 33 }, (_, index) => `s${index}.test`).join(" ")}`;
    expect(parse(text).search).toHaveLength(32);
    expect(problemsOf(text)).toEqual(["resolv.conf:1: search has 33 domains; allowed: at most 32"]);
  });
});

test("octets of any kind are read without throwing", () => {
  const text = String.fromCharCode(...Array.from({ length: 0x300 }, (_, code) => code)).repeat(3);
  expect(() => parse(text)).not.toThrow();
});
