import { describe, expect, test } from "vitest";
import { ownAddressesOf, targetsOf } from "../../../src/attach/asked-addresses.ts";

describe("targets", () => {
  const own = "169.254.20.10";
  const options = { addresses: [own], interceptPort: 2000, virtualAddresses: ["10.96.0.10", "fd96::a", "10.96.0.11"] };

  test("take ports upwards within a family, and only where an own address of the family is", () => {
    expect(targetsOf(options, [])).toEqual([
      { virtualAddress: "10.96.0.10", host: own, port: 2000, probePort: 1999 },
      { virtualAddress: "10.96.0.11", host: own, port: 2001, probePort: 1998 },
    ]);
  });

  test("keep the port that another nodens on the node gives them, and take none of others", () => {
    const standing = [
      { virtualAddress: "10.96.0.99", port: 2000 },
      { virtualAddress: "10.96.0.11", port: 2001 },
      { virtualAddress: "fd96::a", port: 2002 },
    ];
    expect(targetsOf(options, standing).map(({ virtualAddress, port }) => [virtualAddress, port])).toEqual([
      ["10.96.0.10", 2002],
      ["10.96.0.11", 2001],
    ]);
  });
});

describe("own addresses", () => {
  const listed = {
    addresses: ["169.254.20.10"],
    listenAddresses: [{ host: "192.0.2.7", port: 53 }],
    virtualAddresses: ["10.96.0.10"],
  };

  test("are those of attach.addresses in link-local, and fall open to the Service", () => {
    const own = ownAddressesOf({ mode: "link-local", ...listed });
    expect(own).toEqual([{ address: "169.254.20.10", service: "10.96.0.10" }]);
  });

  test("are those of listen.addresses in host-ip that a pod can have as its nameserver", () => {
    const others = ["0.0.0.0", "127.0.0.1", "::1", "::"].map((host) => ({ host, port: 53 }));
    const listenAddresses = [...listed.listenAddresses, ...others, { host: "192.0.2.8", port: 5353 }];
    const own = ownAddressesOf({ mode: "host-ip", ...listed, listenAddresses });
    expect(own.map(({ address }) => address)).toEqual(["192.0.2.7"]);
  });

  test("are none in mode none", () => {
    expect(ownAddressesOf({ mode: "none", ...listed })).toEqual([]);
  });
});
