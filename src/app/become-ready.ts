/*
 * From starting to ready: an upstream answered, nothing loops, and a query through our own socket was answered.
 */
import type { Attachment } from "../attach/attachment.ts";
import type { LoopGuard } from "../resolve/loop-guard.ts";
import type { Clock } from "../runtime/clock.ts";
import type { LifeCycle } from "../runtime/life-cycle.ts";
import type { Log } from "../runtime/log.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { describeServers, type LiveUpstream } from "./live-upstream.ts";
import type { OwnSockets } from "./own-sockets.ts";

/** What has to be seen before nodens is ready. */
export interface ReadinessParts {
  readonly lifeCycle: LifeCycle;
  readonly upstream: LiveUpstream;
  readonly sockets: OwnSockets;
  readonly attachment: Attachment;
  readonly loopGuard: LoopGuard;
  readonly knowledge: ZoneKnowledge;
  readonly clock: Clock;
  readonly log: Log;
  /** Asks the zone about itself, once. Never rejects. */
  learn(): Promise<void>;
  /** Asks until the zone has shown its schema. Never rejects. */
  learnUntilShown(): Promise<void>;
}

/** Whether nodens wants queries, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

const retryMs = 500;

/** Tries until nodens is ready, or no longer starting. Never rejects. */
export async function becomeReady(parts: ReadinessParts): Promise<void> {
  const { lifeCycle, upstream, clock, log } = parts;
  for (let isFirst = true; lifeCycle.state() === "starting"; isFirst = false) {
    const asked = upstream.inForce();
    await asked.probeAll();
    if (lifeCycle.state() !== "starting") return;
    const missing = await whatIsMissing(asked, parts);
    if (missing === undefined) {
      await parts.learn();
      if (lifeCycle.becomeReady()) announce(asked, parts);
      if (!parts.knowledge.hasSchema()) void parts.learnUntilShown();
      return;
    }
    lifeCycle.explain(missing);
    if (isFirst && !asked.hasAnswered())
      log.warn({ upstream: describeServers(asked.routes) }, "no upstream server answers; serving, but not ready");
    await clock.pause(retryMs);
  }
}

async function whatIsMissing(asked: Upstream, parts: ReadinessParts): Promise<string | undefined> {
  const { sockets, attachment, loopGuard } = parts;
  if (sockets.listeners.length === 0 || !attachment.areSocketsOpen()) return "an address could not be opened";
  if (!asked.hasAnswered()) return "no upstream server has answered yet";
  if (loopGuard.isLooping()) return "the upstream leads back here";
  return (await sockets.firstAnswers()) ? undefined : "a query through our own socket was not answered";
}

function announce({ routes }: Upstream, { knowledge, log }: ReadinessParts): void {
  log.info({ upstream: describeServers(routes), schema: knowledge.hasSchema() ? "shown" : "not shown" }, "ready");
  for (const { name, servers } of routes) {
    for (const { address, health } of servers) if (!health.isUp()) warnOfServer(log, name, address);
  }
}

/** Says that a server is down. */
export function warnOfServer(log: Log, route: string, server: ServerAddress): void {
  log.warn({ route, server: formatServerAddress(server) }, "upstream server does not answer");
}

/** Not ready before everything works once, while ending, and while the upstream leads back here. */
export function readinessOf(lifeCycle: LifeCycle, loopGuard: LoopGuard): Readiness {
  const reasons = lifeCycle.reasons();
  if (loopGuard.isLooping()) reasons.push("the upstream leads back to nodens");
  return { ready: reasons.length === 0, reasons };
}
