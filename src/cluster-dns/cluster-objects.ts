/*
 * The Namespaces, Services, endpoints and pods of the stand-in cluster, and which of them a name under the zone refers to:
 * what the kubernetes plugin of CoreDNS looks up in its watch of the API.
 */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { Packet } from "dns2";
import { checkLabel, checkService } from "./zone-file.ts";
import type { CheckedService, CheckedZone, ServiceDefinition } from "./zone-file.ts";

/** One thing that a name leads to, before a type is chosen. */
export interface Target {
  /** An IP address, or the name that an ExternalName Service stands for. */
  readonly host: string;
  /** The port for SRV; undefined where the Service declares none. */
  readonly port: number | undefined;
  /** The name, without the zone, by which SRV refers to it: "web.shop.svc". */
  readonly node: string;
}

/** The objects of a cluster. They may change at any time. */
export interface ClusterObjects {
  /** The SOA serial: grows with every change. */
  readonly serial: number;
  /**
   * What the lower-case labels left of the zone lead to: targets, an empty array for a node that exists without data of its own, or
   * undefined where CoreDNS answers that there is no such name.
   */
  find(labels: readonly string[]): readonly Target[] | undefined;
  /** The Service and endpoint names, without the zone, that a reverse lookup of a canonical IP address gives; empty if there are none. */
  findByAddress(address: string): readonly string[];
  /** The cluster IPs of a Service; undefined if there is no such Service, or if it has none. */
  clusterAddresses(namespace: string, service: string): readonly string[] | undefined;
  /** Adds a namespace without Services; an existing one stays as it is. Throws an Error if the name is not a DNS label. */
  addNamespace(name: string): void;
  /** Removes a namespace with all its Services and pods; false if there was none. */
  removeNamespace(name: string): boolean;
  /**
   * Adds a Service, and its namespace if that is absent. Replaces a Service of the same name, so this is also how endpoints change.
   * Throws an Error that names every wrong value.
   */
  addService(namespace: string, name: string, definition: ServiceDefinition): void;
  /** Removes a Service; false if there was none. */
  removeService(namespace: string, name: string): boolean;
}

interface Namespace {
  readonly pods: readonly string[];
  readonly services: Map<string, CheckedService>;
}

/** Which part of a Service is asked for; an empty string stands for any. */
interface ServiceRequest {
  readonly namespace: string;
  readonly service: string;
  readonly endpoint: string;
  readonly port: string;
  readonly protocol: string;
}

/** Creates the objects of a checked zone. */
export function createClusterObjects(zone: CheckedZone): ClusterObjects {
  const namespaces = new Map<string, Namespace>();
  for (const [name, { pods, services }] of Object.entries(zone.namespaces)) {
    namespaces.set(name, { pods, services: new Map(Object.entries(services)) });
  }
  let serial = 1;

  function find(labels: readonly string[]): readonly Target[] | undefined {
    // From the right: {svc|pod} namespace service, then an endpoint, or a protocol and a port.
    const [kind, namespaceName, service, ...rest] = labels.toReversed();
    if (kind === undefined) return [];
    if (kind !== "svc" && kind !== "pod") return undefined;
    if (namespaceName === undefined) return [];
    if (rest.length > 2) return undefined;
    const namespace = namespaces.get(namespaceName);
    if (namespace === undefined) return undefined;
    if (kind === "pod") return findPod(namespaceName, namespace, service);
    if (service === undefined) return [];
    const [endpoint, protocol, port] = rest.length === 2 ? ["", ...rest] : [rest[0] ?? "", "", ""];
    return findService(namespace, {
      namespace: namespaceName,
      service,
      endpoint,
      port: withoutUnderscore(port ?? ""),
      protocol: withoutUnderscore(protocol ?? ""),
    });
  }

  function findPod(
    namespaceName: string,
    namespace: Namespace,
    pod: string | undefined,
  ): readonly Target[] | undefined {
    if (zone.pods === "disabled") return undefined;
    if (pod === undefined) return [];
    const isIPv4Shaped = pod.split("-").length === 4 && !pod.includes("--");
    const address = pod.replaceAll("-", isIPv4Shaped ? "." : ":");
    if (isIP(address) === 0 || address.includes("%")) return undefined;
    if (zone.pods === "verified" && !namespace.pods.includes(address)) return undefined;
    // CoreDNS gives pods port 0, so an SRV query for one has an answer.
    return [{ host: address, port: 0, node: `${pod}.${namespaceName}.pod` }];
  }

  /** The namespace of that name, which is added if it is absent. */
  function namespaceNamed(name: string): Namespace {
    const present = namespaces.get(name);
    if (present !== undefined) return present;
    const added: Namespace = { pods: [], services: new Map() };
    namespaces.set(checkLabel(name), added);
    serial += 1;
    return added;
  }

  return {
    get serial() {
      return serial;
    },
    find,
    findByAddress(address) {
      const services = [...namespaces].flatMap(([namespace, { services: named }]) =>
        [...named].map(([name, service]) => ({ node: `${name}.${namespace}.svc`, service })),
      );
      const owner = services.find(({ service }) => service.clusterIPs?.some((ip) => canonicalAddress(ip) === address));
      if (owner !== undefined) return [owner.node];
      return services.flatMap(({ node, service }) =>
        readyEndpoints(service)
          .filter(({ ip }) => canonicalAddress(ip) === address)
          .map((endpoint) => `${endpoint.label}.${node}`),
      );
    },
    clusterAddresses: (namespace, service) => namespaces.get(namespace)?.services.get(service)?.clusterIPs,
    addNamespace: namespaceNamed,
    removeNamespace(name) {
      const removed = namespaces.delete(name);
      if (removed) serial += 1;
      return removed;
    },
    addService(namespace, name, definition) {
      const service = checkService(definition);
      namespaceNamed(namespace).services.set(checkLabel(name), service);
      serial += 1;
    },
    removeService(namespace, name) {
      const removed = namespaces.get(namespace)?.services.delete(name) ?? false;
      if (removed) serial += 1;
      return removed;
    },
  };
}

