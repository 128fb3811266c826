/*
 * The composition root: the one place that sees every folder. It makes the parts from the settings, joins them, starts them in
 * order, and ends them in the reverse.
 */
import { randomBytes, randomInt } from "node:crypto";
import type { AnswerCache } from "../cache/answer-cache.ts";
import { createChain } from "../resolve/create-chain.ts";
import { type ClusterDns, startClusterDns } from "../cluster-dns/cluster-dns-server.ts";
import { createClusterZone } from "../cluster-dns/cluster-zone.ts";
import { readZoneFile } from "../cluster-dns/zone-file.ts";
import {
  isSameAddress,
  mutableLimitsOf,
  ownAddresses,
  rangesOf,
  upstreamOptionsOf,
  wireName,
} from "./parts-of-settings.ts";
import { type Attachment, attach } from "../attach/attachment.ts";
import { isTrackingInUse } from "../attach/conntrack-use.ts";
import { openNftSession } from "../attach/nft-session.ts";
import { runProgram } from "../attach/run-program.ts";
import { createAccessList } from "../listen/access-list.ts";
import type { Front } from "../listen/answer-query.ts";
import { openListeners } from "../listen/open-listeners.ts";
import { askOwnSocket } from "../listen/self-query.ts";
import type { Listener } from "../listen/udp-listener.ts";
import type { LoopGuard } from "../resolve/loop-guard.ts";
import type { Foresee } from "../resolve/foresee.ts";
import { learnUntilShown, learnZone } from "../resolve/learn-zone.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { SharedQuestions } from "../resolve/share-in-flight.ts";
import type { Clock } from "../runtime/clock.ts";
import { createLifeCycle, type LifeCycle } from "../runtime/life-cycle.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { isTopLevelDomain } from "../search/top-level-domains.ts";
import { type InferringRule, searchRules } from "../search/rules.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import { hostSuffixes } from "../settings/host-suffixes.ts";
import { virtualAddressesOf } from "../settings/virtual-addresses.ts";
import type { Settings } from "../settings/settings-table.ts";
import { createServerCounters, type ServerCounters } from "../upstream/server-counters.ts";
import { transports } from "../upstream/transport.ts";
import { createUpstream, routeChooser, type Upstream } from "../upstream/upstream.ts";
import { RrType } from "../wire/codes.ts";
import { nameFromText, nameToText } from "../wire/name-text.ts";
import { ownQuestion, type Question } from "../wire/question.ts";

/** Where news go: one call, one line. */
export interface AppLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the application needs from outside. */
export interface AppOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: AppLog;
}

/** A running nodens, without its admin server. */
export interface App {
  /** Those of the settings first; those of the attachment may come later. */
  listeners(): readonly Listener[];
  readonly attachment: Attachment;
  /** May be changed while queries run: access list, reply size, query log. */
  readonly front: Front;
  readonly resolver: Resolver;
  /** What would be done with queries, without doing it. */
  readonly foresee: Foresee;
  readonly cache: AnswerCache;
  readonly shared: SharedQuestions;
  readonly loopGuard: LoopGuard;
  readonly lifeCycle: LifeCycle;
  readonly knowledge: ZoneKnowledge;
  /** Whether a search rule is in use now. */
  isRuleOn(rule: InferringRule): boolean;
  /** The zone in force, in presentation form. */
  readonly clusterDomain: string;
  /** Every counters object of every server since the start, those that a reload removed included. */
  serverCounters(): Iterable<{ readonly address: ServerAddress; readonly counters: ServerCounters }>;
  /** How many questions went upstream while no server of their route was up. */
  asksWithoutServer(): number;
  /** The present one: a reload may replace it. */
  upstream(): Upstream;
  /** Whether a question through our own socket is answered at this moment. */
  answers(): Promise<boolean>;
  /** Where the embedded cluster DNS answers, if it runs. */
  clusterDnsAddress(): ServerAddress | undefined;
  /** Applies what can change while running. */
  apply(settings: Settings): Promise<void>;
  /**
   * Ends: says "not ready", goes on answering for `lameDuckMs`, answers what was received, closes everything.
   */
  stop(lameDuckMs: number): Promise<void>;
  /** Closes everything now. */
  close(): Promise<void>;
}

