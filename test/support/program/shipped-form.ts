/*
 * nodens as the image has it: the bundle, the snapshot, V8's flags and the environment of the Dockerfile.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { projectFolder } from "./run-nodens.ts";

const run = promisify(execFile);

/** How it is started. */
export interface ShippedForm {
  /** Program and arguments, to which the command and its flags are added. */
  readonly line: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Makes it in `folder`, of the sources in `checkout`. */
export async function makeShippedForm(folder: string, checkout = projectFolder): Promise<ShippedForm> {
  const node = process.execPath;
  const { flags, env } = readDockerfile();
  await run(node, [join(checkout, "scripts", "bundle.ts"), folder]);
  const blob = join(folder, "nodens.blob");
  await run(node, [...flags, "--snapshot-blob", blob, "--build-snapshot-config", join(folder, "snapshot.json")]);
  return { line: [node, `--snapshot-blob=${blob}`, ...flags, join(folder, "nodens.mjs")], env };
}

function readDockerfile(): { flags: string[]; env: ShippedForm["env"] } {
  const text = readFileSync(join(projectFolder, "Dockerfile"), "utf8");
  const flags = /^ARG V8_FLAGS="(.*)"$/m.exec(text)?.[1]?.split(" ");
  if (flags === undefined) throw new Error("no V8_FLAGS in the Dockerfile");
  const names = ["MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "UV_THREADPOOL_SIZE"];
  const set = names.map((name) => [name, new RegExp(`^\\s+${name}=(\\S+)`, "m").exec(text)?.[1]] as const);
  return { flags, env: { ...process.env, ...Object.fromEntries(set) } };
}
