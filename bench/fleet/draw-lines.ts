/*
 * Numbers over time as a picture: panels one above the other, with one axis of time.
 */

/** A line of a panel. */
export interface Line {
  readonly label: string;
  readonly colour: string;
  /** One number a second, from second 0 on. */
  readonly numbers: readonly number[];
}

/** A panel. */
export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  /** A value that is marked, with what it means. */
  readonly mark?: { readonly label: string; readonly value: number };
  /** The highest value that is drawn; lines are cut off there. Left out: the highest of all lines. */
  readonly top?: number;
}

/** The picture. Seconds are drawn from `from` to `to`; the time between `shadeFrom` and `shadeTo` is shaded. */
export interface Picture {
  readonly title: string;
  readonly from: number;
  readonly to: number;
  readonly shadeFrom: number;
  readonly shadeTo: number;
  readonly panels: readonly Panel[];
}

const size = { width: 760, left: 70, right: 20, head: 44, panel: 130, gap: 46, foot: 36 };
const plotWidth = size.width - size.left - size.right;

/** The picture as SVG, readable on light and on dark pages. */
export function drawLines(picture: Picture): string {
  const height = size.head + picture.panels.length * (size.panel + size.gap) + size.foot;
  const panels = picture.panels.map((panel, index) =>
    drawPanel(picture, panel, size.head + 22 + index * (size.panel + size.gap)),
  );
  const bottom = height - size.foot + 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${height}" font-family="sans-serif" font-size="12" role="img">
  <title>${escape(picture.title)}</title>
  <rect width="${size.width}" height="${height}" fill="#ffffff"/>
  <text x="12" y="24" font-size="15" font-weight="bold">${escape(picture.title)}</text>
  ${panels.join("\n  ")}
  ${timesOf(picture)
    .map((second) => `<text x="${xOf(picture, second)}" y="${bottom}" text-anchor="middle">${second}</text>`)
    .join("\n  ")}
  <text x="${size.width / 2}" y="${bottom + 22}" text-anchor="middle">seconds</text>
</svg>
`;
}

function drawPanel(picture: Picture, { title, lines, mark, top: most }: Panel, top: number): string {
  const values = lines.flatMap(({ numbers }) => numbers.slice(picture.from, picture.to));
  const highest = niceAbove(most ?? Math.max(1, mark?.value ?? 0, ...values));
  const yOf = (value: number) => Math.round((top + size.panel * (1 - Math.min(1, value / highest))) * 10) / 10;
  const parts = [
    `<text x="${size.left}" y="${top - 8}" font-weight="bold">${escape(title)}</text>`,
    drawShade(picture, top),
    ...[0, highest / 2, highest].map((value) => drawGridLine(yOf(value), value)),
    ...lines.map(({ colour, numbers }) => drawLine(picture, numbers, colour, yOf)),
    drawLegend(lines, top),
  ];
  if (mark !== undefined) {
    parts.push(
      `<line x1="${size.left}" x2="${size.left + plotWidth}" y1="${yOf(mark.value)}" y2="${yOf(mark.value)}" stroke="#c8553d" stroke-dasharray="5 4"/>`,
      `<text x="${size.left + plotWidth - 4}" y="${yOf(mark.value) - 4}" text-anchor="end" fill="#c8553d">${escape(mark.label)}</text>`,
    );
  }
  return parts.join("\n  ");
}

function drawShade({ shadeFrom, shadeTo, ...picture }: Picture, top: number): string {
  const x = xOf(picture, shadeFrom);
  const width = Math.max(1, Math.round(xOf(picture, shadeTo) - x));
  return `<rect x="${x}" y="${top}" width="${width}" height="${size.panel}" fill="#eeeeee"/>`;
}

function drawGridLine(y: number, value: number): string {
  return `<line x1="${size.left}" x2="${size.left + plotWidth}" y1="${y}" y2="${y}" stroke="#cccccc" stroke-width="0.5"/>
  <text x="${size.left - 6}" y="${y + 4}" text-anchor="end">${value}</text>`;
}

function drawLine(
  picture: Picture,
  numbers: readonly number[],
  colour: string,
  yOf: (value: number) => number,
): string {
  const points = numbers
    .slice(picture.from, picture.to)
    .map((value, index) => `${xOf(picture, picture.from + index)},${yOf(value)}`);
  return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.join(" ")}"/>`;
}

/** From the right. */
function drawLegend(lines: readonly Line[], top: number): string {
  let x = size.left + plotWidth;
  return lines
    .toReversed()
    .map(({ label, colour }) => {
      const text = `<text x="${x}" y="${top - 8}" text-anchor="end" fill="${colour}">${escape(label)}</text>`;
      x -= 7 * label.length + 16;
      return text;
    })
    .join("\n  ");
}

function xOf({ from, to }: Pick<Picture, "from" | "to">, second: number): number {
  return Math.round((size.left + (plotWidth * (second - from)) / (to - from)) * 10) / 10;
}

/** Every 30 seconds. */
function timesOf({ from, to }: Picture): number[] {
  const first = Math.ceil(from / 30) * 30;
  return Array.from({ length: Math.floor((to - first) / 30) + 1 }, (_, nth) => first + 30 * nth);
}

/** 1, 2, 4, 6 or 8 times a power of ten, not below the value. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8].find((factor) => factor * power >= value) ?? 10) * power;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
