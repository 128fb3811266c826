/*
 * The pictures of docs/see.md and README.md: the page in light and dark by Chromium, and the screen of `nodens top` as SVG, both of one planted
 * node, so that two runs differ only where the product does.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openBrowser } from "../test/support/program/browser.ts";
import { projectFolder } from "../test/support/program/run-nodens.ts";
import { createPlantedNode } from "../test/support/world/planted-node.ts";
import { withPalette } from "./palette-png.ts";

const folder = join(projectFolder, "docs", "pictures");
/** As far down as the search waste. */
const size = { width: 1000, height: 1290 };
const [cellWidth, lineHeight, margin, columns] = [8.4, 18, 16, 80] as const;

const node = await createPlantedNode();
mkdirSync(folder, { recursive: true });
for (const colorScheme of ["light", "dark"] as const) {
  const browser = await openBrowser({ colorScheme, viewport: size });
  const page = await browser.newPage();
  await page.setContent(node.page());
  write(`page-${colorScheme}.png`, withPalette(await page.screenshot()));
  await browser.close();
}
for (const tab of ["clients", "denied"]) write(`top-${tab}.svg`, drawScreen(node.top({ tab, rows: "22" })));

/** A screen of text as a picture that is readable on light and dark ground. */
function drawScreen(screen: string): string {
  const lines = screen.trimEnd().split("\n");
  const [width, height] = [columns * cellWidth + 2 * margin, lines.length * lineHeight + 2 * margin];
  const texts = lines.map((line, index) => {
    const y = margin + (index + 0.75) * lineHeight;
    return `<text x="${margin}" y="${y}" textLength="${(line.length * cellWidth).toFixed(1)}" xml:space="preserve">${marked(line)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="nodens top">
<style>text { font: 14px ui-monospace, "DejaVu Sans Mono", "Liberation Mono", monospace; fill: #e8e4df; white-space: pre; } .tab { fill: #8fd0ae; font-weight: bold; } .waited { fill: #e8c06a; }</style>
<rect width="${width}" height="${height}" rx="10" fill="#1b1a19"/>
${texts.join("\n")}
</svg>
`;
}

/** The line with what the terminal has in colour. */
function marked(line: string): string {
  const escaped = line.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return escaped
    .replace(/\[\d \w+\]/, (tab) => `<tspan class="tab">${tab}</tspan>`)
    .replace(/◀.*/, (waited) => `<tspan class="waited">${waited}</tspan>`);
}

function write(name: string, content: string | Uint8Array): void {
  writeFileSync(join(folder, name), content);
  console.log(`docs/pictures/${name}: ${Math.ceil(Buffer.byteLength(content) / 1024)} kB`);
}
