/*
 * What is made before anything is measured: the programs in C, nodens as the image has it, and CoreDNS.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildCoredns } from "../../test/support/node/coredns-on-node.ts";
import { projectFolder } from "../../test/support/program/run-nodens.ts";
import { makeShippedForm, type ShippedForm } from "../../test/support/program/shipped-form.ts";

const run = promisify(execFile);

/** Paths of programs. */
export interface Tools {
  readonly load: string;
  readonly upstream: string;
  readonly echo: string;
  readonly node: string;
  /** V8's flags, as the image has them. */
  readonly nodeFlags: readonly string[];
  readonly bundle: string;
  /** The bundle of another revision to compare with. */
  readonly baseBundle: string | undefined;
  /** nodens with its snapshot and environment too, where memory is measured. */
  readonly shipped: ShippedForm | undefined;
  /** Undefined where it could not be built. */
  readonly coredns: string | undefined;
}

/** What must be installed. */
export const requiredCommands = ["cc", "taskset", "chrt"];

/** Makes all of them in `folder`; CoreDNS, the image's whole form, and a bundle of the checkout `base`, only where they are wanted. */
export async function makeTools(
  folder: string,
  {
    wantsCoredns = false,
    wantsShipped = false,
    base,
  }: { readonly wantsCoredns?: boolean; readonly wantsShipped?: boolean; readonly base?: string },
): Promise<Tools> {
  const [load, upstream, echo] = await Promise.all([
    compile(folder, "bench/peers/load.c"),
    compile(folder, "bench/peers/upstream.c"),
    compile(folder, "bench/floor/echo.c"),
  ]);
  return {
    load,
    upstream,
    echo,
    node: process.execPath,
    nodeFlags: flagsOfImage(),
    bundle: await bundle(projectFolder, join(folder, "bundle")),
    baseBundle: base === undefined ? undefined : await bundle(base, join(folder, "base")),
    shipped: wantsShipped ? await makeShippedForm(join(folder, "shipped")) : undefined,
    coredns: wantsCoredns ? await findCoredns() : undefined,
  };
}

async function compile(folder: string, source: string): Promise<string> {
  const path = join(folder, source.replaceAll("/", "-").replace(/\.c$/, ""));
  await run("cc", ["-O2", "-o", path, join(projectFolder, source)]);
  return path;
}

async function bundle(checkout: string, folder: string): Promise<string> {
  await run(process.execPath, [join(checkout, "scripts", "bundle.ts"), folder]);
  return join(folder, "nodens.mjs");
}

/** The program that `COREDNS` names, or one that is built; undefined, with a word about it, where neither is to be had. */
async function findCoredns(): Promise<string | undefined> {
  const named = process.env["COREDNS"];
  if (named !== undefined && named !== "") return named;
  try {
    return await buildCoredns();
  } catch (error) {
    console.error(`bench: without CoreDNS, which could not be built: ${(error as Error).message}`);
    return undefined;
  }
}

function flagsOfImage(): readonly string[] {
  const text = readFileSync(join(projectFolder, "Dockerfile"), "utf8");
  const flags = /^ARG V8_FLAGS="(.*)"$/m.exec(text)?.[1];
  if (flags === undefined) throw new Error("no V8_FLAGS in the Dockerfile");
  return flags.split(" ");
}
