/*
 * What a system error says about why a question was lost.
 */
import { expect, test } from "vitest";
import { lossReasonOf } from "../../../src/flows/loss-reason.ts";

test.each([
  ["refused", ["ECONNREFUSED"]],
  ["unreachable", ["EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM"]],
  ["exhausted", ["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]],
  ["timeout", ["ETIMEDOUT"]],
  ["closed", ["ECONNRESET", "EPIPE", "ESOMETHINGNEW"]],
])("%s: %j", (reason, codes) => {
  for (const code of codes) expect(lossReasonOf(Object.assign(new Error(code), { code })), code).toBe(reason);
});
