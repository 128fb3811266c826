/*
 * What a query costs, as a picture: a panel for each of some rows, with a bar for each server.
 */
import { middle } from "./judge.ts";
import type { Measure, RowResult } from "./results.ts";
import { rows } from "./rows.ts";
import { type ServerName, servers } from "./servers.ts";

/** Which rows are drawn, and what of them. */
const panels: readonly { readonly row: string; readonly measure: Measure; readonly title: string }[] = [
  { row: "hit", measure: "cpuMicros", title: "A hit: microseconds of a processor" },
  { row: "tcp", measure: "cpuMicros", title: "A hit over TCP, pipelined" },
  { row: "miss-1ms-5000-udp", measure: "cpuMicros", title: "A miss, 5,000 a second" },
  { row: "pods-5s", measure: "cpuMicros", title: "A pod's lookup, with its search list" },
];

const size = { width: 760, label: 270, bar: 400, row: 22, head: 34, gap: 12 };

/** Draws it, readable on light and on dark pages. What was not measured is left out. */
export function drawCosts(results: Readonly<Record<string, RowResult>>): string {
  let y = 8;
  const parts: string[] = [];
  for (const { row, measure, title } of panels) {
    const bars = (rows.find(({ name }) => name === row)?.series ?? []).flatMap(({ label, server }) => {
      const value = middle(results[row], label, measure);
      return value === undefined ? [] : [{ server, label, value }];
    });
    if (bars.length === 0) continue;
    parts.push(`<text x="12" y="${y + 20}" font-size="15" font-weight="bold">${title}</text>`);
    y += size.head;
    const longest = Math.max(...bars.map(({ value }) => value));
    for (const { server, label, value } of bars) {
      parts.push(...drawBar(y, server, label, value, (value / longest) * size.bar));
      y += size.row;
    }
    y += size.gap;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${y + 8}" font-family="sans-serif" font-size="13" role="img">
  <title>What a query costs</title>
  <rect width="${size.width}" height="${y + 8}" fill="#ffffff"/>
  ${parts.join("\n  ")}
</svg>
`;
}

function drawBar(y: number, server: ServerName | "straight", label: string, value: number, length: number): string[] {
  const colour = server === "nodens" ? "#2a9d8f" : server === "floor" ? "#8d99ae" : "#c8553d";
  const title = server === "straight" ? label : servers[server].title;
  return [
    `<text x="${size.label - 8}" y="${y + 15}" text-anchor="end">${title}</text>`,
    `<rect x="${size.label}" y="${y + 2}" width="${Math.round(length)}" height="${size.row - 6}" fill="${colour}"/>`,
    `<text x="${size.label + Math.round(length) + 6}" y="${y + 15}">${value.toFixed(1)}</text>`,
  ];
}
