import { describe, expect, test } from "vitest";
import { formatServerAddress, parseServerAddress } from "../../../src/runtime/server-address.ts";

describe("parseServerAddress", () => {
  test.each([
    ["10.96.0.10:53", { host: "10.96.0.10", port: 53 }],
    ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
    ["127.0.0.1:65535", { host: "127.0.0.1", port: 65_535 }],
    ["[fd00::a]:53", { host: "fd00::a", port: 53 }],
    ["[::]:5353", { host: "::", port: 5353 }],
    ["[fe80::1%eth0]:53", { host: "fe80::1%eth0", port: 53 }],
    ["[::ffff:10.0.0.1]:53", { host: "::ffff:10.0.0.1", port: 53 }],
  ])("reads %s", (text, address) => {
    expect(parseServerAddress(text)).toEqual(address);
    expect(parseServerAddress(text, 5)).toEqual(address);
  });

  test.each([
    ["10.96.0.10", { host: "10.96.0.10", port: 53 }],
    ["fd00::a", { host: "fd00::a", port: 53 }],
    ["[fd00::a]", { host: "fd00::a", port: 53 }],
    ["::1:53", { host: "::1:53", port: 53 }],
  ])("%s is a bare address: it needs a default port", (text, address) => {
    expect(parseServerAddress(text, 53)).toEqual(address);
    expect(parseServerAddress(text)).toBeUndefined();
  });

  test.each([
    "",
    ":53",
    "localhost:53",
    "kube-dns.kube-system:53",
    "10.96.0:53",
    "10.96.0.256:53",
    "010.96.0.10:53",
    "10.96.0.10:",
    "10.96.0.10:65536",
    "10.96.0.10:123456",
    "10.96.0.10:-1",
    "10.96.0.10:5x",
    "10.96.0.10:0x35",
    "10.96.0.10:53 ",
    " 10.96.0.10:53",
    "10.96.0.10:53:53",
    "10.96.0.10/32",
    "[10.96.0.10]:53",
    "[fd00::a:53",
    "fd00::a]:53",
    "[]:53",
    "[fd00::a]53",
    "[fd00::g]:53",
    "10.96.0.10:53\n",
  ])("does not read %j", (text) => {
    expect(parseServerAddress(text)).toBeUndefined();
    expect(parseServerAddress(text, 53)).toBeUndefined();
  });
});

describe("formatServerAddress", () => {
  test.each(["10.96.0.10:53", "[fd00::a]:53", "[::]:0", "[fe80::1%eth0]:5353"])("writes %s as it is read", (text) => {
    const address = parseServerAddress(text);
    expect(address === undefined ? undefined : formatServerAddress(address)).toBe(text);
  });
});
