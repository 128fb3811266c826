import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readCorefile, type Directive } from "../../../src/migrate/corefile.ts";
import { fixture } from "../commands/run-migrate.ts";

/** Directives as text, one per line, options indented. */
function show(directives: readonly Directive[], indent = ""): string[] {
  return directives.flatMap(({ name, arguments: args, block }) => [
    indent + [name, ...args].join(" "),
    ...show(block, `${indent}  `),
  ]);
}

function read(text: string, env: Record<string, string> = {}) {
  const { blocks, broken, unresolved } = readCorefile(text, env);
  return {
    blocks: blocks.map(({ keys, directives }) => [keys.join(" "), ...show(directives)]),
    broken: broken === undefined ? undefined : `${broken.line}:${broken.column}: ${broken.message}`,
    unresolved: unresolved.map(({ line, column, message }) => `${line}:${column}: ${message}`),
  };
}

describe("a Corefile is read as CoreDNS reads it:", () => {
  const rows: readonly (readonly [what: string, text: string, blocks: readonly (readonly string[])[]])[] = [
    [
      "a block with options",
      ". {\n forward . 192.0.2.1 {\n  force_tcp\n }\n errors\n}",
      [[".", "forward . 192.0.2.1", "  force_tcp", "errors"]],
    ],
    ["several keys on a line", "a b:53 {\n errors\n}", [["a b:53", "errors"]]],
    ["keys that go on after a comma", "a,\nb {\n errors\n}", [["a b", "errors"]]],
    [
      "braces on a line of their own",
      ".\n{\n forward . 192.0.2.1\n {\n  force_tcp\n }\n}",
      [[".", "forward . 192.0.2.1", "  force_tcp"]],
    ],
    [
      "one block without braces",
      ".:53\nforward . 192.0.2.1\ncache 30\n",
      [[".:53", "forward . 192.0.2.1", "cache 30"]],
    ],
    ["comments", "# {\n. { # }\n errors # log\n # cache\n}", [[".", "errors"]]],
    [
      "a # within a word ends the word",
      ". {\n forward . 192.0.2.1#old 192.0.2.2\n}",
      [[".", "forward . 192.0.2.1 192.0.2.2"]],
    ],
    ["words in quotes", '. {\n log "a b" "# \\"c\\" \\\\n"\n}', [[".", 'log a b # "c" \\\\n']]],
    ["a word in quotes over two lines", '. {\n log "a\nb" c\n errors\n}', [[".", "log a\nb c", "errors"]]],
    ["line ends of Windows, and a byte order mark", "\uFEFF. {\r\n errors\r\n}\r\n", [[".", "errors"]]],
    ["a snippet", "(s) {\n errors\n log\n}\n. {\n import s\n loop\n}", [[".", "errors", "log", "loop"]]],
    [
      "a snippet in a snippet and in options",
      "(s) {\n force_tcp\n}\n(t) {\n forward . 192.0.2.1 {\n  import s\n }\n}\n. {\n import t\n}",
      [[".", "forward . 192.0.2.1", "  force_tcp"]],
    ],
  ];
  test.each(rows)("%s", (_what, text, blocks) => {
    expect(read(text)).toEqual({ blocks, broken: undefined, unresolved: [] });
  });

  test("variables that are set are put in, others stay", () => {
    const { blocks } = read("{$ZONE} {\n forward . {$A} {%B%} x{$A}:53 {$C} {$EMPTY}\n}", {
      ZONE: "a.example",
      A: "192.0.2.1",
      B: "192.0.2.2",
      EMPTY: "",
    });
    expect(blocks).toEqual([["a.example", "forward . 192.0.2.1 192.0.2.2 x192.0.2.1:53 {$C} {$EMPTY}"]]);
  });

  test("lines are those of the words, also in snippets", () => {
    const { blocks } = readCorefile("(s) {\n errors\n}\n\n. {\n import s\n loop\n}", {});
    expect(blocks[0]?.directives.map(({ name, line }) => [name, line])).toEqual([
      ["errors", 2],
      ["loop", 7],
    ]);
  });
});

describe("what cannot be read is said with line and column:", () => {
  test.each([
    [". {\n errors", "1:3: this { is never closed"],
    ["a {\n errors {\n}", "1:3: this { is never closed"],
    ["}", "1:1: found } without a matching {"],
    [".\nerrors\n  }", "3:3: found } without a matching {"],
    [". {\n}\n{\n errors\n}", "3:1: found { without a zone before it"],
    [". {\n {\n }\n}", "2:2: found { without a name before it"],
    ["\n  hello", "2:3: nothing follows hello"],
    ["(s) {\n}\n(s) {\n}", "3:1: the snippet (s) is defined twice"],
    [`. {\n${"a {\n".repeat(20)}${"}\n".repeat(20)}}`, "17:3: blocks nest too deeply"],
  ])("%j: %s", (text, broken) => {
    expect(read(text)).toEqual({ blocks: [], broken, unresolved: [] });
  });

  test("snippets that multiply each other are given up", () => {
    const snippets = Array.from({ length: 20 }, (_, at) => `(s${at}) {\n${`import s${at + 1}\n`.repeat(10)}}\n`);
    const { broken } = read(`${snippets.join("")}(s20) {\n errors\n}\n. {\n import s0\n}`);
    expect(broken).toMatch(/: too many imported lines$/);
  });
});

describe("imports that cannot be followed are said, and the rest is read:", () => {
  test.each([
    [". {\n import other.conf\n errors\n}", "2:2: other.conf cannot be imported: it is another file"],
    ["import zones/*\n. {\n errors\n}", "1:1: zones/* cannot be imported: it is outside any block"],
    ["(a) {\n import a\n errors\n}\n. {\n import a\n}", "2:2: a cannot be imported: it imports itself"],
    [". {\n import\n errors\n}", "2:2: nothing cannot be imported: it is another file"],
  ])("%j", (text, unresolved) => {
    expect(read(text)).toEqual({ blocks: [[".", "errors"]], broken: undefined, unresolved: [unresolved] });
  });
});

test("a Corefile of NodeLocal DNSCache has four blocks", () => {
  expect(read(fixture("node-local-dns")).blocks.map(([keys]) => keys)).toEqual([
    "__PILLAR__DNS__DOMAIN__:53",
    "in-addr.arpa:53",
    "ip6.arpa:53",
    ".:53",
  ]);
});

describe("whatever the text is,", () => {
  const word = fc.constantFrom(
    "{",
    "}",
    "(a)",
    "import",
    "a",
    ".",
    "\n",
    " ",
    '"',
    "\\",
    "#",
    "cache",
    ",",
    "{$X}",
    '"{"',
  );
  const soup = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.array(word, { maxLength: 60 }).map((words) => words.join(" ")),
  );

  test("reading ends, does not throw, and every place is in the text", () => {
    fc.assert(
      fc.property(soup, (text) => {
        const { blocks, broken, unresolved } = readCorefile(text, { X: "x" });
        const lineCount = text.split("\n").length;
        for (const { line } of [...blocks, ...blocks.flatMap(({ directives }) => directives), ...unresolved]) {
          expect(line).toBeGreaterThan(0);
          expect(line).toBeLessThanOrEqual(lineCount);
        }
        if (broken !== undefined)
          expect(text.split("\n")[broken.line - 1]?.length).toBeGreaterThanOrEqual(broken.column);
      }),
      { numRuns: 1500 },
    );
  });
});
