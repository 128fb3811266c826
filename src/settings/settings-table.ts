/*
 * Every setting of nodens, declared once: type, unit, default, limits, effect of a reload, help. The type Settings, the checks,
 * the printed effective settings, docs/settings.md and docs/settings.schema.json all derive from this table.
 */
import { z } from "zod";
import {
  addressRanges,
  byteSize,
  filePath,
  group,
  groupNotes,
  ipAddresses,
  listenAddress,
  listenAddresses,
  oneOf,
  serversByZone,
  settingNotes,
  upstreamServers,
  wholeNumber,
  yesOrNo,
  zone,
  zones,
  type SettingNotes,
} from "./setting-kinds.ts";

const nearbyClients =
  "127.0.0.0/8 ::1/128 169.254.0.0/16 fe80::/10 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 100.64.0.0/10".split(
    " ",
  );

const listen = group("Where pods reach nodens, and who may ask.", {
  addresses: listenAddresses({
    default: ["127.0.0.1:5353"],
    reload: "restart",
    flag: "--listen",
    help: "Addresses to answer on, over UDP and TCP. `0.0.0.0` and `[::]` mean every address the machine has at start. Port 0 takes any free port. May be empty when `attach.mode` is `link-local` or `intercept`.",
  }),
  allow: addressRanges({
    default: nearbyClients,
    reload: "live",
    help: "Clients that are answered; everyone else is dropped unread. The default is loopback, link-local, private and shared ranges, because a node may have a public address and must not be an open resolver.",
  }),
  maxUdpReplyBytes: wholeNumber("bytes", {
    default: 1232,
    between: [512, 4096],
    reload: "live",
    help: "Largest UDP reply, whatever the client offers. 1232 fits every IPv6 path unfragmented; larger answers are truncated and asked again over TCP.",
  }),
  tcp: group("TCP connections from pods.", {
    maxConnections: wholeNumber("connections", {
      default: 1024,
      between: [1, 65_536],
      reload: "restart",
      help: "Open connections at once. One more closes the one that has been idle longest.",
    }),
    idleTimeoutMs: wholeNumber("ms", {
      default: 10_000,
      between: [100, 600_000],
      reload: "restart",
      help: "A connection without a question for this long is closed.",
    }),
    maxPipelined: wholeNumber("questions", {
      default: 64,
      between: [1, 4096],
      reload: "restart",
      help: "Unanswered questions on one connection; no more are read from it until one is answered.",
    }),
    maxWriteBufferBytes: wholeNumber("bytes", {
      default: 262_144,
      between: [65_537, 16_777_216],
      reload: "restart",
      help: "Replies that wait for a client that does not read. Above this the connection is closed. The largest message is 65537 bytes with its length.",
    }),
  }),
});

const attach = group("How pods reach nodens on this node, apart from `listen.addresses`.", {
  mode: oneOf(["host-ip", "link-local", "intercept", "none"], {
    default: "none",
    reload: "restart",
    help: "How pods reach nodens. `host-ip`: they ask the node's own address, which stands in `listen.addresses`. `link-local`: `attach.addresses` are put on `lo`, answered on port 53 and kept out of connection tracking. `intercept`: also, what pods send to the kube-dns Service is redirected to nodens while it answers; pods need no change. `none`: nothing on the node is touched, and pods are pointed here by other means, such as a Service. `link-local` and `intercept` need root, NET_ADMIN and the programs `ip` and `nft`.",
  }),
  addresses: ipAddresses({
    default: ["169.254.20.10"],
    reload: "restart",
    help: "Addresses of nodens itself, at most one IPv4 and one IPv6, put on `lo` unless the node has them already (the node's own address may be named too). They stay when nodens ends: without them clients would wait for replies instead of being refused. `nodens detach` removes them.",
  }),
  virtualAddresses: ipAddresses({
    default: [],
    reload: "restart",
    help: "Addresses of the kube-dns Service that pods ask, for `intercept`. Each needs an address of its family in `attach.addresses`. Empty: the addresses of `upstream.servers` on port 53.",
  }),
  interceptPort: wholeNumber("port", {
    default: 10_053,
    between: [1024, 65_000],
    reload: "restart",
    help: "Where intercepted packets arrive on `attach.addresses`; each further Service address takes the next port, and the port before is for nodens's own test packets. It tells pods that asked the Service from pods that asked the address itself, and is closed to direct packets.",
  }),
  notrack: yesOrNo({
    default: true,
    reload: "restart",
    help: "Whether traffic to `attach.addresses` and intercepted traffic is kept out of connection tracking. `false` for network policies that need it (Calico with egress-only policies): then each socket of a pod that asks is one conntrack entry, but still none is translated.",
  }),
});

