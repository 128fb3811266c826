/*
 * A zone with some of everything, as a zone file, and the questions to ask about it. The same seed gives the same zone and the
 * same questions.
 */
import { buildQuery, Flags } from "../messages/messages.ts";

/** A zone and what to ask. */
export interface MixedZone {
  /** A zone file (RFC 1035 §5). */
  readonly text: string;
  readonly recordCount: number;
  /** Relative names that exist in one way or another, and some that do not. */
  readonly names: readonly string[];
}

/** A question in words, and as a packet. */
export interface MixedQuestion {
  readonly text: string;
  readonly packet: Uint8Array;
}

/** A pseudo-random generator (mulberry32): whole numbers from 0 up to, not including, a limit. */
export type Random = (limit: number) => number;

/** Creates a generator from a seed. */
export function createRandom(seed: number): Random {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** Writes a zone of about 2,500 records for `origin` ("cluster.local"). `elsewhere` is a name in another zone, with its dot. */
export function writeMixedZone(origin: string, elsewhere: string): MixedZone {
  const lines: string[] = [];
  const names = new Set<string>(["@"]);
  const add = (name: string, ...data: string[]) => {
    names.add(name);
    for (const one of data) lines.push(`${name} ${one}`);
  };
  add("ns", "A 192.0.2.53", "AAAA 2001:db8::53");
  add("@", "MX 10 mail", "MX 20 host1", 'TXT "of the zone itself"');
  add("mail", "A 192.0.2.25", "AAAA 2001:db8::25");

  each(300, (n) => {
    // Some owners are written in mixed case.
    const name = n % 7 === 0 ? `HoSt${n}` : `host${n}`;
    add(name, ...Array.from({ length: 1 + (n % 4) }, (_, index) => `${60 + n} A 198.51.${index}.${n % 256}`));
    if (n % 2 === 0) add(name, `AAAA 2001:db8:1::${n.toString(16)}`);
    if (n % 3 === 0) add(name, `TXT "text of ${n}" "second string; with \\"quotes\\" and \\255"`);
  });
  each(80, (n) => {
    add(`mx${n}`, `MX 10 host${n}`, `MX 20 host${n + 1}`, "MX 30 mail");
    add(`_http._tcp.srv${n}`, `SRV 0 50 80 host${n}`, `SRV 1 50 8080 host${n + 2}`);
    add(`srv${n}`, `A 198.51.9.${n}`);
    add(`caa${n}`, 'CAA 0 issue "ca.example"', `CAA 128 iodef "mailto:a${n}@example"`);
    add(`https${n}`, `HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.${n}`, `HTTPS 0 host${n}`);
    // Octets that look like compression pointers must pass as they are.
    add(`private${n}`, `TYPE65280 \\# 6 c00cc0ff${n.toString(16).padStart(4, "0")}`);
    add(`${n}.ptr`, `PTR host${n}`);
    add(`child${n}.empty${n}`, `A 198.51.10.${n}`);
    names.add(`empty${n}`);
    add(`alias${n}`, `${30 + n} CNAME host${n}`);
    add(`to-nothing${n}`, `CNAME absent${n}`);
    add(`to-text${n}`, `CNAME host${3 * n}`);
    add(`out${n}`, `CNAME ${elsewhere}`);
  });
  each(14, (n) => add(`chain${n}`, n === 1 ? "CNAME host1" : `CNAME Chain${n - 1}`));
  add("loop1", "CNAME loop2");
  add("loop2", "CNAME loop1");
  add("nowhere", "CNAME name.nobody-serves.test.");
  add("*.wild", "A 192.0.2.77", 'TXT "wild"');
  add("*.wild-alias", "CNAME host5");
  add("*.wild-mx", "MX 5 x.wild");
  each(150, (n) => {
    names.add(`x${n}.wild`);
    names.add(`a.b${n}.wild-alias`);
    names.add(`x${n}.wild-mx`);
    names.add(`absent${n}`);
    names.add(`absent.below.host${n}`);
  });
  add("sub", "NS ns.sub");
  add("ns.sub", "A 192.0.2.54");
  names.add("name.in.sub");
  add("moved", "DNAME ptr");
  names.add("7.moved");
  add(`${"a".repeat(63)}.long`, "A 192.0.2.63");
  add(longestName(origin), "A 192.0.2.64");
  add("dot\\.in\\.label", "A 192.0.2.65");
  add("odd\\032\\195\\136\\000octets", "A 192.0.2.66");
  add("_under.score-", "A 192.0.2.67");
  // Below 512 octets, below and above 1232, above 4096, and near the limit of a message. BIND takes 100 records a set at most.
  for (const count of [20, 50, 100]) {
    const addresses = Array.from({ length: count }, (_, index) => `A 203.0.113.${index}`);
    add(`large${count}`, ...addresses);
    add(`to-large${count}`, `CNAME large${count}`);
  }
  for (const count of [4, 12, 30, 95]) {
    const text = (index: number) => `"${`${index}-`.repeat(100).slice(0, 200)}"`;
    const texts = Array.from(
      { length: count },
      (_, index) => `TXT ${text(index)} ${text(index + 1)} ${text(index + 2)}`,
    );
    add(`text${count}`, ...texts);
  }

  const head = [`$ORIGIN ${origin}.`, "$TTL 240", "@ SOA ns Host.Master 1 7200 1800 86400 120", "@ NS ns"];
  return { text: `${[...head, ...lines].join("\n")}\n`, recordCount: lines.length + 2, names: [...names] };
}

/** The types that are asked. */
const mixedTypes = {
  A: 1, AAAA: 28, CNAME: 5, MX: 15, NS: 2, SOA: 6, SRV: 33, TXT: 16, PTR: 12, CAA: 257, HTTPS: 65, TYPE65280: 65_280,
}; // prettier-ignore

/** `count` different questions about a zone, in random order, spelling, flags and EDNS. `withEdns` asks all with 1232 octets. */
export function pickQuestions(
  zone: MixedZone,
  origin: string,
  count: number,
  random: Random,
  withEdns: boolean,
): MixedQuestion[] {
  const everything = zone.names.flatMap((name) =>
    Object.entries(mixedTypes).map(([typeName, type]) => ({ name, typeName, type })),
  );
  return shuffle(everything, random)
    .slice(0, count)
    .map(({ name, typeName, type }) => {
      const full = spell(name === "@" ? origin : `${name}.${origin}`, random);
      const flags = pick(random, [0x0100, 0x0100, 0x0100, 0x0120, 0x0110, 0x0130, 0x0000]);
      const hasEdns = withEdns || random(2) === 0;
      const opt = hasEdns ? { udpSize: 1232, dnssecOk: random(4) === 0 } : undefined;
      const packet = buildQuery(toTestName(full), type, { flags, opt });
      const marks = [
        ...Object.entries(Flags).flatMap(([flag, bit]) => ((flags & bit) === 0 ? [] : [flag])),
        ...(opt === undefined ? [] : [opt.dnssecOk ? "EDNS DO" : "EDNS"]),
      ];
      return { text: `${full} ${typeName} [${marks.join(" ")}]`, packet };
    });
}

/** A copy in random order (Fisher and Yates). */
export function shuffle<T>(values: readonly T[], random: Random): T[] {
  const shuffled = [...values];
  for (let index = shuffled.length - 1; index > 0; index -= 1) {
    const other = random(index + 1);
    [shuffled[index], shuffled[other]] = [shuffled[other] as T, shuffled[index] as T];
  }
  return shuffled;
}

function each(count: number, action: (n: number) => void): void {
  for (let n = 1; n <= count; n += 1) action(n);
}

/** A relative name that makes the whole name 255 octets in wire form. */
function longestName(origin: string): string {
  let room = 255 - (origin.length + 2);
  const labels: string[] = [];
  while (room > 1) {
    const size = Math.min(63, room - 1 === 64 ? 62 : room - 1);
    labels.push("l".repeat(size));
    room -= size + 1;
  }
  return labels.join(".");
}

/** Two names in three stay as they are, the others change the case of letters at random. */
function spell(name: string, random: Random): string {
  if (random(3) > 0) return name;
  return name.replaceAll(/[a-z]/gi, (letter) => (random(2) === 0 ? letter.toUpperCase() : letter.toLowerCase()));
}

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random(values.length)] as T;
}

/** Octets that a zone file escapes by number (UTF-8, here) as the characters that the message builder takes. */
function toTestName(name: string): string {
  const octets = name.replaceAll(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number(code)));
  return Buffer.from(octets, "latin1").toString("utf8");
}
