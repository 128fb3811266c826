/*
 * The programs of a cluster, compiled from Go modules whose go.mod files pin them. What was compiled once is kept by version.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { projectFolder } from "../support/program/run-nodens.ts";

/** Where programs and images are kept between runs: what NODENS_CLUSTER_CACHE names, or a folder in the user's cache. */
export const cacheFolder =
  process.env["NODENS_CLUSTER_CACHE"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nodens", "cluster");

interface Source {
  /** The module's folder in test/fixtures. */
  readonly folder: string;
  /** The module whose version in go.mod is the programs' version. */
  readonly module: string;
  /** Go packages by the name of the program. */
  readonly packages: Readonly<Record<string, string>>;
  /** More flags of the linker. */
  readonly linkerFlags?: (version: string) => readonly string[];
}

const kubernetesPrograms = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "kubectl",
] as const;

const sources: readonly Source[] = [
  {
    folder: "etcd",
    module: "go.etcd.io/etcd/server/v3",
    packages: { etcd: "go.etcd.io/etcd/server/v3" },
  },
  {
    folder: "containerd",
    module: "github.com/containerd/containerd/v2",
    packages: Object.fromEntries(
      ["containerd", "containerd-shim-runc-v2", "ctr"].map((name) => [
        name,
        `github.com/containerd/containerd/v2/cmd/${name}`,
      ]),
    ),
  },
  {
    folder: "coredns",
    module: "github.com/coredns/coredns",
    packages: { coredns: "./kube-dns" },
  },
  {
    folder: "kubernetes",
    module: "k8s.io/kubernetes",
    packages: Object.fromEntries(kubernetesPrograms.map((name) => [name, `k8s.io/kubernetes/cmd/${name}`])),
    linkerFlags: kubernetesVersionFlags,
  },
];

/** Compiled programs. */
export interface Programs {
  /** Full paths by name. */
  readonly paths: Readonly<Record<string, string>>;
  /** Versions by module, such as "k8s.io/kubernetes": "v1.36.3". */
  readonly versions: Readonly<Record<string, string>>;
  /** All their folders, as in PATH. */
  readonly searchPath: string;
}

/** Compiles what is not in the cache yet, and tells `print` what it is busy with. Needs Go, and its module proxy the first time. */
export async function buildPrograms(print: (line: string) => void): Promise<Programs> {
  const paths: Record<string, string> = {};
  const versions: Record<string, string> = {};
  const folders: string[] = [];
  for (const source of sources) {
    const version = versionOf(source);
    const folder = join(cacheFolder, `${source.folder}-${version}-${digestOf(source)}`);
    if (!existsSync(folder)) await compile(source, version, folder, print);
    for (const name of Object.keys(source.packages)) paths[name] = join(folder, name);
    versions[source.module] = version;
    folders.push(folder);
  }
  return { paths, versions, searchPath: folders.join(delimiter) };
}

async function compile(source: Source, version: string, folder: string, print: (line: string) => void): Promise<void> {
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  const names = Object.keys(source.packages);
  const what = `${names.join(", ")} ${version}`;
  print(`compiling ${what}`);
  const began = performance.now();
  // All at once: while one is linked, which keeps one processor busy, others are compiled. Go names several after their folders.
  const output = names.length === 1 ? join(unfinished, ...names) : `${unfinished}/`;
  const linkerFlags = ["-s", "-w", ...(source.linkerFlags?.(version) ?? [])].join(" ");
  const flags = ["-buildvcs=false", "-trimpath", "-ldflags", linkerFlags, "-o", output];
  try {
    await promisify(execFile)("go", ["build", ...flags, ...Object.values(source.packages)], {
      cwd: moduleFolder(source),
      // Without C they run in any image, and on any node.
      env: { ...process.env, CGO_ENABLED: "0" },
      maxBuffer: 2 ** 26,
    });
    print(`compiled ${what} in ${Math.round((performance.now() - began) / 1000)} s`);
    renameSync(unfinished, folder);
    pruneCache(`${source.folder}-v`);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
}

/** Of what the cache has under names that begin like this, keeps the newest two: what is in use, and what another branch may come back to. */
export function pruneCache(prefix: string): void {
  const paths = readdirSync(cacheFolder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(cacheFolder, name))
    .toSorted((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  for (const path of paths.slice(2)) rmSync(path, { recursive: true, force: true });
}

function moduleFolder({ folder }: Source): string {
  return join(projectFolder, "test", "fixtures", folder);
}

function versionOf(source: Source): string {
  const text = readFileSync(join(moduleFolder(source), "go.mod"), "utf8");
  const line = text.split("\n").find((each) => each.replace("require", "").trim().startsWith(`${source.module} v`));
  const version = line === undefined ? undefined : /\bv\d\S*/.exec(line.slice(line.indexOf(" v")))?.[0];
  if (version === undefined) throw new Error(`${source.folder}/go.mod does not require ${source.module}`);
  return version;
}

/** Of all that decides what is compiled, but for Go's own version. */
function digestOf(source: Source): string {
  const own = Object.values(source.packages).filter((each) => each.startsWith("."));
  const files = ["go.mod", "go.sum", ...own.map((each) => join(each, "main.go"))];
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(join(moduleFolder(source), file)));
  return hash.digest("hex").slice(0, 8);
}

/** Parts of Kubernetes refuse each other when they do not know their version, which its own build sets. */
function kubernetesVersionFlags(version: string): string[] {
  const [major = "", minor = ""] = version.slice(1).split(".");
  return ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((place) => [
    `-X ${place}.gitVersion=${version}`,
    `-X ${place}.gitMajor=${major}`,
    `-X ${place}.gitMinor=${minor}`,
  ]);
}
