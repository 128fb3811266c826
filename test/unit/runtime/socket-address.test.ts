import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { libc } from "../../../src/runtime/libc.ts";
import { hasSameHost, hostKey, hostOf, portOf, socketAddress } from "../../../src/runtime/socket-address.ts";

function at(host: string, port = 53) {
  return socketAddress({ host, port });
}

describe("an address as the kernel has it", () => {
  test.each([
    ["10.1.2.3", "10.1.2.3"],
    ["::1", "::1"],
    ["FD00:0:0::000A", "fd00::a"],
    ["fe80::1%lo", "fe80::1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"],
  ])("keeps the host %s", (host, text) => {
    expect(hostOf(at(host))).toBe(text);
  });

  test("keeps the port", () => {
    expect([portOf(at("10.1.2.3", 53)), portOf(at("::1", 65_535)), portOf(at("::1", 0))]).toStrictEqual([
      53, 65_535, 0,
    ]);
  });

  test.skipIf(libc === undefined)("is one that the kernel takes", async () => {
    const server = createSocket("udp4");
    onTestFinished(() => void server.close());
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    const fd = libc?.socket(2, 2, 0) ?? -1;
    onTestFinished(() => void libc?.close(fd));
    const address = at("127.0.0.1", server.address().port);
    expect(libc?.bind(fd, address, address.length)).toBe(-1);
    expect(libc?.lastError("bind").code).toBe("EADDRINUSE");
  });
});

describe("two addresses", () => {
  test.each([
    ["10.1.2.3", "10.1.2.3", true],
    ["10.1.2.3", "10.1.2.4", false],
    ["fd00::a", "FD00:0:0::000A", true],
    ["fd00::a", "fd00::b", false],
    ["0.0.0.1", "::1", false],
  ])("of %s and %s: the same host is %s", (one, other, same) => {
    expect(hasSameHost(at(one, 1), at(other, 2))).toBe(same);
    expect(hostKey(at(one, 1)) === hostKey(at(other, 2))).toBe(same);
  });
});
