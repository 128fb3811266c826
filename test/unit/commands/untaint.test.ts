import { expect, test } from "vitest";
import { untaint } from "../../../src/commands/untaint.ts";
import { runBeforeNodeApi } from "./node-api.ts";

const startup = { key: "example.com/nodens", effect: "NoSchedule" };
const other = { key: "example.com/gpu", value: "yes", effect: "NoSchedule" };

/** `untaint` before an API server with one node, n1. */
async function run({ taints = [other, startup], readyAfter = 0, statuses = [] as number[] } = {}) {
  let node = { metadata: { resourceVersion: "7" }, spec: { taints: taints as object[] } };
  const ran = await runBeforeNodeApi((flags, options) => untaint({ ...flags, taint: startup.key }, options), {
    readyAfter,
    statuses,
    reply({ method, body }) {
      if (method !== "PATCH") return node;
      const [, replace] = JSON.parse(body) as [object, { value: object[] }];
      node = { ...node, spec: { taints: replace.value } };
      return node;
    },
  });
  return { ...ran, taints: node.spec.taints };
}

test("removes the taint, and no other, as soon as nodens is ready", async () => {
  const { exitCode, output, errors, pauses, asked, taints } = await run({ readyAfter: 3 });
  expect(exitCode).toBe(0);
  expect(taints).toEqual([other]);
  expect(output).toBe("removed the taint example.com/nodens from node n1\n");
  expect(errors).toMatch(
    /^waiting for http:\/\/127\.0\.0\.1:\d+\/readyz: the cluster's zone has not been answered yet\n$/,
  );
  expect(pauses).toBe(3);
  expect(asked).toMatchObject([
    { method: "GET", url: "/api/v1/nodes/n1", authorization: "Bearer secret" },
    { method: "PATCH", url: "/api/v1/nodes/n1", authorization: "Bearer secret" },
  ]);
});

test("changes the node only as it saw it", async () => {
  const { asked } = await run();
  const [condition] = JSON.parse(asked[1]?.body ?? "") as object[];
  expect(condition).toEqual({ op: "test", path: "/metadata/resourceVersion", value: "7" });
});

test("changes nothing where the node has no such taint", async () => {
  const { exitCode, output, asked } = await run({ taints: [other] });
  expect(exitCode).toBe(0);
  expect(output).toBe("node n1 has no taint example.com/nodens\n");
  expect(asked.map(({ method }) => method)).toEqual(["GET"]);
});

test.each([
  ["refuses the look", [403], /says 403 to a look at node n1/],
  ["refuses the change, because the node was changed meanwhile", [200, 422], /says 422 to the change of node n1/],
])("tries again when the API server %s", async (_, statuses, why) => {
  const { exitCode, errors, taints } = await run({ statuses });
  expect(exitCode).toBe(0);
  expect(errors).toMatch(why);
  expect(taints).toEqual([other]);
});

test("refuses what is not an address", async () => {
  let errors = "";
  const refuse = {
    env: {},
    pause: () => Promise.resolve(),
    write: () => {},
    writeError: (text: string) => void (errors += text),
  };
  expect(await untaint({ node: "n1", taint: "a", admin: "node-1" }, refuse)).toBe(64);
  expect(errors).toContain("'node-1' is not an admin address");
});
