/*
 * Answers from the built-in table of names outside the cluster, as a resolver would: for trying nodens offline, and for tests.
 */
import { Packet } from "dns2";
import type { Resource } from "dns2";
import type { Question } from "./cluster-zone.ts";
import { emptyReply, makeRecord } from "./dns-message.ts";
import type { Reply } from "./dns-message.ts";
import type { OutsideTable } from "./zone-file.ts";

const { TYPE, RCODE } = Packet;
const longestChain = 8;

/**
 * The reply to a question of class IN. CNAMEs are followed, and a loop of them is SERVFAIL; a name that is neither listed nor above a
 * listed one is NXDOMAIN with the SOA of a made-up root.
 */
export function answerFromTable(table: OutsideTable, question: Question): Reply {
  const answers: Resource[] = [];
  let name = question.name;
  while (answers.length < longestChain) {
    const records = recordsOf(table, name);
    if (records === undefined) return withRoot(exists(table, name) ? RCODE.NOERROR : RCODE.NXDOMAIN, answers);
    const alias = records.find(({ type }) => type === TYPE.CNAME);
    if (alias?.domain === undefined || question.type === TYPE.CNAME) {
      const found = records.filter(({ type }) => type === question.type);
      return found.length === 0
        ? withRoot(RCODE.NOERROR, answers)
        : { ...fromResolver, answers: [...answers, ...found] };
    }
    answers.push(alias);
    name = alias.domain;
  }
  return { ...fromResolver, rcode: RCODE.SERVFAIL };
}

const fromResolver: Reply = { ...emptyReply(RCODE.NOERROR), recursionAvailable: true };

const rootSoa = makeRecord("", TYPE.SOA, 300, {
  primary: "ns.root.invalid",
  admin: "hostmaster.root.invalid",
  serial: 1,
  refresh: 1800,
  retry: 900,
  expiration: 604_800,
  minimum: 300,
});

function withRoot(rcode: number, answers: readonly Resource[]): Reply {
  return { ...fromResolver, rcode, answers, authority: [rootSoa] };
}

function recordsOf(table: OutsideTable, name: string): Resource[] | undefined {
  const key = name.toLowerCase();
  const listed = Object.hasOwn(table.names, key) ? table.names[key] : undefined;
  if (listed === undefined) return undefined;
  const make = (type: number, data: Partial<Resource>) => makeRecord(name, type, table.ttl, data);
  return [
    ...listed.A.map((address) => make(TYPE.A, { address })),
    ...listed.AAAA.map((address) => make(TYPE.AAAA, { address })),
    ...listed.MX.map(({ preference, exchange }) => make(TYPE.MX, { priority: preference, exchange })),
    ...listed.TXT.map((text) => make(TYPE.TXT, { data: [text] })),
    ...(listed.CNAME === undefined ? [] : [make(TYPE.CNAME, { domain: listed.CNAME })]),
  ];
}

/** Whether a name is the root or above a listed name: it exists then, without data (RFC 8020). */
function exists(table: OutsideTable, name: string): boolean {
  const key = name.toLowerCase();
  return key === "" || Object.keys(table.names).some((listed) => listed.endsWith(`.${key}`));
}
