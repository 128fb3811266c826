import { expect, test } from "vitest";
import packageJson from "../../../package.json" with { type: "json" };
import { readBuild, version } from "../../../src/commands/version.ts";

function print(env: Record<string, string>): string {
  let output = "";
  expect(version({ env, write: (text) => void (output += text) })).toBe(0);
  return output;
}

const platform = `Node.js ${process.version}, ${process.platform} ${process.arch}`;

test("one line with the versions of package.json and Node.js, and the platform", () => {
  expect(print({})).toBe(`nodens ${packageJson.version}, ${platform}\n`);
});

test("the revision is shown if the environment has one", () => {
  expect(print({ NODENS_REVISION: "5f3a9c1" })).toBe(`nodens ${packageJson.version} (revision 5f3a9c1), ${platform}\n`);
});

test.each([[{}], [{ NODENS_REVISION: "" }]])("with %o the revision of the build is unknown", (env) => {
  expect(readBuild(env)).toEqual({
    version: packageJson.version,
    revision: "unknown",
    nodeVersion: process.version,
  });
});
