/*
 * What the servers are asked, as files for the load generator (load.c has their form): popular names often and others seldom, the
 * same draws for every server.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { buildQuery, Flags, Type } from "../../test/support/messages/messages.ts";
import { type Chance, createChance, zipfShares } from "../fleet/chance.ts";

/** Kinds of names, by what upstream says of them (upstream.c). */
export type NameKind = keyof typeof nameKinds;

const zone = "cluster.local";

const nameKinds = {
  /** A name outside of the cluster that exists for an hour. */
  outside: (nth: number) => `host-${nth}.zone-${nth % 7}.example.net`,
  /** Like that, and others. */
  unasked: (nth: number) => `rare-${nth}.zone-${nth % 7}.example.org`,
  /** A Service. */
  cluster: (nth: number) => `svc-${nth}.team-${nth % 20}.svc.${zone}`,
  /** Denied by upstream for five minutes. */
  absent: (nth: number) => `host-${nth}.zone-${nth % 7}.absent.example`,
  /** Under a pod's first suffix, of four labels: the cluster zone cannot hold it. */
  schema: (nth: number) => `www.shop-${nth}.com.team-${nth % 20}.svc.${zone}`,
  /** Below a Service that does not exist, one for each namespace. */
  learned: (nth: number) => `shop-${nth}.com.team-${nth % 20}.svc.${zone}`,
} as const;

/** A set of names to be asked for A or AAAA. */
export interface NameSet {
  readonly kind: NameKind;
  readonly count: number;
  /** Whether queries carry EDNS with DO. */
  readonly hasEdns?: boolean;
  /** Whether both address types are asked. */
  readonly bothTypes?: boolean;
}

const draws = 100_000;
const seed = 20_261_127;
const plainFlags = { flags: Flags.RD };
const ednsFlags = { flags: Flags.RD, opt: { udpSize: 1232, dnssecOk: true } };

/** Each name of the set once, in each type: fills a cache. */
export function writeAll(file: string, set: NameSet): void {
  writeLookups(file, set.count * typesOf(set).length, (index) => oneQuery(set, index));
}

/** Names of the set as often as they are popular (Zipf). */
export function writeDraws(file: string, set: NameSet): void {
  const chance = createChance(seed);
  const pick = createPicker(set.count, chance);
  const types = typesOf(set).length;
  writeLookups(file, draws, () => oneQuery(set, pick() * types + Math.floor(chance() * types)));
}

/** Lookups of pods with the usual search list: each step a name, asked for both types; upstream knows which are Services. */
export function writePodLookups(file: string): void {
  const chance = createChance(seed);
  const pick = createPicker(podNames.length, chance);
  const order = shuffled(podNames, chance);
  writeLookups(file, draws / 2, () => {
    const name = order[pick()] as string;
    const own = `team-${Math.floor(chance() * podTeams)}`;
    const search = [`${own}.svc.${zone}`, `svc.${zone}`, zone];
    return [...search.map((suffix) => `${name}.${suffix}`), name].map((full) => [
      buildQuery(full, Type.A, plainFlags),
      buildQuery(full, Type.AAAA, plainFlags),
    ]);
  });
}

const podTeams = 20;

/** Services of the pod's own namespace and of others, and outside names, as applications write them. */
const podNames = [
  ...Array.from({ length: 120 }, (_, nth) => `svc-${nth}`),
  ...Array.from({ length: 180 }, (_, nth) => `svc-${nth}.team-${nth % podTeams}`),
  ...Array.from({ length: 80 }, (_, nth) => `api.vendor-${nth}.com`),
  ...Array.from({ length: 80 }, (_, nth) => `vendor-${nth}.io`),
  ...Array.from({ length: 40 }, (_, nth) => `www.eu.shop-${nth}.net`),
];

function oneQuery(set: NameSet, index: number): readonly (readonly Uint8Array[])[] {
  const types = typesOf(set);
  const name = nameKinds[set.kind](Math.floor(index / types.length));
  const type = types[index % types.length] as number;
  return [[buildQuery(name, type, set.hasEdns === true ? ednsFlags : plainFlags)]];
}

function typesOf({ bothTypes }: NameSet): readonly number[] {
  return bothTypes === true ? [Type.A, Type.AAAA] : [Type.A];
}

/** Picks a rank, the first most often. */
function createPicker(count: number, chance: Chance): () => number {
  const ends = new Float64Array(count);
  let sum = 0;
  for (const [rank, share] of zipfShares(count).entries()) ends[rank] = sum += share;
  return () => {
    const drawn = chance() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] as number) < drawn) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function shuffled<Item>(items: readonly Item[], chance: Chance): Item[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(chance() * left.length), 1)[0] as Item);
}

function writeLookups(
  file: string,
  count: number,
  lookup: (index: number) => readonly (readonly Uint8Array[])[],
): void {
  const handle = openSync(file, "w");
  let parts: Uint8Array[] = [];
  const flush = () => {
    writeSync(handle, Buffer.concat(parts));
    parts = [];
  };
  for (let index = 0; index < count; index += 1) {
    const steps = lookup(index);
    parts.push(Uint8Array.of(steps.length));
    for (const queries of steps) {
      parts.push(Uint8Array.of(queries.length));
      for (const query of queries) parts.push(Uint8Array.of(query.length >> 8, query.length & 255), query);
    }
    if (parts.length > 50_000) flush();
  }
  flush();
  closeSync(handle);
}
