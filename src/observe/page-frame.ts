/*
 * The page around what it shows: style and script, named by their hashes in its policy, so that nothing else runs in it. It loads nothing from
 * anywhere but itself.
 */
import { createHash } from "node:crypto";

const style = `
:root { color-scheme: light dark; --ground: #fcfaf8; --ink: #1c1b1a; --soft: #6b6865; --line: #e4e0dc; --box: #ffffff; --good: #22774f; --bad: #b3261e; --cell: #2e7d57;
  --b0: #cfdfd5; --b1: #c7d3e8; --b2: #e3bd84; --b3: #bfa3d6; --b4: #dcd19a; --b5: #e2aaa6; --e0: #3d8b66; --e1: #4d79b8; --e2: #b57f26; --e3: #8860ad; --e4: #9a8b2f; --e5: #b3463e; }
@media (prefers-color-scheme: dark) { :root { --ground: #161514; --ink: #edeae6; --soft: #a39e99; --line: #34312e; --box: #1f1d1c; --good: #6fcf9f; --bad: #ff8a80; --cell: #5fc492;
  --b0: #2c4a3b; --b1: #2f3f5c; --b2: #6b5128; --b3: #4c3a5f; --b4: #55502c; --b5: #5f3532; --e0: #6fcf9f; --e1: #86a9e0; --e2: #e0ad5a; --e3: #bd98de; --e4: #cfc268; --e5: #ef8c84; } }
* { box-sizing: border-box; }
body { background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, "Liberation Sans", sans-serif; margin: 0; }
main { max-width: 1056px; margin: 0 auto; padding: 26px 20px 40px; }
header { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 24px; color: var(--soft); font-size: 13px; } header p { margin: 0; } header b { color: var(--ink); }
h1 { font-size: 25px; line-height: 1.28; margin: 16px 0 6px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
.well, .was { color: var(--good); } .bad, header b.bad { color: var(--bad); } .idle { color: var(--soft); }
h2 { font-size: 14px; margin: 40px 0 8px; } small, .soft { color: var(--soft); font-weight: normal; } small { font-size: 12px; margin-left: 10px; } p.soft { margin: 0; }
svg { display: block; width: 100%; height: auto; font: 13px system-ui, "Liberation Sans", sans-serif; } svg text { fill: var(--ink); } svg .soft { fill: var(--soft); } .strong { font-weight: 600; }
.ribbon { margin-top: 26px; } .start { fill: var(--ink); } .cells { fill: var(--cell); } .ground { fill: var(--line); fill-opacity: .35; } .mark { fill: var(--bad); } .strip text { font-size: 11px; }
.band.b0 { fill: var(--b0); } .band.b1 { fill: var(--b1); } .band.b2 { fill: var(--b2); } .band.b3 { fill: var(--b3); } .band.b4 { fill: var(--b4); } .band.b5 { fill: var(--b5); }
.end.b0 { fill: var(--e0); } .end.b1 { fill: var(--e1); } .end.b2 { fill: var(--e2); } .end.b3 { fill: var(--e3); } .end.b4 { fill: var(--e4); } .end.b5 { fill: var(--e5); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 14px; } th { text-align: left; font-weight: 600; color: var(--soft); font-size: 12px; }
th, td { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: baseline; white-space: nowrap; } th:last-child, td:last-child { padding-right: 0; } td.long { white-space: normal; overflow-wrap: anywhere; min-width: 13em; }
th.number, td.number { text-align: right; } .number + :not(.number) { padding-left: 10px; } td.number { font-variant-numeric: tabular-nums; } code, pre { font: 13px ui-monospace, "Liberation Mono", monospace; }
.pill { display: inline-block; border: 1px solid var(--line); border-radius: 10px; padding: 0 8px; font-size: 12px; line-height: 18px; color: var(--soft); overflow-wrap: anywhere; } .pill.bad { color: var(--bad); }
.two { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 36px; } @media (max-width: 860px) { .two { grid-template-columns: minmax(0, 1fr); } }
form { display: flex; flex-wrap: wrap; gap: 8px; } input, select, button { font: inherit; padding: 7px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--box); color: inherit; min-width: 0; }
input { font: 13px ui-monospace, "Liberation Mono", monospace; flex: 1 1 140px; } input[name=explain], input[name=name] { flex: 4 1 240px; } label { align-self: center; font-size: 14px; } input[type=checkbox] { flex: none; } :focus-visible { outline: 2px solid var(--e1); outline-offset: 1px; }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; padding: 12px; background: var(--box); } details { margin-top: 34px; } summary { cursor: pointer; font-size: 14px; font-weight: 600; }
footer { color: var(--soft); font-size: 13px; max-width: 1056px; margin: 0 auto; padding: 0 20px 30px; } footer a { color: inherit; } #state { float: right; }
@media (max-width: 620px) { h1 { font-size: 20px; } small { display: block; margin: 0; } svg { min-width: 620px; direction: ltr; } .picture { overflow-x: auto; direction: rtl; } th, td { padding-right: 10px; } td.long:last-child, td.long:nth-last-child(2) { min-width: 22em; } }
@media print { form, footer, details, #explain:not(:has(pre)), #record:not(:has(table)) { display: none; } body { background: none; font-size: 12px; } h2 { break-after: avoid; } svg, tr { break-inside: avoid; } * { print-color-adjust: exact; } }
@media (forced-colors: active) { .band { stroke: CanvasText; } .mark, .start, .end { fill: CanvasText; } .ground { fill: none; } }
`;

/** Loads the page again every two seconds and exchanges what it shows, except while somebody writes, has chosen something, reads the settings or has it stopped. */
const script = `
const main = document.querySelector("main");
const state = document.getElementById("state");
let isStopped = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target !== document.body) return;
  if (event.key === " ") { isStopped = !isStopped; event.preventDefault(); state.textContent = isStopped ? "stopped; space goes on" : ""; }
  if (event.key === "/") { event.preventDefault(); main.querySelector("input").focus(); }
});
/** What somebody is at must not be taken from under their hands. */
function isInUse() {
  return main.contains(document.activeElement) || main.querySelector("details[open]") !== null || !getSelection().isCollapsed;
}
/** What is wider than a narrow window, and was perhaps moved to and fro. */
function boxes() {
  return [...main.querySelectorAll(".scroll, .picture")];
}
async function refresh() {
  if (!isStopped && !document.hidden && !isInUse()) {
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      if (!response.ok) throw new Error(response.status);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const moved = boxes().map((box) => box.scrollLeft);
      main.replaceChildren(...page.querySelector("main").childNodes);
      boxes().forEach((box, index) => { box.scrollLeft = moved[index] ?? 0; });
      state.textContent = "";
    } catch { state.textContent = "nodens does not answer; this is what it last said"; }
  }
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
`;

/** What the page may do, for the header of that name. */
export const framePolicy = [
  "default-src 'none'",
  `style-src '${hashOf(style)}'`,
  `script-src '${hashOf(script)}'`,
  // The icon is an empty one, so that the browser does not ask for another.
  "img-src data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The whole page around `main`, which is HTML. */
export function framePage(main: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,"><title>nodens</title><style>${style}</style></head>
<body><main>${main}</main>
<footer><span id="state" role="status"></span>renewed every 2 s · space stops · / asks · <a href="seen">JSON</a> · <a href="tail">tail</a> · <a href="incidents">incidents</a> · <a href="metrics">metrics</a></footer>
<script>${script}</script></body>
</html>
`;
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
