/*
 * Where metrics come from: functions and plain numbers that are read when somebody scrapes, and never before. Functions
 * where a reload may replace what is read.
 */
import type { AttachMode } from "../attach/modes.ts";
import type { BlockedPods } from "../attach/blocked-pods.ts";
import type { PodCounts } from "../attach/pod-counts.ts";
import type { SetupProblemKind } from "../attach/setup-problem.ts";
import type { AnswerCache } from "../cache/answer-cache.ts";
import type { ListenCounters } from "../listen/listen-counters.ts";
import type { ShedReason } from "../resolve/answer.ts";
import type { ResolverCounters } from "../resolve/resolver.ts";
import type { QuestionClass } from "../resolve/question-class.ts";
import type { QuestionSchedule } from "../resolve/schedule-questions.ts";
import type { SharedQuestions } from "../resolve/share-in-flight.ts";
import type { Histogram } from "../runtime/histogram.ts";
import type { LifeState } from "../runtime/life-cycle.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { InferringRule, searchRules } from "../search/rules.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import type { ServerCounters } from "../upstream/server-counters.ts";
import type { Transport } from "../wire/transport.ts";

/** Everything that metrics read. What counts must never fall while the process lives, whatever a reload replaces. */
export interface MetricSources {
  readonly build: BuildInfo;
  readonly names: MetricNames;
  /** Every socket towards pods, closed ones included. The first one's address stands for nodens where CoreDNS has a `server`. */
  listeners(): readonly ListenCounters[];
  /**
   * Every counters object of every server since the start, each once, those that a reload removed included. Several objects of
   * one address are added up: the same server may serve several routes.
   */
  serverCounters(): Iterable<{ readonly address: ServerAddress; readonly counters: ServerCounters }>;
  /** The routes in force, to tell which servers are up: the upstream's own list will do. */
  routes(): readonly RouteState[];
  /** Questions that went upstream while no server of their route was up. */
  asksWithoutServer(): number;
  cache(): Pick<AnswerCache, "usage" | "counters">;
  resolver(): ResolverCounters;
  /** The rules that deny without asking: what their checks found, and which are in use. */
  searchRules(): {
    readonly counters: ZoneKnowledge["counters"];
    isOn(rule: InferringRule): boolean;
  };
  schedule(): Pick<QuestionSchedule, "underWayCount" | "waitingCount">;
  sharedQuestions(): Pick<SharedQuestions, "inFlightCount" | "waiterCount">;
  isLooping(): boolean;
  lifeCycleState(): LifeState;
  /** Whether nodens wants queries: what /readyz says. */
  isReady(): boolean;
  reloads(): ReloadCounters;
  /** SHA-256 of the settings in force, in hexadecimal digits. */
  settingsHash(): string;
  setupErrors(): Readonly<Record<SetupProblemKind, number>>;
  attachMode(): AttachMode;
  /** Whether everything that `attach.mode` asks for is in place. */
  isAttached(): boolean;
  /** Whether pods' questions should be intercepted but are not. */
  isFailOpen(): boolean;
  /** Whether others answer the pods of this node while nodens is away. */
  hasFallback(): boolean;
  /** Pods that ask an address of nodens's own, and whose packets a rule of the node drops. */
  blockedPods(): BlockedPods;
  /** How many Service addresses are intercepted now, and what was seen of pods; undefined where nothing looks. */
  intercepted(): { readonly addresses: number; readonly pods: PodCounts | undefined };
  /** Uncaught exceptions that did not end the process. */
  survivedExceptions(): number;
  /** How late timers run, from watchEventLoopDelay. */
  eventLoopDelays(): Histogram;
  /** Datagrams that the kernel dropped before nodens read them, from countReceiveDrops. */
  receiveDrops(): number;
  /** How often a client asked again, by the numbers of what had become of its query and of how long it waited. */
  waits(first: number, bucket: number): number;
  /** What is found out where nodens only watches; undefined where it answers. */
  shadow(): ShadowNumbers | undefined;
  /** Queries that were forgotten before they could have been recognised when they came again. */
  forgottenQueries(): number;
}

/** What nodens would have done and saved (attach.mode: observe). All of it only grows. */
export interface ShadowNumbers {
  /** By number of the source. */
  readonly queries: Float64Array;
  readonly upstreamQuestions: number;
  readonly flows: number;
  readonly unanswered: number;
  /** How the answers that nodens would have given stand to those that pods got, and what became of copies: by their names. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly copies: Readonly<Record<string, number>>;
}

/** What is running. */
export interface BuildInfo {
  readonly version: string;
  /** Of the sources; empty where it is not known. */
  readonly revision: string;
  readonly nodeVersion: string;
}

/** The closed sets behind label values: the numbers of other folders with their names. */
export interface MetricNames {
  /** Mnemonics of response codes. Codes without one share the label "other". */
  readonly rcodes: Readonly<Record<string, number>>;
  /** By slot of `requestsByType`. */
  readonly requestTypes: readonly string[];
  /** By number of the source, as in `replies` and `durations`. */
  readonly replySources: readonly string[];
  /** By fault number without its sign. Index 0 is unused. */
  readonly faults: readonly string[];
  /** The search rules, by the names that the counters have. */
  readonly searchRules: typeof searchRules;
  /** For whom questions are asked, and why they may be let go. */
  readonly questionClasses: readonly QuestionClass[];
  readonly shedReasons: readonly ShedReason[];
  readonly attachModes: readonly AttachMode[];
  /** Over which a server may be asked. */
  readonly transports: readonly Transport[];
  /** How long clients wait before they ask again, and what has become of their query by then. */
  readonly waitBuckets: readonly string[];
  readonly firsts: readonly string[];
  /** Where nodens only watches: how its answers stand to the real ones, and what becomes of copies. */
  readonly shadowVerdicts: readonly string[];
  readonly copyOutcomes: readonly string[];
}

/** The part of a route that says how it is doing. */
interface RouteState {
  readonly name: string;
  /** Over what its servers are asked first. */
  readonly transport: Transport;
  readonly servers: readonly ServerState[];
}

/** The part of an upstream server that says whether it is up. */
interface ServerState {
  readonly address: ServerAddress;
  readonly health: { isUp(): boolean };
  readonly paths: Readonly<Record<Transport, { isFailed(): boolean }>>;
}

/** What became of new settings. */
export interface ReloadCounters {
  readonly succeeded: number;
  readonly failed: number;
  /** True before the first reload. */
  readonly wasLastSuccessful: boolean;
}
