/* Settings of `cache`: what nodens remembers, and for how long. */
import { byteSize, group, wholeNumber, yesOrNo, zones } from "./setting-kinds.ts";

/** Some seven million entries: what is larger is a slip of the pen, and the pod would be ended by its limit. */
const mostBytes = "1GiB";

/** The group `cache`. */
export const cache = group("What nodens remembers, and for how long.", {
  answersBytes: byteSize({
    default: "32MiB",
    between: ["64KiB", mostBytes],
    effect: "restart",
    help: "Memory for answers.",
  }),
  denialsBytes: byteSize({
    default: "8MiB",
    between: ["64KiB", mostBytes],
    effect: "restart",
    help: "Memory for denials (no such name, no such type). Separate from the answers, so that a flood of absent names does not evict answers in use.",
  }),
  maxTtlSeconds: wholeNumber("s", {
    default: 86_400,
    between: [1, 604_800],
    effect: "live",
    help: "Longest life of an answer, whatever its TTL.",
  }),
  maxDenialTtlSeconds: wholeNumber("s", {
    default: 1800,
    between: [1, 86_400],
    effect: "live",
    help: "Longest life of a denial.",
  }),
  maxClusterDenialTtlSeconds: wholeNumber("s", {
    default: 5,
    between: [0, 30],
    effect: "live",
    help: "Longest life of a denial of a cluster name. Short, because people expect a new Service to resolve at once. 0 stores none.",
  }),
  dynamicZones: zones({
    default: [],
    effect: "live",
    help: "Zones whose names come and go as the cluster's do, such as a stub domain of a service registry: their denials live no longer than `cache.maxClusterDenialTtlSeconds`. The cluster zone and its reverse zones belong to them by themselves.",
  }),
  failureTtlSeconds: wholeNumber("s", {
    default: 1,
    between: [1, 5],
    effect: "live",
    help: "How long a first failure is remembered instead of asking again; doubles with each further one.",
  }),
  maxFailureTtlSeconds: wholeNumber("s", {
    default: 5,
    between: [1, 300],
    effect: "live",
    help: "Longest life of a failure. Must not be below `cache.failureTtlSeconds`.",
  }),
  staleSeconds: wholeNumber("s", {
    default: 3600,
    between: [0, 604_800],
    effect: "live",
    help: "How long past its TTL an answer may still be given when the upstream fails or is slow (RFC 8767). 0 turns this off.",
  }),
  staleAfterMs: wholeNumber("ms", {
    default: 1800,
    between: [0, 30_000],
    effect: "live",
    help: "How long a client waits for the upstream before it gets a stale answer.",
  }),
  prefetch: yesOrNo({
    default: true,
    effect: "live",
    help: "Whether nodens fetches hot names again shortly before they expire, so that no client waits for them.",
  }),
});
