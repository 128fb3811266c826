import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nameFromText, nameToText } from "../../../src/wire/name-text.ts";
import { ascii, hex, join, toHex, wireName } from "./build-message.ts";
import { anyName, timeBoxed } from "./property.ts";

describe("nameFromText", () => {
  test.each([
    [".", "00"],
    ["a", "01 61 00"],
    ["a.", "01 61 00"],
    ["kubernetes.default", "0a 6b756265726e65746573 07 64656661756c74 00"],
    ["WWW.Example.", "03 777777 07 6578616d706c65 00"],
    ["a\\.b.c", "03 612e62 01 63 00"],
    ["a\\.", "02 612e 00"],
    ["a\\\\", "02 615c 00"],
    ["a\\\\.", "02 615c 00"],
    ["a\\\\.b", "02 615c 01 62 00"],
    ["\\032x", "02 2078 00"],
    ["\\000\\255", "02 00ff 00"],
    ["\\046", "01 2e 00"],
    // 065 is "A", and the result is folded.
    ["\\065b", "02 6162 00"],
    ["\\A", "01 61 00"],
    ["é", "02 c3a9 00"],
    ["_dns._udp", "04 5f646e73 04 5f756470 00"],
  ])("reads %j as %s", (text, octets) => {
    expect(toHex(nameFromText(text) ?? hex("ff"))).toBe(toHex(hex(octets)));
  });

  test.each([
    ["nothing", ""],
    ["two dots alone", ".."],
    ["a dot at the start", ".a"],
    ["two dots in the middle", "a..b"],
    ["two dots at the end", "a.."],
    ["a label of 64 octets", "a".repeat(64)],
    ["a label of 64 octets in 32 characters", "é".repeat(32)],
    ["a decimal escape over 255", "\\256"],
    ["a name of 256 octets", `${`${"a".repeat(63)}.`.repeat(3)}${"a".repeat(62)}`],
  ])("refuses %s", (_, text) => {
    expect(nameFromText(text)).toBeUndefined();
  });

  test("takes a label of 63 octets and a name of 255", () => {
    const text = `${`${"a".repeat(63)}.`.repeat(3)}${"a".repeat(61)}`;
    expect(nameFromText(text)).toStrictEqual(wireName(text));
    expect(nameFromText(`${text}.`)).toStrictEqual(wireName(text));
  });
});

describe("nameToText", () => {
  test.each([
    ["00", "."],
    ["01 61 00", "a"],
    ["03 577777 07 6578616d706c65 00", "Www.example"],
    ["03 612e62 01 63 00", "a\\.b.c"],
    ["02 615c 00", "a\\\\"],
    ["02 2078 00", "\\032x"],
    ["03 007fff 00", "\\000\\127\\255"],
    ["", "."],
  ])("writes %s as %j", (octets, text) => {
    expect(nameToText(hex(octets))).toBe(text);
  });

  test("writes nothing that breaks a log line or a terminal", () => {
    const label = join(
      hex("3f"),
      Uint8Array.from({ length: 63 }, (_, index) => index % 33),
      hex("00"),
    );
    expect(nameToText(label)).toMatch(/^[\u0021-\u007e]+$/);
  });
});

describe("a name that is written and read back", () => {
  function folded(name: Uint8Array): Uint8Array {
    return name.map((octet) => (octet >= 0x41 && octet <= 0x5a ? octet + 32 : octet));
  }

  test("is the same but folded, with and without the final dot", () => {
    fc.assert(
      fc.property(anyName, fc.boolean(), (name, withDot) => {
        const text = nameToText(name);
        const read = nameFromText(withDot && text !== "." ? `${text}.` : text);
        expect(toHex(read ?? ascii("refused"))).toBe(toHex(folded(name)));
      }),
      timeBoxed,
    );
  });
});
