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
  const [command = "serve"] = process.argv.slice(2);
  const endEarly = () => process.exit(0);
  // As the first process of a container, a server would not notice a signal that comes before it listens to signals.
  if (command === "serve" || command.startsWith("-")) process.on("SIGTERM", endEarly);
  const { main } = await import("./main.ts");
  const ended = main(process.argv);
  process.off("SIGTERM", endEarly);
  process.exitCode = await ended;
}
