/* Names of the zone cluster.local, read as the search rules read them. */
import { type ClusterName, createClusterName, readClusterName } from "../../../src/search/cluster-name.ts";
import { nameBytes } from "../../support/messages/messages.ts";

/** The cluster zone of these tests, in wire form. */
export const zone = nameBytes("cluster.local");

/** The view of a name; "Z" at its end stands for the zone. Each call makes a new view. */
export function viewOf(name: string): ClusterName {
  const octets = nameBytes(fullName(name));
  const view = createClusterName();
  readClusterName(octets, octets.length, zone, view);
  return view;
}

/** The whole name behind the short form of the tables: "x.svc.Z" is x.svc.cluster.local. */
export function fullName(name: string): string {
  return name.replace(/\bZ$/, "cluster.local");
}
