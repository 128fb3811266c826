/*
 * The records that CoreDNS puts into its replies for a zone of the cluster, and the two kinds of reply that it makes of them. A zone is
 * given as the question spells it.
 */
import { Packet } from "dns2";
import type { Resource } from "dns2";
import { addressType, type ClusterObjects } from "./cluster-objects.ts";
import { emptyReply, makeRecord, type Reply } from "./dns-message.ts";

/** Makers of records and replies for the objects of one cluster. */
export interface ZoneRecords {
  /** The name server's name and addresses: the Service kube-dns, or without it CoreDNS itself. */
  nameServer(zone: string): { readonly target: string; readonly addresses: readonly string[] };
  /** A reply with these answers; a denial of the type where there are none. */
  positive(answers: readonly Resource[], zone: string): Reply;
  /** A reply without answers, with the zone's SOA. */
  denial(rcode: number, zone: string): Reply;
  /** The zone's SOA, with the serial of the cluster's objects. */
  soa(zone: string): Resource;
  /** A CNAME from `name` to `target`. */
  cname(name: string, target: string): Resource;
  /** The A or AAAA record; empty for what is not an address. */
  addressRecord(name: string, ip: string): Resource[];
}

/** Makers of records whose TTL is `ttl` seconds, the SOA's at most 300. */
export function createZoneRecords(ttl: number, objects: ClusterObjects): ZoneRecords {
  function nameServer(zone: string): { target: string; addresses: readonly string[] } {
    const addresses = objects.clusterAddresses("kube-system", "kube-dns");
    if (addresses === undefined) return { target: `ns.dns.${zone}`, addresses: ["127.0.0.1"] };
    return { target: `kube-dns.kube-system.svc.${zone}`, addresses };
  }

  function positive(answers: readonly Resource[], zone: string): Reply {
    return answers.length === 0
      ? denial(Packet.RCODE.NOERROR, zone)
      : { ...emptyReply(Packet.RCODE.NOERROR), authoritative: true, answers };
  }

  function denial(rcode: number, zone: string): Reply {
    return { ...emptyReply(rcode), authoritative: true, authority: [soa(zone)] };
  }

  function soa(zone: string): Resource {
    const names = { primary: `ns.dns.${zone}`, admin: `hostmaster.${zone}` };
    const times = { refresh: 7200, retry: 1800, expiration: 86_400, minimum: ttl };
    return makeRecord(zone, Packet.TYPE.SOA, Math.min(ttl, 300), { ...names, serial: objects.serial, ...times });
  }

  function cname(name: string, target: string): Resource {
    return makeRecord(name, Packet.TYPE.CNAME, ttl, { domain: target });
  }

  function addressRecord(name: string, ip: string): Resource[] {
    const type = addressType(ip);
    return type === undefined ? [] : [makeRecord(name, type, ttl, { address: ip })];
  }

  return { nameServer, positive, denial, soa, cname, addressRecord };
}
