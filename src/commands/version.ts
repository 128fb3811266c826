/* `nodens version`: which nodens this is and what it runs on. */
import packageJson from "../../package.json" with { type: "json" };
import { ExitCode } from "./exit-code.ts";

/** What is running. `revision` is that of the sources, or "unknown". */
export interface Build {
  readonly version: string;
  readonly revision: string;
  readonly nodeVersion: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads what is running. The revision comes from NODENS_REVISION, which images set when they are built. */
export function readBuild(env: Environment): Build {
  const revision = env["NODENS_REVISION"] ?? "";
  return { version: packageJson.version, revision: revision || "unknown", nodeVersion: process.version };
}

/** Writes one line: name, version, revision where it is known, Node.js version and platform. Returns the exit code, always 0. */
export function version({ env, write }: { readonly env: Environment; readonly write: (text: string) => void }): number {
  const { version: ours, revision, nodeVersion } = readBuild(env);
  const known = revision === "unknown" ? "" : ` (revision ${revision})`;
  write(`nodens ${ours}${known}, Node.js ${nodeVersion}, ${process.platform} ${process.arch}\n`);
  return ExitCode.ok;
}
