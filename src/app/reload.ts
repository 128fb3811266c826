/*
 * New settings while nodens runs: which parts a changed setting reaches, and what is logged about it.
 */
import { isDeepStrictEqual } from "node:util";
import { type AccessList, createAccessList } from "../listen/access-list.ts";
import type { Front, QueryLog } from "../listen/front.ts";
import { type Logger, setLevel } from "../observe/log.ts";
import type { ReloadCounters } from "../observe/metric-sources.ts";
import type { Chain, ChainLimits } from "../resolve/create-chain.ts";
import type { Clock } from "../runtime/clock.ts";
import { settingsThatNeedRestart, withRestartSettingsOf } from "../settings/restart-settings.ts";
import type { LoadedSettings } from "../settings/load-settings.ts";
import { formatProblem } from "../settings/problem.ts";
import type { Settings } from "../settings/settings-table.ts";
import type { LiveUpstream } from "./live-upstream.ts";
import { adminRangesOf, mutableLimitsOf, rangesOf } from "./parts-of-settings.ts";

/** The parts that new settings reach. */
export interface ReloadParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly front: Front;
  /** Who may see more of the admin server than whether nodens runs. */
  readonly adminAccess: { isAllowed: AccessList };
  /** Used if the settings say that queries are logged. */
  readonly queryLog: QueryLog;
  readonly limits: ChainLimits;
  readonly chain: Pick<Chain, "failures">;
  readonly upstream: LiveUpstream;
  /** Called when the upstream has been replaced: loops and the zone have to be checked again. */
  onUpstreamReplaced(): void;
}

/** The settings in force, and the way to change them. */
export interface Reload {
  /** What nodens runs with: the latest settings, but those that need a restart as they were at the start. */
  inForce(): Settings;
  /** The settings last put in force, as they were loaded. */
  latest(): Settings;
  readonly counters: ReloadCounters & {
    /** When the last reload ended, and when the settings in force were put there; the start, before any. */
    readonly lastAtMs: number;
    readonly inForceSinceMs: number;
  };
  /**
   * Puts new settings in force, or logs why not and keeps the old ones. If called again before it is done, it applies the later settings
   * after the earlier ones. Never rejects. `trigger` is for the log.
   */
  apply(loaded: LoadedSettings, trigger: string): Promise<void>;
}

/** Creates the reload of a nodens that was started with `atStart`, and puts in force what can change. */
export function createReload(atStart: Settings, parts: ReloadParts): Reload {
  const { log, front, limits } = parts;
  const startedAtMs = parts.clock.nowMs();
  const counters = {
    succeeded: 0,
    failed: 0,
    wasLastSuccessful: true,
    lastAtMs: startedAtMs,
    inForceSinceMs: startedAtMs,
  };
  let latest = atStart;
  let inForce = atStart;
  let applied = Promise.resolve();
  reachParts(atStart);

  /** Changes everything but the upstream: each part reads its own limits at every use. */
  function reachParts(next: Settings): void {
    setLevel(log, next.log.level);
    const fresh = mutableLimitsOf(next);
    for (const [name, limit] of Object.entries(limits)) Object.assign(limit, fresh[name as keyof ChainLimits]);
    front.accessList = createAccessList(rangesOf(next));
    parts.adminAccess.isAllowed = createAccessList(adminRangesOf(next));
    front.maxUdpReplySizeBytes = next.listen.maxUdpReplyBytes;
    front.queryLog = next.log.queries ? parts.queryLog : undefined;
  }

  async function replaceUpstream(next: Settings): Promise<void> {
    await parts.upstream.replace(next);
    // What failed while the old one was asked is worth asking again.
    parts.chain.failures.relax(parts.clock.nowMs());
    parts.onUpstreamReplaced();
  }

  function fail(fields: object, message: string): void {
    counters.failed += 1;
    counters.wasLastSuccessful = false;
    counters.lastAtMs = parts.clock.nowMs();
    log.error(fields, message);
  }

  async function applyNow(loaded: LoadedSettings, trigger: string): Promise<void> {
    if ("problems" in loaded) {
      const problems = loaded.problems.map(formatProblem);
      fail({ trigger, problems }, refusal);
      return;
    }
    const next = withRestartSettingsOf(atStart, loaded.settings);
    if (hasServers(inForce) && !hasServers(next)) {
      const problems = [
        "upstream.servers is empty: the embedded cluster DNS takes no server's place while nodens runs",
      ];
      fail({ trigger, problems }, refusal);
      return;
    }
    try {
      // First, because this alone can fail.
      if (!isDeepStrictEqual(upstreamOf(inForce), upstreamOf(next))) await replaceUpstream(next);
    } catch (error) {
      fail({ trigger, err: error }, "new settings could not be applied; the old ones stay in force");
      return;
    }
    reachParts(next);
    [latest, inForce] = [loaded.settings, next];
    counters.succeeded += 1;
    counters.wasLastSuccessful = true;
    counters.lastAtMs = parts.clock.nowMs();
    counters.inForceSinceMs = counters.lastAtMs;
    log.info({ trigger, needRestart: settingsThatNeedRestart(atStart, latest) }, "new settings in force");
  }

  return {
    inForce: () => inForce,
    latest: () => latest,
    counters,
    apply(loaded, trigger) {
      applied = applied.then(() => applyNow(loaded, trigger));
      return applied;
    },
  };
}

const refusal = "new settings refused; the old ones stay in force";

function hasServers({ upstream }: Settings): boolean {
  return upstream.servers.length > 0;
}

/** The settings that the upstream depends on. */
function upstreamOf({ upstream, cluster }: Settings) {
  return { upstream, cluster };
}
