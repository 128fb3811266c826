import { expect, test } from "vitest";
import { createAwayQuestion, findsAsMuch } from "../../../src/app/fit-for-pods.ts";
import type { Route } from "../../../src/upstream/upstream.ts";

const service = "10.96.0.10";
const up = { "10.1.0.1": true };

function route(name: string, servers: Readonly<Record<string, boolean>>): Route {
  const list = Object.entries(servers).map(([host, isUp]) => ({
    address: { host, port: 53 },
    health: { isUp: () => isUp },
  }));
  return { name, servers: list } as unknown as Route;
}

test.each([
  ["another server that is up", up, up, true],
  ["one of two that is up", { "10.1.0.1": false, "10.1.0.2": true }, up, true],
  ["other servers for cluster names that are all down", { "10.1.0.1": false, "10.1.0.2": false }, up, false],
  ["other servers for outside names that are all down", up, { "192.0.2.1": false }, false],
  ["the Service itself, which is down: it would say nothing to pods either", { [service]: false }, up, true],
])("with %s", (_, cluster, outside, expected) => {
  const stub = route("corp.example", { "192.0.2.2": false });
  expect(findsAsMuch([stub, route("cluster", cluster), route("outside", outside)], service)).toBe(expected);
});

test.each([
  ["answered", true, { [service]: true }, true],
  ["not answered, by a Service that answers nodens", false, { [service]: true }, false],
  ["not answered, by a Service that is down", false, { [service]: false }, undefined],
  ["not answered, by a Service that nodens does not ask", false, up, false],
])("what the node's rules send on to the Service is %s", async (_, isAnswered, servers, expected) => {
  const ask = createAwayQuestion(
    { answersAway: () => Promise.resolve(isAnswered) },
    { routes: () => [route("cluster", servers)] },
  );
  expect(await ask("169.254.20.10", service)).toBe(expected);
});