const probes = group("Files for the exec probes of a pod. An HTTP probe may reach the other pod of a rolling update.", {
  directory: filePath({
    default: "",
    reload: "restart",
    help: "A folder for the files `ready`, which exists while nodens is ready, and `alive`, which is touched every second in which nodens answered through its own socket.",
  }),
});

const admin = group("The HTTP server for operators: `/metrics`, `/healthz`, `/readyz`.", {
  address: listenAddress({
    default: "127.0.0.1:9253",
    reload: "restart",
    flag: "--admin",
    help: "Where it listens. It has no passwords: keep it on loopback or on the node's own network.",
  }),
});

const privateReverseZones = [
  "10.in-addr.arpa",
  ...Array.from({ length: 16 }, (_, index) => `${16 + index}.172.in-addr.arpa`),
  "168.192.in-addr.arpa",
  "c.f.ip6.arpa",
  "d.f.ip6.arpa",
];

const cluster = group("Which names belong to the cluster.", {
  domain: zone({
    default: "cluster.local",
    reload: "restart",
    flag: "--cluster-domain",
    help: "The zone of Services and pods, as kubelet's `clusterDomain` has it.",
  }),
  reverseZones: zones({
    default: privateReverseZones,
    reload: "live",
    help: "Reverse zones that are asked like cluster names. The default is the private ranges that pod and Service addresses come from.",
  }),
});

const upstream = group("Who is asked what the cache does not know, and over how many flows.", {
  servers: upstreamServers({
    default: [],
    reload: "live",
    flag: "--upstream",
    help: "The cluster's DNS Service, asked about cluster names. Empty starts the embedded cluster DNS, for trying nodens without a cluster.",
  }),
  outsideServers: upstreamServers({
    default: [],
    reload: "live",
    help: "Servers for all other names. Empty means `upstream.servers`.",
  }),
  embeddedOutside: oneOf(["auto", "built-in"], {
    default: "auto",
    reload: "restart",
    help: "Where the embedded cluster DNS, if it runs, gets names outside the cluster: from this machine's own resolvers if one answers (`auto`), or from its small table, which works offline.",
  }),
  stubDomains: serversByZone({
    default: {},
    reload: "live",
    help: "Zones with servers of their own, such as a company's internal zone. The longest matching zone decides.",
  }),
  clusterTransport: oneOf(["tcp", "udp"], {
    default: "tcp",
    reload: "live",
    help: "How cluster names are asked. Pipelined TCP needs one conntrack entry for any number of questions.",
  }),
  outsideTransport: oneOf(["udp", "tcp"], {
    default: "udp",
    reload: "live",
    help: "How other names are asked. kube-dns answers one question at a time per TCP connection, so slow outside names go over long-lived UDP sockets.",
  }),
  maxSends: wholeNumber("sends", {
    default: 3,
    between: [1, 3],
    reload: "live",
    help: "How often one question is sent at most, first send included: more would multiply load when kube-dns is already slow.",
  }),
  deadlineMs: wholeNumber("ms", {
    default: 4500,
    between: [100, 30_000],
    reload: "live",
    help: "When a question is given up. Client resolvers wait 5 s unless told otherwise; an answer after that helps nobody.",
  }),
  tcp: group("TCP flows to an upstream server.", {
    maxFlows: wholeNumber("flows", {
      default: 3,
      between: [1, 16],
      reload: "live",
      help: "Connections to one server at once. Each is one conntrack entry.",
    }),
    maxDepth: wholeNumber("questions", {
      default: 32,
      between: [1, 1024],
      reload: "live",
      help: "Unanswered questions on one connection. kube-dns answers them one after the other, so a deep queue is a slow one.",
    }),
    connectTimeoutMs: wholeNumber("ms", {
      default: 1000,
      between: [10, 10_000],
      reload: "live",
      help: "How long a connection may take to open. Must be below `upstream.deadlineMs`.",
    }),
    queryTimeoutMs: wholeNumber("ms", {
      default: 800,
      between: [10, 10_000],
      reload: "live",
      help: "How long one send waits for its answer before another flow or server is tried; doubles with each send. A connection that was silent all the while is given up. Must be below `upstream.deadlineMs`.",
    }),
    idleTimeoutMs: wholeNumber("ms", {
      default: 8000,
      between: [100, 600_000],
      reload: "live",
      help: "An unused connection is closed after this long. CoreDNS closes after 10 s; closing first avoids sending into a closing connection.",
    }),
    maxAgeSeconds: wholeNumber("s", {
      default: 300,
      between: [1, 86_400],
      reload: "live",
      help: "A connection is replaced at about this age, with jitter: it is pinned to one kube-dns pod, and new pods would get no load.",
    }),
    maxQueries: wholeNumber("questions", {
      default: 10_000,
      between: [1, 10_000_000],
      reload: "live",
      help: "A connection is replaced after this many questions.",
    }),
  }),
  udp: group("UDP flows to an upstream server.", {
    maxFlows: wholeNumber("flows", {
      default: 2,
      between: [1, 16],
      reload: "live",
      help: "Connected sockets to one server at once. Each is one conntrack entry.",
    }),
    retransmitMs: wholeNumber("ms", {
      default: 800,
      between: [10, 10_000],
      reload: "live",
      help: "How long one send waits for its answer before the question is sent again; doubles with each send. Must be below `upstream.deadlineMs`.",
    }),
    maxAgeSeconds: wholeNumber("s", {
      default: 60,
      between: [1, 86_400],
      reload: "live",
      help: "A socket is replaced at about this age, with jitter: for a fresh random port, and another kube-dns pod.",
    }),
    maxQueries: wholeNumber("questions", {
      default: 1000,
      between: [1, 10_000_000],
      reload: "live",
      help: "A socket is replaced after this many questions, so that its port is not worth guessing.",
    }),
    maxWrongReplies: wholeNumber("replies", {
      default: 16,
      between: [1, 65_535],
      reload: "live",
      help: "A socket that received this many replies to no open question is replaced: someone may be guessing.",
    }),
  }),
  health: group("When a server counts as down, and as up again.", {
    probeIntervalMs: wholeNumber("ms", {
      default: 500,
      between: [50, 60_000],
      reload: "live",
      help: "First pause between probes of a server that is down; it doubles up to `upstream.health.maxBackoffMs`.",
    }),
    maxBackoffMs: wholeNumber("ms", {
      default: 5000,
      between: [50, 300_000],
      reload: "live",
      help: "Longest pause between probes: how late a server that came back is noticed.",
    }),
    failuresUntilDown: wholeNumber("failures", {
      default: 3,
      between: [1, 1000],
      reload: "live",
      help: "Failures in a row after which a server counts as down.",
    }),
  }),
});

