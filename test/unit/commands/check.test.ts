import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { check } from "../../../src/commands/check.ts";

function run(content: string) {
  const folder = mkdtempSync(join(tmpdir(), "nodens-check-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const filePath = join(folder, "nodens.yaml");
  writeFileSync(filePath, content);
  let [output, errors] = ["", ""];
  const exitCode = check(filePath, {
    env: { HOST_IP: "10.0.0.9" },
    write: (text) => void (output += text),
    writeError: (text) => void (errors += text),
  });
  return { exitCode, output, errors: errors.replaceAll(filePath, "nodens.yaml") };
}

test("a good file: exit code 0, the effective settings on standard output, nothing else", () => {
  const { exitCode, output, errors } = run('admin: { address: "${HOST_IP}:80" }\nupstream: { servers: [192.0.2.1] }');
  expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: "" });
  expect(output).toContain("admin:\n  address: 10.0.0.9:80\n");
  expect(output).toContain("shutdown:\n  drainMs: 5000\n");
});

test("a doubtful file: exit code 0, and the warnings on standard error", () => {
  const { exitCode, errors } = run("listen: { allow: [0.0.0.0/0] }\nupstream: { servers: [192.0.2.1] }");
  expect(exitCode).toBe(0);
  expect(errors).toMatch(/^nodens\.yaml:1:19: listen\.allow\[0\] .* \(warning\)\n$/);
});

test("a bad file: exit code 78, every problem on standard error, nothing on standard output", () => {
  const { exitCode, output, errors } = run(
    "log: { level: loud }\nshutdown: { drainMs: -1 }\nupstream: { servers: [192.0.2.1] }\n",
  );
  expect({ exitCode, output }).toEqual({ exitCode: 78, output: "" });
  expect(errors).toMatch(/^nodens\.yaml:1:15: log\.level .*\nnodens\.yaml:2:22: shutdown\.drainMs is -1; .*\n$/);
});
