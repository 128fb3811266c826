/*
 * Names outside the cluster: forwarded to the machine's own resolvers, or answered from the built-in table if none of them answers,
 * so that a trial works offline too.
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { Packet } from "dns2";
import type { Resource } from "dns2";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { askResolver } from "./ask-resolver.ts";
import { isTransfer } from "./cluster-zone.ts";
import type { Question } from "./cluster-zone.ts";
import { composeReply, emptyReply, parseQuery } from "./dns-message.ts";
import type { Protocol, Query } from "./dns-message.ts";
import { answerFromTable } from "./outside-table.ts";
import type { OutsideTable } from "./zone-file.ts";

/**
 * "built-in": only the table. "auto": the resolvers of /etc/resolv.conf once one of them has answered, the table until then.
 * A list of resolvers: the same, with these.
 */
export type OutsideSource = "auto" | "built-in" | { readonly resolvers: readonly ServerAddress[] };

/** Answers for names outside the cluster. */
export interface OutsideNames {
  /**
   * The whole reply to a query: a resolver's own bytes, or one from the table. SERVFAIL if no resolver answers in time, REFUSED for a
   * transfer, or if too many questions are waiting.
   */
  answer(query: Query, protocol: Protocol): Promise<Buffer>;
  /** The answer records for a name, to be added after a CNAME. Undefined if it cannot be looked up. */
  lookUp(question: Question, protocol: Protocol): Promise<readonly Resource[] | undefined>;
  /** Ends every question that is waiting for a resolver: it gets SERVFAIL. */
  close(): void;
}

/** What createOutsideNames needs. */
export interface OutsideOptions {
  readonly source: OutsideSource;
  readonly table: OutsideTable;
  /** Addresses that lead back to this server, and are never asked. */
  readonly ownAddresses: readonly ServerAddress[];
  readonly clock: Clock;
}

const resolvConfPath = "/etc/resolv.conf";
const probeTimeoutMs = 1_000;
const queryTimeoutMs = 1_500;
/** As many as glibc reads. Together with the timeout this bounds the time spent on a question. */
const mostResolvers = 3;
/** kubeadm's CoreDNS forwards at most 1000 questions at a time and refuses the rest. Fewer here, because each holds a socket. */
const mostWaiting = 250;
const { RCODE } = Packet;

/** Starts answering at once, from the table; probes the resolvers in the background. */
export function createOutsideNames(options: OutsideOptions): OutsideNames {
  const { table, clock } = options;
  const closing = new AbortController();
  let resolvers: readonly ServerAddress[] = [];
  let waiting = 0;
  void probeAll();

  async function probeAll(): Promise<void> {
    const candidates = candidateResolvers(options);
    const answering = await Promise.all(candidates.map(probe));
    // Those that did not answer are asked last, because they may come back.
    if (answering.includes(true)) resolvers = candidates.toSorted((a, b) => rank(a) - rank(b));
    function rank(resolver: ServerAddress): number {
      return answering[candidates.indexOf(resolver)] === true ? 0 : 1;
    }
  }

  /** Whether a resolver works. Offline, resolvers often answer SERVFAIL or REFUSED, which does not count. */
  async function probe(resolver: ServerAddress): Promise<boolean> {
    const reply = await ask(makeQuery({ name: "", type: Packet.TYPE.NS }), "udp", resolver, probeTimeoutMs);
    return reply !== undefined && (reply.readUInt16BE(2) & 0xf) === RCODE.NOERROR;
  }

  function ask(
    query: Query,
    protocol: Protocol,
    resolver: ServerAddress,
    timeoutMs: number,
  ): Promise<Buffer | undefined> {
    const message = Buffer.from(query.bytes);
    message.writeUInt16BE(randomInt(0x1_0000), 0);
    return askResolver(message, query, { resolver, protocol, timeoutMs, clock, signal: closing.signal });
  }

  /** Asks one resolver after the other. Resolves with a reply, or with the rcode of the error if there is none. */
  async function askAll(query: Query, protocol: Protocol): Promise<Buffer | number> {
    if (waiting >= mostWaiting) return RCODE.REFUSED;
    waiting += 1;
    try {
      for (const resolver of resolvers) {
        if (closing.signal.aborted) break;
        const reply = await ask(query, protocol, resolver, queryTimeoutMs);
        if (reply !== undefined) return reply;
      }
      return RCODE.SERVFAIL;
    } finally {
      waiting -= 1;
    }
  }

  return {
    async answer(query, protocol) {
      if (isTransfer(query.type)) return composeReply(query, emptyReply(RCODE.REFUSED), protocol);
      if (resolvers.length === 0) return composeReply(query, answerFromTable(table, query), protocol);
      const reply = await askAll(query, protocol);
      if (typeof reply === "number") return composeReply(query, emptyReply(reply), protocol);
      // The client's own ID and spelling.
      query.bytes.copy(reply, 0, 0, 2);
      query.bytes.copy(reply, 12, 12, query.questionEnd);
      return reply;
    },
    async lookUp(question, protocol) {
      if (resolvers.length === 0) {
        const reply = answerFromTable(table, question);
        return isLookedUp(reply.rcode) ? reply.answers : undefined;
      }
      const reply = await askAll(makeQuery(question), protocol);
      if (typeof reply === "number") return undefined;
      const packet = Packet.parse(reply);
      return packet.errors.length === 0 && isLookedUp(packet.header.rcode) ? packet.answers : undefined;
    },
    close: () => closing.abort(),
  };
}

/** The servers on the nameserver lines of a resolv.conf, with port 53. Lines without an IP address are skipped. */
export function parseNameServers(text: string): ServerAddress[] {
  return text
    .split("\n")
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? "")
    .filter((host) => isIP(host) !== 0)
    .map((host) => ({ host, port: 53 }));
}

/** Whether a lookup succeeded. It also did if the name does not exist: CoreDNS then answers with only the CNAME. */
function isLookedUp(rcode: number): boolean {
  return rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN;
}

function candidateResolvers({ source, ownAddresses }: OutsideOptions): ServerAddress[] {
  if (source === "built-in") return [];
  const named = source === "auto" ? parseNameServers(readResolvConf()) : source.resolvers;
  return named.filter((resolver) => !ownAddresses.some((own) => leadsTo(resolver, own))).slice(0, mostResolvers);
}

function readResolvConf(): string {
  try {
    return readFileSync(resolvConfPath, "utf8");
  } catch {
    return "";
  }
}

/** Whether asking `resolver` would reach `own`, a socket of this machine that may be bound to a wildcard. */
function leadsTo(resolver: ServerAddress, own: ServerAddress): boolean {
  if (resolver.port !== own.port) return false;
  const isWildcard = own.host === "0.0.0.0" || own.host === "::";
  return resolver.host === own.host || (isWildcard && isLocalAddress(resolver.host));
}

function isLocalAddress(host: string): boolean {
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return (isIPv4(host) && host.startsWith("127.")) || interfaces.some(({ address }) => address === host);
}

/** A recursive query for a name that comes from this program or from the zone. Throws an Error for any other. */
function makeQuery(question: Question): Query {
  const packet = new Packet(new Packet.Header({ rd: 1 }));
  packet.questions.push(new Packet.Question({ ...question, class: Packet.CLASS.IN }));
  const query = parseQuery(packet.toBuffer());
  if ("fault" in query) throw new Error(`cannot make a query for ${question.name}`);
  return query;
}
