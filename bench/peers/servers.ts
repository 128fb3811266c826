/*
 * The servers that are measured side by side, as data: what each is called, what it needs, and how it is told to forward to one
 * upstream and to keep as many names as a benchmark asks for. All use one processor, and nothing that they would not use by default.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tools } from "./tools.ts";

/** Where a server listens, whom it asks, and how much it must hold. */
export interface Place {
  /** On 127.0.0.1, over UDP and TCP. */
  readonly port: number;
  /** On 127.0.0.1, for what the server says of itself. */
  readonly adminPort: number;
  readonly upstreamPort: number;
  /** A folder of its own. */
  readonly folder: string;
  /** Cache entries. */
  readonly entries: number;
  /** The longest life of a denial, where it is not the server's own; dnsmasq has no setting for it. */
  readonly denialSeconds: number | undefined;
}

/** How a server is started. */
interface ServerKind {
  readonly title: string;
  /** The command that must be installed; undefined for what is built here. */
  readonly command: string | undefined;
  /** Program and arguments. Undefined where a tool could not be built. */
  line(place: Place, tools: Tools): readonly string[] | undefined;
}

/** Everything that can be measured. */
export type ServerName = keyof typeof servers;

/** By name, in the order of tables. */
export const servers = {
  floor: {
    title: "floor: C, recvmmsg and sendmmsg, no DNS",
    command: undefined,
    line: ({ port }, tools) => [tools.echo, "127.0.0.1", String(port)],
  },
  nodens: {
    title: "nodens",
    command: undefined,
    line: (place, tools) => nodensLine(place, tools, tools.bundle),
  },
  dgram: {
    title: "nodens, listen.batch: off",
    command: undefined,
    line: (place, tools) => nodensLine(place, tools, tools.bundle, { batch: "off" }),
  },
  base: {
    title: "nodens, the other revision",
    command: undefined,
    line: (place, tools) => (tools.baseBundle === undefined ? undefined : nodensLine(place, tools, tools.baseBundle)),
  },
  unbound: { title: "unbound", command: "unbound", line: unboundLine },
  dnsdist: { title: "dnsdist", command: "dnsdist", line: dnsdistLine },
  dnsmasq: { title: "dnsmasq", command: "dnsmasq", line: dnsmasqLine },
  bind: { title: "BIND", command: "named", line: bindLine },
  "coredns-cache": {
    title: "CoreDNS, cache alone",
    command: undefined,
    line: (place, tools) => corednsLine(place, tools, ["."], (_, entries) => cacheOf(entries)),
  },
  "coredns-log": {
    title: "CoreDNS, with metrics and log",
    command: undefined,
    line: (place, tools) =>
      corednsLine(place, tools, ["."], (_, entries) => `${cacheOf(entries)} errors\n loop\n log\n ${metricsOf(place)}`),
  },
  coredns: {
    title: "CoreDNS, as NodeLocal DNSCache",
    command: undefined,
    line: (place, tools) =>
      corednsLine(
        place,
        tools,
        ["cluster.local", "."],
        (zone) => nodeLocal(zone, place.denialSeconds) + metricsOf(place),
      ),
  },
} as const satisfies Record<string, ServerKind>;

function nodensLine(place: Place, tools: Tools, bundle: string, listen: object = {}): readonly string[] {
  // A full cache of either kind; an entry takes well below this.
  const bytes = Math.max(32 * 2 ** 20, place.entries * 1024);
  const settings = {
    listen: { addresses: [`127.0.0.1:${place.port}`], ...listen },
    admin: { address: `127.0.0.1:${place.adminPort}` },
    upstream: { servers: [`127.0.0.1:${place.upstreamPort}`] },
    search: { resolvConf: "" },
    cache: {
      answersBytes: bytes,
      denialsBytes: Math.max(8 * 2 ** 20, bytes / 4),
      ...(place.denialSeconds === undefined ? {} : { maxClusterDenialTtlSeconds: place.denialSeconds }),
    },
    shutdown: { drainMs: 0 },
    log: { level: "error" },
  };
  // JSON is YAML.
  const file = write(place, "nodens.yaml", JSON.stringify(settings));
  return [tools.node, ...tools.nodeFlags, bundle, "serve", "--config", file];
}

