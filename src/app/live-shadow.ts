/*
 * `attach.mode: observe`: nodens answers nobody. Copies of what pods and kube-dns say to each other go into the shadow, and what it finds out is
 * logged every minute and shown on the admin server.
 */
import { existsSync } from "node:fs";
import { isIPv6 } from "node:net";
import type { Front } from "../listen/front.ts";
import { countUp, createListenCounters, type ListenCounters, replySourceNames } from "../listen/listen-counters.ts";
import type { LocalPage } from "../observe/admin-pages.ts";
import type { ShadowNumbers } from "../observe/metric-sources.ts";
import type { Chain } from "../resolve/create-chain.ts";
import { type Clock, keepAwake } from "../runtime/clock.ts";
import { type Histogram, observe } from "../runtime/histogram.ts";
import type { LifeCycle } from "../runtime/life-cycle.ts";
import type { Log } from "../runtime/log.ts";
import { hasLocalAddress } from "../runtime/shared-socket.ts";
import { firstNames } from "../seen/repeats.ts";
import { nameAsTold } from "../seen/picture.ts";
import type { Seen } from "../seen/seen.ts";
import { waitBuckets } from "../seen/waits.ts";
import type { Settings } from "../settings/settings-table.ts";
import { observedAddressesOf } from "../settings/virtual-addresses.ts";
import type { Verdict } from "../shadow/figures.ts";
import {
  describeDifference,
  type Difference,
  growthOf,
  type ShadowPicture,
  takeShadowPicture,
} from "../shadow/picture.ts";
import { type ComparedQuery, createShadow } from "../shadow/shadow.ts";
import type { WireUpstream } from "../shadow/wire-upstream.ts";
import { createServerCounters } from "../upstream/server-counters.ts";
import { hashName } from "../wire/name.ts";
import type { CountedServer } from "./live-upstream.ts";
import { readCopies } from "./read-copies.ts";

/** What the shadow is joined to. */
export interface LiveShadowParts {
  readonly settings: Settings;
  readonly chain: Chain;
  readonly wire: WireUpstream;
  readonly seen: Seen;
  readonly lifeCycle: Pick<LifeCycle, "becomeReady" | "explain">;
  readonly clock: Clock;
  readonly log: Log;
  /** The cluster zone (folded, wire form). */
  readonly zone: Uint8Array;
  readonly hashSeed: number;
  /** What listeners would go by; a reload changes it. */
  readonly front: Pick<Front, "maxUdpReplySizeBytes">;
}

/** A shadow that watches. */
export interface LiveShadow {
  /** What would have been answered, as a socket of nodens's own would have counted it; durations are those that pods waited. */
  readonly counters: ListenCounters;
  /** The server that nodens would have asked, with the questions that it would have been sent. */
  servers(): readonly CountedServer[];
  /** Whether copies come. */
  isWatching(): boolean;
  /** How often the socket for copies could not be opened, each reason once. */
  problemCount(): number;
  /** The page that tells what was found out. */
  readonly page: LocalPage;
  /** The same for metrics. */
  numbers(): ShadowNumbers;
  close(): void;
}

const tickMs = 1000;
const summaryMs = 60_000;
const keptDifferences = 32;

/** Opens the socket for copies, or tries again until that succeeds, and watches until it is closed. Never throws. */
export function watchInShadow(parts: LiveShadowParts): LiveShadow {
  const { settings, clock, log, seen } = parts;
  const addresses = observedAddressesOf(settings);
  const counters = createListenCounters({ host: addresses[0] ?? "", port: 53 }, "udp");
  const server: CountedServer = { route: "cluster", address: counters.address, counters: createServerCounters() };
  const differences: Difference[] = [];
  const startedAtMs = clock.nowMs();
  let before: ShadowPicture | undefined;
  let cancelTick = () => {};
  let cancelSummary = () => {};

  const shadow = createShadow({
    ...parts,
    maxUdpReplySizeBytes: () => parts.front.maxUdpReplySizeBytes,
    resolver: parts.chain.resolver,
    knowledge: parts.chain.knowledge,
    sourceCount: replySourceNames.length,
    isAnsweredHere: answeredHere(addresses),
    onVerdict: keepDifference,
    onReply(source, rcode, durationMs) {
      countUp(counters.replies, (rcode & 0x0f) * replySourceNames.length + source);
      observe(counters.durations[source] as Histogram, durationMs / 1000);
    },
  });

  function keepDifference(verdict: Verdict, compared: ComparedQuery): void {
    const hash = hashName(compared.name, 0, compared.name.length, parts.hashSeed);
    const name = nameAsTold(compared.name, hash, settings.seen.names);
    const difference = describeDifference(verdict, compared, name, replySourceNames);
    if (verdict === "wrong") log.warn({ ...difference }, "an answer of nodens would have been wrong");
    differences.push(difference);
    if (differences.length > keptDifferences) differences.shift();
  }

  function tick(): void {
    shadow.tick(clock.nowMs());
    cancelTick = clock.after(tickMs, tick);
  }

  function summarise(): void {
    const now = picture();
    log.info(growthOf(now, before), "in the last minute, in the shadow");
    before = now;
    cancelSummary = clock.after(summaryMs, summarise);
  }

  function picture(): ShadowPicture {
    return takeShadowPicture({
      figures: shadow.figures,
      sources: replySourceNames,
      upstreamQuestions: shadow.upstreamQuestions(),
      droppedCopies: reader.droppedCount(),
      lostStreams: shadow.lostStreams(),
      forSeconds: (clock.nowMs() - startedAtMs) / 1000,
      waits: firstNames.flatMap((first, at) =>
        waitBuckets.map((after, bucket) => ({ after, first, count: seen.waits.count(at, bucket) })),
      ),
      differences: differences.toReversed(),
    });
  }

  const reader = readCopies({ ...parts, addresses, take: shadow.take });
  const letSleep = keepAwake();
  tick();
  cancelSummary = clock.after(summaryMs, summarise);

  return {
    counters,
    servers() {
      server.counters.sends.udp = shadow.upstreamQuestions();
      return [server];
    },
    isWatching: reader.isOpen,
    problemCount: reader.problemCount,
    page: () => ({ json: picture() }),
    numbers() {
      const { upstreamQuestions, copies, verdicts } = picture();
      const { queries, flows, unanswered } = shadow.figures;
      return { queries, upstreamQuestions, flows, unanswered, verdicts, copies };
    },
    close() {
      cancelTick();
      cancelSummary();
      reader.close();
      letSleep();
    },
  };
}

/**
 * Whether an address is answered by a program on this node, as NodeLocal DNSCache answers its own: what is asked there is not translated. With
 * IPVS kube-proxy puts every Service's address on an interface, which says nothing of the kind.
 */
function answeredHere(addresses: readonly string[]): (address: string) => boolean {
  const isIpvs = existsSync("/sys/class/net/kube-ipvs0");
  const here = new Set(addresses.filter((address) => hasLocalAddress(address) && (!isIpvs || isLinkLocal(address))));
  return (address) => here.has(address);
}

function isLinkLocal(address: string): boolean {
  return isIPv6(address) ? /^fe[89ab]/i.test(address) : address.startsWith("169.254.");
}
