#!/usr/bin/env node
/*
 * The entry that every Node can read: an old one would stop at the first type annotation with a stack trace.
 */
const neededMajor = 26;
const runningMajor = Number(process.versions.node.split(".")[0]);

if (runningMajor < neededMajor) {
  console.error(`nodens needs Node.js ${neededMajor} or newer; this is ${process.version}.`);
  process.exitCode = 78;
} else {
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv);
}
