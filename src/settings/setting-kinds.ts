/*
 * The kinds of value a setting can have: how each is written in YAML, which values are allowed, and what the program gets.
 * Every kind is a zod codec, so that reading, checking, printing back and the JSON Schema come from one declaration.
 */
import { isIP, isIPv4, SocketAddress } from "node:net";
import { z } from "zod";
import { formatServerAddress, parseServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { isZone, normaliseZone, zoneInWords } from "./zone-name.ts";

// Otherwise zod writes and compiles a function for each group, which would read one file in the life of the process.
z.config({ jitless: true });

/** Whether a changed value takes effect while nodens runs, or only after a restart. */
type Effect = "live" | "restart";

/** The smallest and the largest number that a setting takes, both allowed themselves; of a size, in bytes. */
export interface Limits {
  readonly min: number;
  readonly max: number;
}

/** A range of IP addresses (CIDR): an IP literal without brackets and how many of its leading bits count. */
export interface AddressRange {
  readonly address: string;
  readonly prefixLength: number;
}

/** The command-line flag that overrides a setting. One for a list may be given several times. */
export interface Flag {
  /** With its dashes. */
  readonly name: string;
  /** What stands for its value in the help. A flag without one sets `true`. */
  readonly value?: string;
  readonly help: string;
  /** Whether a settings file, where there is one, decides alone: the flag must not say what a file has lost. */
  readonly isOnlyWithoutFile?: boolean;
}

/** What the table says of a setting besides its schema, for documents and messages. */
export interface SettingNotes {
  readonly help: string;
  /** In words: which values are allowed. */
  readonly allowed: string;
  /** Of numbers and sizes alone. */
  readonly limits: Limits | undefined;
  readonly unit: string;
  /** As it is written in YAML. */
  readonly default: unknown;
  readonly effect: Effect;
  readonly flag: Flag | undefined;
}

/** What a declaration in the table says; the kind adds the rest. */
interface Declaration<Default> {
  readonly default: Default;
  readonly effect: Effect;
  readonly help: string;
  readonly flag?: Flag;
}

/** A declaration with limits, both allowed themselves. */
type Bounded<Default, Limit> = Declaration<Default> & { readonly between: readonly [lowest: Limit, highest: Limit] };

/** The notes of every setting, by its schema. */
export const settingNotes = z.registry<SettingNotes>();

/** The sentence about every group of settings, by its schema. */
export const groupNotes = z.registry<{ help: string }>();

/** A group of settings: a YAML map that accepts no other keys and may be left out. */
export function group<Shape extends z.ZodRawShape>(help: string, shape: Shape) {
  // Every member has a default, which the type parameter cannot say: hence the cast of the empty map.
  return z
    .strictObject(shape)
    .prefault({} as never)
    .register(groupNotes, { help });
}

/** A whole number in the given unit. */
export function wholeNumber(unit: string, declaration: Bounded<number, number>) {
  const [min, max] = declaration.between;
  const allowed = `a whole number from ${min} to ${max}`;
  return declare(z.int().min(min).max(max), unit, allowed, declaration, { min, max });
}

/** true or false. */
export function yesOrNo(declaration: Declaration<boolean>) {
  return declare(z.boolean(), "", "`true` or `false`", declaration);
}

/** true, false, or for nodens to find out. */
export function yesNoOrAuto(declaration: Declaration<boolean | "auto">) {
  return declare(z.union([z.boolean(), z.literal("auto")]), "", "`true`, `false` or `auto`", declaration);
}

/** The path of a file, or "" for none. */
export function filePath(declaration: Declaration<string>) {
  return declare(z.string(), "", 'a path, or `""` for none', declaration);
}

/** One of a closed set of words. */
export function oneOf<const Word extends string>(words: readonly Word[], declaration: Declaration<Word>) {
  return declare(z.enum(words), "", `one of ${words.map((word) => `\`${word}\``).join(", ")}`, declaration);
}

/** A size in bytes, written as a whole number or with a binary unit: 33554432, "32MiB". The program gets bytes. */
export function byteSize(declaration: Bounded<number | string, string>) {
  const [min, max] = declaration.between;
  const limits = { min: parseByteSize(min) ?? 0, max: parseByteSize(max) ?? 0 };
  const written = z.union([z.int(), z.string().regex(/^\d+(KiB|MiB|GiB)?$/)]);
  const schema = z.codec(written, z.int(), {
    decode(size, context) {
      const bytes = parseByteSize(size);
      return bytes === undefined || bytes < limits.min || bytes > limits.max ? refuse(context, size) : bytes;
    },
    encode: (bytes) => bytes,
  });
  const allowed = `bytes as a whole number or with KiB, MiB or GiB, from \`${min}\` to \`${max}\``;
  return declare(schema, "bytes", allowed, declaration, limits);
}

const anyAddress = writtenAddress(parseServerAddress);

/** The address of a socket to listen on: ADDR:PORT, where port 0 means any free port. */
export function listenAddress(declaration: Declaration<string>) {
  return declare(anyAddress, "", "`ADDR:PORT` or `[ADDR6]:PORT`", declaration);
}

/** Addresses to listen on, possibly none. */
export function listenAddresses(declaration: Declaration<string[]>) {
  return declare(z.array(anyAddress), "", "a list of `ADDR:PORT` or `[ADDR6]:PORT`", declaration);
}

