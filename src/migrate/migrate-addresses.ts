/*
 * The `bind` lines of a Corefile: at which addresses pods asked, and how nodens is to be found there.
 */
import { isIP, isIPv6 } from "node:net";
import { isVariable, kubeDnsVariable } from "./corefile-placeholders.ts";
import type { ServedZone } from "./corefile-zones.ts";
import type { ServerBlock } from "./corefile.ts";
import type { Migration } from "./migration.ts";

/**
 * The address of the kube-dns Service, as far as blocks with placeholders in them tell: what is bound beside a link-local
 * address. A variable where they do not.
 */
export function findServiceAddress(blocks: readonly ServerBlock[]): string {
  const bound = boundAddresses(blocks);
  if (!bound.some(({ address }) => isLinkLocal(address))) return kubeDnsVariable;
  const service = bound.find(({ address }) => isIP(address) === 4 && !isLinkLocal(address) && !isLoopback(address));
  return service?.address ?? kubeDnsVariable;
}

/** What nodens has to do at an address. */
type Role = "own" | "service" | "listen";

interface BoundAddress {
  readonly address: string;
  readonly line: number;
}

/** Sets how pods reach nodens: by an address of its own, by interception of the Service's, or where it listens. */
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
      `${address} is no IP address; name the addresses of this interface in listen.addresses`,
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
      "not in this block; nodens answers for all zones at the addresses of the others",
    );
  }
  const roles = rolesOf(bound, clusterServers);
  const withRole = (wanted: Role) => bound.filter((one) => roles.get(one) === wanted);
  attach(withRole("own"), withRole("service"), ports, migration);
  const listening = withRole("listen");
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
 * NodeLocal DNSCache binds a link-local IPv4 address, for IPv6 one that is unique local (RFC 4193), and where kube-proxy lets it
 * those of the Service. A Service may be unique local too: then its own is the first of two.
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
      `${address} is a second address of its family; let pods ask ${used[0]?.address ?? "one"}`,
    );
  }
  if (used.length > 0)
    migration.set(
      "attach.addresses",
      used.map(({ address }) => address),
      used[0]?.line,
    );
  if (ports.some((port) => port !== 53)) {
    migration.lose(first.line, "bind", "pods find nodens on port 53 there, and on no other; see listen.addresses");
  }
  intercept(used, services, migration);
}

/** Interception needs an address of its own of each family that a Service has. */
function intercept(own: readonly BoundAddress[], services: readonly BoundAddress[], migration: Migration): void {
  // Without attach.addresses the default, which is an IPv4 address, is used.
  const hasOwn = (address: string) =>
    !isIPv6(address) || own.some((one) => isIPv6(one.address)) || address === kubeDnsVariable;
  for (const { address, line } of services.filter(({ address }) => !hasOwn(address))) {
    const message = `${address} is not intercepted: that needs an IPv6 address in attach.addresses, a ULA of your choice`;
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
    "what pods send to the Service's address is redirected, instead of that address being taken over; upstream.servers may be the same address, and no second Service is needed";
  migration.note(first.line, "bind", message);
  if (isAsked) return;
  const doubt = `${String(asked)} may be NodeLocal DNSCache's second Service, kube-dns-upstream, and end with it; name ${String(addresses)} then`;
  migration.note(first.line, "upstream.servers", doubt);
}

function linkLocalComment(own: readonly BoundAddress[]): string {
  const addresses = own.map(({ address }) => address).join(" and ");
  return `link-local, because ${addresses} alone was bound: pods have it as their nameserver.`;
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
  migration.explain("listen", "All addresses of the machine, because none was bound. Who may ask is in listen.allow.");
}

function inBrackets(address: string, port: number): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}
