/*
 * Whether memory creeps: nodens in the form of the image, asked a steady number of names a second that nobody has asked before, for as
 * long as one likes, after both stores of its cache have filled up. Every ten seconds a line of what it has, and at the end how much
 * that grew in an hour by a straight line through all of them.
 *
 * Under `chrt -i 0` an hour may pass beside other work: what is asked, and how soon, hardly matters for what is kept.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

/** What is asked, for how long, and where the lines go. */
export interface CreepOptions {
  readonly pid: number;
  readonly port: number;
  readonly adminPort: number;
  readonly minutes: number;
  readonly namesPerSecond: number;
  /** A name that was not asked before, with its type. */
  question(index: number): string;
  /** A file of comma-separated values; undefined for none. */
  readonly file: string | undefined;
  /** A field of /proc/PID/smaps_rollup in octets. */
  memoryOf(pid: number, field: "Rss" | "Anonymous"): number;
}

/** What is looked at, in MiB but for the seconds since the first question and the names since the last look. */
const columns = ["seconds", "names", "resident", "own", "heap used", "heap", "external", "cache"] as const;
type Look = Readonly<Record<(typeof columns)[number], number>>;

const lookEveryMs = 10_000;
const mebibyte = 1024 ** 2;
const secondsInHour = 3600;

/** Asks, looks, and says what the slopes are. Lines before the cache is full do not count for them. */
export async function measureCreep(options: CreepOptions): Promise<void> {
  const asker = startAsking(options);
  const file = options.file === undefined ? undefined : createWriteStream(options.file);
  const write = (line: string) => void (file?.write(`${line}\n`) ?? console.log(line));
  const looks: Look[] = [];
  const endMs = performance.now() + options.minutes * 60_000;
  const startedMs = performance.now();
  write(columns.join(","));
  try {
    while (performance.now() < endMs && asker.isAsking()) {
      await delay(lookEveryMs);
      const look = await lookAt(options, (performance.now() - startedMs) / 1000, asker.countSinceLast());
      looks.push(look);
      write(
        columns.map((column) => look[column].toFixed(column === "seconds" || column === "names" ? 0 : 2)).join(","),
      );
    }
  } finally {
    await asker.end();
    file?.end();
  }
  printSlopes(looks.filter((look) => isFull(look, looks)));
}

/** The cache is full once it has 97 % of what it has at most. */
function isFull({ cache }: Look, looks: readonly Look[]): boolean {
  return cache > 0.97 * Math.max(...looks.map((look) => look.cache));
}

/** dnsperf, fed with names as it takes them. */
function startAsking({ port, namesPerSecond, question }: CreepOptions) {
  const args = ["-s", "127.0.0.1", "-p", `${port}`, "-q", "200", "-Q", `${namesPerSecond}`, "-n", "1"];
  const child = spawn("dnsperf", args, { stdio: ["pipe", "ignore", "ignore"] });
  const ended = once(child, "exit");
  let asked = 0;
  let before = 0;
  function* questions(): Generator<string> {
    for (;;) yield Array.from({ length: 1000 }, () => `${question(asked++)}\n`).join("");
  }
  // It has ended, which is seen below.
  child.stdin.on("error", () => {});
  Readable.from(questions()).pipe(child.stdin);
  return {
    isAsking: () => child.exitCode === null && child.signalCode === null,
    countSinceLast() {
      const count = asked - before;
      before = asked;
      return count;
    },
    async end() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function lookAt({ pid, adminPort, memoryOf }: CreepOptions, seconds: number, names: number): Promise<Look> {
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))].reduce(
      (all, [, value]) => all + Number(value),
      0,
    );
  return {
    seconds,
    names,
    resident: memoryOf(pid, "Rss") / mebibyte,
    own: memoryOf(pid, "Anonymous") / mebibyte,
    "heap used": sum("nodejs_heap_size_used_bytes") / mebibyte,
    heap: sum("nodejs_heap_size_total_bytes") / mebibyte,
    external: sum("nodejs_external_memory_bytes") / mebibyte,
    cache: sum("nodens_cache_bytes") / mebibyte,
  };
}

function printSlopes(looks: readonly Look[]): void {
  const [first] = looks;
  const last = looks.at(-1);
  if (first === undefined || last === undefined) return console.log("the cache was never full");
  const names = looks.reduce((all, look) => all + look.names, 0);
  console.log(
    `\n${((last.seconds - first.seconds) / 60).toFixed(0)} minutes with full caches, ${names} names that were new`,
  );
  console.log(["MiB".padEnd(14), "at first", "at last", "most", "an hour"].map((cell) => cell.padStart(9)).join(" "));
  for (const column of columns.filter((name) => name !== "seconds" && name !== "names")) {
    const values = looks.map((look) => look[column]);
    const part = Math.max(1, Math.round(values.length / 10));
    const mean = (some: readonly number[]) => some.reduce((all, value) => all + value, 0) / some.length;
    const numbers = [
      mean(values.slice(0, part)),
      mean(values.slice(-part)),
      Math.max(...values),
      slopePerHour(looks, column),
    ];
    console.log([column.padEnd(14), ...numbers.map((number) => number.toFixed(2).padStart(9))].join(" "));
  }
}

/** By how much a column grows in an hour: least squares. */
function slopePerHour(looks: readonly Look[], column: keyof Look): number {
  const mean = (values: readonly number[]) => values.reduce((all, value) => all + value, 0) / values.length;
  const [meanSeconds, meanValue] = [mean(looks.map(({ seconds }) => seconds)), mean(looks.map((look) => look[column]))];
  const products = looks.map((look) => (look.seconds - meanSeconds) * (look[column] - meanValue));
  const squares = looks.map((look) => (look.seconds - meanSeconds) ** 2);
  return looks.length < 2 ? 0 : (mean(products) / mean(squares)) * secondsInHour;
}
