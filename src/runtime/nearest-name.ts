/* Which known name was probably meant by an unknown one. */

/**
 * The candidate with the fewest edits from `name`, ignoring case. Undefined if none is within a third of the length of `name` (or 2, if
 * that is more), and for a `name` of more than 64 characters.
 */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  // Names of settings are short: a longer text is not a misspelling of one, and not worth the work.
  if (name.length > 64) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Levenshtein distance: the fewest characters to insert, delete and replace. `row[i]` is the distance to the first i of b. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let line = 1; line <= a.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (row[column - 1] ?? 0) + (a[line - 1] === b[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
