/*
 * The last lines of a test run: what was not tested, and what the machine lacks for it.
 */
import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";
import { projectFolder } from "./run-nodens.ts";

/** A suite that was skipped. */
export interface SkippedSuite {
  /** Its file, from the checkout's folder. */
  readonly file: string;
  /** What the machine lacks for it. */
  readonly missing: readonly string[];
}

/** What each folder of `test/` tests: what a skipped suite costs. */
const testedBy: Readonly<Record<string, string>> = {
  unit: "single parts",
  system: "the program with real clients and servers",
  node: "attaching to a node's network",
  deploy: "manifests, chart and alerts",
  image: "the image",
  cluster: "a whole cluster",
};

/** A reporter that ends with what `describeSkipped` says. It says nothing where nothing was skipped. */
export function reportSkipped(print: (text: string) => void = (text) => void process.stdout.write(text)): Reporter {
  return {
    onTestRunEnd(modules) {
      const lines = describeSkipped(modules.flatMap((module) => skippedSuites(module)));
      if (lines.length > 0) print(`${lines.map((line) => ` ${line}`).join("\n")}\n\n`);
    },
  };
}

function skippedSuites(module: TestModule): SkippedSuite[] {
  const file = relative(projectFolder, module.moduleId);
  return [...module.children.allTests("skipped")]
    .map((test) => test.meta().missing)
    .filter((missing) => missing !== undefined)
    .map((missing) => ({ file, missing }));
}

/**
 * A line for each folder of `test/` with skipped suites: what is not tested, and everything that was missing for it, what most suites
 * lack first. No line when nothing was skipped.
 */
export function describeSkipped(suites: readonly SkippedSuite[]): string[] {
  if (suites.length === 0) return [];
  const byFolder = Map.groupBy(suites, ({ file }) => file.split("/")[1] ?? file);
  return [
    `Skipped ${countOf(suites)}, for want of what is named:`,
    ...[...byFolder].map(
      ([folder, skipped]) => `  ${testedBy[folder] ?? folder} (${countOf(skipped)}): ${missingFor(skipped).join(", ")}`,
    ),
    "As root on Debian, .ci/run installs all of it and skips nothing.",
  ];
}

function missingFor(suites: readonly SkippedSuite[]): string[] {
  const lacking = Map.groupBy(
    suites.flatMap(({ missing }) => missing),
    (name) => name,
  );
  return [...lacking].toSorted(([, many], [, fewer]) => fewer.length - many.length).map(([name]) => name);
}

function countOf(suites: readonly SkippedSuite[]): string {
  return suites.length === 1 ? "1 suite" : `${suites.length} suites`;
}
