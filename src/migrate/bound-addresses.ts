/*
 * The `bind` lines of a Corefile: the addresses that pods asked, and how nodens can be reached there.
 */
import { isIP, isIPv6 } from "node:net";
import { isVariable, kubeDnsVariable } from "./corefile-placeholders.ts";
import type { ServedZone } from "./corefile-zones.ts";
import type { ServerBlock } from "./corefile.ts";
import type { Migration } from "./gathered-settings.ts";

/**
 * The address of the kube-dns Service, taken from blocks whose placeholders are not filled in: what is bound beside a link-local
 * address. A variable where they do not tell.
 */
export function findServiceAddress(blocks: readonly ServerBlock[]): string {
  const bound = boundAddresses(blocks);
  if (!bound.some(({ address }) => isLinkLocal(address))) return kubeDnsVariable;
  const service = bound.find(({ address }) => isIP(address) === 4 && !isLinkLocal(address) && !isLoopback(address));
  return service?.address ?? kubeDnsVariable;
}

/** What nodens does with an address: puts it on the node, intercepts it, or listens on it. */
type Role = "own" | "service" | "listen";

interface BoundAddress {
  readonly address: string;
  readonly line: number;
}

/** Sets how pods reach nodens: at an address of its own, by interception of the Service's, or at the node's. */
export function migrateAddresses(
  zones: readonly ServedZone[],
  clusterServers: readonly string[],
  migration: Migration,
): void {
  const blocks = [...new Set(zones.map(({ block }) => block))];
  const ports = [...new Set(zones.map(({ port }) => port))];
  const bound = boundAddresses(blocks).filter(({ address, line }) => {
    if (isIP(address) !== 0 || isVariable(address)) return true;
    migration.lose(
      line,
      "bind",
      `${address} is not an IP address; list the addresses of this interface in listen.addresses`,
    );
    return false;
  });
  const unboundBlock = blocks.find(({ directives }) => !directives.some(({ name }) => name === "bind"));
  if (bound.length === 0) {
    if (unboundBlock !== undefined) listenEverywhere(unboundBlock.line, ports, migration);
    return;
  }
  if (unboundBlock !== undefined) {
    migration.note(
      unboundBlock.line,
      "bind",
      "this block has none; nodens answers for all zones at the addresses of the other blocks",
    );
  }
  const roles = rolesOf(bound, clusterServers);
  const withRole = (wanted: Role) => bound.filter((one) => roles.get(one) === wanted);
  attach(withRole("own"), withRole("service"), ports, migration);
  const listening = withRole("listen");
  if (listening.length === bound.length) answerAtNode(listening, migration);
  if (listening.length > 0) {
    const addresses = listening.flatMap(({ address }) => ports.map((port) => inBrackets(address, port)));
    migration.set("listen.addresses", addresses, listening[0]?.line);
  } else migration.set("listen.addresses", [], undefined);
}

function boundAddresses(blocks: readonly ServerBlock[]): BoundAddress[] {
  const binds = blocks.flatMap(({ directives }) => directives.filter(({ name }) => name === "bind"));
  const addresses = new Map<string, BoundAddress>();
  for (const { arguments: bound, line } of binds) {
    for (const address of bound) if (!addresses.has(address)) addresses.set(address, { address, line });
  }
  return [...addresses.values()];
}

/**
 * NodeLocal DNSCache binds a link-local address for IPv4, a unique local one (RFC 4193) for IPv6 and, where kube-proxy lets it, the
 * addresses of the Service. Those may be unique local too: then its own is the first of the two.
 */
function rolesOf(bound: readonly BoundAddress[], clusterServers: readonly string[]): Map<BoundAddress, Role> {
  const services = new Set([kubeDnsVariable, ...clusterServers]);
  const isBesideOwn = bound.some(({ address }) => isLinkLocal(address) || address === kubeDnsVariable);
  const isBesideService = bound.some(({ address }) => services.has(address) && !isLoopback(address));
  const firstLocal = bound.find(({ address }) => isUniqueLocal(address) && !services.has(address));
  const roleOf = (one: BoundAddress): Role => {
    if (isLoopback(one.address)) return "listen";
    if (services.has(one.address)) return "service";
    if (isLinkLocal(one.address)) return "own";
    if (isVariable(one.address)) return "listen";
    if (one === firstLocal && (isBesideOwn || isBesideService)) return "own";
    return isBesideOwn ? "service" : "listen";
  };
  return new Map(bound.map((one) => [one, roleOf(one)]));
}

