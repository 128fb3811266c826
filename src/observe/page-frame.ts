/*
 * The page around what it shows: style and script, named by their hashes in its policy, so that nothing else runs in it. It loads nothing from
 * anywhere but itself.
 */
import { createHash } from "node:crypto";

const style = `
:root { color-scheme: light dark; --ground: #fcfaf8; --ink: #1c1b1a; --soft: #6e6b68; --line: #e0dcd8; --good: #2e7d57; --bad: #b3261e;
  --b0: #8fbfa5; --b1: #93aedb; --b2: #d8a960; --b3: #a98bc4; --b4: #c9bd7a; --b5: #d08a86; }
@media (prefers-color-scheme: dark) { :root { --ground: #161514; --ink: #edeae6; --soft: #a09b96; --line: #35322f; --good: #6fcf9f; --bad: #ff8a80; } }
body { background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 20px 60px; }
header { display: flex; justify-content: space-between; color: var(--soft); } header p { margin: 0; } header b { color: var(--ink); }
h1 { font-size: 26px; line-height: 1.25; margin: 12px 0 4px; } .well, .was { color: var(--good); } .bad { color: var(--bad); } .idle { color: var(--soft); }
h2 { font-size: 15px; margin: 34px 0 6px; } small, .soft { color: var(--soft); font-weight: normal; } small { font-size: 12px; margin-left: 8px; }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; } svg text { fill: var(--ink); } svg .soft { fill: var(--soft); } .strong { font-weight: 600; }
.ribbon { margin-top: 18px; } .band { fill: none; opacity: .65; } .cell { fill: var(--good); } svg .mark { fill: var(--bad); font-size: 11px; } .strip text { font-size: 11px; }
.b0 { stroke: var(--b0); } .b1 { stroke: var(--b1); } .b2 { stroke: var(--b2); } .b3 { stroke: var(--b3); } .b4 { stroke: var(--b4); } .b5 { stroke: var(--b5); }
table { border-collapse: collapse; width: 100%; font-size: 14px; } th { text-align: left; font-weight: 600; color: var(--soft); font-size: 12px; }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; } td { overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } code, pre { font: 13px ui-monospace, monospace; }
.two { display: grid; grid-template-columns: 3fr 2fr; gap: 30px; } @media (max-width: 860px) { .two { grid-template-columns: 1fr; } }
form { display: flex; gap: 8px; } input, button { font: inherit; padding: 6px 10px; border: 1px solid var(--line); border-radius: 8px; background: transparent; color: inherit; }
input[name=explain] { flex: 1; } pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; padding: 10px; } details { margin-top: 34px; }
footer { color: var(--soft); font-size: 13px; max-width: 1040px; margin: 0 auto; padding: 0 20px 30px; } footer a { color: inherit; } #state { float: right; }
@media print { form, footer { display: none; } body { background: none; } }
`;

/** Loads the page again every two seconds and exchanges what it shows, except while somebody writes, reads the settings or has it stopped. */
const script = `
const main = document.querySelector("main");
const state = document.getElementById("state");
let isStopped = false;
document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement) return;
  if (event.key === " ") { isStopped = !isStopped; event.preventDefault(); state.textContent = isStopped ? "stopped; space goes on" : ""; }
  if (event.key === "/") { event.preventDefault(); main.querySelector("input").focus(); }
});
async function refresh() {
  const isBusy = isStopped || document.hidden || document.activeElement instanceof HTMLInputElement || main.querySelector("details[open]");
  if (!isBusy) {
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      if (!response.ok) throw new Error(response.status);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      main.replaceChildren(...page.querySelector("main").childNodes);
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
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The whole page around `main`, which is HTML. */
export function framePage(main: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>nodens</title><style>${style}</style></head>
<body><main>${main}</main>
<footer><span id="state" role="status"></span>space stops · / asks · <a href="seen">JSON</a> · <a href="tail">tail</a> · <a href="incidents">incidents</a> · <a href="metrics">metrics</a></footer>
<script>${script}</script></body>
</html>
`;
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
