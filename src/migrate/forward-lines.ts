/*
 * The `forward` lines of a Corefile: which names went to which servers, and over which transport.
 */
import { formatServerAddress } from "../runtime/server-address.ts";
import { parseUpstreamServer } from "../settings/setting-kinds.ts";
import { isVariable, nodeServersPlaceholder } from "./corefile-placeholders.ts";
import { isAtOrBelow, isReverseZone, namesOf, type ServedZone } from "./corefile-zones.ts";
import type { Directive } from "./corefile.ts";
import type { Migration } from "./gathered-settings.ts";

/** Where the names of a zone went. */
export interface Route {
  readonly zone: string;
  /** In the form that settings take. */
  readonly servers: readonly string[];
  /** Whether the servers of the node's resolv.conf, or of another such file, were asked. */
  readonly asksNode: boolean;
  readonly isOverTcp: boolean;
  readonly line: number;
}

/** Options that nodens does anyway, or has elsewhere. */
const harmlessOptions: ReadonlyMap<string, string> = new Map(
  Object.entries({
    prefer_udp: "see upstream.clusterTransport and upstream.outsideTransport",
    policy: "nodens asks the first server of the list that is up, and the others when it does not answer",
    expire: "see upstream.tcp.idleTimeoutMs",
    max_age: "see upstream.tcp.maxAgeSeconds and upstream.udp.maxAgeSeconds",
    max_idle_conns: "see upstream.tcp.maxFlows",
    read_timeout: "see upstream.udp.retransmitMs, upstream.tcp.queryTimeoutMs and upstream.deadlineMs",
    max_fails: "see upstream.health.failuresUntilDown",
    max_connect_attempts: "see upstream.maxSends",
    health_check: "nodens probes servers that are down; see upstream.health",
    max_concurrent: "see limits.maxInFlight, which counts for each route",
    failfast_all_unhealthy_upstreams: "nodens asks servers even when all of them are down",
    failover: "after SERVFAIL and REFUSED, nodens asks the next server",
    resolver: "nodens takes servers by address only",
    tls: "nodens does not support DNS over TLS",
    tls_servername: "nodens does not support DNS over TLS",
    doh_method: "nodens does not support DNS over HTTPS",
  }),
);

const lostOptions: ReadonlyMap<string, string> = new Map(
  Object.entries({
    except: "nodens forwards these names too; give them servers of their own in upstream.stubDomains",
    next: "the first answer counts; leave asking the second server to the cluster's DNS",
    next_on_nodata: "the first answer counts; leave asking the second server to the cluster's DNS",
    source_address: "the node's routing decides the source address; allow that address on the server",
  }),
);

/** The routes of all blocks, one per zone. Remarks on what a route cannot express. */
export function readRoutes(zones: readonly ServedZone[], migration: Migration): Route[] {
  const routes = new Map<string, Route>();
  for (const { zone, block } of zones) {
    const forwards = block.directives.filter(({ name }) => name === "forward");
    for (const forward of forwards) {
      for (const from of zonesForwarded(zone, forward, migration)) {
        const route = readRoute(from, forward, migration);
        const known = routes.get(from);
        if (known === undefined) routes.set(from, route);
        else noteSecond(known, route, migration);
      }
    }
    for (const forward of forwards) remarkOnOptions(forward, forwards.length > 1, migration);
  }
  return [...routes.values()];
}

/** The zones of which `forward FROM` takes the names, within the zone of its block. */
function zonesForwarded(zone: string, { arguments: [from = "."], line }: Directive, migration: Migration): string[] {
  const names = namesOf(from.replace(/:\d+$/, "")) ?? [];
  return names.flatMap((name) => {
    if (isAtOrBelow(zone, name)) return [zone];
    if (isAtOrBelow(name, zone)) return [name];
    migration.note(line, "forward", `never used: no name of ${zone} is below ${name}`);
    return [];
  });
}

function readRoute(zone: string, forward: Directive, migration: Migration): Route {
  const { line, block } = forward;
  const targets = forward.arguments.slice(1);
  const asksNode = targets.some(isNodeServers);
  const servers = targets
    .filter((target) => !isNodeServers(target))
    .flatMap((target) => serverOf(target, line, migration));
  return {
    zone,
    servers: withoutRepetition(servers),
    asksNode,
    isOverTcp: block.some(({ name }) => name === "force_tcp"),
    line,
  };
}

function isNodeServers(target: string): boolean {
  return target.startsWith("/") || target === nodeServersPlaceholder;
}

