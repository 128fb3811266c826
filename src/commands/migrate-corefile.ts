/*
 * A Corefile of NodeLocal DNSCache, or of another CoreDNS that forwards, in settings of nodens: what each line becomes, and which
 * lines have no counterpart here.
 */
import { isIP, isIPv6 } from "node:net";
import { parseServerAddress } from "../runtime/server-address.ts";
import type { Corefile, Directive, ServerBlock } from "./corefile.ts";
import type { Migration } from "./migration.ts";

/** What the manifests of NodeLocal DNSCache leave for a script to fill in. */
const pillars: Readonly<Record<string, string>> = {
  __PILLAR__DNS__DOMAIN__: "cluster.local",
  __PILLAR__CLUSTER__DNS__: kubeDnsVariable(),
  __PILLAR__DNS__SERVER__: kubeDnsVariable(),
  __PILLAR__LOCAL__DNS__: "169.254.20.10",
};

function kubeDnsVariable(): string {
  return "${KUBE_DNS_IP}";
}

/** The servers of the node's resolv.conf: by that name or by the placeholder for it. */
const nodeResolvers = new Set(["/etc/resolv.conf", "__PILLAR__UPSTREAM__SERVERS__"]);

/** Plugins that nodens does without asking, or has elsewhere. */
const builtIn: Readonly<Record<string, string>> = {
  errors: "failures are logged and counted",
  reload: "a changed settings file is always taken over",
  loop: "loops are always looked for, and end forwarding instead of the process",
  loadbalance: "the order of records is left as upstream sent it",
  minimal: "replies are left as upstream sent them",
  ready: "/readyz at admin.address",
  health: "/healthz at admin.address, and the files of probes.directory",
  debug: "log.level: debug",
  any: "ANY is asked upstream like other types",
  cancel: "every question has a deadline (upstream.deadlineMs)",
  nsid: "no name server identifier is added",
  trace: "there is no tracing",
  pprof: "there is no profiler",
  whoami: "there is nothing like it",
  chaos: "version.bind is not answered",
  bind: "see attach and listen",
};

/** Options of `forward` that nodens does without asking, or has nothing for, and that change no answer. */
const harmlessForwardOptions: Readonly<Record<string, string>> = {
  policy: "servers that are up are used in turn",
  expire: "flows retire by age (upstream.tcp.maxAgeSeconds, upstream.udp.maxAgeSeconds)",
  max_idle_conns: "flows are few anyway (upstream.tcp.maxFlows)",
  max_fails: "upstream.health.failuresUntilDown",
  health_check: "servers that are down are probed (upstream.health)",
  max_concurrent: "limits.maxInFlight bounds questions under way",
  prefer_udp: "see upstream.clusterTransport and upstream.outsideTransport",
  failfast_all_unhealthy_upstreams: "servers that are down are still asked when all are",
  next: "an upstream's failure gets a second opinion from the next server",
};

/** Adds what the Corefile says to `migration`. */
export function migrateCorefile({ blocks, unresolved }: Corefile, migration: Migration): void {
  for (const { line, message } of unresolved) migration.lose(line, "import", message);
  const zones = blocks.flatMap((block) => zonesOf(block, migration).map((zone) => ({ zone, block })));
  const clusterDomain = findClusterDomain(zones.map(({ zone }) => zone));
  for (const { zone, block } of zones) {
    const forward = block.directives.find(({ name }) => name === "forward");
    if (forward !== undefined) migrateForward(zone, clusterDomain, forward, migration);
  }
  if (clusterDomain === undefined) {
    migration.lose(blocks[0]?.line ?? 1, "zone", "which zone is the cluster's cannot be told; set cluster.domain");
  } else {
    const line = zones.find(({ zone }) => zone === clusterDomain)?.block.line;
    migration.set("cluster.domain", clusterDomain, line);
  }
  for (const block of blocks) {
    const isCluster = zones.some((other) => other.block === block && other.zone === clusterDomain);
    for (const directive of block.directives) migratePlugin(directive, isCluster, migration);
  }
  migrateAddresses(blocks, migration);
}

/** Zones in lower case without the last dot; the root is ".". */
function zonesOf({ keys, line }: ServerBlock, migration: Migration): string[] {
  return keys.flatMap((key) => {
    const [, zone = "", port = "53"] =
      /^(?:dns:\/\/)?(.*?)(?::(\d+))?$/.exec(pillars[key.replace(/:\d+$/, "")] ?? key) ?? [];
    if (/^\w+:\/\//.test(zone)) {
      migration.lose(line, key, "nodens has DNS over UDP and TCP only");
      return [];
    }
    if (zone.includes("/")) {
      migration.lose(line, key, "write the range as reverse zones in upstream.stubDomains");
      return [];
    }
    if (port !== "53") migration.note(line, key, `the port ${port} is not carried over; see listen.addresses`);
    return [zone.toLowerCase().replace(/(?<=.)\.$/, "") || "."];
  });
}

