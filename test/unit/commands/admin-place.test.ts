import { expect, test } from "vitest";
import { adminPlaceFrom } from "../../../src/commands/admin-place.ts";

test.each([
  ["127.0.0.1:9253", { host: "127.0.0.1", port: 9253 }],
  ["10.0.0.7", { host: "10.0.0.7", port: 9253 }],
  ["[::1]:80", { host: "::1", port: 80 }],
  ["localhost", { host: "127.0.0.1", port: 9253 }],
  ["LOCALHOST:9153", { host: "127.0.0.1", port: 9153 }],
  ["./admin.sock", { path: "./admin.sock" }],
  ["localhost.example:80", undefined],
  ["node-1:9253", undefined],
  ["127.0.0.1:0", undefined],
  ["", undefined],
])("%j", (against, place) => {
  expect(adminPlaceFrom(against)).toEqual(place);
});
