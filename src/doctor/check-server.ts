/*
 * A DNS server, asked often: what is lost over UDP and TCP, how long it takes, whether EDNS gets through, and whether it denies what does not exist.
 */
import { randomInt } from "node:crypto";
import { askOnce } from "../runtime/ask-once.ts";
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { Rcode, rcodeName, RrClass, RrType } from "../wire/codes.ts";
import { optSizeBytes } from "../wire/edns.ts";
import { Flag, HeaderOffset, rcodeMask } from "../wire/header.ts";
import { wireName } from "../wire/name-text.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import { composeQuery, ownQuestion } from "../wire/question.ts";
import { repeatsQuestion } from "../wire/reply.ts";
import type { Finding } from "./finding.ts";

/** How a server is asked. */
export interface ServerCheck {
  readonly server: ServerAddress;
  /** A name that exists, as text. */
  readonly name: string;
  readonly clock: Clock;
  /** How often, over each transport. */
  readonly times: number;
}

const timeoutMs = 2000;
const ednsSizes = [512, 1232, 4096] as const;

/** Asks, and says what came of it. Never rejects. */
export async function checkServer(asked: ServerCheck): Promise<Finding[]> {
  const label = formatServerAddress(asked.server);
  const [udp, tcp] = await Promise.all([askTimes(asked, "udp"), askTimes(asked, "tcp")]);
  return [
    transportFinding(asked, "udp", udp, tcp.lost < tcp.asked),
    transportFinding(asked, "tcp", tcp, udp.lost < udp.asked),
    ...(udp.lost === udp.asked ? [] : [await checkEdns(asked, label), await checkDenial(asked, label)]),
  ];
}

