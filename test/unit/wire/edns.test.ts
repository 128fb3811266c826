import { describe, expect, test } from "vitest";
import { ExtendedError } from "../../../src/wire/codes.ts";
import { checkOptions, optSizeFor, writeOpt } from "../../../src/wire/edns.ts";
import { Fault } from "../../../src/wire/fault.ts";
import { hex, toHex } from "./build-message.ts";

describe("writeOpt", () => {
  test.each([
    ["plain", 0, false, ExtendedError.none, "00 0029 04d0 00 00 0000 0000"],
    ["with DO", 0, true, ExtendedError.none, "00 0029 04d0 00 00 8000 0000"],
    ["with the upper bits of BADVERS", 1, false, ExtendedError.none, "00 0029 04d0 01 00 0000 0000"],
    ["with a stale answer", 0, false, ExtendedError.staleAnswer, "00 0029 04d0 00 00 0000 0006 000f 0002 0003"],
    ["with DO and a network error", 0, true, ExtendedError.networkError, "00 0029 04d0 00 00 8000 0006 000f 0002 0017"],
  ])("%s", (_, upperRcode, dnssecOk, extendedError, octets) => {
    const expected = toHex(hex(octets));
    // Old octets in the buffer must not show through.
    const target = new Uint8Array(40).fill(0xaa);
    const end = writeOpt(target, 3, upperRcode, dnssecOk, extendedError);
    expect(toHex(target.subarray(3, end))).toBe(expected);
    expect(end - 3).toBe(optSizeFor(extendedError));
    expect(toHex(target.subarray(end))).toMatch(/^(aa)+$/);
    expect(toHex(target.subarray(0, 3))).toBe("aaaaaa");
  });
});

describe("checkOptions", () => {
  test.each([
    ["no option", "", 0],
    ["one empty option", "0003 0000", 0],
    ["one option", "000a 0008 0102030405060708", 0],
    ["three options", "0003 0000 000b 0002 0064 000c 0003 000000", 0],
    ["an unknown option", "0064 0001 ff", 0],
    ["one octet", "00", Fault.optOptions],
    ["half a header", "000a 00", Fault.optOptions],
    ["an option one octet short", "000a 0002 01", Fault.optOptions],
    ["an option and one octet", "0003 0000 ff", Fault.optOptions],
    ["the largest length", "0003 ffff", Fault.optOptions],
  ])("%s", (_, options, result) => {
    const octets = hex(`aaaaaa ${options} 0003 0000 aaaa`);
    expect(checkOptions(octets, 3, 3 + hex(options).length)).toBe(result);
  });
});
