/*
 * The doctor's findings as text for people, and as the one line that node-problem-detector's custom plugins print.
 */
import type { Finding, FindingState } from "./finding.ts";

const marks: Readonly<Record<FindingState, string>> = { bad: "BAD", warn: "WARN", unknown: "?", ok: "ok" };
const docs = "docs/";

/** All findings, one line each, with why and what to do below those that are not well. */
export function printFindings(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ state, check, found, why, cure = [], link }) => [
    `${marks[state].padEnd(5)}${check.padEnd(16)} ${found}`,
    ...(state === "ok" || why === undefined ? [] : [`${" ".repeat(22)}${why}`]),
    ...(state === "ok" ? [] : cure.map((line) => `${" ".repeat(22)}→ ${line}`)),
    ...(state === "ok" || link === undefined ? [] : [`${" ".repeat(22)}see ${docs}${link}`]),
  ]);
  return `${lines.join("\n")}\n`;
}

/** node-problem-detector's exit codes: all is well, there is a problem, it cannot be told. */
export const pluginExitCode = { ok: 0, problem: 1, unknown: 2 } as const;

/** What such a plugin may print: more is cut off by the detector. */
const pluginMessageLength = 80;

/**
 * The worst finding as a plugin's output, which has one line, and its exit code. What could not be looked at matters only where no DNS server was
 * asked: most nodes keep something from a plugin.
 */
export function pluginOutput(findings: readonly Finding[]): { readonly line: string; readonly exitCode: number } {
  const worst = findings.find(({ state }) => state === "bad");
  if (worst !== undefined) return { line: lineOf(worst), exitCode: pluginExitCode.problem };
  if (findings.some(({ check }) => check.startsWith("server-")))
    return { line: "DNS works on this node", exitCode: pluginExitCode.ok };
  const unseen = findings.find(({ check }) => check === "servers") ?? { check: "servers", found: "none was asked" };
  return { line: lineOf(unseen), exitCode: pluginExitCode.unknown };
}

/** The detector counts octets: a letter of more than one could be cut in two. */
function lineOf({ check, found }: Pick<Finding, "check" | "found">): string {
  return `${check}: ${found}`.replaceAll(/[^ -~]/g, "?").slice(0, pluginMessageLength);
}