/** IP addresses without port or length, possibly none. */
export function ipAddresses(declaration: Declaration<string[]>) {
  const written = z.codec(z.string(), z.string(), {
    decode: (text, context) =>
      isIP(text) !== 0 && !isAnyAddress(text) ? canonicalAddress(text) : refuse(context, text),
    encode: (text) => text,
  });
  return declare(z.array(written), "", "a list of IP addresses", declaration);
}

/**
 * The address of a server to ask, on port 53 unless it names one. Undefined for what is not an address, and for one that
 * nothing can be sent to: port 0, or "every address".
 */
export function parseUpstreamServer(text: string): ServerAddress | undefined {
  const address = parseServerAddress(text, 53);
  return address === undefined || address.port === 0 || isAnyAddress(address.host) ? undefined : address;
}

const serverList = z.array(writtenAddress(parseUpstreamServer));
const servers = "`ADDR`, `ADDR:PORT` or `[ADDR6]:PORT` (port 53 unless given; IP addresses, no host names)";

/** DNS servers to ask, possibly none. */
export function upstreamServers(declaration: Declaration<string[]>) {
  return declare(serverList, "", `a list of ${servers}`, declaration);
}

/** DNS servers by the zone that they are asked about. The program gets zones in lower case without the last dot. */
export function serversByZone(declaration: Declaration<Record<string, string[]>>) {
  const written = z.record(z.string().refine(isZone), serverList.min(1));
  const schema = z.codec(written, z.custom<Record<string, ServerAddress[]>>(), {
    decode(byZone, context) {
      const zones = Object.entries(byZone).map(([zone, list]) => [normaliseZone(zone), list] as const);
      const seen = new Set<string>();
      for (const [position, [zone]] of zones.entries()) {
        const path = [Object.keys(byZone)[position] ?? zone];
        if (seen.has(zone))
          context.issues.push({
            code: "custom",
            input: byZone,
            path,
            params: { reason: "is a zone that is already there" },
          });
        seen.add(zone);
      }
      return Object.fromEntries(zones);
    },
    encode: (byZone) => byZone,
  });
  return declare(schema, "", `a map from a zone to a list of one or more ${servers}`, declaration);
}

/** A domain name. The program gets it in lower case without the last dot. */
export function zone(declaration: Declaration<string>) {
  return declare(writtenZone(), "", zoneInWords, declaration);
}

/** Domain names, possibly none. */
export function zones(declaration: Declaration<string[]>) {
  return declare(z.array(writtenZone()), "", `a list; each ${zoneInWords}`, declaration);
}

/** Ranges of client addresses; an address without a length is a range of one. */
export function addressRanges(declaration: Declaration<string[]>) {
  const written = z.codec(z.string(), z.custom<AddressRange>(), {
    decode: (text, context) => parseAddressRange(text) ?? refuse(context, text),
    encode: ({ address, prefixLength }) => `${address}/${prefixLength}`,
  });
  return declare(z.array(written), "", "a list of `ADDR/LENGTH` (CIDR) or `ADDR`", declaration);
}

function declare<Schema extends z.ZodType>(
  schema: Schema,
  unit: string,
  allowed: string,
  { default: written, effect, help, flag }: Declaration<z.input<Schema>>,
  limits?: Limits,
) {
  const notes = { help, allowed, limits, unit, default: written, effect, flag };
  const declared = schema.prefault(written as never);
  settingNotes.add(declared, notes);
  return declared;
}

/** Reports a value as not allowed. Without `params.reason` the message is the value and what is allowed instead. */
function refuse(context: z.core.ParsePayload, input: unknown): never {
  context.issues.push({ code: "custom", input });
  return z.NEVER;
}

function writtenAddress(parse: (text: string) => ServerAddress | undefined) {
  return z.codec(z.string(), z.custom<ServerAddress>(), {
    decode: (text, context) => parse(text) ?? refuse(context, text),
    encode: formatServerAddress,
  });
}

function isAnyAddress(host: string): boolean {
  return /^[0.:]+$/.test(host);
}

function writtenZone() {
  return z.codec(z.string(), z.string(), {
    decode: (text, context) => (isZone(text) ? normaliseZone(text) : refuse(context, text)),
    encode: (name) => name,
  });
}

/** One spelling per address, the one in which the system lists them. A zone ("%eth0") stays as written. */
function canonicalAddress(text: string): string {
  if (isIPv4(text) || text.includes("%")) return text.toLowerCase();
  return new SocketAddress({ address: text, family: "ipv6" }).address;
}

function parseByteSize(size: string | number): number | undefined {
  const match = /^(\d+)(KiB|MiB|GiB)?$/.exec(String(size));
  const exponent = ["", "KiB", "MiB", "GiB"].indexOf(match?.[2] ?? "");
  return match === null ? undefined : Number(match[1]) * 1024 ** exponent;
}

function parseAddressRange(text: string): AddressRange | undefined {
  const [, address = "", lengthText] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIP(address);
  const longest = family === 6 ? 128 : 32;
  const prefixLength = lengthText === undefined ? longest : Number(lengthText);
  return family === 0 || prefixLength > longest ? undefined : { address, prefixLength };
}