/** The usual name, or else the only one that is neither the root nor a reverse zone. */
function findClusterDomain(zones: readonly string[]): string | undefined {
  if (zones.includes("cluster.local")) return "cluster.local";
  const others = [...new Set(zones.filter((zone) => zone !== "." && !zone.endsWith(".arpa")))];
  return others.length === 1 ? others[0] : undefined;
}

function migrateForward(
  zone: string,
  clusterDomain: string | undefined,
  forward: Directive,
  migration: Migration,
): void {
  const [from = ".", ...to] = forward.arguments;
  if (from !== "." && from !== zone) migration.lose(forward.line, "forward", `only names below ${from} were forwarded`);
  const servers = to.flatMap((target) => serverOf(target, forward.line, migration));
  const isReverse =
    zone === "in-addr.arpa" || zone === "ip6.arpa" || zone.endsWith(".in-addr.arpa") || zone.endsWith(".ip6.arpa");
  if (zone === clusterDomain) migration.setServers("upstream.servers", servers, forward.line);
  else if (zone === ".") migrateOutside(to, servers, forward.line, migration);
  else if (isReverse && isAnsweredByCluster(to)) migration.add("cluster.reverseZones", zone, forward.line);
  else if (servers.length > 0) migration.setServers(`upstream.stubDomains.${zone}`, servers, forward.line);
  for (const option of forward.block) migrateForwardOption(option, zone, clusterDomain, migration);
}

function isAnsweredByCluster(targets: readonly string[]): boolean {
  return targets.some((target) => target in pillars) || !targets.some((target) => nodeResolvers.has(target));
}

function migrateOutside(to: readonly string[], servers: readonly string[], line: number, migration: Migration): void {
  if (to.some((target) => nodeResolvers.has(target))) {
    const message =
      "the servers of the node's resolv.conf were asked about outside names; nodens asks kube-dns, unless upstream.outsideServers names servers";
    migration.note(line, "forward", message);
    return;
  }
  migration.setServers("upstream.outsideServers", servers, line);
}

