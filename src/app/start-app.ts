/*
 * The composition root: makes the parts in order and joins them.
 */
import { randomBytes, randomInt } from "node:crypto";
import { attach } from "../attach/attachment.ts";
import { attachModes } from "../attach/modes.ts";
import { hasIpv6, isTrackingInUse } from "../attach/kernel-features.ts";
import { nftSessionsOn } from "../attach/nft-session.ts";
import { runProgram } from "../attach/run-program.ts";
import { createAccessList } from "../listen/access-list.ts";
import type { Front } from "../listen/front.ts";
import { createHealthQuestion, ownLabels } from "../listen/health-question.ts";
import { replySourceNames } from "../listen/listen-counters.ts";
import { createMissQueue } from "../resolve/miss-queue.ts";
import type { Logger } from "../observe/log.ts";
import type { BuildInfo } from "../observe/metric-sources.ts";
import { createQueryLog } from "../observe/query-log.ts";
import { type Chain, type ChainLimits, createChain } from "../resolve/create-chain.ts";
import { learnNameDenials } from "../resolve/learn-name-denials.ts";
import { learnUntilShown, learnZone } from "../resolve/learn-zone.ts";
import { hearAddressChanges } from "../runtime/address-changes.ts";
import type { Clock } from "../runtime/clock.ts";
import { createLifeCycle } from "../runtime/life-cycle.ts";
import { netfilter } from "../runtime/netfilter.ts";
import { formatServerAddress } from "../runtime/server-address.ts";
import { hasLocalAddress } from "../runtime/shared-socket.ts";
import { isTopLevelDomain } from "../search/top-level-domains.ts";
import { hostSuffixes } from "../settings/host-suffixes.ts";
import type { Settings } from "../settings/settings-table.ts";
import { createWireUpstream } from "../shadow/wire-upstream.ts";
import { virtualAddressesOf } from "../settings/virtual-addresses.ts";
import { rcodeName, typeName } from "../wire/codes.ts";
import { Flag } from "../wire/header.ts";
import { nameFromText, nameToText, wireName } from "../wire/name-text.ts";
import type { AppParts } from "./app-parts.ts";
import { becomeReady, readinessOf, warnOfRule, warnOfServer } from "./become-ready.ts";
import { createAwayQuestion, findsAsMuch } from "./fit-for-pods.ts";
import { createUpstreamFollower } from "./follow-upstream.ts";
import { keepProbes } from "./keep-probes.ts";
import { createSeenFor, noteTripsOf } from "./live-seen.ts";
import { watchInShadow } from "./live-shadow.ts";
import { createLiveUpstream, type OnHealthChange } from "./live-upstream.ts";
import { type Admin, openAdmin } from "./open-admin.ts";
import { openOwnSockets } from "./own-sockets.ts";
import { adminRangesOf, interceptedSourcesOf, mutableLimitsOf, rangesOf } from "./parts-of-settings.ts";
import { createReload } from "./reload.ts";
import { createStop, type Stop } from "./stop-app.ts";
import { watchForRefusals } from "./watch-for-refusals.ts";
import { createLoopWatch } from "./watch-for-loops.ts";
import { type OwnEvidence, watchOwnSockets } from "./watch-own-sockets.ts";

/** What the application needs from outside. */
export interface AppOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly build: BuildInfo;
}

/** A running nodens, and how to stop it. */
export interface App extends AppParts, Stop {
  readonly admin: Admin;
}

