import { expect, test } from "vitest";
import { reportReady } from "../../../src/commands/report-ready.ts";
import { runBeforeNodeApi } from "./node-api.ts";

const condition = "example.com/BecameReady";

function run(behaviour: Parameters<typeof runBeforeNodeApi>[1] = {}) {
  return runBeforeNodeApi((flags, options) => reportReady({ ...flags, condition }, options), behaviour);
}

test("says nothing of the node before nodens is ready, and then that it was", async () => {
  const { exitCode, output, errors, pauses, asked } = await run({ readyAfter: 3 });
  expect(exitCode).toBe(0);
  expect(output).toBe("node n1 has the condition example.com/BecameReady\n");
  expect(errors).toMatch(
    /^waiting for http:\/\/127\.0\.0\.1:\d+\/readyz: the cluster's zone has not been answered yet\n$/,
  );
  expect(pauses).toBe(3);
  expect(asked).toMatchObject([{ method: "PATCH", url: "/api/v1/nodes/n1/status", authorization: "Bearer secret" }]);
});

test("merges one condition into those that others report", async () => {
  const { asked } = await run();
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as string;
  expect(asked[0]?.contentType).toBe("application/strategic-merge-patch+json");
  expect(JSON.parse(asked[0]?.body ?? "")).toEqual({
    status: {
      conditions: [
        {
          type: condition,
          status: "True",
          reason: "NodensBecameReady",
          message: expect.stringContaining("has been ready") as string,
          lastHeartbeatTime: time,
          lastTransitionTime: time,
        },
      ],
    },
  });
});

test("tries again when the API server refuses", async () => {
  const { exitCode, errors, asked } = await run({ statuses: [403, 500] });
  expect(exitCode).toBe(0);
  expect(errors).toBe(
    "cannot report the condition yet: the API server says 403 to the change of node n1\n" +
      "cannot report the condition yet: the API server says 500 to the change of node n1\n",
  );
  expect(asked).toHaveLength(3);
});
