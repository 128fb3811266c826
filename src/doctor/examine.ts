/*
 * Everything that the doctor looks at, in two looks some time apart: counters tell by their growth.
 */
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { checkConntrack, checkHost, checkKernel, checkRules, checkSearchList } from "./check-node.ts";
import { checkPod } from "./check-pod.ts";
import { checkPorts } from "./check-ports.ts";
import { type AskPage, checkRunning } from "./check-running.ts";
import { checkServer } from "./check-server.ts";
import { type Finding, worstFirst } from "./finding.ts";
import type { readSeen } from "./read-seen.ts";
import { isNodeNamespace, kubeDnsAddresses, lookAt, type NodeView, readRules } from "./node-view.ts";

/** How to look. */
export interface Examination {
  readonly node: NodeView;
  /** The servers to ask; without any, the addresses of kube-dns that kube-proxy's rules name. */
  readonly servers: readonly ServerAddress[];
  /** A name that exists. */
  readonly name: string;
  /** How long the two looks are apart. */
  readonly watchMs: number;
  readonly askPage: AskPage;
  /** Reads the page /seen. */
  readonly readSeen: typeof readSeen;
  /** Where `askPage` asks, for people. */
  readonly where: string;
  /** The process whose network namespace is looked up from, if any, and how this program is run again. */
  readonly pid: string | undefined;
  readonly self: readonly string[];
  readonly clock: Clock;
  /** Waits, and keeps the process alive. */
  readonly pause: (delayMs: number) => Promise<unknown>;
}

const timesEach = 20;

/** Looks at everything, and resolves with the findings, worst first. Never rejects. */
export async function examine(how: Examination): Promise<Finding[]> {
  const { node, name, watchMs, clock, pause, askPage, where, pid, self } = how;
  const rules = await readRules(node);
  const found = kubeDnsAddresses(rules).map((host) => ({ host, port: 53 }));
  const servers = how.servers.length > 0 ? how.servers : found;
  const before = lookAt(node);
  const startedMs = clock.nowMs();
  const ofServers: Finding[] = [];
  for (const server of servers) ofServers.push(...(await checkServer({ server, name, clock, times: timesEach })));
  if (servers.length === 0)
    ofServers.push({
      check: "servers",
      state: "unknown",
      found: "no rule names kube-dns: give its address with --server",
    });
  const leftMs = watchMs - (clock.nowMs() - startedMs);
  if (leftMs > 0) await pause(leftMs);
  const now = lookAt(node);
  const overSeconds = Math.max(1, Math.round((clock.nowMs() - startedMs) / 1000));
  const [server] = servers;
  const fromPod =
    pid === undefined || server === undefined
      ? []
      : [await checkPod(node, { pid, server: formatServerAddress(server), name, self })];
  return worstFirst([
    ...(await checkRunning(askPage, how.readSeen, where)),
    ...fromPod,
    ...ofServers,
    ...checkConntrack(before, now, isNodeNamespace(rules, node), overSeconds),
    ...(await checkPorts(
      node,
      isNodeNamespace(rules, node),
      [...found, ...how.servers].map(({ host }) => host),
    )),
    ...checkHost(before, now, overSeconds),
    ...checkRules(rules, node),
    checkSearchList(node),
    checkKernel(node),
  ]);
}
