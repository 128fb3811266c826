import { expect, test } from "vitest";
import { adminPlacesOf } from "../../../src/app/open-admin.ts";

const loopback = { host: "127.0.0.1", port: 9253 };

test.each([
  ["the node's address", "10.0.0.7", [loopback]],
  ["the node's address, IPv6", "fd00::7", [loopback]],
  ["loopback itself", "127.0.0.1", []],
  ["loopback itself, IPv6", "::1", []],
  ["every address", "0.0.0.0", []],
  ["every address, IPv6", "::", []],
])("what this machine alone is told is on loopback, with admin.address %s", (_, host, more) => {
  const address = { host, port: 9253 };
  expect(adminPlacesOf({ admin: { address, allow: [] }, probes: { directory: "" } })).toEqual([address, ...more]);
});

test("and in a Unix socket beside the probe files", () => {
  const settings = { admin: { address: loopback, allow: [] }, probes: { directory: "/run/nodens" } };
  expect(adminPlacesOf(settings)).toEqual([loopback, { path: "/run/nodens/admin.sock" }]);
});
