/* Signs a zone file with BIND's tools: the signatures make answers with DO differ from those without. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findCommand } from "../program/requirements.ts";

const run = promisify(execFile);

/** The tools that `signZone` needs. */
export const signingTools = ["dnssec-keygen", "dnssec-signzone"] as const;

/** The zone file `text` of `origin`, signed with a new key. */
export async function signZone(origin: string, text: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "nodens-zone-"));
  const [keygen, signzone] = signingTools.map((tool) => findCommand(tool) as string) as [string, string];
  try {
    writeFileSync(join(folder, "zone"), text);
    await run(keygen, ["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", folder, origin]);
    await run(keygen, ["-q", "-a", "ECDSAP256SHA256", "-K", folder, origin]);
    await run(signzone, ["-S", "-K", folder, "-o", origin, "-f", "signed", "zone"], { cwd: folder });
    return readFileSync(join(folder, "signed"), "utf8");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