const search = group("Search suffixes: what of them is answered without asking.", {
  shortCircuit: oneOf(["learned", "certain", "off"], {
    default: "learned",
    reload: "live",
    help: "Which rules may deny a cluster name for A and AAAA without asking. `certain`: what a CoreDNS zone cannot hold. `learned`: also what lies below a namespace or Service that was denied a moment ago. Both need a zone that shows its schema version. `off`: none.",
  }),
  exemptions: zones({
    default: [],
    reload: "live",
    help: "Cluster names at or below which nothing is denied without asking: what a `hosts`, `rewrite` or `template` line of the cluster's DNS adds.",
  }),
  multicluster: yesOrNo({
    default: false,
    reload: "live",
    help: "Whether the zone has names with a cluster in them (`cluster.service.namespace.svc`), as CoreDNS's multicluster zones do.",
  }),
  checkOneIn: wholeNumber("denials", {
    default: 64,
    between: [0, 1_000_000],
    reload: "live",
    help: "One in so many of these denials is also asked upstream, after the client was answered. A contradiction switches the rule off. 0 checks none.",
  }),
  answerOutsideName: yesOrNo({
    default: false,
    reload: "live",
    help: "Whether the first suffix query of an outside name is answered with that name, as an alias, once every other suffix is known to be absent. Saves clients the other queries; they see a CNAME.",
  }),
  suffixes: zones({
    default: [],
    reload: "restart",
    help: "Suffixes beside the cluster zone that pods append, such as a cloud's internal zone. Under them a denied name is denied for A and AAAA alike, and nothing else. Empty: those of `search.resolvConf`.",
  }),
  resolvConf: filePath({
    default: "/etc/resolv.conf",
    reload: "restart",
    help: "The node's resolv.conf, whose search list pods inherit. Read at start, for `search.suffixes`.",
  }),
});

