/*
 * Which reverse zones belong to the cluster: those whose addresses its pods have.
 */
import { isIP } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { addressOctets } from "../runtime/server-address.ts";
import { defaultSettings, type Settings } from "./settings-table.ts";

/**
 * The zones of `cluster.reverseZones` and, where that is left at its default, those of every range of `listen.allow`: whoever is answered
 * may be a pod. A range of everything says nothing about pods, and adds none.
 */
export function clusterReverseZones({ cluster, listen }: Settings): readonly string[] {
  if (!isDeepStrictEqual(cluster.reverseZones, defaultSettings().cluster.reverseZones)) return cluster.reverseZones;
  const ranges = listen.allow.filter(({ prefixLength }) => prefixLength > 0);
  const zones = ranges.flatMap(({ address, prefixLength }) => reverseZonesOf(address, prefixLength) ?? []);
  return [...new Set([...cluster.reverseZones, ...zones])];
}

/**
 * The reverse zones of a range of addresses: they end at whole octets, or hexadecimal digits for IPv6, and a range between two is all
 * zones of the longer one. Undefined for a length that no address has.
 */
export function reverseZonesOf(address: string, length: number): string[] | undefined {
  const isV6 = isIP(address) === 6;
  const octets = addressOctets(address);
  if (length > octets.length * 8) return undefined;
  const parts = isV6 ? octets.flatMap((octet) => [octet >> 4, octet & 15]) : octets;
  const [bits, suffix] = isV6 ? [4, "ip6.arpa"] : [8, "in-addr.arpa"];
  const count = Math.ceil(length / bits);
  const last = parts[count - 1];
  if (last === undefined) return [suffix];
  const zoneCount = 2 ** (count * bits - length);
  const firstLast = last - (last % zoneCount);
  return Array.from({ length: zoneCount }, (_, index) => {
    const own = [...parts.slice(0, count - 1), firstLast + index].toReversed();
    return [...own.map((part) => part.toString(isV6 ? 16 : 10)), suffix].join(".");
  });
}
