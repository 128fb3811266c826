/*
 * Pieces of HTML. Whatever comes from outside goes through `html`.
 */

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text with everything escaped that HTML gives a meaning to, in attributes too. */
export function html(raw: string): string {
  return raw.replace(/[&<>"']/g, (character) => escapes[character] ?? "");
}

/** Text in the fixed-width font, escaped; a dash for none. */
export function code(raw: string): string {
  return raw === "" ? "–" : `<code>${html(raw)}</code>`;
}

/** What stands before a column's title: # for numbers, ~ for text that may take several lines. All else stays on one. */
const columnKinds: Readonly<Record<string, string>> = { "#": ' class="number"', "~": ' class="long"' };

/** A table, or `none` as a sentence where it has no rows. Cells are HTML. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[], none: string): string {
  if (rows.length === 0) return `<p class="soft">${html(none)}</p>`;
  const classOf = (column: number) => columnKinds[titles[column]?.[0] ?? ""] ?? "";
  const head = titles.map(
    (title, column) => `<th scope="col"${classOf(column)}>${html(title.replace(/^[#~]/, ""))}</th>`,
  );
  const body = rows.map(
    (cells) => `<tr>${cells.map((cell, column) => `<td${classOf(column)}>${cell}</td>`).join("")}</tr>`,
  );
  return `<div class="scroll"><table><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}
