import { expect, test } from "vitest";
import { findsAsMuch } from "../../../src/app/fit-for-pods.ts";
import type { Route } from "../../../src/upstream/upstream.ts";

const service = "10.96.0.10";

function routesTo(servers: Readonly<Record<string, boolean>>): readonly Route[] {
  const down = {
    name: "outside",
    servers: [{ address: { host: "192.0.2.1", port: 53 }, health: { isUp: () => false } }],
  };
  const cluster = {
    name: "cluster",
    servers: Object.entries(servers).map(([host, isUp]) => ({
      address: { host, port: 53 },
      health: { isUp: () => isUp },
    })),
  };
  return [down, cluster] as unknown as readonly Route[];
}

test.each([
  ["another server that is up", { "10.1.0.1": true }, true],
  ["one of two that is up", { "10.1.0.1": false, "10.1.0.2": true }, true],
  ["other servers that are all down", { "10.1.0.1": false, "10.1.0.2": false }, false],
  ["the Service itself, which is down: it would say nothing to pods either", { [service]: false }, true],
])("with %s", (_, servers, expected) => {
  expect(findsAsMuch(routesTo(servers), service)).toBe(expected);
});
