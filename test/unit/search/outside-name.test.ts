import { describe, expect, test } from "vitest";
import { laterSteps } from "../../../src/search/outside-name.ts";
import { nameBytes } from "../../support/messages/messages.ts";
import { fullName, zone } from "./named-views.ts";

const isTopLevelDomain = (label: string) => ["com", "dev"].includes(label);

function stepsOf(name: string, suffixes: readonly string[] = []) {
  return laterSteps(nameBytes(fullName(name)), zone, suffixes.map(nameBytes), isTopLevelDomain);
}

describe("laterSteps", () => {
  test.each([
    ["baidu.com.default.svc.Z", ["baidu.com.svc.Z", "baidu.com.Z"], "baidu.com"],
    ["www.baidu.com.default.svc.Z", ["www.baidu.com.svc.Z", "www.baidu.com.Z"], "www.baidu.com"],
    ["a.b.c.d.baidu.com.shop.svc.Z", ["a.b.c.d.baidu.com.svc.Z", "a.b.c.d.baidu.com.Z"], "a.b.c.d.baidu.com"],
    ["_sip._tcp.baidu.com.shop.svc.Z", ["_sip._tcp.baidu.com.svc.Z", "_sip._tcp.baidu.com.Z"], "_sip._tcp.baidu.com"],
  ])("after %s come %j and %s", (name, suffixed, outside) => {
    expect(stepsOf(name)).toEqual({
      suffixed: suffixed.map((step) => nameBytes(fullName(step))),
      outside: nameBytes(outside),
    });
  });

  test("further suffixes come after those of the cluster, in their order", () => {
    const steps = stepsOf("baidu.com.default.svc.Z", ["ec2.internal", "corp.example"]);
    const names = ["baidu.com.svc.Z", "baidu.com.Z", "baidu.com.ec2.internal", "baidu.com.corp.example"];
    expect(steps?.suffixed).toEqual(names.map((step) => nameBytes(fullName(step))));
  });

  test.each([
    // Further suffixes: what came before them was denied, and what comes after them is not known.
    "baidu.com.svc.Z",
    "baidu.com.Z",
    // Either the first suffix in a namespace named "dev", or "svc.Z" after "baidu.com.dev": the latter cannot be ruled out.
    "baidu.com.dev.svc.Z",
    // No top-level domain before the suffix.
    "web.default.svc.Z",
    "db-0.db.default.svc.Z",
    "host.corp.default.svc.Z",
    // A Service that is named like one: there is nothing before it.
    "com.default.svc.Z",
    "default.svc.Z",
    "svc.Z",
    "Z",
    // Pods have no such suffix.
    "baidu.com.default.pod.Z",
    "1-2-3-4.com.pod.Z",
    // Outside.
    "baidu.com",
    "baidu.com.default.svc.cluster.example",
  ])("%s has none", (name) => {
    expect(stepsOf(name, ["ec2.internal"])).toBeUndefined();
  });

  test("returns new arrays", () => {
    const name = nameBytes("baidu.com.default.svc.cluster.local");
    const steps = laterSteps(name, zone, [], isTopLevelDomain);
    name.fill(0);
    expect(steps?.outside).toEqual(nameBytes("baidu.com"));
    expect(steps?.suffixed[1]).toEqual(nameBytes("baidu.com.cluster.local"));
  });
});
