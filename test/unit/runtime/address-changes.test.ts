import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeWith } from "../../support/program/requirements.ts";
import { projectFolder } from "../../support/program/run-nodens.ts";

/** Puts an address on `lo` and takes it off, and ends when both were heard, in a network of its own. */
const script = `
  const { execFileSync } = require("node:child_process");
  const change = (what) => execFileSync("ip", ["address", what, "192.0.2.7/32", "dev", "lo"]);
  import(${JSON.stringify(join(projectFolder, "src", "runtime", "address-changes.ts"))}).then(({ hearAddressChanges }) => {
    let heard = 0;
    const stop = hearAddressChanges(() => {
      heard += 1;
      console.log(heard === 1 ? "put on" : "taken off");
      if (heard === 1) return change("delete");
      stop();
    });
    change("add");
  });
`;

describeWith(["root", "ip", "unshare"], "a change of an address", () => {
  test("is heard, until that is ended and the process may end", () => {
    const words = ["--net", process.execPath, "--no-warnings", "-e", script];
    expect(execFileSync("unshare", words, { encoding: "utf8", timeout: 20_000 })).toBe("put on\ntaken off\n");
  });
});
