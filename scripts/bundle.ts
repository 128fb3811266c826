/*
 * The program as the image has it, in a folder:
 *
 *     nodens.mjs      what serves, in one file of JavaScript
 *     on-demand/      what it loads when it is asked to: the other commands, and the embedded cluster DNS with its example zone
 *     snapshot.cjs    what serves, for `node --build-snapshot-config snapshot.json`
 *
 *     scripts/bundle.ts FOLDER
 */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type InputOptions, type OutputOptions, type Plugin, build } from "rolldown";

const sources = join(dirname(dirname(fileURLToPath(import.meta.url))), "src");
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: scripts/bundle.ts FOLDER");
  process.exit(64);
}
mkdirSync(folder, { recursive: true });
rmSync(join(folder, "on-demand"), { recursive: true, force: true });

/** Sources that are imported on demand, found while the others are bundled. */
const onDemand = new Set<string>();

/**
 * Parts of packages that nodens never calls, but that are loaded with them, and load much of Node.js in turn: prom-client's gateway,
 * clusters, summaries and exemplars of traces.
 */
const unused = /prom-client\/lib\/(pushgateway|cluster|summary)\.js$|@opentelemetry\/api\//;

/** Modules of Node.js that cannot be part of a snapshot, or that Node.js has not tried in one. They are loaded at their first use. */
const afterSnapshot = ["child_process", "dgram", "http", "https", "module", "perf_hooks", "worker_threads"];

const trim: Plugin = {
  name: "leave out what is never called",
  load: (id) => (unused.test(id) ? "module.exports = {};" : undefined),
};

const keepApart: Plugin = {
  name: "keep apart what is imported on demand",
  async resolveId(id, importer, { kind }) {
    if (kind !== "dynamic-import" || id.startsWith("node:")) return undefined;
    const found = await this.resolve(id, importer);
    if (found === null) return undefined;
    // The entry loads the program on demand for the sake of old versions of Node.js.
    if (basename(found.id) === "main.ts") return found;
    onDemand.add(found.id);
    return { id: `./on-demand/${basename(found.id, ".ts")}.mjs`, external: true };
  },
};

/** V8 keeps a text in half the room if all its letters are Latin: letters of strings and patterns can be written so. */
const writeInAscii: Plugin = {
  name: "write in ASCII",
  // After everything else: the minifier writes letters as they are.
  generateBundle(_options, files) {
    for (const file of Object.values(files))
      if (file.type === "chunk")
        file.code = file.code.replaceAll(
          /[^\0-\x7f]/g,
          (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
        );
  },
};

/** In a process that begins with a snapshot, its code can neither import nor require files. */
const loadLater: Plugin = {
  name: "load what is not in the snapshot",
  renderChunk(code) {
    const helpers = [
      "const requireFile=(path)=>{const{createRequire}=process.getBuiltinModule(`node:module`);",
      "return createRequire(process.getBuiltinModule(`node:path`).resolve(process.argv[1]))(path)};",
      "const whenUsed=(name)=>new Proxy({},{get:(_,key)=>",
      "key===`default`?process.getBuiltinModule(name):process.getBuiltinModule(name)[key]});",
    ];
    const later = new RegExp(`\\brequire\\([\`"'](?:node:)?(${afterSnapshot.join("|")})[\`"']\\)`, "g");
    // The bundler's wrapper would copy what the module has, which it is not asked for yet.
    const names = [...code.matchAll(new RegExp(`([\\w$]+)\\s*=\\s*${later.source}`, "g"))].map(([, name]) => name);
    const wrapper = new RegExp(`\\b__toESM\\((${names.join("|").replaceAll("$", "\\$")})(?:,\\s*1)?\\)`, "g");
    return (
      helpers.join("") +
      code
        .replaceAll(wrapper, "$1")
        .replaceAll(/\bimport\(([`"']\.\/on-demand\/)/g, "(async path=>requireFile(path))($1")
        .replaceAll(later, "whenUsed(`node:$1`)")
    );
  },
};

/**
 * An import of one of Node.js's modules reads everything that it exports, also what is loaded when it is first read: undici behind http, the
 * Web's cryptography behind crypto. That is 9 MiB, which commands have to do without.
 */
const takeOnlyWhatIsUsed: Plugin = {
  name: "take only what is used of Node.js",
  renderChunk: (code) =>
    code.replaceAll(
      /\bimport\s*(?:([\w$]+)\s*,?\s*)?(?:\{([^}]*)\}\s*)?from\s*["'`](node:[\w/]+)["'`];?/g,
      (_, whole: string | undefined, parts: string | undefined, module: string) => {
        const loaded = `process.getBuiltinModule("${module}")`;
        const named = parts === undefined ? "" : `const {${parts.replaceAll(/\s+as\s+/g, ": ")}} = ${loaded};`;
        return whole === undefined ? named : `const ${whole} = ${loaded};${named}`;
      },
    ),
};

// Names of functions stay: a stack trace in a log must tell where.
const small: OutputOptions = {
  minify: { mangle: { toplevel: false, keepNames: true }, compress: true, codegen: { removeWhitespace: true } },
  comments: { legal: true },
};

function bundle(input: InputOptions["input"], plugins: readonly Plugin[], output: OutputOptions): Promise<unknown> {
  return build({
    ...(input === undefined ? {} : { input }),
    platform: "node",
    plugins: [trim, ...plugins, writeInAscii],
    output: { ...small, ...output },
  });
}

await bundle(join(sources, "nodens.mjs"), [keepApart], {
  file: join(folder, "nodens.mjs"),
  format: "esm",
  codeSplitting: false,
});
await bundle(join(sources, "snapshot.ts"), [keepApart, loadLater], {
  file: join(folder, "snapshot.cjs"),
  format: "cjs",
  codeSplitting: false,
});
await bundle([...onDemand], [takeOnlyWhatIsUsed], {
  dir: join(folder, "on-demand"),
  format: "esm",
  entryFileNames: "[name].mjs",
  chunkFileNames: "[name].mjs",
});
// The cache of compiled functions of Node.js would be half of the snapshot, and is kept in memory with it.
const snapshot = { builder: resolve(folder, "snapshot.cjs"), withoutCodeCache: true };
writeFileSync(join(folder, "snapshot.json"), JSON.stringify(snapshot));
copyFileSync(join(sources, "cluster-dns", "zone.yaml"), join(folder, "on-demand", "zone.yaml"));
console.log(`bundled into ${folder}`);
