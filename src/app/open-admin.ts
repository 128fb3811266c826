/*
 * What operators look at: the admin server with its metrics and explanations.
 */
import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { explainPage } from "../explain/explain-page.ts";
import { ListenError } from "../listen/open-listeners.ts";
import { type AdminServer, type AdminServerOptions, startAdminServer } from "../observe/admin-server.ts";
import { readConntrackLosses, readConntrackStats } from "../observe/conntrack-stats.ts";
import { readSystemFile } from "../observe/receive-drops.ts";
import type { BuildInfo } from "../observe/metric-sources.ts";
import { createMetrics } from "../observe/metrics.ts";
import { forEachInferringRule } from "../search/rules.ts";
import type { Log } from "../runtime/log.ts";
import { socketAddress } from "../runtime/socket-address.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { printEffectiveSettings } from "../settings/effective-settings.ts";
import type { Settings } from "../settings/settings-table.ts";
import { createIncidents } from "../seen/incidents.ts";
import { taking } from "./page-parameters.ts";
import { cachePage, cachePartsOf, flushPage } from "./cache-pages.ts";
import { hitDelaysOf, picturePartsOf, sampleCounters } from "./live-seen.ts";
import { seenPages } from "./seen-pages.ts";
import { createHead } from "./told-head.ts";
import { metricSourcesOf } from "./metric-sources.ts";
import type { AppParts } from "./app-parts.ts";

/** The admin server. */
export interface Admin {
  /** Where it listens; undefined while the address cannot be opened. */
  address(): ServerAddress | undefined;
  /** Closes it, or gives up opening it. */
  close(): Promise<void>;
}

const retryMs = 5000;

/**
 * Opens the admin server of these settings, at its address, on loopback, and as a Unix socket beside the probe files. DNS does not depend on it: what
 * cannot be opened is logged, counted and tried again. Resolves after the first try, and never rejects.
 */
export async function openAdmin(parts: AppParts, settings: Settings, build: BuildInfo): Promise<Admin> {
  const { clock, chain, reload, readiness, adminAccess } = parts;
  let problemCount = 0;
  const hash = () => hashOf(reload.latest());
  const metrics = metricSourcesOf(parts, build, hash, () => problemCount);
  const { listeners, receiveDrops, eventLoopDelays } = metrics.sources;
  const { shadow } = parts;
  const { serverCounters } = parts.upstream;
  const conntrack = () => readConntrackStats(readSystemFile);
  const conntrackLosses = () => readConntrackLosses(readSystemFile);
  const { attachment } = parts;
  const hitDelays = () => hitDelaysOf(listeners());
  const real = { listeners, receiveDrops, eventLoopDelays, hitDelays, serverCounters, conntrackLosses, attachment };
  // Where nodens only watches, the flow that is shown is that of the shadow, whose durations are what pods waited for others.
  const counters =
    shadow === undefined ? real : { ...real, listeners: () => [shadow.counters], serverCounters: shadow.servers };
  const pictureParts = picturePartsOf(parts.seen, settings);
  const incidents = createIncidents(pictureParts);
  const head = createHead(parts, settings, build.version);
  const sampled = sampleCounters(pictureParts, counters, clock, (nowMs) => {
    incidents.look(nowMs);
    head.look(nowMs);
  });
  const explain = (parameters: URLSearchParams) => explainPage(parameters, explainState());
  const localPages = new Map(
    seenPages({ parts, pictureParts, incidents, settings, head: head.head, conntrack, explain }),
  );
  if (shadow !== undefined) localPages.set("/observe", taking([], shadow.page));
  const cacheParts = cachePartsOf(parts);
  localPages.set(
    "/cache",
    taking(["name", "type", "json"], (parameters) => cachePage(parameters, cacheParts)),
  );
  const localActions = new Map([
    ["/cache/flush", taking(["name", "below", "json"], (parameters) => flushPage(parameters, cacheParts, parts.log))],
  ]);
  const pages = {
    registry: createMetrics(metrics.sources, { compat: settings.metrics.compat }),
    build,
    isReady: readiness,
    explain,
    localPages,
    localActions,
    isAllowed: (host: string) => isIP(host) !== 0 && adminAccess.isAllowed(socketAddress({ host, port: 0 })),
    clock,
  };
  const onProblem = () => void (problemCount += 1);
  const doors = adminPlacesOf(settings).map((place) => keepOpen({ ...pages, place }, parts.log, onProblem));
  await Promise.all(doors.map(({ tried }) => tried));

  /** What this nodens would do with a lookup at this moment. */
  function explainState() {
    const rules = forEachInferringRule((rule) => chain.isRuleOn(rule, clock.nowMs()));
    // The zone of the start, which a reload does not change.
    return { clusterDomain: settings.cluster.domain, source: "running", rules, foresee: chain.foresee } as const;
  }

  return {
    address() {
      const place = doors[0]?.server()?.place;
      return place === undefined || "path" in place ? undefined : place;
    },
    async close() {
      metrics.close();
      sampled.close();
      await Promise.all(doors.map((door) => door.close()));
    },
  };
}

/**
 * Where the admin server listens, the configured address first. What it tells this machine only can be asked for on loopback whatever that
 * is: `kubectl port-forward` and the commands in a pod ask there.
 */
export function adminPlacesOf({ admin, probes }: Pick<Settings, "admin" | "probes">): AdminServerOptions["place"][] {
  const { host, port } = admin.address;
  const hasLoopback = port === 0 || host.startsWith("127.") || ["0.0.0.0", "::", "::1"].includes(host);
  const loopback = hasLoopback ? [] : [{ host: "127.0.0.1", port }];
  const socket = probes.directory === "" ? [] : [{ path: join(probes.directory, "admin.sock") }];
  return [admin.address, ...loopback, ...socket];
}

/** A place where the admin server listens, or will. */
interface Door {
  /** Resolves after the first try. */
  readonly tried: Promise<void>;
  server(): AdminServer | undefined;
  close(): Promise<void>;
}

/** Opens the server, and tries again until that succeeds. `onProblem` is called for each new reason why it does not. */
function keepOpen(options: AdminServerOptions, log: Log, onProblem: () => void): Door {
  const { place, clock } = options;
  let server: AdminServer | undefined;
  let problem: string | undefined;
  let isClosed = false;
  let cancelRetry = () => {};

  async function open(): Promise<void> {
    try {
      server = await startAdminServer(options);
      if (problem !== undefined) log.info({ kind: "admin" }, `no longer: ${problem}`);
      if (isClosed) await server.close();
    } catch (error) {
      const { message } = describe(place, error as NodeJS.ErrnoException);
      if (message !== problem) {
        onProblem();
        log.warn({ kind: "admin" }, `${message}; nodens goes on without, and tries again`);
      }
      problem = message;
      if (!isClosed) cancelRetry = clock.after(retryMs, () => void open());
    }
  }

  return {
    tried: open(),
    server: () => server,
    async close() {
      isClosed = true;
      cancelRetry();
      await server?.close();
    },
  };
}

function describe(place: AdminServerOptions["place"], error: NodeJS.ErrnoException): Error {
  if ("path" in place) return new Error(`cannot listen on ${place.path}: ${error.message}`);
  return new ListenError(place, "tcp", error);
}

function hashOf(settings: Settings): string {
  return createHash("sha256").update(printEffectiveSettings(settings)).digest("hex");
}
