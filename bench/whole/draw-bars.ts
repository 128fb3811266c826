/*
 * Bars for numbers of very different size, in a terminal and as a picture. The scale is logarithmic, and says so: on a linear
 * one the small bars would not be seen.
 */

/** A bar. Values are 0 or more. */
export interface Bar {
  readonly label: string;
  readonly value: number;
}

/** The bars as lines of text, 50 characters for the longest. */
export function drawBars(bars: readonly Bar[]): string {
  const labelWidth = Math.max(...bars.map(({ label }) => label.length));
  const share = shareOf(bars);
  const lines = bars.map(
    ({ label, value }) => `${label.padEnd(labelWidth)}  ${"█".repeat(Math.round(share(value) * 50))} ${value}`,
  );
  return [...lines, `${" ".repeat(labelWidth)}  (logarithmic)`].join("\n");
}

/** The bars as an SVG picture that is readable on light and on dark pages. */
export function drawSvg(title: string, bars: readonly Bar[]): string {
  const [barWidth, rowHeight, headHeight] = [380, 26, 46];
  const labelWidth = Math.max(300, 7 * Math.max(...bars.map(({ label }) => label.length)));
  const height = headHeight + bars.length * rowHeight + 24;
  const width = labelWidth + barWidth + 80;
  const share = shareOf(bars);
  const rows = bars.map(({ label, value }, index) => {
    const y = headHeight + index * rowHeight;
    const length = Math.round(share(value) * barWidth);
    const colour = label.startsWith("nodens") ? "#2a9d8f" : "#c8553d";
    return [
      `<text x="${labelWidth - 8}" y="${y + 16}" text-anchor="end">${escape(label)}</text>`,
      `<rect x="${labelWidth}" y="${y + 3}" width="${length}" height="${rowHeight - 8}" fill="${colour}"/>`,
      `<text x="${labelWidth + length + 6}" y="${y + 16}">${value}</text>`,
    ].join("\n  ");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" role="img">
  <title>${escape(title)}</title>
  <rect width="${width}" height="${height}" fill="#ffffff"/>
  <text x="12" y="24" font-size="15" font-weight="bold">${escape(title)}</text>
  ${rows.join("\n  ")}
  <text x="${labelWidth}" y="${height - 8}" font-size="11">logarithmic scale</text>
</svg>
`;
}

/** The length of a value's bar, from 0 to 1. */
function shareOf(bars: readonly Bar[]): (value: number) => number {
  const longest = Math.log10(1 + Math.max(1, ...bars.map(({ value }) => value)));
  return (value) => Math.log10(1 + value) / longest;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