function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.");
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

function isUniqueLocal(address: string): boolean {
  return isIPv6(address) && /^f[cd]/i.test(address);
}

function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function attach(
  own: readonly BoundAddress[],
  services: readonly BoundAddress[],
  ports: readonly number[],
  migration: Migration,
): void {
  const [first] = [...own, ...services];
  if (first === undefined) return;
  const used = own.filter(
    (one, index) => own.findIndex(({ address }) => isIP(address) === isIP(one.address)) === index,
  );
  for (const { address, line } of own.filter((one) => !used.includes(one))) {
    migration.lose(
      line,
      "bind",
      `${address} is a second address of its family; point pods at ${used[0]?.address ?? "the other"}`,
    );
  }
  if (used.length > 0)
    migration.set(
      "attach.addresses",
      used.map(({ address }) => address),
      used[0]?.line,
    );
  if (ports.some((port) => port !== 53)) {
    migration.lose(first.line, "bind", "nodens answers there on port 53 only; for other ports, see listen.addresses");
  }
  intercept(used, services, migration);
}

/** What is bound without an address of its own or the Service's is the node's, unless it is loopback or every address. */
function answerAtNode(listening: readonly BoundAddress[], migration: Migration): void {
  const node = listening.find(({ address }) => !isLoopback(address) && !isUnspecified(address));
  if (node === undefined) return;
  migration.set("attach.mode", "host-ip", node.line);
  migration.explain(
    "attach",
    `host-ip, because ${node.address}, the node's own address, was bound: pods have it as their nameserver.`,
  );
}

/** Interception needs an address on the node for each family of the Service. */
function intercept(own: readonly BoundAddress[], services: readonly BoundAddress[], migration: Migration): void {
  // Without attach.addresses the default applies, which is an IPv4 address.
  const hasOwn = (address: string) =>
    !isIPv6(address) || own.some((one) => isIPv6(one.address)) || address === kubeDnsVariable;
  for (const { address, line } of services.filter(({ address }) => !hasOwn(address))) {
    const message = `${address} is not intercepted; add an IPv6 address to attach.addresses, such as a unique local one of your choice`;
    migration.lose(line, "bind", message);
  }
  const usable = services.filter(({ address }) => hasOwn(address));
  const [first] = usable;
  const asked = migration.valueOf("upstream.servers");
  if (first === undefined) {
    migration.set("attach.mode", "link-local", own[0]?.line);
    migration.explain("attach", linkLocalComment(own));
    return;
  }
  migration.set("attach.mode", "intercept", first.line);
  migration.explain("attach", interceptComment(first));
  const addresses = usable.map(({ address }) => address);
  const isAsked = Array.isArray(asked) && asked.join(" ") === addresses.join(" ");
  if (!isAsked) migration.set("attach.virtualAddresses", addresses, first.line);
  const message =
    "nodens redirects what pods send to the Service's address instead of taking that address over; upstream.servers may name the same address, and you need no second Service";
  migration.note(first.line, "bind", message);
  if (isAsked) return;
  const doubt = `${String(asked)} may be NodeLocal DNSCache's second Service, kube-dns-upstream, which goes away with it; in that case, name ${String(addresses)} instead`;
  migration.note(first.line, "upstream.servers", doubt);
}

function linkLocalComment(own: readonly BoundAddress[]): string {
  const addresses = own.map(({ address }) => address).join(" and ");
  return `link-local, because only ${addresses} was bound: pods have it as their nameserver.`;
}

function interceptComment({ address }: BoundAddress): string {
  return [
    `intercept, because the kube-dns Service's address ${address} was bound too: pods have that as their nameserver.`,
    "nodens redirects what they send there while it answers; otherwise it goes to kube-dns.",
  ].join("\n");
}

function listenEverywhere(line: number, ports: readonly number[], migration: Migration): void {
  const addresses = ports.flatMap((port) => [`0.0.0.0:${port}`, `[::]:${port}`]);
  migration.set("listen.addresses", addresses, line);
  migration.explain("listen", "All addresses of the machine, because none was bound. listen.allow says who may ask.");
}

function inBrackets(address: string, port: number): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}
