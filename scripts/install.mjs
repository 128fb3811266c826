/*
 * Installs the locked dependencies if they are missing or older than the lock file, so that `npm start` and `npm test` work on a
 * fresh clone. Plain JavaScript: it runs on whatever Node is there, before ours is.
 */
import { spawnSync } from "node:child_process";
import { lstatSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));

if (!isInstalled()) {
  console.error("Installing the locked dependencies, Node.js 26 among them (once; this takes a moment) ...");
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    // Standard output belongs to the command that runs next.
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) {
    console.error("npm ci failed; nothing was started.");
    process.exit(status ?? 1);
  }
}

/**
 * npm writes its own copy of the lock file last, so that a broken installation is not taken for a whole one. A folder that is a link, as in
 * a second worktree, is for its owner to install: npm would empty it before it fills it, under whoever uses it.
 */
function isInstalled() {
  const packages = join(folder, "node_modules");
  const installedAt = modifiedAt(join(packages, ".package-lock.json"));
  const hasNode = modifiedAt(join(packages, ".bin", "node")) !== undefined;
  if (hasNode && lstatSync(packages).isSymbolicLink()) return true;
  return hasNode && installedAt !== undefined && installedAt >= (modifiedAt(join(folder, "package-lock.json")) ?? 0);
}

function modifiedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}
