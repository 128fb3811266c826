/* Settings of `upstream`: which servers nodens asks, and over how many flows. */
import { group, oneOf, serversByZone, upstreamServers, wholeNumber, yesOrNo } from "./setting-kinds.ts";

/** The group `upstream`. */
export const upstream = group("Which servers nodens asks what the cache does not know, and over how many flows.", {
  servers: upstreamServers({
    default: [],
    effect: "live",
    flag: { name: "--upstream", value: "ADDR:PORT", help: "server to forward to" },
    help: "Servers for cluster names: the cluster's DNS Service. Without any nodens does not start, unless `upstream.embedded` is `true`.",
  }),
  outsideServers: upstreamServers({
    default: [],
    effect: "live",
    help: "Servers for all other names. Empty means `upstream.servers`.",
  }),
  embedded: yesOrNo({
    default: false,
    effect: "restart",
    flag: {
      name: "--embedded",
      help: "without --upstream and --config, answer from an embedded cluster DNS, for trying nodens without a cluster",
      isOnlyWithoutFile: true,
    },
    help: "Whether nodens, where `upstream.servers` is empty, starts with an embedded cluster DNS that knows an example zone: for trying nodens without a cluster. Where there is a settings file, only the file can ask for it. A reload never exchanges servers for it.",
  }),
  embeddedOutside: oneOf(["auto", "built-in"], {
    default: "auto",
    effect: "restart",
    help: "Where the embedded cluster DNS, if it runs, gets names outside the cluster: from this machine's own resolvers if one answers (`auto`), or from its small table, which works offline.",
  }),
  stubDomains: serversByZone({
    default: {},
    effect: "live",
    help: "Zones with servers of their own, such as a company's internal zone. The longest matching zone wins.",
  }),
  clusterTransport: oneOf(["tcp", "udp"], {
    default: "tcp",
    effect: "live",
    help: "How nodens asks about cluster names. Pipelined TCP needs one conntrack entry for any number of questions. What would have to wait there behind others goes over the other transport, if that works.",
  }),
  outsideTransport: oneOf(["udp", "tcp"], {
    default: "udp",
    effect: "live",
    help: "How nodens asks about other names. kube-dns answers one question at a time per TCP connection, so slow outside names go over long-lived UDP sockets.",
  }),
  maxSends: wholeNumber("sends", {
    default: 3,
    between: [1, 3],
    effect: "live",
    help: "How often one question is sent at most, first send included; while packets are being lost, over each transport. More would multiply the load when kube-dns is already slow.",
  }),
  deadlineMs: wholeNumber("ms", {
    default: 4500,
    between: [100, 30_000],
    effect: "live",
    help: "When nodens gives a question up. Client resolvers wait 5 s by default; an answer after that is of no use.",
  }),
  tcp: group("TCP flows to an upstream server.", {
    maxFlows: wholeNumber("flows", {
      default: 3,
      between: [1, 16],
      effect: "live",
      help: "Connections to one server at once. Each is one conntrack entry.",
    }),
    maxDepth: wholeNumber("questions", {
      default: 32,
      between: [1, 1024],
      effect: "live",
      help: "Unanswered questions on one connection. kube-dns answers them one after the other, so a deep queue is a slow one.",
    }),
    connectTimeoutMs: wholeNumber("ms", {
      default: 1000,
      between: [10, 10_000],
      effect: "live",
      help: "How long a connection may take to open. Must be below `upstream.deadlineMs`.",
    }),
    queryTimeoutMs: wholeNumber("ms", {
      default: 800,
      between: [10, 10_000],
      effect: "live",
      help: "The longest that a question waits before it may be sent again on another flow. It waits as long as the connection usually takes, 30 ms at least. Must be below `upstream.deadlineMs`.",
    }),
    idleTimeoutMs: wholeNumber("ms", {
      default: 8000,
      between: [100, 600_000],
      effect: "live",
      help: "How long a connection may be idle before nodens closes it. CoreDNS closes after 10 s; closing first avoids sending into a connection that is going away.",
    }),
    maxAgeSeconds: wholeNumber("s", {
      default: 300,
      between: [1, 86_400],
      effect: "live",
      help: "A connection is replaced at about this age, with jitter: a connection stays with one kube-dns pod, and new pods would otherwise get no load.",
    }),
    maxQueries: wholeNumber("questions", {
      default: 10_000,
      between: [1, 10_000_000],
      effect: "live",
      help: "A connection is replaced after this many questions.",
    }),
  }),
  udp: group("UDP flows to an upstream server.", {
    maxFlows: wholeNumber("flows", {
      default: 2,
      between: [1, 16],
      effect: "live",
      help: "Connected sockets to one server at once. Each is one conntrack entry.",
    }),
    retransmitMs: wholeNumber("ms", {
      default: 800,
      between: [10, 10_000],
      effect: "live",
      help: "The longest that a question waits before it may be sent again on another flow. It waits as long as the path usually takes, 30 ms at least. Must be below `upstream.deadlineMs`.",
    }),
    maxAgeSeconds: wholeNumber("s", {
      default: 60,
      between: [1, 86_400],
      effect: "live",
      help: "A socket is replaced at about this age, with jitter: for a fresh random port, and perhaps another kube-dns pod.",
    }),
    maxQueries: wholeNumber("questions", {
      default: 1000,
      between: [1, 10_000_000],
      effect: "live",
      help: "A socket is replaced after this many questions, so that guessing its port is not worth it.",
    }),
    maxWrongReplies: wholeNumber("replies", {
      default: 16,
      between: [1, 65_535],
      effect: "live",
      help: "A socket is replaced after this many replies that match no open question: someone may be guessing.",
    }),
  }),
  health: group("When a server counts as down, and as up again.", {
    probeIntervalMs: wholeNumber("ms", {
      default: 500,
      between: [50, 60_000],
      effect: "live",
      help: "First pause between two tries of a transport that failed; it doubles up to `upstream.health.maxBackoffMs`.",
    }),
    maxBackoffMs: wholeNumber("ms", {
      default: 5000,
      between: [50, 300_000],
      effect: "live",
      help: "Longest pause between two tries: at most this long after a server comes back, nodens notices.",
    }),
    failuresUntilDown: wholeNumber("failures", {
      default: 3,
      between: [1, 1000],
      effect: "live",
      help: "Flows in a row that could not be proven, after which a transport counts as failed. A server with a failed transport and no working flow is down.",
    }),
  }),
});