function serverOf(target: string, line: number, migration: Migration): string[] {
  const address = target.replace(/^dns:\/\//, "");
  // Without the port, the variable may hold an IPv6 address too.
  if (isVariable(address)) return [address.replace(/:53$/, "")];
  const parsed = parseUpstreamServer(address);
  if (parsed !== undefined) return [parsed.port === 53 ? parsed.host : formatServerAddress(parsed)];
  const why = /^\w+:\/\//.test(target)
    ? "nodens forwards over UDP and TCP only; name a server that answers over those"
    : "not an IP address that can be asked; nodens cannot look up its own servers, so name their addresses";
  migration.lose(line, "forward", `${target}: ${why}`);
  return [];
}

function withoutRepetition(servers: readonly string[]): string[] {
  return [...new Set(servers)];
}

/** Of two in a block CoreDNS asks the first. It tells two blocks for a zone apart by address or port; nodens does not. */
function noteSecond(known: Route, route: Route, migration: Migration): void {
  const isSame = known.servers.join(" ") === route.servers.join(" ") && known.asksNode === route.asksNode;
  if (isSame || known.line === route.line) return;
  const message = `${route.zone} already goes to the servers of line ${known.line}; a zone has one list of servers`;
  migration.lose(route.line, "forward", message);
}

function remarkOnOptions(forward: Directive, hasNext: boolean, migration: Migration): void {
  for (const { name, line } of forward.block) {
    if (name === "force_tcp") continue;
    const isIdle = name.startsWith("next") && !hasNext;
    const harmless = isIdle ? "this block has no second forward" : harmlessOptions.get(name);
    if (harmless !== undefined) migration.note(line, `forward ${name}`, harmless);
    else migration.lose(line, `forward ${name}`, lostOptions.get(name) ?? "nodens migrate does not know this option");
  }
}

/**
 * Turns routes into settings. `clusterDomain` is undefined where it is not known; `serviceAddress` is the server for the
 * cluster's names where no route has one.
 */
export function placeRoutes(
  routes: readonly Route[],
  clusterDomain: string | undefined,
  serviceAddress: string,
  migration: Migration,
): void {
  const root = routes.find(({ zone }) => zone === ".");
  const cluster = routes.find(({ zone }) => zone === clusterDomain);
  const servers = placeClusterServers(cluster, root, serviceAddress, migration);
  if (root !== undefined) placeOutside(root, cluster, servers, migration);
  else if (routes.length > 0) {
    migration.note(
      routes[0]?.line,
      "forward",
      "no block is for all other names; nodens forwards them to upstream.servers",
    );
  }
  const rest = routes.filter((route) => route !== root && route !== cluster);
  for (const route of rest) placeZone(route, root, servers, migration);
  const isSplit = rest.some(({ zone }) => isReverseZone(zone) && migration.valueOf(`upstream.stubDomains.${zone}`));
  // The default would keep the private ranges from a server that was asked about all of them.
  if (isSplit && migration.valueOf("cluster.reverseZones") === undefined) {
    migration.set("cluster.reverseZones", [], undefined);
  }
  const forced = rest.find(({ zone, isOverTcp }) => isOverTcp && migration.valueOf(`upstream.stubDomains.${zone}`));
  if (forced !== undefined && migration.valueOf("upstream.outsideTransport") === undefined) {
    const message = "nodens forwards stub domains like outside names, over UDP first; see upstream.outsideTransport";
    migration.note(forced.line, "forward force_tcp", message);
  }
}

/** The servers of the cluster's names, or of all names where those had no block of their own. */
function placeClusterServers(
  cluster: Route | undefined,
  root: Route | undefined,
  serviceAddress: string,
  migration: Migration,
): readonly string[] {
  const source = cluster ?? root;
  if (source !== undefined && source.servers.length > 0) {
    migration.setServers("upstream.servers", source.servers, source.line);
    if (source.isOverTcp) migration.set("upstream.clusterTransport", "tcp", source.line);
    return source.servers;
  }
  migration.set("upstream.servers", [serviceAddress], undefined);
  if (source === undefined || !isVariable(serviceAddress)) return [serviceAddress];
  const message = `no server is named for the cluster's names; nodens forwards them to ${serviceAddress}, the kube-dns Service`;
  if (cluster === undefined) migration.note(source.line, "forward", message);
  else migration.lose(source.line, "forward", message);
  return [serviceAddress];
}

function placeOutside(
  root: Route,
  cluster: Route | undefined,
  clusterServers: readonly string[],
  migration: Migration,
): void {
  const { servers, asksNode, isOverTcp, line } = root;
  if (isOverTcp) migration.set("upstream.outsideTransport", "tcp", line);
  if (asksNode) {
    const message =
      "outside names went to the node's servers (resolv.conf); nodens forwards them to kube-dns, unless upstream.outsideServers names servers";
    migration.note(line, "forward", message);
  }
  const isSame = cluster === undefined || servers.join(" ") === clusterServers.join(" ");
  if (!isSame) migration.setServers("upstream.outsideServers", servers, line);
}

function placeZone(
  route: Route,
  root: Route | undefined,
  clusterServers: readonly string[],
  migration: Migration,
): void {
  const { zone, servers, asksNode, line } = route;
  const isOfCluster = servers.length > 0 && servers.every((server) => clusterServers.includes(server));
  if (isReverseZone(zone) && isOfCluster) migration.add("cluster.reverseZones", zone, line);
  else if (servers.length > 0) migration.setServers(`upstream.stubDomains.${zone}`, servers, line);
  else if (asksNode && root?.asksNode === true) {
    migration.note(line, "forward", `${zone} went where all outside names went, and still does`);
  } else if (asksNode) {
    const message = `${zone} went to the node's servers (resolv.conf); name them in upstream.stubDomains`;
    migration.lose(line, "forward", message);
  } else migration.lose(line, "forward", `${zone} is forwarded like outside names: none of its servers can be asked`);
}
