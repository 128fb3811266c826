import { expect, test } from "vitest";
import { hostSuffixes } from "../../../src/settings/host-suffixes.ts";
import { settingsSchema } from "../../../src/settings/settings-table.ts";

const resolvConf =
  "nameserver 192.0.2.1\nsearch Corp.Example default.svc.cluster.local cluster.local xcluster.local .\n";

function suffixesWith(search: Record<string, unknown>, readFile = () => resolvConf): readonly string[] {
  return hostSuffixes(settingsSchema.parse({ search }), readFile);
}

test("are those of resolv.conf, in lower case, without the cluster's own and the root", () => {
  expect(suffixesWith({})).toEqual(["corp.example", "xcluster.local"]);
});

test("are those that are set, where some are", () => {
  expect(suffixesWith({ suffixes: ["ec2.internal"] })).toEqual(["ec2.internal"]);
});

test("are none without a file, and with one that cannot be read", () => {
  expect(suffixesWith({ resolvConf: "" })).toEqual([]);
  const unreadable = () => {
    throw new Error("ENOENT");
  };
  expect(suffixesWith({}, unreadable)).toEqual([]);
});
