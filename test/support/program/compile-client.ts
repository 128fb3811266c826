/* The clients in C of test/fixtures/clients, compiled. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findCommand } from "./requirements.ts";
import { projectFolder } from "./run-nodens.ts";

/** A program in a folder of its own, which `remove` removes. */
export interface CompiledClient {
  readonly path: string;
  remove(): void;
}

/** Compiles test/fixtures/clients/`name`.c with `compiler`, and links it with `libraries` ("-lm"). Warnings are errors. */
export async function compileClient(
  name: string,
  compiler: "gcc" | "musl-gcc",
  libraries: readonly string[] = [],
): Promise<CompiledClient> {
  const folder = mkdtempSync(join(tmpdir(), "nodens-client-"));
  const source = join(projectFolder, "test", "fixtures", "clients", `${name}.c`);
  const path = join(folder, name);
  const command = findCommand(compiler) ?? compiler;
  await promisify(execFile)(command, ["-Wall", "-Wextra", "-Werror", "-O1", "-o", path, source, ...libraries]);
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
