/*
 * What pods look up: each node its own selection of the cluster's names, a few of them often and many of them seldom.
 *
 * A lookup is getaddrinfo's: A and AAAA at once. Lookups that find both in the cache change nothing but the entries' hits, so they are
 * counted and not carried out: what is simulated is each lookup that may reach kube-dns.
 */
import { createQueryView, type ClientQuery, readQuery } from "../../src/wire/query.ts";
import { composeQuery, ownQuestion } from "../../src/wire/question.ts";
import { RrType } from "../../src/wire/codes.ts";
import { wireName } from "../../src/wire/name-text.ts";
import { type Chance, zipfShares } from "./chance.ts";

/** How much is looked up. */
export interface WorkloadLimits {
  /** Of one node, of all names. */
  readonly lookupsPerSecond: number;
  /** Different names that the pods of one node look up. */
  readonly services: number;
  readonly outsideNames: number;
  /** Names that a search list makes of outside names, and that the cluster zone denies. */
  readonly absentNames: number;
}

/** A name that is looked up. */
export interface LookedUpName {
  /** A and AAAA. One view for all nodes: they hash names alike, which a real fleet does not. */
  readonly queries: readonly ClientQuery[];
}

/** A name of one node. */
export interface NodeName extends LookedUpName {
  readonly lookupsPerSecond: number;
  /** The pod that looks it up. */
  readonly client: string;
}

/** The default: a small node. Twice the names are twice the questions. */
export const defaultWorkload: WorkloadLimits = {
  lookupsPerSecond: 12,
  services: 14,
  outsideNames: 4,
  absentNames: 2,
};

/** Keys the hashes of names, on every node. */
export const hashSeed = 20_261_127;

/** So many names of each kind a cluster has. */
const namesInCluster = 400;

const podsPerNode = 10;

/** Creates the names of a cluster, and chooses those of a node. */
export function createWorkload(limits: WorkloadLimits, chance: Chance): { namesOfNode(): NodeName[] } {
  const cluster = {
    services: namesLike((nth) => `s${nth}.team-${nth % 20}.svc.cluster.local`),
    outsideNames: namesLike((nth) => `o${nth}.api.example`),
    absentNames: namesLike((nth) => `com.team-${nth}.svc.cluster.local`),
  };
  const count = limits.services + limits.outsideNames + limits.absentNames;
  const shares = zipfShares(count);

  return {
    namesOfNode() {
      const names = [
        ...choose(cluster.services, limits.services, chance),
        ...choose(cluster.outsideNames, limits.outsideNames, chance),
        ...choose(cluster.absentNames, limits.absentNames, chance),
      ];
      return shuffled(names, chance).map(({ queries }, rank) => ({
        queries,
        lookupsPerSecond: (shares[rank] ?? 0) * limits.lookupsPerSecond,
        client: `10.0.0.${Math.floor(chance() * podsPerNode)}`,
      }));
    },
  };
}

function namesLike(textOf: (nth: number) => string): LookedUpName[] {
  return Array.from({ length: namesInCluster }, (_, nth) => {
    const name = wireName(textOf(nth));
    return { queries: [RrType.A, RrType.AAAA].map((type) => queryOf(name, type)) };
  });
}

function queryOf(name: Uint8Array, type: number): ClientQuery {
  const packet = composeQuery(ownQuestion(name, type));
  const query = createQueryView(hashSeed);
  readQuery(packet, packet.length, query);
  return query;
}

/** Different names, those at the head of the list more often. */
function choose(names: readonly LookedUpName[], count: number, chance: Chance): LookedUpName[] {
  const chosen = new Set<LookedUpName>();
  while (chosen.size < count) {
    const name = names[Math.floor(names.length * chance() ** 2)];
    if (name !== undefined) chosen.add(name);
  }
  return [...chosen];
}

function shuffled<Item>(items: readonly Item[], chance: Chance): Item[] {
  return items
    .map((item) => ({ item, place: chance() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