function unboundLine(place: Place): readonly string[] {
  const bytes = Math.max(4 * 2 ** 20, place.entries * 1024);
  const file = write(
    place,
    "unbound.conf",
    `server:
 interface: 127.0.0.1
 port: ${place.port}
 do-daemonize: no
 chroot: ""
 username: ""
 pidfile: ""
 directory: "${place.folder}"
 use-syslog: no
 num-threads: 1
 do-not-query-localhost: no
 module-config: "iterator"
 access-control: 127.0.0.0/8 allow
 incoming-num-tcp: 1000
 msg-cache-size: ${bytes}
 rrset-cache-size: ${2 * bytes}${place.denialSeconds === undefined ? "" : `\n cache-max-negative-ttl: ${place.denialSeconds}`}
remote-control:
 control-enable: no
forward-zone:
 name: "."
 forward-addr: 127.0.0.1@${place.upstreamPort}
`,
  );
  return ["unbound", "-d", "-c", file];
}

function dnsdistLine(place: Place): readonly string[] {
  const file = write(
    place,
    "dnsdist.conf",
    `setLocal("127.0.0.1:${place.port}")
setACL("127.0.0.0/8")
setMaxUDPOutstanding(65535)
newServer({address="127.0.0.1:${place.upstreamPort}", healthCheckMode="up"})
pc=newPacketCache(${Math.max(10_000, place.entries)}${place.denialSeconds === undefined ? "" : `, {maxNegativeTTL=${place.denialSeconds}}`})
getPool(""):setCache(pc)
setSecurityPollSuffix("")
`,
  );
  return ["dnsdist", "--supervised", "--disable-syslog", "-C", file];
}

function dnsmasqLine(place: Place): readonly string[] {
  const fixed = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"];
  return [
    "dnsmasq",
    ...fixed,
    "--user=root",
    "--pid-file=",
    "--log-facility=/dev/null",
    "--listen-address=127.0.0.1",
    `--port=${place.port}`,
    `--server=127.0.0.1#${place.upstreamPort}`,
    `--cache-size=${Math.max(10_000, place.entries)}`,
    "--dns-forward-max=10000",
  ];
}

function bindLine(place: Place): readonly string[] {
  const options = [
    `directory "${place.folder}"`,
    `managed-keys-directory "${place.folder}"`,
    "pid-file none",
    "session-keyfile none",
    `listen-on port ${place.port} { 127.0.0.1; }`,
    "listen-on-v6 { none; }",
    "recursion yes",
    "allow-query { 127.0.0.0/8; }",
    "allow-query-cache { 127.0.0.0/8; }",
    "allow-recursion { 127.0.0.0/8; }",
    "forward only",
    `forwarders port ${place.upstreamPort} { 127.0.0.1; }`,
    "dnssec-validation no",
    "empty-zones-enable no",
    "minimal-responses yes",
    "recursive-clients 20000",
    `max-cache-size ${Math.max(64, Math.ceil(place.entries / 500))}m`,
    "notify no",
    ...(place.denialSeconds === undefined ? [] : [`max-ncache-ttl ${place.denialSeconds}`]),
  ];
  const file = write(place, "named.conf", `options { ${options.join("; ")}; };\ncontrols { };\n`);
  return ["named", "-g", "-n", "1", "-c", file];
}

function corednsLine(
  place: Place,
  tools: Tools,
  zones: readonly string[],
  plugins: (zone: string, entries: number) => string,
): readonly string[] | undefined {
  if (tools.coredns === undefined) return undefined;
  const blocks = zones.map((zone) => {
    const transport = zone === "cluster.local" ? " {\n  force_tcp\n }" : "";
    const forward = `forward . 127.0.0.1:${place.upstreamPort}${transport}`;
    return `${zone}:${place.port} {\n bind 127.0.0.1\n ${plugins(zone, place.entries)}\n ${forward}\n}\n`;
  });
  return [tools.coredns, "-conf", write(place, "Corefile", blocks.join(""))];
}

function cacheOf(entries: number): string {
  const room = Math.max(9984, 2 * entries);
  return `cache {\n  success ${room} 3600\n  denial ${room} 1800\n }\n`;
}

function nodeLocal(zone: string, denialSeconds = 5): string {
  const cache = zone === "." ? "cache 30" : `cache {\n  success 9984 30\n  denial 9984 ${denialSeconds}\n }`;
  return `errors\n loop\n ${cache}\n `;
}

function metricsOf(place: Place): string {
  return `prometheus 127.0.0.1:${place.adminPort}`;
}

function write(place: Place, name: string, text: string): string {
  const file = join(place.folder, name);
  writeFileSync(file, text);
  return file;
}
