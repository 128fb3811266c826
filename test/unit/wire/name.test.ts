import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault } from "../../../src/wire/fault.ts";
import {
  createFoldedName,
  equalOctets,
  expandName,
  foldName,
  foldOctet,
  hashName,
  isAtOrBelow,
  skipName,
} from "../../../src/wire/name.ts";
import { ascii, hex, join, longestName, nameOfLabels, toHex, u16, wireName } from "./build-message.ts";
import { anyName, countingReads, timeBoxed } from "./property.ts";

const seed = 0x1234_5678;
const header = new Uint8Array(12);

/** Folds a whole array and returns the name with its hash, or the fault. */
function fold(octets: Uint8Array, hashSeed = seed): { name: string; hash: number } | number {
  const target = createFoldedName(hashSeed);
  const end = foldName(octets, 0, octets.length, target);
  return end < 0 ? end : { name: toHex(target.octets.subarray(0, target.sizeBytes)), hash: target.hash };
}

/** A packet with `count` pointers after the header, each to the one before, and the first to a root label. */
function chainOfPointers(count: number): { packet: Uint8Array; last: number } {
  const pointers = Array.from({ length: count }, (_, index) => u16(0xc000 + (index === 0 ? 12 : 11 + 2 * index)));
  return { packet: join(header, Uint8Array.of(0), ...pointers), last: 13 + 2 * (count - 1) };
}

/** As its authors define it (C. 2016), over an array of state words. */
function halfSipHash13(octets: Uint8Array, key0: number, key1: number): number {
  const v = Int32Array.of(key0, key1, key0 ^ 0x6c79_6765, key1 ^ 0x7465_6462);
  const [a, b, c, d] = [0, 1, 2, 3] as const;
  const at = (index: number) => v[index] as number;
  const rotate = (index: number, bits: number) => (v[index] = (at(index) << bits) | (at(index) >>> (32 - bits)));
  const mix = (to: number, from: number, bits: number) => {
    v[to] = at(to) + at(from);
    rotate(from, bits);
    v[from] = at(from) ^ at(to);
  };
  const round = () => {
    mix(a, b, 5);
    rotate(a, 16);
    mix(c, d, 8);
    mix(a, d, 7);
    mix(c, b, 13);
    rotate(c, 16);
  };
  const padded = new DataView(new ArrayBuffer((octets.length & ~3) + 4));
  octets.forEach((octet, index) => padded.setUint8(index, octet));
  padded.setUint8(padded.byteLength - 1, octets.length);
  for (let offset = 0; offset < padded.byteLength; offset += 4) {
    const word = padded.getInt32(offset, true);
    v[d] = at(d) ^ word;
    round();
    v[a] = at(a) ^ word;
  }
  v[c] = at(c) ^ 0xff;
  for (let index = 0; index < 3; index += 1) round();
  return at(b) ^ at(d);
}