/** The type of the record that holds a Target's host, A or AAAA; undefined if the host is not an address. */
export function addressType(host: string): number | undefined {
  if (isIPv4(host)) return Packet.TYPE.A;
  return isIPv6(host) ? Packet.TYPE.AAAA : undefined;
}

function findService(namespace: Namespace, request: ServiceRequest): readonly Target[] | undefined {
  const service = namespace.services.get(request.service);
  if (service === undefined) return undefined;
  const node = `${request.service}.${request.namespace}.svc`;
  if (service.externalName !== undefined) {
    return request.endpoint === "" ? [{ host: service.externalName, port: 0, node }] : undefined;
  }
  const ports = matchingPorts(service, request);
  const targets =
    service.clusterIPs !== undefined && request.endpoint === ""
      ? ports.flatMap((port) => (service.clusterIPs ?? []).map((host) => ({ host, port, node })))
      : readyEndpoints(service)
          .filter(({ label }) => request.endpoint === "" || request.endpoint === label)
          .flatMap(({ ip, label }) => ports.map((port) => ({ host: ip, port, node: `${label}.${node}` })));
  // A headless Service without ready endpoints, or a port or endpoint that is absent: there is no such name.
  return targets.length === 0 ? undefined : targets;
}

/** The numbers of the ports that match. A Service without ports has one without a number: addresses, but no SRV. */
function matchingPorts(service: CheckedService, request: ServiceRequest): readonly (number | undefined)[] {
  if (service.ports.length === 0) return request.port === "" && request.protocol === "" ? [undefined] : [];
  return service.ports
    .filter(({ name }) => request.port === "" || request.port === name)
    .filter(({ protocol }) => request.protocol === "" || request.protocol === protocol.toLowerCase())
    .map(({ port }) => port);
}

/** The endpoints that DNS shows, each with its label: its hostname, or its address with dashes. */
function readyEndpoints(service: CheckedService): { ip: string; label: string }[] {
  return service.endpoints
    .filter(({ ready }) => ready)
    .map(({ ip, hostname }) => ({ ip, label: hostname ?? ip.replace(/[.:]/g, "-") }));
}

function withoutUnderscore(label: string): string {
  return label.startsWith("_") ? label.slice(1) : label;
}

/** The canonical spelling of an IP literal (RFC 5952), so that addresses can be compared as text. */
export function canonicalAddress(ip: string): string {
  return isIPv6(ip) ? Packet.toIPv6(Packet.fromIPv6(ip).map((group) => parseInt(group, 16))) : ip;
}
