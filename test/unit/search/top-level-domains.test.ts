import { expect, test } from "vitest";
import { isTopLevelDomain } from "../../../src/search/top-level-domains.ts";

test.each(["com", "net", "org", "cn", "de", "io", "arpa", "dev"])("%s is a top-level domain", (label) => {
  expect(isTopLevelDomain(label)).toBe(true);
});

test.each(["xn--p1ai", "xn--fiqs8s", "xn--j6w193g"])(
  "%s is a top-level domain, in the form that queries have",
  (label) => {
    expect(isTopLevelDomain(label)).toBe(true);
  },
);

test.each(["", "local", "svc", "cluster", "default", "kube-system", "internal", "localhost", "co.uk", "constructor"])(
  "%j is not a top-level domain",
  (label) => {
    expect(isTopLevelDomain(label)).toBe(false);
  },
);
