/*
 * The program as the image has it: one file of JavaScript with everything in it, and the example zone that it reads beside it.
 *
 *     scripts/bundle.ts FOLDER
 */
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: scripts/bundle.ts FOLDER");
  process.exit(64);
}
mkdirSync(folder, { recursive: true });
await build({
  input: join(project, "src", "nodens.mjs"),
  platform: "node",
  output: {
    file: join(folder, "nodens.mjs"),
    format: "esm",
    // Names stay: a stack trace in a log must tell where.
    minify: { mangle: false, compress: true, codegen: { removeWhitespace: true } },
    codeSplitting: false,
    comments: { legal: true },
  },
});
copyFileSync(join(project, "src", "cluster-dns", "zone.yaml"), join(folder, "zone.yaml"));
console.log(`bundled into ${folder}`);
