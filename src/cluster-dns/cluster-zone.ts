/*
 * What the kubernetes plugin of CoreDNS answers for a name and a type, based on the objects of the cluster: rcode, records and
 * SOA, with its quirks, on which the rules of nodens rely. Names are matched in any case; the question's spelling is kept.
 */
import { Packet } from "dns2";
import type { Resource } from "dns2";
import { addressType, canonicalAddress, createClusterObjects } from "./cluster-objects.ts";
import type { ClusterObjects, Target } from "./cluster-objects.ts";
import { emptyReply, makeRecord, splitName } from "./dns-message.ts";
import type { Query, Reply } from "./dns-message.ts";
import { checkZone } from "./zone-file.ts";
import type { OutsideTable, ZoneDefinition } from "./zone-file.ts";
import { createZoneRecords } from "./zone-records.ts";

/** The name and the type of a question. The name is written as in Query.name. */
export type Question = Pick<Query, "name" | "type">;

/** The zone's answer to a question. */
export interface ZoneAnswer extends Reply {
  /**
   * Set when the answer ends in a CNAME to a name outside the zone: the records of `target` belong after it. If that name
   * cannot be looked up, `otherwise` is the reply.
   */
  readonly outside?: { readonly target: string; readonly otherwise: Reply };
}

/** A cluster zone that may change while it is served. */
export interface ClusterZone extends Pick<
  ClusterObjects,
  "serial" | "addNamespace" | "removeNamespace" | "addService" | "removeService"
> {
  /** The zone's name, lower-case, without a final dot. */
  readonly name: string;
  /** The table of names outside the cluster that came with the zone. */
  readonly outsideTable: OutsideTable;
  /**
   * The answer to a question of class IN. Undefined for a name outside the zone, and for a reverse name that belongs to no Service or
   * endpoint: as kubeadm configures CoreDNS, such questions fall through to the resolvers.
   */
  answer(question: Question): ZoneAnswer | undefined;
}

/** Whether a type is AXFR or IXFR, which CoreDNS refuses. */
export function isTransfer(type: number): boolean {
  return type === Packet.TYPE.AXFR || type === incrementalTransfer;
}

const incrementalTransfer = 251;
const reverseZones = ["in-addr.arpa", "ip6.arpa"];
const schemaVersion = { text: "1.1.0", ttlSeconds: 28_800 };
const longestChain = 8;
const { TYPE, RCODE } = Packet;

