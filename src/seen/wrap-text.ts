/*
 * Text in a terminal's width.
 */

/** Breaks a text of one line between words into lines of at most `columns`. Those after the first begin where the first does. A longer word stays whole. */
export function wrapText(text: string, columns: number): string[] {
  const indent = /^[ │]*/.exec(text)?.[0] ?? "";
  const lines = [indent];
  for (const word of text.slice(indent.length).split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last === indent) lines[lines.length - 1] = indent + word;
    else if (last.length + word.length + 1 <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(indent + word);
  }
  return lines;
}

/** The text, or its beginning with "…" where it is longer than `columns`. */
export function cutText(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;
}
