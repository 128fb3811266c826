/*
 * The ribbon of the page: bands from the pods to where their queries end, as wide as their rate.
 */
import { html } from "./html-text.ts";
import { countOf, countText, millisecondsText, percentText } from "./number-text.ts";
import type { Picture } from "./picture.ts";

const [width, bandRoom, fromX, toX] = [1000, 140, 130, 580] as const;
/** A band must be seen, and its label needs a line. */
const [leastBand, lineHeight, gap, firstY] = [1.5, 20, 9, 14] as const;

/** The ribbon as SVG; a sentence where nobody has asked. */
export function printRibbon({ queriesPerSecond, flow, clientCount }: Picture): string {
  const shown = Object.entries(flow).filter(([, { perSecond }]) => perSecond > 0);
  if (queriesPerSecond === 0 || shown.length === 0) return '<p class="soft">No query in the last minute.</p>';
  let [leftY, rightY] = [firstY + 6, firstY];
  const bands = shown.map(([ending, { perSecond, p50Ms, p99Ms }], index) => {
    const size = Math.max(leastBand, (perSecond / queriesPerSecond) * bandRoom);
    const [left, right] = [leftY, rightY];
    leftY += size;
    rightY += Math.max(size, lineHeight) + gap;
    const labelY = right + Math.max(size, 2) / 2 + 4;
    return (
      `<path class="band b${index % 6}" d="${outline(left, right, size)}"/>` +
      `<rect class="end b${index % 6}" x="${toX}" y="${fixed(right)}" width="4" height="${fixed(size)}" rx="1"/>` +
      `<text x="${toX + 18}" y="${fixed(labelY)}"><tspan class="strong">${html(ending)} ${percentText(perSecond / queriesPerSecond)}</tspan>` +
      `<tspan class="soft" dx="10">${countText(perSecond)} q/s · p50 ≤ ${millisecondsText(p50Ms)} · p99 ≤ ${millisecondsText(p99Ms)}</tspan></text>`
    );
  });
  const start = firstY + 6;
  const middle = (start + leftY) / 2;
  const height = Math.max(rightY, leftY) + 6;
  return (
    `<div class="picture"><svg class="ribbon" viewBox="0 0 ${width} ${fixed(height)}" role="img" aria-label="Where queries end">` +
    `<text x="${fromX - 14}" y="${fixed(middle - 4)}" text-anchor="end" class="strong">${countOf(clientCount, "pod")}</text>` +
    `<text x="${fromX - 14}" y="${fixed(middle + 14)}" text-anchor="end" class="soft">${countText(queriesPerSecond)} q/s</text>` +
    `${bands.join("")}<rect class="start" x="${fromX - 4}" y="${start}" width="4" height="${fixed(leftY - start)}" rx="1"/></svg></div>`
  );
}

/** The outline of a band of this size between two heights. */
function outline(left: number, right: number, size: number): string {
  const bend = (toX - fromX) * 0.5;
  const there = `M${fromX} ${fixed(left)}C${fromX + bend} ${fixed(left)} ${toX - bend} ${fixed(right)} ${toX} ${fixed(right)}`;
  const back = `V${fixed(right + size)}C${toX - bend} ${fixed(right + size)} ${fromX + bend} ${fixed(left + size)} ${fromX} ${fixed(left + size)}Z`;
  return there + back;
}

function fixed(value: number): string {
  return value.toFixed(1).replace(".0", "");
}
