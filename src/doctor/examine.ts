/*
 * Everything that the doctor looks at, in two looks some time apart: counters tell by their growth.
 */
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress, parseServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { checkConntrack, checkHost, checkKernel, checkSearchList } from "./check-node.ts";
import { checkOthers, nodeLocalAddresses } from "./check-others.ts";
import { checkPod } from "./check-pod.ts";
import { checkPorts } from "./check-ports.ts";
import { checkRules } from "./check-rules.ts";
import { type AskPage, checkRunning, lookAtRunning } from "./check-running.ts";
import { checkServer } from "./check-server.ts";
import { checkWire } from "./check-wire.ts";
import { type Finding, worstFirst } from "./finding.ts";
import { hasRoomToWatch, noRoomToWatch } from "./memory-room.ts";
import type { ReadSeen, readSeen } from "./read-seen.ts";
import { lookAt, type NodeView } from "./node-view.ts";
import { isNodeNamespace } from "./node-namespace.ts";
import { type NodeRules, readRules } from "./read-rules.ts";
import type { WatchWire, WireReport, WireWatch } from "./wire-view.ts";

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
  /** Reads copies of pods' packets meanwhile, below the zone `zone`; undefined to look at counters alone. */
  readonly watchWire: WatchWire | undefined;
  readonly zone: string;
  /** Told a few times meanwhile what was seen so far, on one line without its end. */
  readonly onProgress: (line: string) => void;
  readonly clock: Clock;
  /** Waits, and keeps the process alive. */
  readonly pause: (delayMs: number) => Promise<unknown>;
}

const timesEach = 20;

/** More servers take longer to ask than anybody waits. */
const mostServers = 8;

/** The kernel's filter compares with each of them. */
const mostWatched = 16;

/** How often progress is told, at most, and the shortest time between two lines. */
const mostSteps = 6;
const leastStepMs = 5000;

/** Looks at everything, and resolves with the findings, worst first. Never rejects. */
export async function examine(how: Examination): Promise<Finding[]> {
  const { node, clock, askPage } = how;
  const rules = await readRules(node);
  const isNode = isNodeNamespace(rules, node);
  const runningBefore = await lookAtRunning(askPage, how.readSeen);
  const before = lookAt(node);
  const startedMs = clock.nowMs();
  const mayWatch = hasRoomToWatch(node.readFile);
  const wire = mayWatch ? how.watchWire?.(watchedAddresses(how, rules), how.zone) : undefined;
  const servers = serversOf(how, rules.kubeDns, runningBefore?.seen);
  const ofServers = await checkServers(how, servers);
  await waitOut(how, startedMs, wire);
  const onWire = wire?.report();
  wire?.close();
  const now = lookAt(node);
  const running = await lookAtRunning(askPage, how.readSeen);
  const overSeconds = Math.max(1, Math.round((clock.nowMs() - startedMs) / 1000));
  const addresses = [...rules.kubeDns, ...how.servers.map(({ host }) => host)];
  return worstFirst([
    ...checkRunning(runningBefore, running, how.where, overSeconds),
    ...(how.watchWire !== undefined && !mayWatch ? [noRoomToWatch] : []),
    ...(onWire === undefined
      ? []
      : checkWire(onWire, { isNode, isRunning: running !== undefined, troubles: running?.seen?.troubles ?? [] })),
    ...(await checkFromPod(how, servers)),
    ...ofServers,
    ...checkConntrack(before, now, isNode, overSeconds),
    ...(await checkPorts(node, isNode, addresses)),
    ...checkHost(before, now, overSeconds),
    ...checkRules(rules, node),
    ...checkOthers(rules, node, running !== undefined),
    checkSearchList(node),
    checkKernel(node, rules, running?.seen?.mode),
  ]);
}

/** Where pods ask: kube-dns, what was named, and a cache of the node. */
function watchedAddresses({ servers }: Examination, { kubeDns, untracked }: NodeRules): string[] {
  const addresses = [...kubeDns, ...servers.map(({ host }) => host), ...untracked, ...nodeLocalAddresses];
  return [...new Set(addresses)].slice(0, mostWatched);
}

/** Waits until the two looks are far enough apart, and says on the way what has been seen. */
async function waitOut(
  { watchMs, clock, pause, onProgress }: Examination,
  startedMs: number,
  wire: WireWatch | undefined,
) {
  const stepMs = Math.max(leastStepMs, watchMs / mostSteps);
  for (;;) {
    const leftMs = watchMs - (clock.nowMs() - startedMs);
    if (leftMs <= 0) return;
    await pause(Math.min(leftMs, stepMs));
    if (wire !== undefined) onProgress(progressOf(wire.report(), watchMs));
  }
}

function progressOf({ problem, seconds, queries, pods, waited, droppedCopies }: WireReport, watchMs: number): string {
  const seen = `${queries} questions of ${pods} pods, ${waited} asked again`;
  const lost = droppedCopies > 0 ? `, ${droppedCopies} copies dropped` : "";
  return `${seconds} s of ${Math.round(watchMs / 1000)} s: ${problem ?? seen + lost}`;
}

/** Those that were named; otherwise kube-dns, and the servers that the running nodens asks. */
function serversOf(
  { servers }: Examination,
  kubeDns: readonly string[],
  seen: ReadSeen | undefined,
): readonly ServerAddress[] {
  if (servers.length > 0) return servers;
  const asked = [
    ...kubeDns.map((host) => formatServerAddress({ host, port: 53 })),
    ...(seen?.upstream ?? []).map(({ server }) => server),
  ];
  return [...new Set(asked)].slice(0, mostServers).flatMap((text) => parseServerAddress(text) ?? []);
}

async function checkServers({ name, clock }: Examination, servers: readonly ServerAddress[]): Promise<Finding[]> {
  if (servers.length === 0)
    return [{ check: "servers", state: "unknown", found: "no rule names kube-dns: give its address with --server" }];
  const findings: Finding[] = [];
  // One after the other: together they would be in each other's way.
  for (const server of servers) findings.push(...(await checkServer({ server, name, clock, times: timesEach })));
  return findings;
}

async function checkFromPod(
  { node, pid, name, self }: Examination,
  servers: readonly ServerAddress[],
): Promise<Finding[]> {
  if (pid === undefined) return [];
  return [await checkPod(node, { pid, server: servers.map(formatServerAddress)[0], name, self })];
}
