import { expect, test } from "vitest";
import { isTopLevelDomain } from "../../../src/search/top-level-domains.ts";

test.each(["com", "net", "org", "cn", "de", "io", "arpa", "dev"])("%s is one", (label) => {
  expect(isTopLevelDomain(label)).toBe(true);
});

test.each(["xn--p1ai", "xn--fiqs8s", "xn--j6w193g"])("%s is one, in the form that queries have", (label) => {
  expect(isTopLevelDomain(label)).toBe(true);
});

test.each(["", "local", "svc", "cluster", "default", "kube-system", "internal", "localhost", "co.uk", "constructor"])(
  "%j is none",
  (label) => {
    expect(isTopLevelDomain(label)).toBe(false);
  },
);
