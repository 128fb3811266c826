import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { eachLineOf, notStarted, runProgram } from "../../../src/attach/run-program.ts";
import { projectFolder } from "../../support/program/run-nodens.ts";

describe("running a program", () => {
  test("gives its output, without the white space around its complaints, and its code", async () => {
    const script = "cat; echo complaint >&2; echo >&2; exit 3";
    expect(await runProgram("sh", ["-c", script], "input\n")).toEqual({
      code: 3,
      stdout: "input\n",
      stderr: "complaint",
    });
  });

  test("that is not there is the code 127, with a reason", async () => {
    expect(await runProgram("nodens-no-such-program", [])).toEqual({
      code: notStarted,
      stdout: "",
      stderr: "spawn nodens-no-such-program ENOENT",
    });
  });

  test("that ends without reading its input harms nothing", async () => {
    expect(await runProgram("true", [], "x".repeat(1_000_000))).toMatchObject({ code: 0 });
  });

  test("gives its lines one by one, however they are cut, and the last without its end", async () => {
    const lines: string[] = [];
    const script = "printf 'one\\ntw'; sleep 0.05; printf 'o\\n\\nlast'; echo complaint >&2; exit 4";
    const ended = await eachLineOf("sh", ["-c", script], (line) => lines.push(line));
    expect(ended).toEqual({ code: 4, stderr: "complaint" });
    expect(lines).toEqual(["one", "two", "", "last"]);
  });

  test("without descriptors for it is a failure like any other, for a program, a session and a question", async () => {
    const outcomes = await withoutDescriptors(`
      const clock = (await import(${JSON.stringify(source("runtime/clock.ts"))})).systemClock;
      const { runProgram } = await import(${JSON.stringify(source("attach/run-program.ts"))});
      const { systemClock } = await import(${JSON.stringify(source("runtime/clock.ts"))});
      const { nftSessionsOn } = await import(${JSON.stringify(source("attach/nft-session.ts"))});
      const { askOwnSocket } = await import(${JSON.stringify(source("listen/self-query.ts"))});
      const { createHealthQuestion } = await import(${JSON.stringify(source("listen/health-question.ts"))});
      const health = createHealthQuestion(Uint8Array.of(0), "5e1f");
      const askHealth = (protocol) => askOwnSocket({ host: "127.0.0.1", port: 9 }, health, { protocol, timeoutMs: 1000 }, clock);
      const ask = async (protocol) => (await askHealth(protocol)) ?? "nobody";
      exhaust();
      const reasons = [];
      const session = nftSessionsOn(systemClock)((reason) => reasons.push(reason));
      const outcomes = [await session.run("x"), await runProgram("true", []), await ask("udp"), await ask("tcp"), reasons];
    `);
    const cannotStart = "nft cannot be started (spawn nft EMFILE)";
    const failed = { code: null, stdout: "", stderr: "spawn true EMFILE" };
    expect(outcomes).toEqual([cannotStart, failed, "nobody", "nobody", [cannotStart]]);
  });

  test("that a signal ended has no code", async () => {
    expect(await runProgram("sh", ["-c", "kill -9 $$"])).toMatchObject({ code: null });
  });
});

function source(path: string): string {
  return join(projectFolder, "src", path);
}

/** Runs a script in a process that may have few files open, which `exhaust` opens. It leaves its result in `outcomes`. */
async function withoutDescriptors(script: string): Promise<unknown> {
  const whole = `
    import { closeSync, openSync } from "node:fs";
    const opened = [];
    function exhaust() {
      try { for (;;) opened.push(openSync("/dev/null")); } catch {}
    }
    ${script}
    for (const fd of opened) closeSync(fd);
    console.log(JSON.stringify(outcomes));`;
  const limited = 'ulimit -n 64; exec "$0" --input-type=module --eval "$1"';
  const { stdout } = await promisify(execFile)("sh", ["-c", limited, process.execPath, whole]);
  return JSON.parse(stdout);
}
