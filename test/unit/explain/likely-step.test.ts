import { expect, test } from "vitest";
import { likelyStep } from "../../../src/explain/likely-step.ts";
import { planLookup } from "../../../src/explain/lookup-plan.ts";
import { nameBytes } from "../../support/messages/messages.ts";

const path = { suffixes: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"], ndots: 5 };
const isTopLevelDomain = (label: string) => ["com", "dev"].includes(label);

test.each([
  ["web", "web.default.svc.cluster.local"],
  ["web.blue", "web.blue.svc.cluster.local"],
  ["web.blue.svc", "web.blue.svc.cluster.local"],
  ["web.blue.svc.cluster.local", "web.blue.svc.cluster.local"],
  ["web-0.web.blue", "web-0.web.blue.svc.cluster.local"],
  ["_http._tcp.web", "_http._tcp.web.default.svc.cluster.local"],
  ["10-0-0-1.blue.pod", "10-0-0-1.blue.pod.cluster.local"],
  ["example.com", "example.com"],
  ["WWW.EXAMPLE.COM", "WWW.EXAMPLE.COM"],
  ["web.dev", "web.dev"],
  ["db.corp.internal", "db.corp.internal"],
  ["com", "com.default.svc.cluster.local"],
  ["web.blue.", "web.blue"],
])("%s probably means %s", (name, expected) => {
  const steps = planLookup(name, path, "glibc");
  expect(steps[likelyStep(steps, nameBytes("cluster.local"), isTopLevelDomain)]?.name).toBe(expected);
});

test("without steps there is none", () => {
  expect(likelyStep([], nameBytes("cluster.local"), isTopLevelDomain)).toBe(-1);
});
