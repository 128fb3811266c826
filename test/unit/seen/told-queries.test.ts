import { expect, test } from "vitest";
import { picturePartsOf } from "../../../src/app/live-seen.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";
import { createSeen } from "../../../src/seen/seen.ts";
import { tailOf } from "../../../src/seen/told-queries.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";
import { createFoldedName, foldName } from "../../../src/wire/name.ts";
import { nameBytes } from "../../support/messages/messages.ts";

/** Queries for a name, as many as are told at most. */
function told(text: string): number {
  const seen = createSeen({
    recordedQueries: 16_384,
    keepsNames: true,
    suffixes: [],
    isHit: () => true,
    isFromUpstream: () => false,
    isClusterName: () => true,
    seed: 7,
  });
  const octets = nameBytes(text);
  const name = createFoldedName(0x5eed);
  foldName(octets, 0, octets.length, name);
  const client = socketAddress({ host: "10.0.0.7", port: 4000 });
  for (let turn = 0; turn < 10_000; turn += 1) {
    const number = seen.received(client, { id: turn, name, type: 1, hasEdns: false }, false, turn);
    seen.answered(number, name, 0, 1, 0.01);
  }
  return tailOf(picturePartsOf(seen, defaultSettings()), { limit: 10_000 }, 10_000).length;
}

test("ten thousand queries are told, but of long names no more than a mebibyte", () => {
  expect(told("web.shop.svc.cluster.local")).toBe(10_000);
  expect(told(Array.from({ length: 4 }, () => "a".repeat(60)).join("."))).toBe(Math.ceil(1_048_576 / 243));
});
