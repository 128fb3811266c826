/*
 * What operators and the kubelet look at: the admin server with its metrics and explanations, and the probe files.
 */
import { createHash } from "node:crypto";
import { explainPage } from "../explain/explain-page.ts";
import { ListenError } from "../listen/open-listeners.ts";
import { type AdminServer, startAdminServer } from "../observe/admin-server.ts";
import type { BuildInfo } from "../observe/metric-sources.ts";
import { createMetrics } from "../observe/metrics.ts";
import { keepProbeFiles } from "../observe/probe-files.ts";
import { forEachInferringRule } from "../search/rules.ts";
import { printEffectiveSettings } from "../settings/effective-settings.ts";
import type { Settings } from "../settings/settings-table.ts";
import { readinessOf } from "./become-ready.ts";
import { metricSourcesOf } from "./metric-sources.ts";
import type { AppParts } from "./start-app.ts";

/** The admin server together with the probe files. `close` ends both. */
export interface Admin extends AdminServer {
  /** Removes the files that tell probes that nodens is ready. */
  endProbes(): void;
}

/** Opens the admin server of these settings. Rejects with a ListenError when its address cannot be opened. */
export async function openAdmin(parts: AppParts, settings: Settings, build: BuildInfo): Promise<Admin> {
  const { clock, chain, lifeCycle, reload, sockets, log } = parts;
  const metrics = metricSourcesOf(parts, build, () => hashOf(reload.latest()));
  const isReady = () => readinessOf(lifeCycle, chain.loopGuard);
  const server = await startAdminServer({
    address: settings.admin.address,
    registry: createMetrics(metrics.sources, { compat: settings.metrics.compat }),
    build,
    isReady,
    explain: (parameters) => explainPage(parameters, explainState()),
    clock,
  }).catch((error: NodeJS.ErrnoException) => {
    metrics.close();
    throw new ListenError(settings.admin.address, "tcp", error);
  });
  const { directory } = settings.probes;
  const endProbes = keepProbeFilesIn(directory);

  /** What this nodens would do with a lookup at this moment. */
  function explainState() {
    const rules = forEachInferringRule((rule) => chain.isRuleOn(rule, clock.nowMs()));
    // The zone of the start, which a reload does not change.
    return { clusterDomain: settings.cluster.domain, source: "running", rules, foresee: chain.foresee } as const;
  }

  function keepProbeFilesIn(folder: string): () => void {
    if (folder === "") return () => {};
    return keepProbeFiles({
      directory: folder,
      isReady: () => isReady().ready,
      answers: sockets.firstAnswers,
      clock,
      onError: (error) => log.warn({ directory: folder, err: error }, "cannot write the probe files"),
    });
  }

  return {
    address: server.address,
    endProbes,
    async close() {
      endProbes();
      metrics.close();
      await server.close();
    },
  };
}

function hashOf(settings: Settings): string {
  return createHash("sha256").update(printEffectiveSettings(settings)).digest("hex");
}
