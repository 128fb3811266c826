import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createLogger, setLevel, type LogLevel } from "../../../src/observe/log.ts";

function collect(level: LogLevel) {
  const lines: string[] = [];
  const logger = createLogger({ level, destination: { write: (line: string) => void lines.push(line) } });
  return { logger, lines };
}

test("a line is one JSON object with level, ISO time, the details and the message, and nothing else", () => {
  const { logger, lines } = collect("info");
  logger.warn({ server: "10.96.0.10:53" }, "upstream is down");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^\{"level":"warn","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",.*\}\n$/);
  const { time: _time, ...rest } = JSON.parse(lines[0] ?? "");
  expect(rest).toEqual({ level: "warn", server: "10.96.0.10:53", msg: "upstream is down" });
});

test("text that a client chose stays inside its JSON string", () => {
  const { logger, lines } = collect("info");
  logger.info({ name: 'a"}\n{"level":"fatal' }, "query");
  expect(lines.join("").trimEnd().split("\n")).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", name: 'a"}\n{"level":"fatal' });
});

test("nothing in a line is obeyed by a terminal, and a reader of JSON finds it all", () => {
  const { logger, lines } = collect("info");
  const name = "\u001b[31m\u009b31m\u007f\u202e\u2028end";
  logger.info({ name, err: new Error(name) }, `query ${name}`);
  expect(lines.join("")).toMatch(/^[ -~]+\n$/);
  expect(JSON.parse(lines.join(""))).toMatchObject({ name, msg: `query ${name}`, err: { message: name } });
});

test("an error is logged with its message and cause", () => {
  const { logger, lines } = collect("info");
  logger.error({ err: new Error("cannot read settings", { cause: new Error("no such file") }) }, "reload failed");
  const { err } = JSON.parse(lines[0] ?? "");
  expect(err.message).toContain("cannot read settings");
  expect(err.stack).toContain("no such file");
});

test("lines below the level are not written, and the level can be changed", () => {
  const { logger, lines } = collect("warn");
  logger.info("before");
  setLevel(logger, "debug");
  logger.debug("between");
  setLevel(logger, "silent");
  logger.fatal("after");
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["between"]);
});

/** Runs a script that has a `logger`, under bash with standard error redirected. */
function runLogging(script: string, redirect: string) {
  const module = JSON.stringify(join(import.meta.dirname, "../../../src/observe/log.ts"));
  const program = `import { createLogger } from ${module}; const logger = createLogger({ level: "info" }); ${script}`;
  const bash = ["-c", `"$0" --input-type=module -e "$1" ${redirect}`, process.execPath, program];
  const { status, stdout, stderr } = spawnSync("bash", bash, { encoding: "utf8", timeout: 20_000 });
  return { status, stdout, stderr };
}

test("without a destination lines go to standard error, in order", () => {
  const script = "for (const msg of ['one', 'two', 'three']) logger.info(msg); process.exitCode = 3;";
  const { status, stdout, stderr } = runLogging(script, "");
  expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
  const lines = stderr.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["one", "two", "three"]);
});

test("a process that is cut off loses no line, though the one that is just being written may come last", () => {
  const script = "for (const msg of ['one', 'two', 'three']) logger.info(msg); process.exit(3);";
  const lines = runLogging(script, "").stderr.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).msg).toSorted()).toEqual(["one", "three", "two"]);
});

test("many lines arrive whole and in order", () => {
  const script = "for (let count = 0; count < 5000; count += 1) logger.info({ count }, 'line');";
  const lines = runLogging(script, "").stderr.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).count)).toEqual(Array.from({ length: 5000 }, (_, count) => count));
});

test.each([
  ["is a full disk", "2>/dev/full", "alive\n"],
  ["was closed by its reader", "2> >(exec 0<&-)", "alive\n"],
  ["is a pipe that nobody reads", "2> >(sleep 3; echo reader left)", "alive\nreader left\n"],
])("a process whose standard error %s goes on, and ends", (_what, redirect, output) => {
  const script = `
    const line = "x".repeat(1000);
    for (let count = 0; count < 3000; count += 1) logger.info(line);
    setTimeout(() => { logger.info("still"); console.log("alive"); }, 100);`;
  const { status, stdout } = runLogging(script, `${redirect}; status=$?; wait; exit $status`);
  expect({ status, stdout }).toEqual({ status: 0, stdout: output });
});
