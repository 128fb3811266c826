/*
 * What the hot benchmarks are fed: packets as clients and kube-dns send them, built without any code of the product. Plain data, so
 * that an older revision can be measured with the same.
 */
import {
  a,
  aaaa,
  buildQuery,
  cname,
  replyTo,
  soa,
  type TestMessage,
  Type,
} from "../../test/support/messages/messages.ts";

/** A question in the forms that it has on its way. */
export interface Lookup {
  readonly name: string;
  readonly type: number;
  /** The client's query, without EDNS as musl and Alpine send it, and with it. */
  readonly plainQuery: Uint8Array;
  readonly ednsQuery: Uint8Array;
  /** What upstream answers, with ID 0 and OPT: owners are compressed, as CoreDNS does it. */
  readonly reply: Uint8Array;
}

/** All inputs. Lists are shuffled, the same way in each run. */
export interface HotInputs {
  /** 1,000 names, A and AAAA of each, in the mix of a node: Services, outside names, and names under search suffixes. */
  readonly mixed: readonly Lookup[];
  /** Services whose A record is the only one in the reply. */
  readonly small: readonly Lookup[];
  /** Headless Services with 13 addresses. */
  readonly large: readonly Lookup[];
  /** Headless Services with 40 addresses: more than 512 octets hold. */
  readonly oversized: readonly Lookup[];
  /** Names under search suffixes that are absent because their parent is. */
  readonly belowAbsentParents: readonly Lookup[];
  /** Those parents. */
  readonly absentParents: readonly Lookup[];
  /** Names under search suffixes that the cluster zone cannot hold. */
  readonly outsideSchema: readonly Lookup[];
}

/** The cluster zone of all names. */
export const clusterZone = "cluster.local";

const namespaces = Array.from({ length: 20 }, (_, index) => `team-${index}`);
const denial: TestMessage & { rcode: number } = { rcode: 3, flags: 0x0400, authorities: [soa(clusterZone)] };
const nodata: TestMessage = { flags: 0x0400, authorities: [soa(clusterZone)] };

/** Builds the inputs. */
export function createInputs(): HotInputs {
  const services = numbered(600, (index) => `backend-${index}.${namespaceOf(index)}.svc.${clusterZone}`);
  const outside = numbered(250, (index) => `www.shop-${index}.example-${index % 7}.com`);
  const absent = numbered(150, (index) => `api-${index}.com.${namespaceOf(index)}.svc.${clusterZone}`);
  const small = services.map((name) => lookup(name, Type.A, { flags: 0x0400, answers: [a("@12", "10.96.3.4")] }));
  const mixed = [
    ...small,
    ...services.map((name) => lookup(name, Type.AAAA, nodata)),
    ...outside.map((name) => lookup(name, Type.A, { answers: outsideAnswers(name, Type.A) })),
    ...outside.map((name) => lookup(name, Type.AAAA, { answers: outsideAnswers(name, Type.AAAA) })),
    ...bothTypes(absent, denial),
  ];
  return {
    mixed: shuffle(mixed),
    small: shuffle(small),
    large: shuffle(headless("peers", 13)),
    oversized: shuffle(headless("crowd", 40)),
    belowAbsentParents: shuffle(bothTypes(absent, denial)),
    absentParents: bothTypes(
      namespaces.map((namespace) => `com.${namespace}.svc.${clusterZone}`),
      denial,
    ),
    outsideSchema: shuffle(bothTypes(numbered(500, outsideSchemaName), denial)),
  };
}

/** 100 Services, each with so many addresses. */
function headless(kind: string, addressCount: number): Lookup[] {
  const answers = numbered(addressCount, (index) => a("@12", `10.244.7.${index + 1}`));
  const names = numbered(100, (index) => `${kind}-${index}.${namespaceOf(index)}.svc.${clusterZone}`);
  return names.map((name) => lookup(name, Type.A, { flags: 0x0400, answers }));
}

/** As a pod's second and third search suffix make them of a name with three labels. */
function outsideSchemaName(index: number): string {
  const name = `www.shop-${index}.com`;
  return index % 2 === 0 ? `${name}.${clusterZone}` : `${name}.${namespaceOf(index)}.svc.${clusterZone}`;
}

function outsideAnswers(name: string, type: number) {
  const target = `edge-${name.length % 5}.cdn.example.net`;
  const addresses = numbered(2, (index) =>
    type === Type.A ? a(target, `203.0.113.${index + 1}`, 60) : aaaa(target, index + 1, 60),
  );
  return [cname("@12", target, 300), ...addresses];
}

function bothTypes(names: readonly string[], answer: TestMessage): Lookup[] {
  return names.flatMap((name) => [lookup(name, Type.A, answer), lookup(name, Type.AAAA, answer)]);
}

function lookup(name: string, type: number, answer: TestMessage): Lookup {
  const asked = buildQuery(name, type, { id: 0, opt: { udpSize: 1232 } });
  return {
    name,
    type,
    plainQuery: buildQuery(name, type),
    ednsQuery: buildQuery(name, type, { opt: { udpSize: 1232 } }),
    reply: replyTo(asked, { ...answer, opt: { udpSize: 1232 } }),
  };
}

function namespaceOf(index: number): string {
  return namespaces[index % namespaces.length] as string;
}

function numbered<Item>(length: number, make: (index: number) => Item): Item[] {
  return Array.from({ length }, (_, index) => make(index));
}

/** Shuffles with a generator of its own (Fisher and Yates; a linear congruence), so that each run has the same order. */
function shuffle<Item>(items: Item[]): Item[] {
  let state = 0x5eed;
  for (let index = items.length - 1; index > 0; index -= 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = state % (index + 1);
    [items[index], items[other]] = [items[other] as Item, items[index] as Item];
  }
  return items;
}