describe("foldName", () => {
  test.each([
    ["the root", ""],
    ["one label", "localhost"],
    ["a name in lower case", "web.default.svc.cluster.local"],
    ["digits, hyphens and underscores", "_dns-1._udp.example"],
  ])("leaves %s as it is", (_, text) => {
    expect(fold(wireName(text))).toMatchObject({ name: toHex(wireName(text)) });
  });

  test("puts ASCII letters, and nothing else, in lower case (RFC 4343)", () => {
    const every = Uint8Array.from({ length: 256 }, (_, octet) => octet);
    const labels = [0, 50, 100, 150, 200].map((first) => every.slice(first, Math.min(256, first + 50)));
    labels.push(every.slice(250, 251));
    const target = createFoldedName(seed);
    for (const label of labels) {
      const name = join(Uint8Array.of(label.length), label, Uint8Array.of(0));
      foldName(name, 0, name.length, target);
      const lower = label.map((octet) => (octet >= 65 && octet <= 90 ? octet + 32 : octet));
      expect(toHex(target.octets.subarray(1, target.sizeBytes - 1))).toBe(toHex(lower));
    }
  });

  test("returns the offset after the name and reports its size", () => {
    const packet = join(hex("ffff"), wireName("Web.Example"), hex("0001"));
    const target = createFoldedName(seed);
    expect(foldName(packet, 2, packet.length, target)).toBe(2 + 13);
    expect(target.sizeBytes).toBe(13);
  });

  test("leaves no trace of a longer name that was read before", () => {
    const target = createFoldedName(seed);
    foldName(longestName, 0, longestName.length, target);
    const short = wireName("b");
    foldName(short, 0, short.length, target);
    expect(toHex(target.octets.subarray(0, target.sizeBytes))).toBe(toHex(short));
  });

  test("names that differ only in case have the same hash", () => {
    expect(fold(wireName("wWw.ExAmPlE"))).toStrictEqual(fold(wireName("WwW.eXaMpLe")));
  });

  test.each([
    ["another label", "a.example", "b.example"],
    ["other label boundaries", "ab.c", "a.bc"],
    ["one more label", "a.example", "a.a.example"],
  ])("the hash tells %s", (_, one, other) => {
    expect(fold(wireName(one))).not.toHaveProperty("hash", (fold(wireName(other)) as { hash: number }).hash);
  });

  test("the hash depends on every part of the seed and is a 32-bit integer", () => {
    const hashes = [0, 1, 0x7fff_ffff, 0x1_0000_0000, 0x7fff_0000_0000].map(
      (hashSeed) => (fold(wireName("example"), hashSeed) as { hash: number }).hash,
    );
    expect(new Set(hashes).size).toBe(5);
    for (const hash of hashes) expect(hash).toBe(Math.trunc(hash) | 0);
  });

  test.each([0, 1, 2, 3])("every octet is folded for itself, %i octets after a word begins", (place) => {
    for (let octet = 0; octet < 256; octet += 1) {
      // "A" to the left and "z" to the right of it: no carry goes from one octet to the next.
      const label = Uint8Array.from({ length: 11 }, (_, index) => (index < 3 + place ? 0x41 : 0x7a));
      label[3 + place] = octet;
      const name = join(Uint8Array.of(label.length), label, Uint8Array.of(0));
      expect(fold(name)).toMatchObject({ name: toHex(name.map((each, at) => (at === 0 ? each : foldOctet(each)))) });
    }
  });

  test("the hash is HalfSipHash-1-3 of the folded name, whatever its size", () => {
    const sizes = Array.from({ length: 40 }, (_, index) => index + 1);
    for (const name of [...sizes.map((size) => nameOfLabels(size)), longestName]) {
      const folded = name.map(foldOctet);
      expect(fold(name, seed + 7 * 2 ** 32)).toMatchObject({ hash: halfSipHash13(folded, seed, 7) });
      expect(hashName(name, 0, name.length, seed)).toBe(halfSipHash13(folded, seed, 0));
    }
  });

  test("names that collide under one seed do not collide under another: no pair works for all seeds", () => {
    const hashOf = (index: number, hashSeed: number) =>
      (fold(wireName(`n${index}.evil.example`), hashSeed) as { hash: number }).hash & 0xffff;
    const first = new Map<number, number>();
    const clashing: [number, number][] = [];
    for (let index = 0; index < 4000; index += 1) {
      const earlier = first.get(hashOf(index, 1));
      if (earlier === undefined) first.set(hashOf(index, 1), index);
      else clashing.push([earlier, index]);
    }
    expect(clashing.length).toBeGreaterThan(50);
    // Seeds with the same lowest octet: nothing else would decide which names clash in an FNV-1a that starts from the seed.
    for (const other of [0x101, 0x1_0000_0001]) {
      const still = clashing.filter(([one, two]) => hashOf(one, other) === hashOf(two, other));
      expect(still.length).toBeLessThan(3);
    }
  });

  test("the hash of a name's end is the hash of that shorter name", () => {
    const name = wireName("Web.default.svc.cluster.local");
    const end = wireName("svc.cluster.local");
    expect(hashName(name, 12, name.length, seed)).toBe(hashName(end, 0, end.length, seed));
  });

  test.each([
    ["255 octets in four labels", longestName],
    ["255 octets in 127 labels", nameOfLabels(...Array.from({ length: 127 }, () => 1))],
    ["a label of 63 octets", nameOfLabels(63)],
  ])("takes %s", (_, name) => {
    expect(fold(name)).toMatchObject({ name: toHex(name) });
  });

  test.each([
    ["nothing at all", "", Fault.questionTruncated],
    ["no root label", "01 61", Fault.questionTruncated],
    ["a label past the end", "05 6161", Fault.questionTruncated],
    ["a pointer", "c00c", Fault.pointer],
    ["a pointer after a label", "01 61 c00c", Fault.pointer],
    ["only the first octet of a pointer", "ff", Fault.pointer],
    ["label type 01", "40 00", Fault.labelType],
    ["label type 10", "bf 00", Fault.labelType],
  ])("refuses %s", (_, octets, fault) => {
    expect(fold(hex(octets))).toBe(fault);
  });

  test.each([
    ["256 octets in four labels", nameOfLabels(63, 63, 63, 62)],
    ["257 octets in 128 labels", nameOfLabels(...Array.from({ length: 128 }, () => 1))],
    ["254 octets and the start of another label", join(longestName.slice(0, -1), hex("01"))],
  ])("refuses %s as too long", (_, name) => {
    expect(fold(name)).toBe(Fault.nameTooLong);
  });

  test("stops at the given end even if the array goes on", () => {
    const name = wireName("a.example");
    for (let end = 0; end < name.length; end += 1) {
      expect(foldName(name, 0, end, createFoldedName(seed))).toBe(Fault.questionTruncated);
    }
  });
});

