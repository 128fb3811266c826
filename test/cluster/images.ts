/*
 * The images of a cluster, as archives in the cache: small ones that are put together from files, and nodens's own from the Dockerfile.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { arch } from "node:process";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { findCommand } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";
import { cacheFolder, type Programs, pruneCache } from "./programs.ts";

const run = promisify(execFile);

/** The image of every pod's first container, which only holds its namespaces. */
export const pauseImage = "nodens.test/pause:1";
/** CoreDNS, as kube-dns. */
export const kubeDnsImage = "nodens.test/coredns:1";
/** A client that looks names up at a steady rate with each C library. */
export const loadImages = { glibc: "nodens.test/load-glibc:1", musl: "nodens.test/load-musl:1" } as const;
/** nodens, under the name that the manifests have. */
export const nodensImage = `ghcr.io/nodens-dns/nodens:${projectVersion()}`;

/** An image as a program and the files that it needs. */
interface SmallImage {
  readonly name: string;
  /** Files of the machine by their path in the image. */
  readonly files: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
}

/** The program that keeps namespaces: the first process of a pod, and of a node. Compiled once. */
export async function buildKeeper(): Promise<string> {
  return compileC("cluster/pause.c", ["gcc", "-static"]);
}

/** Archives of all images but nodens's. */
export async function buildSmallImages(programs: Programs, print: (line: string) => void): Promise<string[]> {
  const load = "clients/steady-getaddrinfo.c";
  const glibc = await compileC(load, ["gcc", "-pthread"]);
  const musl = await compileC(load, ["musl-gcc", "-static", "-pthread"]);
  const nodeFiles = Object.fromEntries((await librariesOf(glibc)).map((path) => [path, realpathSync(path)]));
  const images: SmallImage[] = [
    { name: pauseImage, files: { "/pause": await buildKeeper() }, entrypoint: ["/pause"] },
    { name: kubeDnsImage, files: { "/coredns": programs.paths["coredns"] ?? "" }, entrypoint: ["/coredns"] },
    { name: loadImages.glibc, files: { "/load": glibc, ...nodeFiles }, entrypoint: ["/load"] },
    { name: loadImages.musl, files: { "/load": musl }, entrypoint: ["/load"] },
  ];
  return Promise.all(images.map((image) => archiveOf(image, print)));
}

/** Compiles a file of test/fixtures, once for each content and compiler. */
async function compileC(source: string, [compiler = "", ...flags]: readonly string[]): Promise<string> {
  const path = join(projectFolder, "test", "fixtures", source);
  const digest = digestOf([readFileSync(path), [compiler, ...flags].join(" ")]);
  const target = join(cacheFolder, `${source.split("/").at(-1)?.replace(".c", "")}-${compiler}-${digest}`);
  if (existsSync(target)) return target;
  mkdirSync(cacheFolder, { recursive: true });
  const unfinished = `${target}.${process.pid}`;
  const warnings = ["-Wall", "-Wextra", "-Werror", "-O1"];
  await run(findCommand(compiler) ?? compiler, [...warnings, ...flags, "-o", unfinished, path]);
  renameSync(unfinished, target);
  return target;
}

/** The shared libraries of a program with their loader, by their full paths. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run("ldd", [program]);
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path);
}

/** An archive with one layer, as `docker save` writes it and containerd reads it. */
async function archiveOf(image: SmallImage, print: (line: string) => void): Promise<string> {
  const digest = digestOf([JSON.stringify(image), ...Object.values(image.files).map((file) => readFileSync(file))]);
  const prefix = `${image.name.replace(/.*\/|:/g, "")}-`;
  const archive = join(cacheFolder, `${prefix}${digest}.tar`);
  if (existsSync(archive)) return archive;
  print(`making the image ${image.name}`);
  const folder = mkdtempSync(join(cacheFolder, "image-"));
  try {
    for (const [inside, file] of Object.entries(image.files)) {
      mkdirSync(join(folder, "root", dirname(inside)), { recursive: true });
      copyFileSync(file, join(folder, "root", inside));
    }
    const layer = join(folder, "layer.tar");
    await run("tar", ["--create", "--file", layer, "--owner=0", "--group=0", "--directory", join(folder, "root"), "."]);
    const config = {
      architecture: arch === "x64" ? "amd64" : arch,
      os: "linux",
      config: { Entrypoint: image.entrypoint },
      rootfs: {
        type: "layers",
        diff_ids: [`sha256:${createHash("sha256").update(readFileSync(layer)).digest("hex")}`],
      },
    };
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    const manifest = [{ Config: "config.json", RepoTags: [image.name], Layers: ["layer.tar"] }];
    writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
    const unfinished = join(folder, "image.tar");
    const members = ["manifest.json", "config.json", "layer.tar"];
    await run("tar", ["--create", "--file", unfinished, "--directory", folder, ...members]);
    renameSync(unfinished, archive);
    pruneCache(prefix);
    return archive;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What decides how the image is built, but for the base, which is made anew when Node.js or the Dockerfile changes. */
const imageSources = ["Dockerfile", "package.json", "package-lock.json", "src", "scripts/bundle.ts", "deploy/image"];

/**
 * The archive of nodens's image, built from the working tree with buildah, as scripts/build-image.sh does it. Built once for each content. Needs
 * root, buildah and debootstrap, and a minute.
 */
export async function buildNodensImage(print: (line: string) => void): Promise<string> {
  const digest = digestOf([await contentOf(imageSources)]);
  const archive = join(cacheFolder, `nodens-${digest}.tar`);
  if (existsSync(archive)) return archive;
  const storage = await baseStorage(print);
  print("building the image of nodens");
  const buildah = ["--root", join(storage, "root"), "--runroot", join(storage, "run"), "--storage-driver", "vfs"];
  await run(join(projectFolder, "scripts", "build-image.sh"), [storage, nodensImage], { maxBuffer: 2 ** 26 });
  const unfinished = `${archive}.${process.pid}`;
  await run("buildah", [...buildah, "push", "--quiet", nodensImage, `docker-archive:${unfinished}:${nodensImage}`]);
  await run("buildah", [...buildah, "rmi", nodensImage]);
  renameSync(unfinished, archive);
  pruneCache("nodens-");
  return archive;
}

/** Buildah's storage with the stand-in for the image's base, which is the slowest part. */
async function baseStorage(print: (line: string) => void): Promise<string> {
  const sources = ["Dockerfile", "scripts/build-test-base.sh", "package-lock.json"];
  const storage = join(cacheFolder, `base-${digestOf([await contentOf(sources)])}`);
  if (existsSync(storage)) return storage;
  print("making the base of the image");
  const unfinished = `${storage}.${process.pid}`;
  await run(join(projectFolder, "scripts", "build-test-base.sh"), [unfinished], { maxBuffer: 2 ** 26 });
  renameSync(unfinished, storage);
  pruneCache("base-");
  return storage;
}

/** The content of files and folders of the project, as one text that changes with it. */
async function contentOf(paths: readonly string[]): Promise<string> {
  const script = 'find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum';
  return (await run("sh", ["-c", script, "sh", ...paths], { cwd: projectFolder })).stdout;
}

function digestOf(parts: readonly (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex").slice(0, 12);
}

function projectVersion(): string {
  const text = readFileSync(join(projectFolder, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