const retryReadyMs = 500;
/** A SYN that is lost is sent again after a second, so TCP has more. */
const selfQueryTimeoutMs = { udp: 1000, tcp: 2500 };
const loopRoundMs = 10_000;
const drainPollMs = 20;
const emptyQueuesMs = 1000;

/** Starts everything. Rejects, with nothing left open, when an address cannot be opened. */
export async function startApp({ settings: initialSettings, clock, log }: AppOptions): Promise<App> {
  let settings = initialSettings;
  const clusterDomain = wireName(settings.cluster.domain);
  const lifeCycle = createLifeCycle();
  const limits = mutableLimitsOf(settings);
  const serverCounters = new Map<string, { readonly address: ServerAddress; readonly counters: ServerCounters }>();
  /** Upstreams that a reload replaced and that still have questions under way. */
  const replacedUpstreams = new Set<Upstream>();
  let isWatchingForLoops = false;
  let asksWithoutServer = 0;
  let clusterDns: ClusterDns | undefined;
  let upstream = await createUpstreamOf(settings);

  const hashSeed = randomInt(-0x8000_0000, 0x8000_0000);
  const chain = createChain({
    limits,
    clock,
    zone: clusterDomain,
    suffixes: hostSuffixes(settings).flatMap((suffix) => nameFromText(suffix) ?? []),
    loopSecret: randomBytes(16).toString("hex"),
    hashSeed,
    isTopLevelDomain,
    ask: askUpstream,
    learnZone: learn,
    onRuleOff: (rule, { name }) =>
      log.warn(
        { rule: searchRules[rule].label, name: nameToText(name) },
        "upstream has a name that a search rule denied; the rule is off",
      ),
    routeOf,
  });
  const { cache, failures, shared, knowledge, loopGuard, resolver, foresee } = chain;
  const front: Front = {
    accessList: createAccessList(rangesOf(settings)),
    maxUdpReplySizeBytes: settings.listen.maxUdpReplyBytes,
    queryLog: undefined,
    resolver,
    clock,
    hashSeed,
  };
  const listeners = await openListeners(ownAddresses(settings), front, settings.listen.tcp).catch(async (error) => {
    upstream.close();
    await clusterDns?.close();
    throw error;
  });
  for (const listener of listeners) tellOfSharing(listener);
  const attachment = await attach({
    ...settings.attach,
    virtualAddresses: virtualAddressesOf(settings),
    clock,
    log,
    run: runProgram,
    openSession: openNftSession,
    isTrackingInUse,
    listen: listenToo,
    answers: isAnswered,
    mayIntercept: () => lifeCycle.state() === "ready" && !loopGuard.isLooping(),
  });
  void becomeReady();

  /** Opens an address beside those that are open. */
  async function listenToo(address: ServerAddress): Promise<void> {
    if (listeners.some((listener) => isSameAddress(listener.address, address))) return;
    const opened = await openListeners([address], front, settings.listen.tcp);
    listeners.push(...opened);
    for (const listener of opened) tellOfSharing(listener);
  }

  function tellOfSharing({ address, protocol, isShared }: Listener): void {
    if (!isShared || protocol !== "udp") return;
    const message = "another process of this user answers here too, as in a rolling update; both get queries";
    log.info({ address: formatServerAddress(address) }, message);
  }

  function isAnswered(address: ServerAddress, protocol: "udp" | "tcp"): Promise<boolean> {
    return askOwnSocket(
      address,
      ownQuestion(clusterDomain, RrType.SOA),
      { protocol, timeoutMs: selfQueryTimeoutMs[protocol] },
      clock,
    );
  }

  /** Servers as configured or, where there are none, the embedded cluster DNS, started if it does not run yet. */
  async function createUpstreamOf(wanted: Settings): Promise<Upstream> {
    const { cluster, upstream: chosen } = wanted;
    let clusterServers = chosen.servers;
    if (clusterServers.length === 0) {
      clusterDns ??= await startClusterDns({
        address: { host: "127.0.0.1", port: 0 },
        zone: createClusterZone({ ...readZoneFile(), zone: cluster.domain }),
        ownAddresses: wanted.listen.addresses,
        outside: chosen.embeddedOutside,
        clock,
      });
      clusterServers = [clusterDns.address];
    }
    return createUpstream({
      ...upstreamOptionsOf(wanted, clusterServers),
      clock,
      countersFor,
      onAllDown: () => void (asksWithoutServer += 1),
      onHealthChange(route, server, isUp) {
        const fields = { route, server: formatServerAddress(server) };
        if (isUp) log.info(fields, "upstream server is back");
        // What is missing while starting is said once, for all servers.
        else if (lifeCycle.state() !== "starting") warnOfServer(route, server);
        // A loop that closed later looks like a server that says nothing.
        if (!isUp) void watchForLoops();
        // What failed while it was away is worth asking again.
        if (!isUp) return;
        failures.relax(clock.nowMs());
        void learn();
      },
    });
  }

  function askUpstream(question: Question) {
    return upstream.ask(question);
  }

  /** Asks the zone about itself, once. */
  async function learn(): Promise<void> {
    await learnZone(clusterDomain, knowledge, askUpstream, clock);
  }

  function routeOf(name: Uint8Array) {
    const { name: route, transport } = routeChooser(upstream.routes)(name);
    return { route, transport };
  }

  function warnOfServer(route: string, server: ServerAddress): void {
    log.warn({ route, server: formatServerAddress(server) }, "upstream server does not answer");
  }

  function countersFor(route: string, server: ServerAddress): ServerCounters {
    const key = `${route} ${formatServerAddress(server)}`;
    const known = serverCounters.get(key);
    if (known !== undefined) return known.counters;
    const counters = createServerCounters();
    serverCounters.set(key, { address: server, counters });
    return counters;
  }

  /** Ready is: an upstream answered, nothing loops, and a query through our own socket was answered. */
  async function becomeReady(): Promise<void> {
    void watchForLoops();
    for (let attempt = 1; lifeCycle.state() === "starting"; attempt += 1) {
      const asked = upstream;
      await asked.probeAll();
      if (lifeCycle.state() !== "starting") return;
      const [listener] = listeners;
      if (listener === undefined || !attachment.areSocketsOpen()) {
        lifeCycle.explain("an address could not be opened");
      } else if (!asked.hasAnswered()) {
        lifeCycle.explain("no upstream server has answered yet");
        if (attempt === 1)
          log.warn({ upstream: describeServers(asked) }, "no upstream server answers; serving, but not ready");
      } else if (loopGuard.isLooping()) {
        lifeCycle.explain("the upstream leads back here");
      } else if (!(await isAnswered(listener.address, "udp"))) {
        lifeCycle.explain("a query through our own socket was not answered");
      } else {
        await learn();
        if (lifeCycle.becomeReady()) announceReady(asked);
        if (!knowledge.hasSchema())
          void learnUntilShown(clusterDomain, knowledge, askUpstream, clock, () => lifeCycle.state() !== "ready");
        return;
      }
      await pause(retryReadyMs);
    }
  }

  function announceReady(asked: Upstream): void {
    const schema = knowledge.hasSchema() ? "shown" : "not shown";
    log.info({ upstream: describeServers(asked), schema }, "ready");
    for (const { name, servers } of asked.routes) {
      for (const { address, health } of servers) if (!health.isUp()) warnOfServer(name, address);
    }
  }

  /** Asks every route a question that only we can know, and again for as long as it comes back to us. */
  async function watchForLoops(): Promise<void> {
    if (isWatchingForLoops) return;
    isWatchingForLoops = true;
    while (lifeCycle.state() === "starting" || lifeCycle.state() === "ready") {
      const asked = upstream;
      const wasLooping = loopGuard.isLooping();
      loopGuard.startRound();
      await Promise.all(asked.routes.map(({ zones: [zone = clusterDomain] }) => asked.ask(loopGuard.probeFor(zone))));
      loopGuard.endRound();
      if (loopGuard.isLooping() && !wasLooping) {
        log.error({ upstream: describeServers(asked) }, "the upstream leads back to nodens; nothing is forwarded");
      }
      if (wasLooping && !loopGuard.isLooping()) log.info({}, "the upstream no longer leads back to nodens");
      if (!loopGuard.isLooping() && asked === upstream) break;
      await pause(loopRoundMs);
    }
    isWatchingForLoops = false;
  }

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => clock.after(delayMs, resolve));
  }

  async function apply(next: Settings): Promise<void> {
    const isUpstreamChanged =
      JSON.stringify([next.upstream, next.cluster]) !== JSON.stringify([settings.upstream, settings.cluster]);
    const fresh = mutableLimitsOf(next);
    Object.assign(limits.cache, fresh.cache);
    Object.assign(limits.failures, fresh.failures);
    Object.assign(limits.waits, fresh.waits);
    Object.assign(limits.resolver, fresh.resolver);
    Object.assign(limits.checks, fresh.checks);
    Object.assign(limits.absences, fresh.absences);
    front.accessList = createAccessList(rangesOf(next));
    front.maxUdpReplySizeBytes = next.listen.maxUdpReplyBytes;
    const previous = settings;
    // What needs a restart stays as it was: the cluster zone is built into the search scope and the listeners.
    settings = { ...next, cluster: { ...next.cluster, domain: previous.cluster.domain } };
    if (!isUpstreamChanged) return;
    const replaced = upstream;
    upstream = await createUpstreamOf(settings);
    failures.relax(clock.nowMs());
    // Questions that are under way may still be answered.
    replacedUpstreams.add(replaced);
    clock.after(previous.upstream.deadlineMs, () => {
      replacedUpstreams.delete(replaced);
      replaced.close();
    });
    void watchForLoops();
    void learn();
  }

  async function stop(lameDuckMs: number): Promise<void> {
    lifeCycle.drain();
    await attachment.release();
    await pause(lameDuckMs);
    for (const listener of listeners) listener.leave();
    await emptyQueues();
    for (const listener of listeners) listener.drain();
    const giveUpAtMs = clock.nowMs() + settings.upstream.deadlineMs;
    while (shared.waiterCount() > 0 && clock.nowMs() < giveUpAtMs) await pause(drainPollMs);
    await close();
  }

  /** Waits until nothing more comes out of what the kernel had queued for our sockets. */
  async function emptyQueues(): Promise<void> {
    const giveUpAtMs = clock.nowMs() + emptyQueuesMs;
    const takenCount = () => listeners.reduce((sum, listener) => sum + listener.takenCount(), 0);
    for (let before = -1; before !== takenCount() && clock.nowMs() < giveUpAtMs; await pause(drainPollMs)) {
      before = takenCount();
    }
  }

  async function close(): Promise<void> {
    lifeCycle.end();
    await attachment.close();
    await Promise.all(listeners.map((listener) => listener.close()));
    for (const each of [upstream, ...replacedUpstreams]) each.close();
    await clusterDns?.close();
  }

  return {
    listeners: () => listeners,
    attachment,
    front,
    resolver,
    foresee,
    cache,
    shared,
    loopGuard,
    lifeCycle,
    knowledge,
    isRuleOn: (rule) => chain.isRuleOn(rule, clock.nowMs()),
    clusterDomain: settings.cluster.domain,
    serverCounters: () => serverCounters.values(),
    asksWithoutServer: () => asksWithoutServer,
    upstream: () => upstream,
    async answers() {
      const [listener] = listeners;
      return listener !== undefined && (await isAnswered(listener.address, "udp"));
    },
    clusterDnsAddress: () => clusterDns?.address,
    apply,
    stop,
    close,
  };
}

/** The servers of an upstream by route, for people. */
export function describeServers(upstream: Upstream): string {
  return upstream.routes
    .map(({ name, servers, transport }) => {
      const addresses = servers.map(({ address }) => formatServerAddress(address)).join(", ");
      return `${name} -> ${addresses} (${transports[transport].label})`;
    })
    .join("; ");
}
