/*
 * `nodens query NAME [TYPE]`: a small dig. It shows what a reply says, and of where it came from only what can be known.
 */
import { randomInt } from "node:crypto";
import { isIP } from "node:net";
import { setTimeout } from "node:timers/promises";
import { domainToASCII } from "node:url";
import { Packet } from "dns2";
import { systemClock, type Clock } from "../runtime/clock.ts";
import { formatServerAddress, parseServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { nearestName } from "../settings/nearest-name.ts";
import { RrClass, RrType, typeFromName } from "../wire/codes.ts";
import { ourUdpSizeBytes } from "../wire/edns.ts";
import { Flag, HeaderOffset, headerSizeBytes, rcodeMask } from "../wire/header.ts";
import { nameFromText } from "../wire/name-text.ts";
import { repeatsQuestion } from "../wire/reply.ts";
import { askServer, type Exchange } from "../query/ask-server.ts";
import { ExitCode } from "./exit-code.ts";
import { printReply, printShort, type Reception } from "../query/print-reply.ts";
import { readReply } from "../query/read-reply.ts";

/** The flags of `query`, as the command line has them. */
export interface QueryFlags {
  /** "ADDR:PORT", or an address alone, which means port 53. */
  readonly server: string;
  /** A whole number of milliseconds, 1 to 600000. */
  readonly timeoutMs: string;
  readonly tcp?: boolean | undefined;
  readonly dnssec?: boolean | undefined;
  /** True unless the query shall have no OPT record. */
  readonly edns?: boolean | undefined;
  readonly twice?: boolean | undefined;
  readonly short?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** What `query` needs of the process. `write` and `writeError` get whole lines, with their line ends. */
export interface QueryOptions {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly clock?: Clock;
  /** Waits between the two questions of `twice`. Unlike the clock's timers it must keep the process alive. */
  readonly pause?: (delayMs: number) => Promise<unknown>;
}

/**
 * Asks and prints. Returns the exit code: 0 when a reply came, whatever it says; 64 for a name, type, server or time-out that
 * cannot be used; 69 when no reply came.
 */
export async function query(
  name: string,
  type: string | undefined,
  flags: QueryFlags,
  options: QueryOptions,
): Promise<number> {
  const { write, writeError, clock = systemClock, pause = setTimeout } = options;
  const fail = (reason: string, exitCode: number): number => {
    writeError(`nodens: ${reason}\n`);
    return exitCode;
  };
  const request = parseRequest(name, type, flags);
  if ("wrong" in request) return fail(request.wrong, ExitCode.usage);

  const first = await ask(request, clock);
  if ("failure" in first) return fail(first.failure, ExitCode.unavailable);
  if (flags.short === true) {
    printShort(first, { write, writeError });
    return ExitCode.ok;
  }
  if (flags.twice === true) await pause(pauseMs);
  const second = flags.twice === true ? await ask(request, clock) : undefined;
  if (second !== undefined && "failure" in second) return fail(`asked again, ${second.failure}`, ExitCode.unavailable);
  printReply(first, second && { ...second, pauseMs }, { write, asJson: flags.json === true });
  return ExitCode.ok;
}

/** Over a second, so that a TTL that counts down has lost one at least. */
const pauseMs = 1_100;

interface Request {
  readonly server: ServerAddress;
  readonly timeoutMs: number;
  /** The name folded, in wire form, and the same with its letters as they were typed. */
  readonly name: Uint8Array;
  readonly spelledName: Uint8Array;
  readonly type: number;
  readonly startsOverTcp: boolean;
  readonly hasEdns: boolean;
  readonly dnssecOk: boolean;
  readonly remarks: readonly string[];
}

type Wrong = { readonly wrong: string };

function parseRequest(nameText: string, typeText: string | undefined, flags: QueryFlags): Request | Wrong {
  const server = parseServerAddress(flags.server, 53);
  if (server === undefined || server.port === 0) {
    return { wrong: `'${flags.server}' is no server: it must be an IP address and a port, as in 127.0.0.1:5353` };
  }
  const timeoutMs = /^\d{1,6}$/.test(flags.timeoutMs) ? Number(flags.timeoutMs) : 0;
  if (timeoutMs < 1 || timeoutMs > 600_000) {
    return { wrong: `'${flags.timeoutMs}' is no time-out: it must be 1 to 600000 milliseconds` };
  }
  const isAddress = isIP(nameText) !== 0;
  const type = typeText === undefined ? RrType[isAddress ? "PTR" : "A"] : typeFromName(typeText);
  if (type === undefined) return { wrong: explainType(typeText ?? "") };
  // With another type the digits are asked for as they are: programs do look up addresses as if they were names.
  const isReverse = isAddress && type === RrType.PTR;
  const asked = isReverse ? reverseName(nameText) : nameText;
  const name = /^[!-~]+$/.test(asked) ? nameFromText(asked) : undefined;
  if (name === undefined) return { wrong: explainName(asked) };
  return {
    server,
    timeoutMs,
    name,
    spelledName: spellName(name, asked),
    type,
    startsOverTcp: flags.tcp === true,
    hasEdns: flags.edns !== false,
    dnssecOk: flags.dnssec === true,
    remarks: isReverse ? [`${nameText} is an address: asked for the PTR record of its reverse name`] : [],
  };
}

function explainType(text: string): string {
  const nearest = nearestName(text, Object.keys(RrType));
  const hint = nearest === undefined ? "write TYPE and its number, as in TYPE65" : `did you mean ${nearest}?`;
  return `'${text}' is no record type known here (${hint})`;
}

function explainName(text: string): string {
  const ascii = /[^ -~]/.test(text) ? domainToASCII(text) : "";
  if (ascii !== "") return `'${text}' is not ASCII: ask for ${ascii}`;
  return `'${text}' is no domain name: labels have 1 to 63 octets, the whole at most 255, spaces are written \\032`;
}

/** The name under in-addr.arpa (RFC 1035 §3.5) or ip6.arpa (RFC 3596 §2.5) of an IP literal; a zone index is left out. */
function reverseName(address: string): string {
  const bare = address.replace(/%.*$/, "");
  if (isIP(bare) === 4) return `${bare.split(".").toReversed().join(".")}.in-addr.arpa`;
  // URL writes every form of an address the same way, embedded IPv4 included, which dns2 cannot read.
  const groups = Packet.fromIPv6(new URL(`http://[${bare}]`).hostname.slice(1, -1));
  const nibbles = groups.map((group) => group.padStart(4, "0")).join("");
  return `${nibbles.split("").toReversed().join(".")}.ip6.arpa`;
}

/** Puts the typed upper case back, to see whether it comes back; a name with escapes stays folded. */
function spellName(folded: Uint8Array, text: string): Uint8Array {
  const spelled = folded.slice();
  if (text.includes("\\")) return spelled;
  // A character is one octet further in wire form: the first length comes before it, the others stand for the dots.
  for (const match of text.matchAll(/[A-Z]/g)) spelled[match.index + 1] = match[0].charCodeAt(0);
  return spelled;
}

/** Asks over UDP, and again over TCP when the reply is truncated; over TCP alone when the request says so. */
async function ask(request: Request, clock: Clock): Promise<Reception | { readonly failure: string }> {
  const first = await askOver(request.startsOverTcp ? "TCP" : "UDP", request, clock);
  if ("failure" in first || first.protocol === "TCP" || !first.reply.flags.includes("tc")) return first;
  const second = await askOver("TCP", request, clock);
  if ("failure" in second) {
    return { ...first, remarks: [...first.remarks, `truncated over UDP, and over TCP there was ${second.failure}`] };
  }
  return { ...second, remarks: [...second.remarks, "truncated over UDP: asked again over TCP"] };
}

async function askOver(
  protocol: Exchange["protocol"],
  request: Request,
  clock: Clock,
): Promise<Reception | { readonly failure: string }> {
  const { server, timeoutMs, remarks } = request;
  const id = randomInt(0x1_0000);
  const isReply = (message: Buffer): boolean => isReplyTo(message, id, request);
  const outcome = await askServer(composeQuery(id, request), { server, protocol, timeoutMs, clock, isReply });
  if ("failure" in outcome) return outcome;
  const { message, elapsedMs, ignoredCount } = outcome;
  const ignored = `ignored before the reply: ${ignoredCount} that did not fit the question`;
  return {
    reply: readReply(message),
    server: formatServerAddress(server),
    protocol,
    elapsedMs,
    sizeBytes: message.length,
    remarks: ignoredCount === 0 ? remarks : [...remarks, ignored],
  };
}

/** RD and AD are set: AD asks whether the data was authenticated (RFC 6840 §5.7). */
function composeQuery(id: number, request: Request): Buffer {
  const packet = new Packet();
  packet.header = new Packet.Header({ id, rd: 1 });
  packet.questions.push(new Packet.Question("", request.type, RrClass.IN));
  const opt = { doFlag: request.dnssecOk, udpPayloadSize: ourUdpSizeBytes };
  if (request.hasEdns) packet.additionals.push(Packet.Resource.EDNS([], opt));
  const message = packet.toBuffer();
  message[HeaderOffset.flags + 1] = Flag.AD;
  // dns2 wrote the root, one octet, where the name goes: it knows no escapes and takes type 0 for ANY.
  message.writeUInt16BE(request.type, headerSizeBytes + 1);
  return Buffer.concat([
    message.subarray(0, headerSizeBytes),
    request.spelledName,
    message.subarray(headerSizeBytes + 1),
  ]);
}

function isReplyTo(message: Buffer, id: number, { name, type }: Request): boolean {
  if (message.length < headerSizeBytes || message.readUInt16BE(HeaderOffset.id) !== id) return false;
  const flags = message.readUInt16BE(HeaderOffset.flags);
  if ((flags & Flag.QR) === 0) return false;
  // A server that could not read the question cannot repeat it.
  const isBareError = message.readUInt16BE(HeaderOffset.questionCount) === 0 && (flags & rcodeMask) !== 0;
  return isBareError || repeatsQuestion(message, name, type, RrClass.IN);
}