/** Starts everything. If an address cannot be opened, rejects with a ListenError and leaves nothing open. */
export async function startApp({ settings, clock, log, build }: AppOptions): Promise<App> {
  const zone = wireName(settings.cluster.domain);
  const lifeCycle = createLifeCycle();
  const limits = mutableLimitsOf(settings);
  const hashSeed = randomInt(2 ** 48 - 1);
  const seen = createSeenFor(settings, randomInt(2 ** 31), (name) => upstream.routeOf(name).route);
  const onHealthChange: OnHealthChange = (route, server, isUp) => {
    if (isUp) log.info({ route, server: formatServerAddress(server) }, "upstream server is back");
    // While starting, servers that are down are reported once and together.
    else if (lifeCycle.state() !== "starting") warnOfServer(log, route, server);
    follow(isUp);
  };
  const upstream = await createLiveUpstream(settings, clock, onHealthChange, noteTripsOf(seen, clock));
  const { onlyWatches } = attachModes[settings.attach.mode];
  const deadlineMs = () => reload.inForce().upstream.deadlineMs;
  const wire = onlyWatches ? createWireUpstream({ zone, clock, hashSeed, deadlineMs }) : undefined;
  const chain = createLiveChain();
  const { resolver, loopGuard } = chain;
  const learn = () => learnZone(zone, { ...chain, clock });
  const watchForLoops = createLoopWatch({ upstream, loopGuard, lifeCycle, zone, clock, log });
  const follow = createUpstreamFollower({ failures: chain.failures, clock, learn, watchForLoops });
  const accessList = createAccessList(rangesOf(settings));
  const adminAccess = { isAllowed: createAccessList(adminRangesOf(settings)) };
  const maxUdpReplySizeBytes = settings.listen.maxUdpReplyBytes;
  const health = createHealthQuestion(zone, randomBytes(16).toString("hex"));
  const front: Front = {
    accessList,
    maxUdpReplySizeBytes,
    queryLog: undefined,
    onlooker: seen,
    misses: createMissQueue(clock),
    resolver,
    health,
    clock,
    hashSeed,
  };
  const reload = createReload(settings, {
    log,
    clock,
    front,
    adminAccess,
    queryLog: createQueryLog(log, queryLogWords),
    limits,
    chain,
    upstream,
    onUpstreamReplaced() {
      if (onlyWatches) return;
      void watchForLoops();
      void learn();
    },
  });
  const sockets = await openOwnSockets(settings, front, clock, log).catch(async (error: unknown) => {
    await upstream.close();
    throw error;
  });
  const evidence = onlyWatches ? noSockets : watchOwnSockets(sockets, clock, log);
  const readiness = () => readinessOf(lifeCycle, loopGuard, evidence);
  // Before what may take long.
  const endProbes = keepProbes(settings, readiness, clock, log);
  const attachment = await attach({
    ...settings.attach,
    listenAddresses: settings.listen.addresses,
    virtualAddresses: virtualAddressesOf(settings),
    clock,
    log,
    run: runProgram,
    openSession: nftSessionsOn(clock),
    netfilter,
    ownLabels,
    isTrackingInUse,
    hasAddress: hasLocalAddress,
    hearAddressChanges,
    hasIpv6,
    listen: sockets.open,
    answers: sockets.answers,
    answersAway: createAwayQuestion(sockets, upstream),
    sources: () => interceptedSourcesOf(reload.inForce()),
    isFit: () => lifeCycle.state() === "ready" && !loopGuard.isLooping(),
    mayIntercept: (virtualAddress) => findsAsMuch(upstream.routes(), virtualAddress),
  });
  const started = {
    clock,
    log,
    lifeCycle,
    upstream,
    chain,
    sockets,
    attachment,
    reload,
    readiness,
    adminAccess,
    endProbes,
    seen,
    endWatch: evidence.close,
  };
  const shadow = wire && watchInShadow({ ...started, settings, wire, zone, hashSeed, front });
  const parts = { ...started, shadow };
  if (!onlyWatches) askUpstream({ ...parts, learn, watchForLoops }, zone, suffixesOf(settings));
  const admin = await openAdmin(parts, settings, build);
  return { ...parts, admin, ...createStop({ ...parts, admin }) };

  function createLiveChain(): Chain {
    return createChain({
      limits: limits satisfies ChainLimits,
      clock,
      zone,
      suffixes: suffixesOf(settings),
      loopSecret: randomBytes(16).toString("hex"),
      hashSeed,
      isTopLevelDomain,
      ask: wire === undefined ? upstream.ask : (question, tell) => void wire.ask(question).then(tell),
      learnZone: async () => void (onlyWatches || (await learn())),
      onRuleOff: (rule, { name }) => warnOfRule(log, rule, name),
      routeOf: upstream.routeOf,
      isAway: upstream.isAway,
      answersAtOnce: upstream.answersAtOnce,
    });
  }
}

/** What nodens asks by itself from the start on: whether cluster names are answered, what the zone is like, and whether questions come back. */
function askUpstream(
  parts: AppParts & { learn(): Promise<boolean>; watchForLoops(): Promise<void> },
  zone: Uint8Array,
  suffixes: readonly Uint8Array[],
): void {
  const { chain, clock, lifeCycle, log, sockets } = parts;
  const learning = { ...chain, clock };
  const isOver = () => lifeCycle.state() === "draining" || lifeCycle.state() === "gone";
  for (const suffix of suffixes) void learnNameDenials(suffix, learning, isOver);
  void parts.watchForLoops();
  const counters = () => sockets.listeners.map((listener) => listener.counters);
  void watchForRefusals({ clock, log, counters, isOver: () => lifeCycle.state() === "gone" });
  const shown = () => learnUntilShown(zone, learning, () => lifeCycle.state() !== "ready");
  void becomeReady({ ...parts, ...chain, learnUntilShown: shown });
}

/** Where nodens only watches, it has no sockets of which anything could be seen. */
const noSockets: OwnEvidence = { trouble: () => undefined, close: () => {} };

/** Further suffixes that pods append, folded, in wire form. */
function suffixesOf(settings: Settings): Uint8Array[] {
  return hostSuffixes(settings).flatMap((suffix) => nameFromText(suffix) ?? []);
}

const queryLogWords = {
  nameToText,
  typeName,
  rcodeName,
  flags: { RD: Flag.RD, AD: Flag.AD, CD: Flag.CD },
  sources: replySourceNames,
};
