/*
 * What operators look at: the admin server with its metrics and explanations.
 */
import { createHash } from "node:crypto";
import { explainPage } from "../explain/explain-page.ts";
import { ListenError } from "../listen/open-listeners.ts";
import { type AdminServer, startAdminServer } from "../observe/admin-server.ts";
import type { BuildInfo } from "../observe/metric-sources.ts";
import { createMetrics } from "../observe/metrics.ts";
import { forEachInferringRule } from "../search/rules.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { printEffectiveSettings } from "../settings/effective-settings.ts";
import type { Settings } from "../settings/settings-table.ts";
import { metricSourcesOf } from "./metric-sources.ts";
import type { AppParts } from "./start-app.ts";

/** The admin server. */
export interface Admin {
  /** Where it listens; undefined while the address cannot be opened. */
  address(): ServerAddress | undefined;
  /** Closes it, or gives up opening it. */
  close(): Promise<void>;
}

const retryMs = 5000;

/**
 * Opens the admin server of these settings. DNS does not depend on it: if its address cannot be opened, that is logged, counted and tried
 * again. Resolves after the first try, and never rejects.
 */
export async function openAdmin(parts: AppParts, settings: Settings, build: BuildInfo): Promise<Admin> {
  const { clock, chain, reload, log, readiness } = parts;
  const { address } = settings.admin;
  let server: AdminServer | undefined;
  let problem: string | undefined;
  let problemCount = 0;
  let isClosed = false;
  let cancelRetry = () => {};
  const hash = () => hashOf(reload.latest());
  const metrics = metricSourcesOf(parts, build, hash, () => problemCount);
  const registry = createMetrics(metrics.sources, { compat: settings.metrics.compat });
  const explain = (parameters: URLSearchParams) => explainPage(parameters, explainState());
  await open();

  async function open(): Promise<void> {
    try {
      server = await startAdminServer({ address, registry, build, isReady: readiness, explain, clock });
      if (problem !== undefined) log.info({}, `no longer: ${problem}`);
      problem = undefined;
      if (isClosed) await server.close();
    } catch (error) {
      const { message } = new ListenError(address, "tcp", error as NodeJS.ErrnoException);
      if (message !== problem) {
        problemCount += 1;
        log.warn({ kind: "admin" }, `${message}; nodens serves without metrics, and tries again`);
      }
      problem = message;
      if (!isClosed) cancelRetry = clock.after(retryMs, () => void open());
    }
  }

  /** What this nodens would do with a lookup at this moment. */
  function explainState() {
    const rules = forEachInferringRule((rule) => chain.isRuleOn(rule, clock.nowMs()));
    // The zone of the start, which a reload does not change.
    return { clusterDomain: settings.cluster.domain, source: "running", rules, foresee: chain.foresee } as const;
  }

  return {
    address: () => server?.address,
    async close() {
      isClosed = true;
      cancelRetry();
      metrics.close();
      await server?.close();
    },
  };
}

function hashOf(settings: Settings): string {
  return createHash("sha256").update(printEffectiveSettings(settings)).digest("hex");
}
