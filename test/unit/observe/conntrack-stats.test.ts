import { expect, test } from "vitest";
import { readConntrackStats } from "../../../src/observe/conntrack-stats.ts";

const head =
  "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error";
const files: Readonly<Record<string, string>> = {
  "/proc/net/stat/nf_conntrack": `${head}\n0000000a 0 0 0 0 0 0 0 0 00000001 00000010 00000000 0\n0000000a 0 0 0 0 0 0 0 0 00000002 00000001 00000003 0\n`,
  "/proc/sys/net/netfilter/nf_conntrack_count": "10\n",
  "/proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
};

test("adds up the processors, whose numbers are hexadecimal", () => {
  expect(readConntrackStats((path) => files[path])).toEqual({
    drop: 17,
    insertFailed: 3,
    earlyDrop: 3,
    entries: 10,
    limit: 262_144,
  });
});

test("says nothing where nothing is tracked", () => {
  expect(readConntrackStats(() => undefined)).toBeUndefined();
});
