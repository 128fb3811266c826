/*
 * Prints a page of a running nodens, which makes the text itself, so that commands cost a container little memory.
 */
import { absentStatus } from "../observe/admin-pages.ts";
import { askAdmin, describeSilence } from "../runtime/ask-admin.ts";
import { adminPlaceFrom, wrongPlaceText } from "./admin-place.ts";
import { ExitCode } from "./exit-code.ts";

/** Where the nodens is that is asked: "ADDR:PORT", or the path of its Unix socket. */
export interface AgainstFlag {
  readonly against: string;
}

/** What commands need from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface PageOptions {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

const timeoutMs = 3000;

/** Prints the page. Resolves with the exit code: 1 when what was asked about is not there, which the page says; 64, 69 as for `explain`. */
export async function printAdminPage(
  { against }: AgainstFlag,
  path: string,
  { write, writeError }: PageOptions,
  method: "GET" | "POST" = "GET",
): Promise<number> {
  const got = await getAdminPage(against, path, method);
  if ("body" in got) {
    write(got.body);
    return got.isAbsent ? ExitCode.unexpected : ExitCode.ok;
  }
  writeError(`nodens: ${got.failure}\n`);
  return got.exitCode;
}

/** A page, or why there is none, for people, and the exit code that says so. */
export async function getAdminPage(
  against: string,
  path: string,
  method: "GET" | "POST" = "GET",
): Promise<
  { readonly body: string; readonly isAbsent: boolean } | { readonly failure: string; readonly exitCode: number }
> {
  const place = adminPlaceFrom(against);
  if (place === undefined) return { failure: wrongPlaceText(against), exitCode: ExitCode.usage };
  try {
    const { status, body } = await askAdmin(place, path, timeoutMs, undefined, method);
    if (status === 200 || status === absentStatus) return { body, isAbsent: status === absentStatus };
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
