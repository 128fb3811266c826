import { defineConfig } from "vitest/config";
import { reportSkipped } from "./test/support/program/report-skipped.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", reportSkipped()],
    // Generous, for shared machines: a time limit is to end what hangs, never to judge what is slow.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    env: { NODE_ENV: "test" },
  },
});