describe("skipName", () => {
  // The name under test is at offset 20, after a header and another name.
  const before = join(header, wireName("sample"));

  test.each([
    ["the root", "00", 1],
    ["a name in full", "01 61 07 6578616d706c65 00", 11],
    ["a pointer to the first octet after the header", "c00c", 2],
    ["a pointer to the octet before", "c013", 2],
    ["a label and a pointer", "01 61 c00c", 4],
  ])("passes over %s", (_, octets, size) => {
    const packet = join(before, hex(octets), hex("0001"));
    expect(skipName(packet, 20, packet.length)).toBe(20 + size);
  });

  test.each([
    ["a pointer to itself", "c014", Fault.pointer],
    ["a pointer to the start of its own name", "01 61 c014", Fault.pointer],
    ["a pointer into its own name", "01 61 01 62 c016", Fault.pointer],
    ["a forward pointer", "c016 00", Fault.pointer],
    ["a pointer to the last octet of the header", "c00b", Fault.pointer],
    ["a pointer to offset 0", "c000", Fault.pointer],
    ["the largest pointer", "ffff", Fault.pointer],
    ["label type 01", "40", Fault.labelType],
    ["label type 10", "01 61 80", Fault.labelType],
    ["nothing", "", Fault.recordTruncated],
    ["half a pointer", "c0", Fault.recordTruncated],
    ["a label past the end", "07 6578", Fault.recordTruncated],
    ["no root label", "01 61", Fault.recordTruncated],
  ])("refuses %s", (_, octets, fault) => {
    const packet = join(before, hex(octets));
    expect(skipName(packet, 20, packet.length)).toBe(fault);
  });

  test("passes over 255 octets and refuses 256", () => {
    const longest = join(before, longestName);
    expect(skipName(longest, 20, longest.length)).toBe(20 + 255);
    const longer = join(before, nameOfLabels(63, 63, 63, 62));
    expect(skipName(longer, 20, longer.length)).toBe(Fault.nameTooLong);
  });

  test("does not follow the pointer: a chain costs no more than one", () => {
    const { packet, last } = chainOfPointers(5_000);
    const watched = countingReads(packet);
    expect(skipName(watched.packet, last, packet.length)).toBe(last + 2);
    expect(watched.reads()).toBeLessThanOrEqual(4);
  });

  test("stops at the given end even if the array goes on", () => {
    const name = join(before, hex("01 61 c00c"));
    for (let end = 20; end < name.length; end += 1) expect(skipName(name, 20, end)).toBe(Fault.recordTruncated);
  });
});

