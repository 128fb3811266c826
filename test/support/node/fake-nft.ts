/*
 * A program `nft` in a folder that is all of PATH, and does with each line what the line says: what a real one cannot be told.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";

/**
 * Speaks like `nft -i`: it is silent about what it can do. "bad …" gets a complaint, "split …" one in pieces, "end" ends it, and
 * after "hang" it says nothing more.
 */
export const obedientNft = `
while read -r line; do
  case "$line" in
    end) exit 1 ;;
    hang) exec sleep 600 ;;
    bad*) printf 'Error: No such file or directory\\n%s\\n^^^\\n' "$line" >&2 ;;
    split*) printf 'Error: No such' >&2; sleep 0.05; printf ' file\\n%s\\n^^' "$line" >&2; sleep 0.05; printf '^\\n' >&2 ;;
    nodens_marker_*) printf 'Error: syntax error, unexpected newline\\n%s\\n      ^\\n' "$line" >&2 ;;
  esac
done`;

/** One that does not end with its input. */
export const deafNft = "exec sleep 600";

/** Makes the shell script the only `nft` of this process until the test ends; undefined: there is none. */
export function installNft(script: string | undefined): void {
  const folder = mkdtempSync(join(tmpdir(), "nodens-nft-"));
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });
  vi.stubEnv("PATH", folder);
  if (script === undefined) return;
  writeFileSync(join(folder, "nft"), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
  chmodSync(join(folder, "nft"), 0o755);
}