/** Creates a zone from its definition, in which all names are lower-case. Throws an Error that names every wrong value. */
export function createClusterZone(definition: ZoneDefinition): ClusterZone {
  const checked = checkZone(definition);
  const { ttl } = checked;
  const objects = createClusterObjects(checked);
  const { nameServer, positive, denial, soa, cname, addressRecord } = createZoneRecords(ttl, objects);

  function answer(question: Question): ZoneAnswer | undefined {
    const zone = [checked.zone, ...reverseZones].find((name) => isWithin(question.name, name));
    if (zone === undefined) return undefined;
    if (isTransfer(question.type)) return emptyReply(RCODE.REFUSED);
    // The zone's names are spelled as the question spells them.
    const spelled = question.name.slice(question.name.length - zone.length);
    const labels = splitName(question.name.slice(0, -zone.length).toLowerCase());
    return zone === checked.zone
      ? answerCluster(question, labels, spelled)
      : answerReverse(question, labels, zone, spelled);
  }

  function answerCluster(question: Question, labels: readonly string[], zone: string): ZoneAnswer {
    const node = labels.join(".");
    const special = answerFixedNode(question, node, zone);
    if (special !== undefined) return special;
    // PTR is the one type for which CoreDNS does not know ns.dns.
    if (node === "ns.dns" && question.type !== TYPE.PTR && question.type !== TYPE.TXT)
      return answerNameServer(question, zone);
    const targets = objects.find(labels);
    if (targets === undefined) return denial(RCODE.NXDOMAIN, zone);
    const target = externalTarget(targets);
    switch (question.type) {
      case TYPE.A:
      case TYPE.AAAA:
        return answerAddress(question, targets, zone);
      case TYPE.CNAME:
        return positive(target === undefined ? [] : [cname(question.name, target)], zone);
      case TYPE.SRV:
        return answerService(question, target === undefined ? targets : [], zone);
      case TYPE.TXT:
        // CoreDNS denies the nodes without targets (zone, svc, pod, namespaces) for this type.
        return denial(targets.length === 0 ? RCODE.NXDOMAIN : RCODE.NOERROR, zone);
      default:
        return denial(RCODE.NOERROR, zone);
    }
  }

  /** The answer for an SOA, for NS at the apex, and for the schema's version: the same in cluster and reverse zones. */
  function answerFixedNode(question: Question, node: string, zone: string): ZoneAnswer | undefined {
    if (question.type === TYPE.SOA) return node === "" ? positive([soa(zone)], zone) : denial(RCODE.NOERROR, zone);
    if (question.type === TYPE.NS && node === "") {
      const { target, addresses } = nameServer(zone);
      const server = makeRecord(question.name, TYPE.NS, ttl, { ns: target });
      return { ...positive([server], zone), additionals: addresses.flatMap((ip) => addressRecord(target, ip)) };
    }
    if (question.type === TYPE.TXT && node === "dns-version") {
      const { text, ttlSeconds } = schemaVersion;
      return positive([makeRecord(question.name, TYPE.TXT, ttlSeconds, { data: [text] })], zone);
    }
    return undefined;
  }

  /** Names in the reverse zones that are not CoreDNS's own fall through: undefined. */
  function answerReverse(
    question: Question,
    labels: readonly string[],
    zone: string,
    spelled: string,
  ): ZoneAnswer | undefined {
    const special = answerFixedNode(question, labels.join("."), spelled);
    if (special !== undefined) return special;
    if (labels.length === 0) return question.type === TYPE.TXT ? undefined : denial(RCODE.NOERROR, spelled);
    const address = question.type === TYPE.PTR ? addressOfReverseName(labels, zone) : undefined;
    const nodes = address === undefined ? [] : objects.findByAddress(address);
    if (nodes.length === 0) return undefined;
    const names = [...new Set(nodes)];
    return positive(
      names.map((node) => makeRecord(question.name, TYPE.PTR, ttl, { domain: `${node}.${checked.zone}` })),
      spelled,
    );
  }

  function answerNameServer(question: Question, zone: string): ZoneAnswer {
    const records = nameServer(zone).addresses.flatMap((ip) => addressRecord(question.name, ip));
    return positive(
      records.filter(({ type }) => type === question.type),
      zone,
    );
  }

  function answerAddress(question: Question, targets: readonly Target[], zone: string): ZoneAnswer {
    const chain: Resource[] = [];
    const noData = denial(RCODE.NOERROR, zone);
    let name = question.name;
    let found = targets;
    // An ExternalName within the zone is followed here. Nothing remains of a chain that loops or leads nowhere.
    let target = externalTarget(found);
    while (target !== undefined) {
      if (chain.length === longestChain) return noData;
      chain.push(cname(name, target));
      if (!isWithin(target, zone)) return { ...positive(chain, zone), outside: { target, otherwise: noData } };
      name = target;
      found = objects.find(splitName(target.slice(0, -zone.length))) ?? [];
      target = externalTarget(found);
    }
    const addresses = [...new Set(found.map(({ host }) => host))].flatMap((ip) => addressRecord(name, ip));
    const wanted = addresses.filter(({ type }) => type === question.type);
    return wanted.length === 0 ? noData : positive([...chain, ...wanted], zone);
  }

  function answerService(question: Question, targets: readonly Target[], zone: string): ZoneAnswer {
    // The weights of all targets, of both address families, add up to about 100.
    const weight = Math.max(1, Math.floor(100 / targets.length));
    const records = new Map<string, Resource>();
    const addresses = new Map<string, Resource>();
    for (const { host, port, node } of targets) {
      if (port === undefined) continue;
      const target = `${node}.${zone}`;
      const data = { priority: 0, weight, port, target };
      if (!records.has(`${target} ${port}`))
        records.set(`${target} ${port}`, makeRecord(question.name, TYPE.SRV, ttl, data));
      for (const address of addressRecord(target, host)) addresses.set(`${target} ${host}`, address);
    }
    return { ...positive([...records.values()], zone), additionals: records.size === 0 ? [] : [...addresses.values()] };
  }

  return {
    name: checked.zone,
    outsideTable: checked.outside,
    answer,
    get serial() {
      return objects.serial;
    },
    addNamespace: (name) => objects.addNamespace(name),
    removeNamespace: (name) => objects.removeNamespace(name),
    addService: (namespace, name, service) => objects.addService(namespace, name, service),
    removeService: (namespace, name) => objects.removeService(namespace, name),
  };
}

/** The name that an ExternalName Service stands for, which is its only target; undefined for anything else. */
function externalTarget(targets: readonly Target[]): string | undefined {
  const host = targets[0]?.host;
  return host === undefined || addressType(host) !== undefined ? undefined : host;
}

function isWithin(name: string, zone: string): boolean {
  const depth = splitName(zone).length;
  return splitName(name).slice(-depth).join(".").toLowerCase() === zone.toLowerCase();
}

/** The address of "1.0.96.10" under in-addr.arpa, or of 32 nibbles under ip6.arpa; undefined for what is not a complete address. */
function addressOfReverseName(labels: readonly string[], zone: string): string | undefined {
  const parts = labels.toReversed();
  const text = zone === "ip6.arpa" ? (parts.join("").match(/.{1,4}/g) ?? []).join(":") : parts.join(".");
  const hasAllParts =
    zone === "ip6.arpa" ? parts.length === 32 && parts.every((part) => /^[0-9a-f]$/.test(part)) : parts.length === 4;
  return hasAllParts && addressType(text) !== undefined ? canonicalAddress(text) : undefined;
}
