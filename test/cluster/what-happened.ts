/*
 * What a cluster has to say of itself, for whoever reads why a row failed: its nodes are gone by then.
 */
import type { Cluster } from "./cluster.ts";
import { nodensLabel } from "./nodens-in-cluster.ts";

/** How many of a pod's log lines, of its container before the last restart, and of events are said. */
const logLines = 25;
const previousLines = 10;
const eventCount = 25;

const maxLineLength = 300;

/** The last lines of nodens's logs and the latest events of all namespaces. What cannot be had is left out, with the reason. */
export async function whatHappened(cluster: Cluster): Promise<string> {
  const said = async (title: string, args: readonly string[], lineCount: number): Promise<string> => {
    const { stdout, stderr } = await cluster.tryKubectl(args);
    const lines = (stdout === "" ? stderr : stdout).trimEnd().split("\n").slice(-lineCount);
    return [`--- ${title}`, ...lines.map((line) => line.slice(0, maxLineLength))].join("\n");
  };
  const logs = ["-n", "kube-system", "logs", "-l", nodensLabel, "--prefix"];
  const parts = await Promise.all([
    said("nodens", [...logs, `--tail=${logLines}`], logLines * cluster.nodes.length),
    said("nodens, before its last restart", [...logs, "--previous", `--tail=${previousLines}`], previousLines),
    said("events", ["events", "--all-namespaces", "--no-headers"], eventCount),
  ]);
  return parts.join("\n");
}