const cache = group("What is remembered, and for how long.", {
  answersBytes: byteSize({
    default: "32MiB",
    between: ["64KiB", "4GiB"],
    reload: "restart",
    help: "Memory for answers.",
  }),
  denialsBytes: byteSize({
    default: "8MiB",
    between: ["64KiB", "4GiB"],
    reload: "restart",
    help: "Memory for denials (no such name, no such type). Apart from the answers, so that a flood of absent names evicts nothing in use.",
  }),
  maxTtlSeconds: wholeNumber("s", {
    default: 86_400,
    between: [1, 604_800],
    reload: "live",
    help: "Longest life of an answer, whatever its TTL.",
  }),
  maxDenialTtlSeconds: wholeNumber("s", {
    default: 1800,
    between: [1, 86_400],
    reload: "live",
    help: "Longest life of a denial.",
  }),
  maxClusterDenialTtlSeconds: wholeNumber("s", {
    default: 5,
    between: [0, 30],
    reload: "live",
    help: "Longest life of a denial of a cluster name. Short, because a Service that was just created is expected to resolve. 0 stores none.",
  }),
  failureTtlSeconds: wholeNumber("s", {
    default: 1,
    between: [1, 5],
    reload: "live",
    help: "How long a first failure is remembered instead of asking again; it doubles with each further one.",
  }),
  maxFailureTtlSeconds: wholeNumber("s", {
    default: 5,
    between: [1, 300],
    reload: "live",
    help: "Longest life of a failure. Not below `cache.failureTtlSeconds`.",
  }),
  staleSeconds: wholeNumber("s", {
    default: 3600,
    between: [0, 604_800],
    reload: "live",
    help: "How long past its TTL an answer may still be given when upstream fails or is slow (RFC 8767). 0 is off.",
  }),
  staleAfterMs: wholeNumber("ms", {
    default: 1800,
    between: [0, 30_000],
    reload: "live",
    help: "How long a client waits for upstream before it gets a stale answer.",
  }),
  prefetch: yesOrNo({
    default: true,
    reload: "live",
    help: "Whether hot names are fetched again shortly before they expire, so that nobody waits for them.",
  }),
});

const limits = group("Bounds under overload. Answers from the cache are always given.", {
  maxInFlight: wholeNumber("questions", {
    default: 4096,
    between: [1, 1_000_000],
    reload: "live",
    help: "Different questions being asked upstream at once.",
  }),
  maxWaiters: wholeNumber("clients", {
    default: 16_384,
    between: [1, 1_000_000],
    reload: "live",
    help: "Queries of clients that wait for upstream, in total.",
  }),
  maxWaitersPerQuestion: wholeNumber("clients", {
    default: 1000,
    between: [1, 1_000_000],
    reload: "live",
    help: "Queries that wait for the same question.",
  }),
  maxWaitersPerClient: wholeNumber("queries", {
    default: 1024,
    between: [1, 1_000_000],
    reload: "live",
    help: "Queries of one client address that wait, so that one pod cannot starve the others.",
  }),
});

const log = group("The log: JSON lines on standard error.", {
  level: oneOf(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
    default: "info",
    reload: "live",
    help: "The least important level that is written.",
  }),
  queries: yesOrNo({
    default: false,
    reload: "live",
    help: "Whether every query is logged. Expensive, and names tell what pods do.",
  }),
});

const metrics = group("What `/metrics` shows.", {
  compat: oneOf(["coredns", "off"], {
    default: "coredns",
    reload: "restart",
    help: "Whether metrics are also shown under the `coredns_*` names that dashboards for node-local-dns expect.",
  }),
});

const shutdown = group("The end.", {
  drainMs: wholeNumber("ms", {
    default: 5000,
    between: [0, 60_000],
    reload: "live",
    help: "How long nodens goes on answering after SIGTERM, until pods have found another server. Keep it below the pod's `terminationGracePeriodSeconds`.",
  }),
});

/** The whole file: reads a tree of plain YAML values into Settings, and `z.encode` writes it back. */
export const settingsSchema = z.strictObject({
  listen,
  attach,
  admin,
  probes,
  cluster,
  upstream,
  search,
  cache,
  limits,
  log,
  metrics,
  shutdown,
});

/** The settings as the program uses them: addresses parsed, sizes in bytes, names in lower case, nothing left out. */
export type Settings = DeepReadonly<z.output<typeof settingsSchema>>;

/** The settings of an empty file, a new object each time. */
export function defaultSettings(): Settings {
  return settingsSchema.parse({});
}

type DeepReadonly<Value> = Value extends object ? { readonly [Key in keyof Value]: DeepReadonly<Value[Key]> } : Value;

/** A setting or a group of them, by its path in the file ("upstream.tcp.maxFlows"). */
export interface TableEntry {
  readonly path: string;
  /** Absent for a group. */
  readonly notes?: SettingNotes;
  /** The group's sentence; absent for a setting. */
  readonly groupHelp?: string;
}

/** Every group and setting by path, in the order of the table, a group before its members. */
export const tableEntries: ReadonlyMap<string, TableEntry> = new Map(
  walkTable(settingsSchema, "").map((entry) => [entry.path, entry]),
);

function walkTable(parent: z.ZodObject, prefix: string): TableEntry[] {
  return Object.entries(parent.shape).flatMap(([name, schema]): TableEntry[] => {
    const path = `${prefix}${name}`;
    const notes = settingNotes.get(schema as z.ZodType);
    if (notes !== undefined) return [{ path, notes }];
    const groupHelp = groupNotes.get(schema as z.ZodType)?.description ?? "";
    const members = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
    return members instanceof z.ZodObject ? [{ path, groupHelp }, ...walkTable(members, `${path}.`)] : [];
  });
}
