/*
 * The strip of the page: fifteen minutes in columns of ten seconds, with marks where pods asked again.
 */
import { countText } from "./number-text.ts";
import type { Picture } from "./picture.ts";

const [cellWidth, cellHeight, left, top, bottomRoom] = [10, 19, 70, 16, 20] as const;

/** How much a column of seconds may be apart from the next for both to be told as one, and how much room that takes. */
const [sameMoment, labelRoom] = [3, 12] as const;

/** The strip as SVG. A row for each range of durations, the slowest above. */
export function printStrip({ strip: { upToMs, answers, waits } }: Picture): string {
  const most = Math.max(1, ...answers.flat());
  const labels = [...upToMs.map((bound) => `≤ ${bound >= 1000 ? `${bound / 1000} s` : `${bound} ms`}`), "longer"];
  const bottom = top + labels.length * cellHeight;
  const rows = labels.map((label, row) => {
    const y = bottom - (row + 1) * cellHeight;
    const cells = (answers[row] ?? []).map((number, column) => {
      if (number === 0) return "";
      // Few beside many must still be seen.
      const opacity = 0.15 + 0.85 * (Math.log1p(number) / Math.log1p(most));
      return `<rect x="${xOf(column)}" y="${y}" width="${cellWidth - 1}" height="${cellHeight - 1}" rx="1" fill-opacity="${opacity.toFixed(2)}"/>`;
    });
    const ground = `<rect class="ground" x="${left}" y="${y}" width="${waits.length * cellWidth - 1}" height="${cellHeight - 1}" rx="1"/>`;
    return `<text class="soft" x="${left - 10}" y="${y + 13}" text-anchor="end">${label}</text>${ground}<g class="cells">${cells.join("")}</g>`;
  });
  const right = xOf(waits.length);
  const line = bottom + 14;
  return (
    `<div class="picture"><svg class="strip" viewBox="0 0 ${right} ${bottom + bottomRoom}" role="img" aria-label="How long lookups took in the last 15 minutes">` +
    `${rows.join("")}${marks(waits)}${momentLabels(waits, line)}<text class="soft" x="${left}" y="${line}">15 min ago</text>` +
    `<text class="soft" x="${right}" y="${line}" text-anchor="end">now</text></svg></div>`
  );
}

function xOf(column: number): number {
  return left + column * cellWidth;
}

function marks(waits: readonly number[]): string {
  return waits
    .map((number, column) =>
      number === 0
        ? ""
        : `<path class="mark" d="M${xOf(column)} 3h9l-4.5 8z"><title>${countText(number)} asked again</title></path>`,
    )
    .join("");
}

/** Below the strip, how many asked again at each moment, as far as there is room for it. */
function momentLabels(waits: readonly number[], y: number): string {
  const moments: { first: number; last: number; count: number }[] = [];
  for (const [column, count] of waits.entries()) {
    const before = moments.at(-1);
    if (count === 0) continue;
    if (before !== undefined && column - before.last <= sameMoment)
      Object.assign(before, { last: column, count: before.count + count });
    else moments.push({ first: column, last: column, count });
  }
  const isFree = ({ first, last }: { first: number; last: number }, index: number) =>
    first >= labelRoom &&
    last < waits.length - labelRoom / 2 &&
    first - (moments[index - 1]?.last ?? -labelRoom) >= labelRoom;
  return moments
    .filter(isFree)
    .map(({ first, last, count }) => {
      const middle = (xOf(first) + xOf(last + 1)) / 2;
      return `<text class="soft" x="${middle}" y="${y}" text-anchor="middle">${countText(count)} asked again</text>`;
    })
    .join("");
}
