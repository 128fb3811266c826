/*
 * Reads a Corefile: server blocks with their keys and directives, with imported snippets in place. Knows the form of the file,
 * but no plugin.
 *
 *     zone:port zone {            a block: keys, then directives in braces (the only block of a file may omit them)
 *       plugin argument {         a directive, with a block of its own or without
 *         option argument
 *       }
 *     }
 */
import { readWords, type CorefileEnvironment, type Word } from "./corefile-words.ts";

/** A line of a block: the plugin or option, its arguments, and the block in its braces. */
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

/** Something in the file that cannot be read, or an import that cannot be followed. Line and column from 1. */
export interface CorefileProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** What a file holds. When `broken` is set, the rest is empty. */
export interface Corefile {
  readonly blocks: readonly ServerBlock[];
  readonly broken: CorefileProblem | undefined;
  /** Imports of other files, and of a snippet by itself. */
  readonly unresolved: readonly CorefileProblem[];
}

/** Deeper than any plugin nests, and shallow enough for the stack. */
const deepest = 16;

/** More directives than any Corefile imports: snippets that import each other multiply. */
const mostImported = 10_000;

/** A directive that knows its column, for messages. */
interface PlacedDirective extends Directive {
  readonly column: number;
  readonly block: readonly PlacedDirective[];
}

/** Reads a Corefile. Never throws. `env` has the values of `{$NAME}` and `{%NAME%}`; unset ones stay as they are. */
export function readCorefile(text: string, env: CorefileEnvironment): Corefile {
  const words = readWords(text, env);
  const blocks: (ServerBlock & { readonly directives: readonly PlacedDirective[] })[] = [];
  const snippets = new Map<string, readonly PlacedDirective[]>();
  const unresolved: CorefileProblem[] = [];
  let at = 0;
  let importedCount = 0;

  try {
    while (at < words.length) readBlock();
    const expanded = blocks.map((block) => ({ ...block, directives: expand(block.directives, []) }));
    return { blocks: expanded, broken: undefined, unresolved };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    const { line, column } = error.word;
    return { blocks: [], broken: { line, column, message: error.message }, unresolved: [] };
  }

  function readBlock(): void {
    const [first, keys] = [words[at] as Word, readKeys()];
    const open = words[at];
    const [key] = keys;
    // Only an import was left, which has been noted.
    if (open === undefined && key === undefined) return;
    if (key === undefined) throw new Unreadable(first, `found ${first.text} without a zone before it`);
    if (open === undefined) throw new Unreadable(first, `nothing follows ${keys.join(" ")}`);
    const isInBraces = open.text === "{";
    if (isInBraces) at += 1;
    const directives = readDirectives(isInBraces ? open : undefined, 1);
    const snippet = keys.length === 1 ? /^\((.*)\)$/.exec(key)?.[1] : undefined;
    if (snippet === undefined) blocks.push({ keys, directives, line: first.line });
    else if (snippets.has(snippet)) throw new Unreadable(first, `the snippet ${key} is defined twice`);
    else snippets.set(snippet, directives);
  }

  /** Keys end with the line, unless its last word ends with a comma. */
  function readKeys(): string[] {
    const keys: string[] = [];
    let goesOn = true;
    for (let word = words[at]; word !== undefined && word.text !== "{"; word = words[at]) {
      if (keys.length > 0 && !goesOn && isFirstOfLine(at)) break;
      if (word.text === "}") throw new Unreadable(word, "found } without a matching {");
      at += 1;
      if (word.text === "import" && isFirstOfLine(at - 1)) {
        noteImport(word, readRestOfLine()[0], "it is outside any block");
        continue;
      }
      goesOn = word.text.endsWith(",");
      const key = goesOn ? word.text.slice(0, -1) : word.text;
      if (key !== "") keys.push(key);
    }
    return keys;
  }

  function readRestOfLine(): string[] {
    const rest: string[] = [];
    for (let word = words[at]; word !== undefined && !isFirstOfLine(at); word = words[at]) {
      rest.push(word.text);
      at += 1;
    }
    return rest;
  }

  /** Reads up to and including the closing brace or, without an opening one, to the end of the file. */
  function readDirectives(open: Word | undefined, depth: number): PlacedDirective[] {
    if (open !== undefined && depth > deepest) throw new Unreadable(open, "blocks nest too deeply");
    const directives: PlacedDirective[] = [];
    for (let word = words[at]; word !== undefined; word = words[at]) {
      at += 1;
      if (word.text === "}" && open !== undefined) return directives;
      if (word.text === "}") throw new Unreadable(word, "found } without a matching {");
      if (word.text === "{") throw new Unreadable(word, "found { without a name before it");
      directives.push(readDirective(word, depth));
    }
    if (open !== undefined) throw new Unreadable(open, "this { is never closed");
    return directives;
  }

  /** Its opening brace may be on the next line; the closing brace of the block around it may be on its own line. */
  function readDirective({ text: name, line, column }: Word, depth: number): PlacedDirective {
    const rest: string[] = [];
    for (let word = words[at]; word !== undefined && word.text !== "}"; word = words[at]) {
      if (word.text !== "{" && isFirstOfLine(at)) break;
      at += 1;
      if (word.text === "{") {
        return { name, arguments: rest, block: readDirectives(word, depth + 1), line, column };
      }
      rest.push(word.text);
    }
    return { name, arguments: rest, block: [], line, column };
  }

  function isFirstOfLine(index: number): boolean {
    const [before, word] = [words[index - 1], words[index]];
    return before === undefined || word === undefined || before.lastLine < word.line;
  }

  function expand(directives: readonly PlacedDirective[], within: readonly string[]): PlacedDirective[] {
    return directives.flatMap((directive) => {
      if (within.length > 0) importedCount += 1;
      if (importedCount > mostImported) throw new Unreadable(directive, "too many imported lines");
      if (directive.name !== "import") return [{ ...directive, block: expand(directive.block, within) }];
      const [name = ""] = directive.arguments;
      const snippet = snippets.get(name);
      if (snippet !== undefined && !within.includes(name)) return expand(snippet, [...within, name]);
      noteImport(directive, name, snippet === undefined ? "it is another file" : "it imports itself");
      return [];
    });
  }

  function noteImport({ line, column }: Pick<Word, "line" | "column">, name = "", why: string): void {
    const message = `${name || "nothing"} cannot be imported: ${why}`;
    unresolved.push({ line, column, message });
  }
}

/** Why reading stopped. Never leaves this file. */
class Unreadable extends Error {
  readonly word: Pick<Word, "line" | "column">;
  constructor(word: Pick<Word, "line" | "column">, message: string) {
    super(message);
    this.word = word;
  }
}
