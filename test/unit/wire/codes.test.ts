import { describe, expect, test } from "vitest";
import { isAddressType, isHostType, rcodeName, RrType, typeFromName, typeName } from "../../../src/wire/codes.ts";

describe("typeName", () => {
  test.each([
    [1, "A"],
    [28, "AAAA"],
    [65, "HTTPS"],
    [255, "ANY"],
    [0, "TYPE0"],
    [65_280, "TYPE65280"],
  ])("type %i is called %s", (code, name) => {
    expect(typeName(code)).toBe(name);
  });
});

describe("typeFromName", () => {
  test.each([
    ["A", 1],
    ["aaaa", 28],
    ["Srv", 33],
    ["TYPE1", 1],
    ["type65280", 65_280],
    ["TYPE65535", 65_535],
    ["TYPE65536", undefined],
    ["TYPE", undefined],
    ["TYPE-1", undefined],
    ["TYPE1x", undefined],
    ["NOTATYPE", undefined],
    ["", undefined],
    // Not found on the prototype of a plain object either.
    ["constructor", undefined],
  ])("reads %j as type %j", (name, code) => {
    expect(typeFromName(name)).toBe(code);
  });

  test("reads back every name that typeName writes", () => {
    for (const code of [...Object.values(RrType), 0, 65_280]) expect(typeFromName(typeName(code))).toBe(code);
  });
});

describe("rcodeName", () => {
  test.each([
    [0, "NOERROR"],
    [3, "NXDOMAIN"],
    [16, "BADVERS"],
    [11, "RCODE11"],
    [4095, "RCODE4095"],
  ])("response code %i is called %s", (code, name) => {
    expect(rcodeName(code)).toBe(name);
  });
});

test("A and AAAA are the address types; with the types asked beside them they are the host types", () => {
  expect(Object.values(RrType).filter(isAddressType)).toEqual([RrType.A, RrType.AAAA]);
  expect(Object.values(RrType).filter(isHostType)).toEqual([
    RrType.A,
    RrType.CNAME,
    RrType.AAAA,
    RrType.SVCB,
    RrType.HTTPS,
  ]);
});
