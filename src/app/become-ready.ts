/*
 * From starting to ready: the cluster's zone has been answered over the path that cluster names take, the upstream does not lead back to
 * nodens, and nodens's own socket answers.
 */
import type { Attachment } from "../attach/attachment.ts";
import type { LoopGuard } from "../resolve/loop-guard.ts";
import type { Clock } from "../runtime/clock.ts";
import type { LifeCycle } from "../runtime/life-cycle.ts";
import type { Log } from "../runtime/log.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { type InferringRule, searchRules } from "../search/rules.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { nameToText } from "../wire/name-text.ts";
import { describeServers, type LiveUpstream } from "./live-upstream.ts";
import type { OwnSockets } from "./own-sockets.ts";
import type { OwnEvidence } from "./watch-own-sockets.ts";

/** What has to work before nodens is ready. */
export interface ReadinessParts {
  readonly lifeCycle: LifeCycle;
  readonly upstream: LiveUpstream;
  readonly sockets: OwnSockets;
  readonly attachment: Attachment;
  readonly loopGuard: LoopGuard;
  readonly knowledge: ZoneKnowledge;
  readonly clock: Clock;
  readonly log: Log;
  /** Asks the zone about itself once, as for any cluster name. Resolves with whether it was answered; never rejects. */
  learn(): Promise<boolean>;
  /** Asks until the zone has shown its schema. Never rejects. */
  learnUntilShown(): Promise<void>;
}

/** Whether nodens should get queries, and if not, why: `reasons` are messages for people. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** How soon nodens looks again at what is its own: sockets and addresses. */
const retryMs = 500;
/** How long it waits at most before it asks the zone again. When kube-dns comes back after an outage, every node that started meanwhile asks. */
const longestPauseMs = 5000;

/** Tries again and again until nodens is ready, or no longer starting. Never rejects. */
export async function becomeReady(parts: ReadinessParts): Promise<void> {
  const { lifeCycle, upstream, clock, log } = parts;
  /** The upstream over which the zone was answered: as long as that is in force, it is not asked again. */
  let answeredOver: Upstream | undefined;
  let pauseMs = retryMs;
  for (let isFirst = true; lifeCycle.state() === "starting"; isFirst = false) {
    const asked = upstream.inForce();
    if (asked !== answeredOver && (await isZoneAnsweredOver(asked, parts))) answeredOver = asked;
    if (lifeCycle.state() !== "starting") return;
    const isZoneAnswered = asked === answeredOver;
    const missing = await whatIsMissing(isZoneAnswered, parts);
    if (missing === undefined) {
      if (lifeCycle.becomeReady()) announce(asked, parts);
      if (!parts.knowledge.hasSchema()) void parts.learnUntilShown();
      return;
    }
    lifeCycle.explain(missing);
    if (isFirst && !isZoneAnswered)
      log.warn(
        { upstream: describeServers(asked.routes) },
        "the cluster's zone is not answered; serving, but not ready",
      );
    // Nodes that started together do not ask together.
    await clock.pause(isZoneAnswered ? retryMs : pauseMs * (0.5 + Math.random() / 2));
    pauseMs = isZoneAnswered ? retryMs : Math.min(2 * pauseMs, longestPauseMs);
  }
}

async function isZoneAnsweredOver(asked: Upstream, { loopGuard, learn }: ReadinessParts): Promise<boolean> {
  // Servers are probed so that those that are down can be reported; a reply to a probe does not prove that cluster names are answered.
  // In a loop the probes would come back.
  const probed = loopGuard.isLooping() ? undefined : asked.probeAll();
  const [isZoneAnswered] = await Promise.all([learn(), probed]);
  return isZoneAnswered;
}

const leadsBack = "the upstream leads back to nodens";

async function whatIsMissing(isZoneAnswered: boolean, parts: ReadinessParts): Promise<string | undefined> {
  const { sockets, attachment, loopGuard } = parts;
  if (sockets.listeners.length === 0 || !attachment.areSocketsOpen()) return "an address could not be opened";
  if (loopGuard.isLooping()) return leadsBack;
  if (!isZoneAnswered) return "the cluster's zone has not been answered yet";
  return sockets.findSilence();
}

function announce({ routes }: Upstream, { knowledge, log }: ReadinessParts): void {
  log.info({ upstream: describeServers(routes), schema: knowledge.hasSchema() ? "shown" : "not shown" }, "ready");
  for (const { name, servers } of routes) {
    for (const { address, health } of servers) if (!health.isUp()) warnOfServer(log, name, address);
  }
}

/** Logs that a server is down. */
export function warnOfServer(log: Log, route: string, server: ServerAddress): void {
  log.warn({ route, server: formatServerAddress(server) }, "upstream server does not answer");
}

/** Logs that a rule of search denied a name that there is, and is off for that. */
export function warnOfRule(log: Log, rule: InferringRule, name: Uint8Array): void {
  const message = "upstream has a name that a search rule denied; the rule is off";
  log.warn({ rule: searchRules[rule].label, name: nameToText(name) }, message);
}

/**
 * Not ready until everything has worked once, while shutting down, while the upstream leads back to nodens, and while something speaks
 * against pods being answered.
 */
export function readinessOf(lifeCycle: LifeCycle, loopGuard: LoopGuard, evidence: OwnEvidence): Readiness {
  const reasons = lifeCycle.reasons();
  if (loopGuard.isLooping() && !reasons.includes(leadsBack)) reasons.push(leadsBack);
  const trouble = evidence.trouble();
  // While starting, the same is among what is still missing.
  if (trouble !== undefined && lifeCycle.state() === "ready") reasons.push(trouble);
  return { ready: reasons.length === 0, reasons };
}
