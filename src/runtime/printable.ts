/*
 * Text that may hold what others chose (names, paths, settings, words of other programs), made safe for a terminal: characters that
 * it would obey, or that change the order in which text is read, become their \u escapes.
 */

/** Controls (C0, DEL and C1, of which U+009B is an escape sequence's beginning), line separators, and what turns text around. */
const obeyed = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

// oxlint-disable-next-line no-control-regex
const colour = /(\u001b\[[\d;]*m)/;

/**
 * Writes every such character as `\u001b` is written here, which JSON and YAML read back inside quotes; line ends and tabs stay.
 * Text without them is returned as it is.
 */
export function toPrintable(text: string): string {
  return text.replaceAll(obeyed, (character) => {
    if (character === "\n" || character === "\t") return character;
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** The same for text that was painted: colours stay. What goes into it has to be printable by itself. */
export function toPrintableInColour(text: string): string {
  return text
    .split(colour)
    .map((part, index) => (index % 2 === 1 ? part : toPrintable(part)))
    .join("");
}