interface Outcome {
  readonly asked: number;
  readonly lost: number;
  readonly failure: string;
  /** Replies that said SERVFAIL. */
  readonly servfails: number;
  readonly denials: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function askTimes({ server, name, clock, times }: ServerCheck, protocol: "udp" | "tcp"): Promise<Outcome> {
  const took: number[] = [];
  let failure = "";
  let servfails = 0;
  let denials = 0;
  for (let turn = 0; turn < times; turn += 1) {
    const reply = await ask({ server, name, clock, protocol });
    if ("failure" in reply) failure = reply.failure;
    else took.push(reply.elapsedMs);
    if ("rcode" in reply && reply.rcode === Rcode.SERVFAIL) servfails += 1;
    if ("rcode" in reply && reply.rcode === Rcode.NXDOMAIN) denials += 1;
    // A server that says nothing is not asked for long.
    if (turn === 2 && took.length === 0) break;
  }
  const sorted = took.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const asked = took.length === 0 ? Math.min(3, times) : times;
  return { asked, lost: asked - took.length, failure, servfails, denials, p50Ms: at(0.5), p99Ms: at(0.99) };
}

const noAnswer = { link: "why-timeouts.md#6-coredns-or-what-is-behind-it" } as const;

/** Slower answers than this, of one in a hundred, are told. */
const slowMs = 100;

function transportFinding(
  { server, name }: ServerCheck,
  protocol: "udp" | "tcp",
  { asked, lost, failure, servfails, denials, p50Ms, p99Ms }: Outcome,
  otherWorks: boolean,
): Finding {
  const label = formatServerAddress(server);
  const over = `${label} over ${protocol.toUpperCase()}`;
  const cure = [`nodens query ${name} --server ${label}${protocol === "tcp" ? " --tcp" : ""}`];
  const base = { ...noAnswer, check: `server-${protocol}`, cure };
  if (lost === asked) {
    const why = otherWorks
      ? "the other transport works: something between here and the server drops this one"
      : "nobody answers there";
    return { ...base, state: "bad", found: `${over}: none of ${asked} answered (${failure})`, why };
  }
  const times = `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`;
  if (lost > 0) {
    const why = "each lost packet costs a pod that asks by itself 2.5 to 5 s";
    return { ...base, state: "bad", found: `${over}: ${lost} of ${asked} lost, ${times}`, why };
  }
  // What does not exist may be denied by somebody else, and then the times are not those of a Service.
  const denied = denials === 0 ? "" : `; ${name} does not exist there: give a name that does with --name`;
  const found = `${over}: ${asked} of ${asked} answered, ${times}${denied}`;
  if (servfails > 0) {
    const why = "musl waits after SERVFAIL as after a loss, and other resolvers give up the name";
    return { ...base, state: "bad", found: `${found}; ${servfails} of them with SERVFAIL`, why };
  }
  if (p99Ms > slowMs) return { ...base, state: "warn", found, why: "a Service's name should take a few milliseconds" };
  return { ...base, state: "ok", found };
}

async function checkEdns(asked: ServerCheck, label: string): Promise<Finding> {
  const refused: string[] = [];
  for (const ednsSizeBytes of ednsSizes) {
    const reply = await ask({ ...asked, protocol: "udp", ednsSizeBytes });
    if ("failure" in reply) refused.push(`${ednsSizeBytes} (${reply.failure})`);
    else if (reply.rcode === Rcode.FORMERR) refused.push(`${ednsSizeBytes} (FORMERR)`);
  }
  const check = "server-edns";
  if (refused.length === 0)
    return { check, state: "ok", found: `${label} takes EDNS at ${ednsSizes.join(", ")} octets` };
  return {
    check,
    state: "warn",
    found: `${label} does not take EDNS at ${refused.join(", ")}`,
    why: "Go and systemd-resolved always send EDNS: they wait for a time-out first",
    cure: [`nodens query ${asked.name} --server ${label} --no-edns    # answered without EDNS?`],
    link: "runbook.md#nodensednsdropped",
  };
}

/** A server that makes up addresses for names that do not exist ends every search list at its first suffix. */
async function checkDenial(asked: ServerCheck, label: string): Promise<Finding> {
  const name = `nodens-doctor-${randomInt(2 ** 47).toString(36)}.invalid`;
  const reply = await ask({ ...asked, name, protocol: "udp" });
  const check = "server-denial";
  const link = "why-timeouts.md#3-eight-queries-for-one-name";
  if ("failure" in reply)
    return {
      check,
      state: "warn",
      found: `${label}: no reply to a name that does not exist (${reply.failure})`,
      why: "a search list is mostly names that do not exist, so each lookup waits for such a reply",
      cure: [`nodens query ${name} --server ${label}`],
      link,
    };
  if (reply.rcode === Rcode.NXDOMAIN)
    return { check, state: "ok", found: `${label} denies a name that does not exist` };
  return {
    check,
    state: "bad",
    found: `${label} answers ${rcodeName(reply.rcode)} to a name that does not exist, instead of NXDOMAIN`,
    why: "the resolver in a pod then takes a search suffix for the name's own, or ends its search",
    cure: ["have the resolver behind CoreDNS, or its template and rewrite plugins, say NXDOMAIN"],
    link,
  };
}

interface Ask {
  readonly server: ServerAddress;
  readonly name: string;
  readonly clock: Clock;
  readonly protocol: "udp" | "tcp";
  readonly ednsSizeBytes?: number;
}

async function ask({
  server,
  name,
  clock,
  protocol,
  ednsSizeBytes,
}: Ask): Promise<{ readonly rcode: number; readonly elapsedMs: number } | { readonly failure: string }> {
  const question = ownQuestion(wireName(name), RrType.A);
  const message = composeQuery(question);
  const id = randomInt(0x1_0000);
  writeU16(message, HeaderOffset.id, id);
  // The size stands where an OPT record has its class, after the root and the type.
  if (ednsSizeBytes !== undefined) writeU16(message, message.length - optSizeBytes + 3, ednsSizeBytes);
  const isReply = (reply: Uint8Array) =>
    reply.length > HeaderOffset.questionCount &&
    readU16(reply, HeaderOffset.id) === id &&
    (readU16(reply, HeaderOffset.flags) & Flag.QR) !== 0 &&
    repeatsQuestion(reply, question.name, question.type, RrClass.IN);
  const outcome = await askOnce(message, { server, protocol, timeoutMs, clock, isReply });
  if ("failure" in outcome) return outcome;
  return { rcode: readU16(outcome.message, HeaderOffset.flags) & rcodeMask, elapsedMs: outcome.elapsedMs };
}
