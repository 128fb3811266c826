/*
 * A Corefile as words: quotes, comments and line ends as CoreDNS's own reader takes them, which is not always as one expects.
 */

/** One word, and where it begins: line and column from 1. */
export interface Word {
  readonly text: string;
  readonly line: number;
  readonly column: number;
  /** The line it ends on: a quoted word may span several. */
  readonly lastLine: number;
}

/** Values of `{$NAME}` and `{%NAME%}`, by name. A variable that is unset or empty stays in the text. */
export type CorefileEnvironment = Readonly<Record<string, string | undefined>>;

/** The words of a Corefile, in order. Never throws: an unterminated quote runs to the end of the text. */
export function readWords(text: string, env: CorefileEnvironment): Word[] {
  const words: Word[] = [];
  let [at, line, lineStart] = [text.startsWith("\uFEFF") ? 1 : 0, 1, 0];

  while (at < text.length) {
    const char = text.charAt(at);
    if (isSpace(char)) skip();
    else if (char === "#") skipComment();
    else readWord(char === '"');
  }
  return words;

  function skip(): void {
    at += 1;
    if (text.charAt(at - 1) === "\n") [line, lineStart] = [line + 1, at];
  }

  function skipComment(): void {
    while (at < text.length && text.charAt(at) !== "\n") at += 1;
  }

  function readWord(isQuoted: boolean): void {
    const place = { line, column: at - lineStart + 1 };
    const word = isQuoted ? readQuoted() : readPlain();
    words.push({ text: substitute(word, env), ...place, lastLine: line });
  }

  /** Within a word, "#" cuts off the rest of that word only, and a quote is an ordinary character. */
  function readPlain(): string {
    const start = at;
    while (at < text.length && !isSpace(text.charAt(at))) at += 1;
    const [word = ""] = text.slice(start, at).split("#", 1);
    return word;
  }

  /** Only quotes can be escaped; any other backslash stands for itself. */
  function readQuoted(): string {
    let word = "";
    skip();
    while (at < text.length && text.charAt(at) !== '"') {
      if (text.startsWith('\\"', at)) skip();
      // The second of two backslashes escapes nothing.
      else if (text.startsWith("\\\\", at)) word += take();
      word += take();
    }
    skip();
    return word;
  }

  function take(): string {
    skip();
    return text.charAt(at - 1);
  }
}

function isSpace(char: string): boolean {
  return /\s/.test(char);
}

function substitute(word: string, env: CorefileEnvironment): string {
  return word.replaceAll(/\{\$(\w+)\}|\{%(\w+)%\}/g, (whole, unix: string | undefined, windows: string | undefined) => {
    return env[unix ?? windows ?? ""] || whole;
  });
}
