import { describe, expect, test } from "vitest";
import { probesThatFailed } from "../cluster/probes.ts";

const failed =
  "2026-11-27T12:00:10Z|Unhealthy|nodens-2z8c6|Readiness probe failed: HTTP probe failed with statuscode: 503";
const atMs = Date.parse("2026-11-27T12:00:10Z");
const stopping = "2026-11-27T12:00:09Z|Killing|nodens-2z8c6|Stopping container nodens";

describe("failed probes among a cluster's events", () => {
  test("are those of nodens's pods", () => {
    const others = [
      "2026-11-27T12:00:10Z|Unhealthy|coredns-6db48|Readiness probe failed: timed out",
      "2026-11-27T12:00:10Z|Started|nodens-2z8c6|Container started",
      "more of the message before",
    ];
    expect(probesThatFailed([...others, failed, ""].join("\n"), [])).toEqual([failed]);
  });

  test("are not those that kubelet cut off with the container", () => {
    const cutOff = "2026-11-27T12:00:10Z|Unhealthy|nodens-2z8c6|Readiness probe errored and resulted in unknown state";
    expect(probesThatFailed(cutOff, [])).toEqual([]);
  });

  test("are not those of a pod that ends, but those of the same pod before, and of another", () => {
    const another = failed.replace("2z8c6", "abcde");
    expect(probesThatFailed([failed, stopping, failed, another].join("\n"), [])).toEqual([failed, another]);
  });

  test("are those of a container that is to be started again", () => {
    const restart =
      "2026-11-27T12:00:09Z|Killing|nodens-2z8c6|Container nodens failed liveness probe, will be restarted";
    expect(probesThatFailed([restart, failed].join("\n"), [])).toEqual([failed]);
  });

  test("are not those while a row plants a failure", () => {
    expect(probesThatFailed(failed, [{ fromMs: atMs - 1, toMs: atMs + 1 }])).toEqual([]);
    expect(probesThatFailed(failed, [{ fromMs: atMs + 1, toMs: atMs + 2 }])).toEqual([failed]);
  });
});
