/*
 * What a client may ask for after a name that is denied.
 */
import { expect, test } from "vitest";
import { laterNames } from "../../../src/search/later-names.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import { nameBytes } from "../../support/messages/messages.ts";

const zone = nameBytes("cluster.local");

function laterOf(name: string, suffixes: readonly string[] = []): string[] {
  return laterNames(nameBytes(name), zone, suffixes.map(nameBytes)).map(nameToText);
}

test.each<[string, string[]]>([
  [
    "web.shop.apps.svc.cluster.local",
    [
      "web.shop.svc.cluster.local",
      "web.shop.cluster.local",
      "web.shop",
      "web.shop.apps.cluster.local",
      "web.shop.apps",
      "web.shop.apps.svc",
    ],
  ],
  ["web.svc.cluster.local", ["web.cluster.local", "web", "web.svc"]],
  ["example.com.cluster.local", ["example.com"]],
  ["10-0-0-1.apps.pod.cluster.local", ["10-0-0-1.apps.pod"]],
])("of %s, by each suffix that may have been appended", (name, later) => {
  expect(laterOf(name)).toEqual(later);
});

test("the pods' further suffixes come after those of the zone", () => {
  expect(laterOf("web.cluster.local", ["corp.example", "example"])).toEqual(["web.corp.example", "web.example", "web"]);
  expect(laterOf("web.corp.example", ["corp.example", "example"])).toEqual(["web.example", "web", "web.corp"]);
});

test.each(["cluster.local", "www.example.org", "svc.local"])("there are none for %s, which has no suffix", (name) => {
  expect(laterOf(name)).toEqual([]);
});
