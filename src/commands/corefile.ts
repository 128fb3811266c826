/*
 * Reads a Corefile: server blocks with their zones and directives, snippets put in where they are imported. Knows the form of
 * the file and no plugin.
 *
 *     zone:port zone {            a block: keys, then directives in braces
 *       plugin argument {         a directive, with a block of its own or without
 *         option argument
 *       }
 *     }
 */

/** A line of a block: the plugin or option, what follows it, and what stands in its braces. */
export interface Directive {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly block: readonly Directive[];
  /** From 1. */
  readonly line: number;
}

/** A server block. Keys are as written: "cluster.local:53", "dns://.", "10.0.0.0/24". */
export interface ServerBlock {
  readonly keys: readonly string[];
  readonly directives: readonly Directive[];
  readonly line: number;
}

/** Something in the file that cannot be read or followed. */
export interface CorefileProblem {
  readonly line: number;
  readonly message: string;
}

/** What a file holds. With a problem in `broken`, the blocks end before it. */
export interface Corefile {
  readonly blocks: readonly ServerBlock[];
  readonly broken: CorefileProblem | undefined;
  /** Imports that lead out of the file, or to no snippet. */
  readonly unresolved: readonly CorefileProblem[];
}

interface Token {
  readonly text: string;
  readonly line: number;
  /** Whether it is one because of quotes, and no brace whatever it says. */
  readonly isQuoted: boolean;
}

/** Deeper than any plugin nests, and shallow enough for the stack. */
const deepest = 16;

/** More directives than any Corefile has, once snippets are put in: they may import each other. */
const mostDirectives = 10_000;

/** Reads a Corefile. Never throws. `env` has the values of `{$NAME}` and `{%NAME%}`; unknown ones stay as they are. */
export function readCorefile(text: string, env: Readonly<Record<string, string | undefined>>): Corefile {
  const tokens = tokenize(text, env);
  const blocks: ServerBlock[] = [];
  const snippets = new Map<string, readonly Directive[]>();
  const unresolved: CorefileProblem[] = [];
  let at = 0;

  try {
    while (at < tokens.length) readBlock();
    let directiveCount = 0;
    const expanded = blocks.map((block) => ({ ...block, directives: expand(block.directives, []) }));
    return { blocks: expanded, broken: undefined, unresolved };

    function expand(directives: readonly Directive[], within: readonly string[]): Directive[] {
      return directives.flatMap((directive) => {
        directiveCount += 1;
        if (directiveCount > mostDirectives) throw new Unreadable(directive.line, "imports too much");
        if (directive.name !== "import") return [{ ...directive, block: expand(directive.block, within) }];
        const [name = ""] = directive.arguments;
        const snippet = snippets.get(name);
        if (snippet === undefined || within.includes(name)) {
          const message =
            snippet === undefined ? `imports ${name}, which is not in this file` : `imports itself: ${name}`;
          unresolved.push({ line: directive.line, message });
          return [];
        }
        return expand(snippet, [...within, name]);
      });
    }
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { blocks, broken: { line: error.line, message: error.message }, unresolved };
  }

  function readBlock(): void {
    const line = tokens[at]?.line ?? 1;
    const keys: string[] = [];
    for (let token = tokens[at]; token !== undefined && !isBrace(token, "{"); token = tokens[at]) {
      if (isBrace(token, "}")) throw new Unreadable(token.line, "a } without a { before it");
      keys.push(...token.text.split(",").filter((key) => key !== ""));
      at += 1;
    }
    if (tokens[at] === undefined) throw new Unreadable(line, `${keys.join(" ")}: there is no { after it`);
    at += 1;
    const directives = readDirectives(line, 1);
    const [first = ""] = keys;
    const snippet = /^\((.+)\)$/.exec(first)?.[1];
    if (snippet !== undefined) snippets.set(snippet, directives);
    else if (keys.length === 0) throw new Unreadable(line, "a block without a zone");
    else blocks.push({ keys, directives, line });
  }

  /** Up to the brace that ends the block, which is taken too. */
  function readDirectives(openedAt: number, depth: number): Directive[] {
    if (depth > deepest) throw new Unreadable(openedAt, "nests too deeply");
    const directives: Directive[] = [];
    for (;;) {
      const token = tokens[at];
      if (token === undefined) throw new Unreadable(openedAt, "the { has no } that ends it");
      at += 1;
      if (isBrace(token, "}")) return directives;
      if (isBrace(token, "{")) throw new Unreadable(token.line, "a { without a name before it");
      directives.push(readDirective(token, depth));
    }
  }

  function readDirective(name: Token, depth: number): Directive {
    const rest: string[] = [];
    for (let token = tokens[at]; token !== undefined && token.line === name.line; token = tokens[at]) {
      if (isBrace(token, "}")) break;
      at += 1;
      if (isBrace(token, "{")) {
        return { name: name.text, arguments: rest, block: readDirectives(token.line, depth + 1), line: name.line };
      }
      rest.push(token.text);
    }
    return { name: name.text, arguments: rest, block: [], line: name.line };
  }
}

/** The reason why reading ends; it never leaves this file. */
class Unreadable extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

function isBrace(token: Token, brace: "{" | "}"): boolean {
  return !token.isQuoted && token.text === brace;
}

function tokenize(text: string, env: Readonly<Record<string, string | undefined>>): Token[] {
  const tokens: Token[] = [];
  for (const [index, content] of text.split(/\r?\n/).entries()) {
    // A comment begins where a word could begin; a quoted word may hold anything, and "\"" a quote.
    for (const [, comment, quoted, plain] of content.matchAll(/(#.*$)|"((?:\\.|[^"\\])*)"?|(\S+)/g)) {
      if (comment !== undefined) break;
      const word = quoted === undefined ? (plain ?? "") : quoted.replaceAll(/\\(["\\])/g, "$1");
      tokens.push({ text: substitute(word, env), line: index + 1, isQuoted: quoted !== undefined });
    }
  }
  return tokens;
}

function substitute(word: string, env: Readonly<Record<string, string | undefined>>): string {
  return word.replaceAll(/\{\$(\w+)\}|\{%(\w+)%\}/g, (whole, unix: string | undefined, windows: string | undefined) => {
    return env[unix ?? windows ?? ""] ?? whole;
  });
}
