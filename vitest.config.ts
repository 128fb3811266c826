import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { reportSkipped } from "./test/support/program/report-skipped.ts";

/** Folders of test/ with files that take longest: they begin first, so that no processor waits for the last of them. */
const longest = ["image", "deploy", "system"];

const nodeTests = "test/node/**/*.test.ts";
const clusterTests = "test/cluster/**/*.test.ts";

/** Read where tests start nodens (test/support/program/run-nodens.ts). */
const withoutBatches = { NODENS_TEST_BATCH: "off" };

/** What replies look like, to made-up clients and real ones. */
const replyTests = [
  "protocol-cache",
  "protocol-echo",
  "protocol-edns",
  "protocol-size",
  "protocol-tcp",
  "real-clients",
].map((name) => `test/system/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const folder = longest.findIndex((name) => moduleId.includes(`/test/${name}/`));
      return folder === -1 ? longest.length : folder;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

/**
 * Takes a quarter of an hour, and says what pods lose on a real cluster, so it runs by itself (`npm run test:cluster`). NODENS_TEST_CLUSTER is
 * `core` for the rows that every change must pass: on one node, names, disruptions and changes.
 */
const clusterSet = process.env["NODENS_TEST_CLUSTER"];
const clusterProject = {
  extends: true as const,
  test: {
    name: "cluster",
    include: clusterSet === "core" ? ["test/cluster/{iptables,nftables}.test.ts"] : [clusterTests],
    globalSetup: "test/cluster/set-up.ts",
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 300_000,
    sequence: { groupOrder: 2 },
  },
};

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: "tests", include: ["test/**/*.test.ts"], exclude: [nodeTests, clusterTests] } },
      // Once more over Node's own sockets, which are for where the C library cannot be called.
      { extends: true, test: { name: "dgram", include: replyTests, env: withoutBatches } },
      // Last and one by one: they say how many lookups a fault costs, which depends on who else wants the processors.
      {
        extends: true,
        test: { name: "node", include: [nodeTests], maxWorkers: 1, testTimeout: 120_000, sequence: { groupOrder: 1 } },
      },
      ...(clusterSet === undefined ? [] : [clusterProject]),
      {
        extends: true,
        test: {
          name: "node-dgram",
          include: ["test/node/overlap.test.ts"],
          env: withoutBatches,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
    reporters: ["default", reportSkipped()],
    sequence: { sequencer: LongestFirst },
    // One for each processor: half of the files mostly wait, so none of them needs one of its own.
    maxWorkers: Math.max(2, availableParallelism()),
    // Generous, for shared machines: a time limit is to end what hangs, never to judge what is slow.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    env: { NODE_ENV: "test" },
  },
});