function serverOf(target: string, line: number, migration: Migration): string[] {
  if (target in pillars) return [pillars[target] ?? target];
  if (nodeResolvers.has(target)) return [];
  const plain = target.replace(/^dns:\/\//, "");
  if (/^(?:tls|https|quic|grpc):\/\//.test(target)) {
    migration.lose(line, "forward", `${target}: nodens asks over UDP and TCP only`);
    return [];
  }
  if (/^\{[$%]/.test(plain) || parseServerAddress(plain, 53) !== undefined)
    return [plain.replace(/^\{\$(\w+)\}/, "${$1}")];
  migration.lose(line, "forward", `${target} is no IP address`);
  return [];
}

function migrateForwardOption(
  option: Directive,
  zone: string,
  clusterDomain: string | undefined,
  migration: Migration,
): void {
  const { name, line } = option;
  if (name === "force_tcp") {
    if (zone === ".") migration.set("upstream.outsideTransport", "tcp", line);
    else if (zone === clusterDomain) migration.set("upstream.clusterTransport", "tcp", line);
    return;
  }
  const counterpart = harmlessForwardOptions[name];
  if (counterpart === undefined) migration.lose(line, `forward ${name}`, "there is nothing like it");
  else migration.note(line, `forward ${name}`, counterpart);
}

function migratePlugin(directive: Directive, isCluster: boolean, migration: Migration): void {
  const { name, line } = directive;
  if (name === "forward") return;
  if (name === "cache") migrateCache(directive, isCluster, migration);
  else if (name === "prometheus") migratePrometheus(directive, migration);
  else if (name === "log") migration.set("log.queries", true, line);
  else if (name === "bufsize") migrateBufsize(directive, migration);
  else if (name in builtIn) {
    if (name !== "bind") migration.note(line, name, builtIn[name] ?? "");
  } else migration.lose(line, name, "there is nothing like it: keep it in the cluster's CoreDNS, which is asked");
}

/** Of blocks that differ the shortest life: nothing is remembered for longer than before. */
function migrateCache(cache: Directive, isCluster: boolean, migration: Migration): void {
  const [ttl] = cache.arguments.filter((argument) => /^\d+$/.test(argument)).map(Number);
  const options = new Map(cache.block.map((option) => [option.name, option]));
  const ttlOf = (name: string): number | undefined => {
    const own = options.get(name)?.arguments[1];
    return own === undefined ? ttl : Number(own);
  };
  const line = cache.line;
  const [success, denial] = [ttlOf("success"), ttlOf("denial")];
  if (success !== undefined) migration.setLowest("cache.maxTtlSeconds", clamp(success, 1, 604_800), line);
  if (denial !== undefined) {
    if (isCluster) migration.setLowest("cache.maxClusterDenialTtlSeconds", clamp(denial, 0, 30), line);
    else migration.setLowest("cache.maxDenialTtlSeconds", clamp(denial, 1, 86_400), line);
  }
  for (const option of cache.block) {
    if (option.name === "serve_stale") {
      migration.setLowest("cache.staleSeconds", secondsOf(option.arguments[0] ?? "1h"), option.line);
    } else if (option.name === "prefetch") migration.set("cache.prefetch", true, option.line);
    else if (option.name === "servfail") {
      migration.setLowest(
        "cache.maxFailureTtlSeconds",
        clamp(secondsOf(option.arguments[0] ?? "5s"), 1, 300),
        option.line,
      );
    } else if (option.name === "success" || option.name === "denial") {
      migration.note(
        option.line,
        `cache ${option.name}`,
        "the number of entries is not carried over: nodens counts bytes (cache.answersBytes, cache.denialsBytes)",
      );
    } else migration.lose(option.line, `cache ${option.name}`, "there is nothing like it");
  }
}

function migratePrometheus({ arguments: [address], line }: Directive, migration: Migration): void {
  if (address === undefined) return;
  const [, host = "", port = "9253"] =
    /^(.*?)(?::(\d+))?$/.exec(pillars[address.replace(/:\d+$/, "")] ?? address) ?? [];
  const chosen = host === "" || host.startsWith("__PILLAR__") ? "0.0.0.0" : host;
  migration.set("admin.address", `${isIPv6(chosen) ? `[${chosen}]` : chosen}:${port}`, line);
}

function migrateBufsize({ arguments: [size = "1232"], line }: Directive, migration: Migration): void {
  migration.setLowest("listen.maxUdpReplyBytes", clamp(Number(size) || 1232, 512, 4096), line);
}

/** Where pods asked: an address of the cache's own, the Service's address, or both. */
function migrateAddresses(blocks: readonly ServerBlock[], migration: Migration): void {
  const binds = blocks.flatMap(({ directives }) => directives.filter(({ name }) => name === "bind"));
  const [first] = binds;
  if (first === undefined) return;
  const addresses = [...new Set(binds.flatMap((bind) => bind.arguments))].map((address) => ({
    written: address,
    address: pillars[address] ?? address,
  }));
  const isLinkLocal = (address: string) => address.startsWith("169.254.");
  const hasOwn = addresses.some(({ address }) => isLinkLocal(address));
  // NodeLocal DNSCache takes a unique local address (RFC 4193) beside it for IPv6.
  const isOwn = (address: string) => isLinkLocal(address) || (hasOwn && /^f[cd]/i.test(address));
  const own = addresses.filter(({ address }) => isOwn(address)).map(({ address }) => address);
  const others = addresses.filter(({ address }) => !isOwn(address)).map(({ address }) => address);
  const named = others.filter((address) => isIP(address) === 0 && address !== kubeDnsVariable());
  for (const name of named) migration.lose(first.line, "bind", `${name} is no IP address; see listen.addresses`);
  const reachable = others.filter((address) => !named.includes(address));
  if (own.length === 0) {
    // Addresses of the node, or of a machine that is none.
    const listening = reachable.map((address) => `${isIPv6(address) ? `[${address}]` : address}:53`);
    if (listening.length > 0) migration.setList("listen.addresses", listening, first.line);
    return;
  }
  migration.setList("attach.addresses", own, first.line);
  migration.setList("listen.addresses", [], first.line);
  migration.set("attach.mode", reachable.length === 0 ? "link-local" : "intercept", first.line);
  if (reachable.length === 0) return;
  const message =
    "what pods ask the Service's address is redirected, instead of that address being taken over: upstream.servers may be the same address, and no second Service is needed";
  migration.note(first.line, "bind", message);
  if (reachable.some((address) => address !== kubeDnsVariable())) {
    migration.setList("attach.virtualAddresses", reachable, first.line);
  }
}

/** Go's durations ("1h30m", "5s"); a bare number is seconds. */
function secondsOf(text: string): number {
  const factors: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (parts.length === 0) return Number(text) || 0;
  return Math.round(parts.reduce((sum, [, amount, unit = "s"]) => sum + Number(amount) * (factors[unit] ?? 1), 0));
}

function clamp(value: number, lowest: number, highest: number): number {
  return Math.min(highest, Math.max(lowest, value));
}
