/*
 * A browser without a window, for pages that a test reads as people do: Debian's Chromium, which talks to nobody but the page.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";
import { findCommand } from "./requirements.ts";

/** The command that tests need for it. */
export const browserCommand = "chromium";

const switches = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** How the page is looked at. */
export type Look = Pick<
  NonNullable<Parameters<typeof chromium.launchPersistentContext>[1]>,
  "colorScheme" | "forcedColors" | "viewport" | "deviceScaleFactor"
>;

/** Starts one with a profile of its own. Close it at the end; that also removes the profile. */
export async function openBrowser(look: Look = {}): Promise<BrowserContext> {
  const executablePath = findCommand(browserCommand);
  if (executablePath === undefined) throw new Error(`${browserCommand} is not installed`);
  const profile = mkdtempSync(join(tmpdir(), "nodens-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: switches,
    ...look,
  });
  context.on("close", () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  return context;
}
