/*
 * `nodens top`, `nodens tail` and `nodens advise`: what a running nodens has seen. It makes the text itself, so that these commands cost a container little memory.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TerminalScreen } from "../runtime/screen.ts";
import { topTabs } from "../seen/top-choices.ts";
import { type AgainstFlag, getAdminPage, type PageOptions, printAdminPage } from "./admin-page.ts";
import { ExitCode } from "./exit-code.ts";
import { afterKey, firstTopState, topHelp, type TopState } from "./top-keys.ts";

/** The flags of `top`, as the command line has them. */
export interface TopFlags extends AgainstFlag {
  readonly once?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly tab?: string | undefined;
}

/** The flags of `advise`, as the command line has them. */
export interface AdviseFlags extends AgainstFlag {
  readonly json?: boolean | undefined;
}

/** The flags of `tail`, as the command line has them. */
export interface TailFlags extends AgainstFlag {
  readonly client?: string | undefined;
  readonly name?: string | undefined;
  readonly rcode?: string | undefined;
  readonly slower?: string | undefined;
  readonly limit?: string | undefined;
  readonly repeated?: boolean | undefined;
  readonly incident?: string | undefined;
  readonly json?: boolean | undefined;
}

const refreshMs = 1000;

/** Prints what is seen once, or goes on showing it on `screen` until q is pressed. Resolves with the exit code: 64, 69 as for `explain`. */
export async function top(flags: TopFlags, options: PageOptions, screen: TerminalScreen | undefined): Promise<number> {
  if (flags.json === true) return printAdminPage(flags, "/seen", options);
  if (flags.once === true || screen === undefined) {
    const parameters = new URLSearchParams({ rows: "60", ...(flags.tab === undefined ? {} : { tab: flags.tab }) });
    return printAdminPage(flags, `/top?${parameters.toString()}`, options);
  }
  try {
    return await watch(flags, screen, options);
  } finally {
    screen.end();
  }
}

/** Prints what would spare pods queries. */
export function advise({ json, against }: AdviseFlags, options: PageOptions): Promise<number> {
  return printAdminPage({ against }, json === true ? "/advise?json" : "/advise", options);
}

/** Prints the recorded queries that pass the filters. */
export function tail(flags: TailFlags, options: PageOptions): Promise<number> {
  const parameters = new URLSearchParams();
  for (const name of ["client", "name", "rcode", "slower", "limit", "incident"] as const) {
    const value = flags[name];
    if (value !== undefined) parameters.set(name, value);
  }
  if (flags.repeated === true) parameters.set("repeated", "");
  if (flags.json === true) parameters.set("json", "");
  return printAdminPage(flags, `/tail?${parameters.toString()}`, options);
}

/** The screen, refreshed each second, until q ends it. */
async function watch(flags: TopFlags, screen: TerminalScreen, { writeError }: PageOptions): Promise<number> {
  let state = firstTopState(topTabs.find((name) => name === flags.tab) ?? topTabs[0]);
  let shown = "";
  let note = "";
  for (;;) {
    const isStill = state.isFrozen || state.prompt !== undefined || state.over === "help";
    if (!isStill || shown === "") {
      const got = await getAdminPage(flags.against, `/top?${parametersOf(state, screen.rows() - 2).toString()}`);
      if (!("body" in got)) {
        writeError(`nodens: ${got.failure}\n`);
        return got.exitCode;
      }
      shown = got.body;
    }
    const lines = (state.over === "help" ? topHelp : shown.trimEnd()).split("\n").slice(0, screen.rows() - 2);
    screen.show(`${screen.paint(`${lines.join("\n")}\n`)}${lastLine(state, note)}`);
    state = afterKey(state, await screen.key(refreshMs));
    if (state.wish !== "") note = "";
    if (state.wish === "end") return ExitCode.ok;
    if (state.wish === "write") note = await writeRecord(flags);
    if (state.wish === "chooseClient") state = { ...state, filter: markedClient(shown), line: 0 };
  }
}

function parametersOf({ tab, filter, sort, line, over }: TopState, rows: number): URLSearchParams {
  if (typeof over === "object") return new URLSearchParams({ explain: over.explain });
  return new URLSearchParams({ tab, rows: String(rows), filter, sort, line: String(line) });
}

function lastLine({ prompt, isFrozen, sort }: TopState, note: string): string {
  if (prompt !== undefined) return ` ${prompt.use}: ${prompt.text}_\n`;
  if (note !== "") return ` ${note}\n`;
  return ` ${isFrozen ? "FROZEN · " : ""}by ${sort} · / filter · s sort · e explain · w write · ? help · q end\n`;
}

/** The client of the line that is marked; "" if none is. */
function markedClient(screenText: string): string {
  return /^›(\S+)/m.exec(screenText)?.[1] ?? "";
}

/** Writes the recorded queries into a file that nobody else reads, and returns what to say of it. A container may have no place for one. */
async function writeRecord({ against }: TopFlags): Promise<string> {
  const got = await getAdminPage(against, "/tail?json&limit=10000");
  if (!("body" in got)) return got.failure;
  try {
    const path = join(mkdtempSync(join(tmpdir(), "nodens-record-")), "queries.json");
    writeFileSync(path, got.body, { mode: 0o600 });
    return `written: ${path}`;
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    return `not written (${code}); from outside: nodens tail --json >FILE`;
  }
}
