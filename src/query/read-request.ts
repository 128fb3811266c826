/*
 * Reads what a person wants to ask from the words of the command line.
 */
import { isIP } from "node:net";
import { Packet } from "dns2";
import { nearestName } from "../runtime/nearest-name.ts";
import { parseServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { wrongNameText } from "../runtime/wrong-name.ts";
import { RrType, typeFromName } from "../wire/codes.ts";
import { nameFromText } from "../wire/name-text.ts";

/** The flags of `query`, as the command line has them. */
export interface RequestFlags {
  /** "ADDR:PORT", or an address alone, which means port 53. */
  readonly server: string;
  /** A whole number of milliseconds, 1 to 600000. */
  readonly timeoutMs: string;
  readonly tcp?: boolean | undefined;
  readonly dnssec?: boolean | undefined;
  /** False for a query without an OPT record. */
  readonly edns?: boolean | undefined;
}

/** A question, and which server to ask. `remarks` are lines to print with the reply. */
export interface Request {
  readonly server: ServerAddress;
  readonly timeoutMs: number;
  /** The name in wire form, folded; and the same name with its letters as they were typed. */
  readonly name: Uint8Array;
  readonly spelledName: Uint8Array;
  readonly type: number;
  readonly startsOverTcp: boolean;
  readonly hasEdns: boolean;
  readonly dnssecOk: boolean;
  readonly remarks: readonly string[];
}

/** Which of the words cannot be used, and why: a message for people. */
type Wrong = { readonly wrong: string };

/** Reads the words. An IP address as the name becomes its reverse name, unless a type other than PTR is given. */
export function readRequest(nameText: string, typeText: string | undefined, flags: RequestFlags): Request | Wrong {
  const server = parseServerAddress(flags.server, 53);
  if (server === undefined || server.port === 0) {
    return { wrong: `'${flags.server}' is not a server: it must be an IP address and a port, as in 127.0.0.1:5353` };
  }
  const timeoutMs = /^\d{1,6}$/.test(flags.timeoutMs) ? Number(flags.timeoutMs) : 0;
  if (timeoutMs < 1 || timeoutMs > 600_000) {
    return { wrong: `'${flags.timeoutMs}' is not a timeout: it must be 1 to 600000 milliseconds` };
  }
  const isAddress = isIP(nameText) !== 0;
  const type = typeText === undefined ? RrType[isAddress ? "PTR" : "A"] : typeFromName(typeText);
  if (type === undefined) return { wrong: explainType(typeText ?? "") };
  // With another type, the address is asked for as written: programs do look up addresses as if they were names.
  const isReverse = isAddress && type === RrType.PTR;
  const asked = isReverse ? reverseName(nameText) : nameText;
  const name = /^[!-~]+$/.test(asked) ? nameFromText(asked) : undefined;
  if (name === undefined) return { wrong: wrongNameText(asked) };
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
  const hint = nearest === undefined ? "write TYPE followed by its number, as in TYPE65" : `did you mean ${nearest}?`;
  return `'${text}' is not a record type that nodens knows (${hint})`;
}

/** The name of an IP literal under in-addr.arpa (RFC 1035 §3.5) or ip6.arpa (RFC 3596 §2.5); a zone index is left out. */
function reverseName(address: string): string {
  const bare = address.replace(/%.*$/, "");
  if (isIP(bare) === 4) return `${bare.split(".").toReversed().join(".")}.in-addr.arpa`;
  // URL normalises every form of an address, including embedded IPv4, which dns2 cannot read.
  const groups = Packet.fromIPv6(new URL(`http://[${bare}]`).hostname.slice(1, -1));
  const nibbles = groups.map((group) => group.padStart(4, "0")).join("");
  return `${nibbles.split("").toReversed().join(".")}.ip6.arpa`;
}

/** Restores the upper case as typed, to see whether the reply repeats it; a name with escapes stays folded. */
function spellName(folded: Uint8Array, text: string): Uint8Array {
  const spelled = folded.slice();
  if (text.includes("\\")) return spelled;
  // In wire form each character is one octet further on: the first length precedes it, and the others replace the dots.
  for (const match of text.matchAll(/[A-Z]/g)) spelled[match.index + 1] = match[0].charCodeAt(0);
  return spelled;
}
