/*
 * `nodens top` and `nodens tail`: what a running nodens has seen. It makes the text itself, so that these commands cost a container little memory.
 */
import { askAdmin, describeSilence } from "../runtime/ask-admin.ts";
import type { TerminalScreen } from "../runtime/screen.ts";
import { adminPlaceFrom } from "./admin-place.ts";
import { ExitCode } from "./exit-code.ts";

/** Where the nodens is that is asked: "ADDR:PORT", or the path of its Unix socket. */
interface AgainstFlag {
  readonly against: string;
}

/** The flags of `top`, as the command line has them. */
export interface TopFlags extends AgainstFlag {
  readonly once?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly tab?: string | undefined;
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

/** What both need from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface SeenOptions {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

const timeoutMs = 3000;
const refreshMs = 1000;
const tabs = ["clients", "names", "denied", "waits", "tail", "kernel"];

/** Prints what is seen once, or goes on showing it on `screen` until q is pressed. Resolves with the exit code: 64, 69 as for `explain`. */
export async function top(flags: TopFlags, options: SeenOptions, screen: TerminalScreen | undefined): Promise<number> {
  if (flags.json === true) return printPage(flags, "/seen", options);
  if (flags.once === true || screen === undefined) {
    const parameters = new URLSearchParams({ rows: "60", ...(flags.tab === undefined ? {} : { tab: flags.tab }) });
    return printPage(flags, `/top?${parameters.toString()}`, options);
  }
  try {
    return await watch(flags, screen, options);
  } finally {
    screen.end();
  }
}

/** Prints the recorded queries that pass the filters. */
export function tail(flags: TailFlags, options: SeenOptions): Promise<number> {
  const parameters = new URLSearchParams();
  for (const name of ["client", "name", "rcode", "slower", "limit", "incident"] as const) {
    const value = flags[name];
    if (value !== undefined) parameters.set(name, value);
  }
  if (flags.repeated === true) parameters.set("repeated", "");
  if (flags.json === true) parameters.set("json", "");
  return printPage(flags, `/tail?${parameters.toString()}`, options);
}

async function printPage({ against }: AgainstFlag, path: string, { write, writeError }: SeenOptions): Promise<number> {
  const got = await getPage(against, path);
  if ("body" in got) {
    write(got.body);
    return ExitCode.ok;
  }
  writeError(`nodens: ${got.failure}\n`);
  return got.exitCode;
}

/** The screen, refreshed each second: 1 to 6 choose what is shown, space freezes it, q ends. */
async function watch(flags: TopFlags, screen: TerminalScreen, { writeError }: SeenOptions): Promise<number> {
  let tab = flags.tab ?? "clients";
  let isFrozen = false;
  for (;;) {
    if (!isFrozen) {
      const got = await getPage(
        flags.against,
        `/top?${new URLSearchParams({ tab, rows: String(screen.rows() - 2) }).toString()}`,
      );
      if (!("body" in got)) {
        writeError(`nodens: ${got.failure}\n`);
        return got.exitCode;
      }
      screen.show(`${got.body} 1-6 choose · space freezes · q ends\n`);
    }
    const key = await screen.key(refreshMs);
    if (key === "q" || key === "\u0003") return ExitCode.ok;
    if (key === " ") isFrozen = !isFrozen;
    const chosen = tabs[Number(key) - 1];
    if (key !== "" && chosen !== undefined) [tab, isFrozen] = [chosen, false];
  }
}

async function getPage(
  against: string,
  path: string,
): Promise<{ readonly body: string } | { readonly failure: string; readonly exitCode: number }> {
  const place = adminPlaceFrom(against);
  if (place === undefined) return { failure: `'${against}' is not an admin address`, exitCode: ExitCode.usage };
  try {
    const { status, body } = await askAdmin(place, path, timeoutMs);
    if (status === 200) return { body };
    const isRefused = status === 400 || status === 403;
    return {
      failure: `nodens at ${against} says: ${body.split("\n", 1)[0] ?? ""}`,
      exitCode: isRefused ? ExitCode.usage : ExitCode.unavailable,
    };
  } catch (error) {
    return {
      failure: `nothing at ${against} answers: ${describeSilence(error, timeoutMs)}`,
      exitCode: ExitCode.unavailable,
    };
  }
}