describe("expandName", () => {
  const before = join(header, wireName("Web.Example"));

  function expand(octets: Uint8Array): string | number {
    const packet = join(before, octets);
    const name = expandName(packet, before.length, packet.length);
    return typeof name === "number" ? name : toHex(name);
  }

  test.each([
    ["a name in full", join(wireName("Mail.Example")), "mail.example"],
    ["the root", hex("00"), ""],
    ["a pointer to a name", hex("c00c"), "web.example"],
    ["a label and a pointer", hex("02 4e53 c00c"), "ns.web.example"],
    ["a pointer into the middle of a name", hex("02 4e53 c010"), "ns.example"],
    ["a pointer to a root label", hex("c018"), ""],
  ])("reads %s, folded", (_, octets, text) => {
    expect(expand(octets)).toBe(toHex(wireName(text)));
  });

  test("follows a pointer that leads to a pointer", () => {
    const packet = join(before, hex("01 62 c00c"), hex("01 61 c019"));
    expect(expandName(packet, before.length + 4, packet.length)).toStrictEqual(wireName("a.b.web.example"));
  });

  test("returns an array of its own", () => {
    const packet = join(before, hex("c00c"));
    const name = expandName(packet, before.length, packet.length);
    packet.fill(0);
    expect(name).toStrictEqual(wireName("web.example"));
  });

  test.each([
    ["a pointer to itself", "c019", Fault.pointer],
    ["a forward pointer", "c01b 00", Fault.pointer],
    ["a pointer into the header", "c00b", Fault.pointer],
    // "eb" of "Web" read as a length: type 01.
    ["a pointer into a label, where a letter is not a length", "c00e", Fault.labelType],
    ["label type 10", "80", Fault.labelType],
    ["half a pointer", "c0", Fault.recordTruncated],
    ["a label past the end", "07 6578", Fault.recordTruncated],
    ["no root label", "01 61", Fault.recordTruncated],
    ["nothing", "", Fault.recordTruncated],
  ])("refuses %s", (_, octets, fault) => {
    expect(expand(hex(octets))).toBe(fault);
  });

  test("refuses two names that lead into each other by overlapping labels", () => {
    // At 12 a label of 3 octets ends exactly where the name at 16 starts, which points back to 12.
    const packet = join(header, hex("03 616161"), hex("c00c"));
    expect(expandName(packet, 16, packet.length)).toBe(Fault.pointer);
  });

  test("accepts 255 octets assembled from pieces and refuses 256", () => {
    const tail = nameOfLabels(63, 63, 63);
    const fits = join(header, tail, hex("3d"), ascii("a".repeat(61)), hex("c00c"));
    expect(expandName(fits, 12 + tail.length, fits.length)).toStrictEqual(nameOfLabels(61, 63, 63, 63));
    const tooLong = join(header, tail, hex("3e"), ascii("a".repeat(62)), hex("c00c"));
    expect(expandName(tooLong, 12 + tail.length, tooLong.length)).toBe(Fault.nameTooLong);
  });

  test("follows 127 pointers and no more", () => {
    const longest = chainOfPointers(127);
    expect(expandName(longest.packet, longest.last, longest.packet.length)).toStrictEqual(Uint8Array.of(0));
    const longer = chainOfPointers(128);
    expect(expandName(longer.packet, longer.last, longer.packet.length)).toBe(Fault.pointer);
  });

  test("a chain through 16 KiB costs no more than 127 pointers and a name", () => {
    const { packet, last } = chainOfPointers(8_000);
    const watched = countingReads(packet);
    expandName(watched.packet, last, packet.length);
    expect(watched.reads()).toBeLessThanOrEqual(3 * 128 + 255);
  });

  test("expands every uncompressed name to what foldName makes of it", () => {
    fc.assert(
      fc.property(anyName, (name) => {
        const packet = join(header, name);
        expect(toHex(expandName(packet, 12, packet.length) as Uint8Array)).toBe((fold(name) as { name: string }).name);
      }),
      timeBoxed,
    );
  });
});

test("no reader of names looks past the end, wherever a name is cut off", () => {
  const name = join(header, wireName("example"), hex("03 777777 c00c"));
  for (let size = 12; size < name.length; size += 1) {
    for (const offset of [12, 21].filter((start) => start <= size)) {
      const watched = countingReads(name.slice(0, size));
      foldName(watched.packet, offset, size, createFoldedName(seed));
      skipName(watched.packet, offset, size);
      expandName(watched.packet, offset, size);
      expect(watched.outside(), `${size} octets, name at ${offset}`).toBe(0);
    }
  }
});

describe("isAtOrBelow", () => {
  test.each([
    ["cluster.local", "cluster.local", true],
    ["svc.cluster.local", "cluster.local", true],
    ["a.b.c.svc.cluster.local", "cluster.local", true],
    ["xcluster.local", "cluster.local", false],
    ["local", "cluster.local", false],
    ["cluster.local.example", "cluster.local", false],
    ["cluster.locam", "cluster.local", false],
    ["clusterxlocal", "cluster.local", false],
    ["", "cluster.local", false],
    ["example", "", true],
    ["", "", true],
  ])("%j at or below %j: %j", (name, zone, expected) => {
    expect(isAtOrBelow(wireName(name), wireName(zone))).toBe(expected);
  });

  test("a label that holds the octets of the zone is not the zone", () => {
    const inside = join(hex("0f"), wireName("cluster.local"), hex("00"));
    expect(isAtOrBelow(inside, wireName("cluster.local"))).toBe(false);
  });
});

describe("equalOctets", () => {
  test.each([
    ["the same", "0102", 0, "0102", true],
    ["the same further in", "ff0102ff", 1, "0102", true],
    ["another last octet", "0103", 0, "0102", false],
    ["too few octets", "01", 0, "0102", false],
    ["too few octets after the offset", "000102", 2, "0102", false],
    ["nothing expected", "01", 1, "", true],
  ])("%s", (_, octets, offset, expected, equal) => {
    expect(equalOctets(hex(octets), offset, hex(expected))).toBe(equal);
  });
});

test("foldOctet folds A to Z only", () => {
  const changed = Array.from({ length: 256 }, (_, octet) => octet).filter((octet) => foldOctet(octet) !== octet);
  expect(String.fromCharCode(...changed)).toBe("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  expect(foldOctet(0x5a)).toBe(0x7a);
});
