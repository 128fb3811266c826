/*
 * New settings while nodens runs: which parts a changed setting reaches, and what is said of it.
 */
import { createAccessList } from "../listen/access-list.ts";
import type { Front, QueryLog } from "../listen/answer-query.ts";
import { type Logger, setLevel } from "../observe/log.ts";
import type { ReloadCounters } from "../observe/metric-sources.ts";
import type { Chain, ChainLimits } from "../resolve/create-chain.ts";
import type { Clock } from "../runtime/clock.ts";
import { settingsThatNeedRestart } from "../settings/effective-settings.ts";
import type { LoadedSettings } from "../settings/load-settings.ts";
import { formatProblem } from "../settings/problem.ts";
import type { Settings } from "../settings/settings-table.ts";
import type { LiveUpstream } from "./live-upstream.ts";
import { mutableLimitsOf, rangesOf } from "./parts-of-settings.ts";

/** The parts that new settings reach. */
export interface ReloadParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly front: Front;
  /** In use where the settings want one. */
  readonly queryLog: QueryLog;
  readonly limits: ChainLimits;
  readonly chain: Pick<Chain, "failures">;
  readonly upstream: LiveUpstream;
  /** The upstream is another one: loops and the zone have to be looked at again. */
  onUpstreamReplaced(): void;
}

/** The settings in force, and how they change. */
export interface Reload {
  inForce(): Settings;
  readonly counters: ReloadCounters;
  /** Puts new settings in force, or says why not and keeps the old ones. Never rejects. `trigger` is for the log. */
  apply(loaded: LoadedSettings, trigger: string): Promise<void>;
}

/** Creates the reload of a nodens that was started with `initial`, and puts what can change in force. */
export function createReload(initial: Settings, parts: ReloadParts): Reload {
  const { log, front, limits } = parts;
  const counters = { succeeded: 0, failed: 0, wasLastSuccessful: true };
  let settings = initial;
  reachParts(initial);

  /** Everything but the upstream: each part reads its own at every use. */
  function reachParts(next: Settings): void {
    setLevel(log, next.log.level);
    const fresh = mutableLimitsOf(next);
    for (const [name, limit] of Object.entries(limits)) Object.assign(limit, fresh[name as keyof ChainLimits]);
    front.accessList = createAccessList(rangesOf(next));
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
    log.error(fields, message);
  }

  return {
    inForce: () => settings,
    counters,
    async apply(loaded, trigger) {
      if ("problems" in loaded) {
        const problems = loaded.problems.map(formatProblem);
        fail({ trigger, problems }, "new settings refused; the old ones stay");
        return;
      }
      const previous = settings;
      // Compared with the start, because what needs a restart is what it was then, however often the file has changed since.
      const needRestart = settingsThatNeedRestart(initial, loaded.settings);
      settings = loaded.settings;
      // The cluster zone is built into the search scope and the listeners.
      const reached = { ...settings, cluster: { ...settings.cluster, domain: initial.cluster.domain } };
      reachParts(reached);
      try {
        if (isUpstreamChanged(previous, reached)) await replaceUpstream(reached);
      } catch (error) {
        fail({ trigger, err: error }, "new settings could not be applied");
        return;
      }
      counters.succeeded += 1;
      counters.wasLastSuccessful = true;
      log.info({ trigger, needRestart }, "new settings in force");
    },
  };
}

function isUpstreamChanged(previous: Settings, next: Settings): boolean {
  return JSON.stringify(upstreamOf(previous)) !== JSON.stringify(upstreamOf(next));
}

/** What the upstream is made of. The domain of the cluster does not change while nodens runs. */
function upstreamOf({ upstream, cluster }: Settings) {
  return { upstream, cluster: { ...cluster, domain: "" } };
}
