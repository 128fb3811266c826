import type { ClientQuery } from "../../../src/wire/query.ts";
import { describe, expect, test } from "vitest";
import { type AbsenceLimits, createAbsences } from "../../../src/search/absences.ts";
import { createZoneKnowledge } from "../../../src/search/zone-knowledge.ts";
import { nameBytes, Type } from "../../support/messages/messages.ts";
import { queryFor, type QueryDetails } from "../../support/messages/parsed-messages.ts";
import { fullName, zone } from "./named-views.ts";

const startMs = 1_000_000;
const soa = { octets: nameBytes("cluster.local"), ttlOffset: 0, denialTtlSeconds: 30 };
const isTopLevelDomain = (label: string) => ["com", "dev"].includes(label);

/** A judge that may use both rules; `verdicts` is what the cache knows, by name ("com.svc.Z"). */
function createJudge(more: Partial<AbsenceLimits> = {}) {
  const knowledge = createZoneKnowledge({ checkOneIn: 64 });
  knowledge.noteSchema(true);
  knowledge.noteSoa(soa, startMs);
  const verdicts = new Map<string, number>();
  const limits = {
    shortCircuit: "learned" as AbsenceLimits["shortCircuit"],
    exemptions: [] as readonly Uint8Array[],
    isMulticluster: false,
    maxDenialTtlSeconds: 5,
    ...more,
  };
  const secondsOf = (query: ClientQuery, offset: number) => {
    const rest = query.name.octets.subarray(offset, query.name.sizeBytes);
    for (const [name, seconds] of verdicts) if (Buffer.from(rest).equals(nameBytes(fullName(name)))) return seconds;
    return 0;
  };
  const absences = createAbsences({
    zone,
    limits,
    knowledge,
    // Positive: denied for that long. Negative: known to exist.
    verdicts: {
      deniedForSeconds: (query, offset) => Math.max(0, secondsOf(query, offset)),
      existsForSeconds: (query, offset) => Math.max(0, -secondsOf(query, offset)),
    },
    isTopLevelDomain,
    hashSeed: 1,
  });
  const find = (name: string, type: number = Type.A, details: QueryDetails = {}, nowMs = startMs) =>
    absences.find(queryFor(fullName(name), type, details), nowMs);
  const parentToAsk = (name: string, type: number = Type.A, nowMs = startMs) => {
    const query = queryFor(fullName(name), type);
    const offset = absences.parentToAsk(query, nowMs);
    return offset === undefined ? undefined : query.name.octets.slice(offset, query.name.sizeBytes);
  };
  return { absences, knowledge, verdicts, limits, find, parentToAsk };
}

describe("the schema rule", () => {
  test("denies host types with the zone's own SOA", () => {
    const { find } = createJudge();
    for (const type of [Type.A, Type.AAAA, Type.CNAME, Type.HTTPS, Type.SVCB]) {
      expect(find("baidu.com.Z", type)).toEqual({ rule: "absentBySchema", suffix: "zone", soa, ttlSeconds: 5 });
    }
  });

  test.each([Type.TXT, Type.SRV, Type.ANY, Type.SOA, Type.NS, Type.PTR, Type.MX])("leaves type %i alone", (type) => {
    expect(createJudge().find("baidu.com.Z", type)).toBeUndefined();
  });

  test("leaves another class alone", () => {
    expect(createJudge().find("baidu.com.Z", Type.A, { class: 3 })).toBeUndefined();
  });

  test("ignores the question's spelling", () => {
    expect(createJudge().find("BAIDU.Com.CLUSTER.local")).toMatchObject({ rule: "absentBySchema" });
  });

  test.each([
    ["baidu.com.Z", "zone"],
    ["a.b.example.com.svc.Z", "svc"],
    ["www.baidu.com.default.svc.Z", "namespace"],
    ["a.b.example.com.default.svc.Z", "namespace"],
  ])("counts %s under the suffix %s", (name, suffix) => {
    expect(createJudge().find(name)).toMatchObject({ rule: "absentBySchema", suffix });
  });

  test("is used with the setting `certain` too", () => {
    const { find, limits } = createJudge({ shortCircuit: "certain" });
    expect(find("baidu.com.Z")).toMatchObject({ rule: "absentBySchema" });
    limits.shortCircuit = "off";
    expect(find("baidu.com.Z")).toBeUndefined();
  });

  test("is not used for an exempted name", () => {
    const { find } = createJudge({ exemptions: [nameBytes("com.cluster.local")] });
    expect(find("baidu.com.Z")).toBeUndefined();
    expect(find("www.baidu.com.default.svc.Z")).toMatchObject({ rule: "absentBySchema" });
  });
});

describe("the learned rule", () => {
  test.each([
    ["com.svc.Z", "baidu.com.svc.Z"],
    ["com.svc.Z", "www.baidu.com.svc.Z"],
    ["com.default.svc.Z", "baidu.com.default.svc.Z"],
    ["absent.svc.Z", "web.absent.svc.Z"],
    ["absent.svc.Z", "_http._tcp.web.absent.svc.Z"],
    ["web.default.svc.Z", "web-0.web.default.svc.Z"],
    ["web.default.svc.Z", "_tcp.web.default.svc.Z"],
    ["absent.svc.Z", "http.tcp.web.absent.svc.Z"],
  ])("a denied %s denies %s", (parent, name) => {
    const { find, verdicts } = createJudge();
    expect(find(name)).toBeUndefined();
    verdicts.set(parent, 3);
    expect(find(name)).toMatchObject({ rule: "absentParent", ttlSeconds: 3 });
    expect(find(name, Type.AAAA)).toMatchObject({ rule: "absentParent", ttlSeconds: 3 });
  });

  test.each([
    // The denied name itself is the cache's business, and so is what is above or beside it.
    ["com.svc.Z", "com.svc.Z"],
    ["com.svc.Z", "svc.Z"],
    ["com.svc.Z", "baidu.net.svc.Z"],
    ["com.default.svc.Z", "baidu.com.other.svc.Z"],
    ["com.default.svc.Z", "default.svc.Z"],
    ["com.default.svc.Z", "com.default.svc.Z"],
    // CoreDNS denies these above names that exist.
    ["_tcp.web.default.svc.Z", "_http._tcp.web.default.svc.Z"],
    ["tcp.web.default.svc.Z", "http.tcp.web.default.svc.Z"],
    ["dns.Z", "ns.dns.Z"],
    ["svc.Z", "default.svc.Z"],
    ["Z", "web.default.svc.Z"],
    // Namespaces of pods are not evidence.
    ["default.pod.Z", "1-2-3-4.default.pod.Z"],
    ["default.svc.Z", "1-2-3-4.default.pod.Z"],
    ["local", "web.default.svc.Z"],
  ])("a denied %s does not deny %s", (parent, name) => {
    const { find, verdicts } = createJudge();
    verdicts.set(parent, 5);
    expect(find(name)).toBeUndefined();
  });

  test.each([Type.TXT, Type.SRV, Type.ANY])("leaves type %i alone", (type) => {
    const { find, verdicts } = createJudge();
    verdicts.set("com.svc.Z", 5);
    expect(find("baidu.com.svc.Z", type)).toBeUndefined();
  });

  test("a parent that is known to exist denies nothing", () => {
    const { find, verdicts } = createJudge();
    verdicts.set("default.svc.Z", -5);
    expect(find("web.default.svc.Z")).toBeUndefined();
  });

  test("either parent is enough, and the longer of two denials counts", () => {
    const { find, verdicts } = createJudge();
    verdicts.set("default.svc.Z", -5);
    verdicts.set("com.default.svc.Z", 2);
    expect(find("baidu.com.default.svc.Z")).toMatchObject({ ttlSeconds: 2 });
    verdicts.set("default.svc.Z", 4);
    expect(find("baidu.com.default.svc.Z")).toMatchObject({ ttlSeconds: 4 });
  });

  test("does not deny a name that still has an answer for the other type: musl would throw its data away", () => {
    const { find, verdicts } = createJudge();
    verdicts.set("db.shop.svc.Z", 5);
    expect(find("db-0.db.shop.svc.Z", Type.AAAA)).toMatchObject({ rule: "absentParent" });
    verdicts.set("db-0.db.shop.svc.Z", -20);
    expect(find("db-0.db.shop.svc.Z", Type.AAAA)).toBeUndefined();
  });

  test("is used only with the setting `learned`", () => {
    const { find, verdicts, limits } = createJudge();
    verdicts.set("com.svc.Z", 5);
    for (const shortCircuit of ["certain", "off"] as const) {
      limits.shortCircuit = shortCircuit;
      expect(find("baidu.com.svc.Z")).toBeUndefined();
    }
  });

  test("is not used for an exempted name", () => {
    const { find, verdicts } = createJudge({ exemptions: [nameBytes("api.v2.default.svc.cluster.local")] });
    verdicts.set("v2.default.svc.Z", 5);
    expect(find("api.v2.default.svc.Z")).toBeUndefined();
    expect(find("www.v2.default.svc.Z")).toMatchObject({ rule: "absentParent" });
  });

  test.each([
    ["baidu.com.svc.Z", "com.svc.Z", "svc"],
    ["baidu.com.default.svc.Z", "com.default.svc.Z", "namespace"],
    ["web.absent.svc.Z", "absent.svc.Z", "namespace"],
  ])("counts %s under the right suffix", (name, parent, suffix) => {
    const { find, verdicts } = createJudge();
    verdicts.set(parent, 5);
    expect(find(name)).toMatchObject({ rule: "absentParent", suffix });
  });
});

describe("the life of a denial", () => {
  test("is never longer than the setting", () => {
    const { find, verdicts, limits } = createJudge();
    verdicts.set("com.svc.Z", 100);
    expect(find("baidu.com.svc.Z")?.ttlSeconds).toBe(5);
    limits.maxDenialTtlSeconds = 2;
    expect(find("baidu.com.svc.Z")?.ttlSeconds).toBe(2);
    expect(find("baidu.com.Z")?.ttlSeconds).toBe(2);
  });

  test("is never longer than what is left of the denial that it was learned from", () => {
    const { find, verdicts } = createJudge();
    verdicts.set("com.svc.Z", 1);
    expect(find("baidu.com.svc.Z")?.ttlSeconds).toBe(1);
  });

  test.each([
    [0, 5],
    [26_000, 4],
    [29_000, 1],
    [29_999, 1],
  ])("is never longer than what is left of the SOA, %i ms old", (ageMs, ttlSeconds) => {
    const { find, verdicts } = createJudge();
    verdicts.set("com.svc.Z", 5);
    for (const name of ["baidu.com.svc.Z", "baidu.com.Z"]) {
      expect(find(name, Type.A, {}, startMs + ageMs)?.ttlSeconds, name).toBe(ttlSeconds);
    }
  });

  test("ends with the SOA, which is used for an hour after it was last seen", () => {
    const { find, verdicts } = createJudge();
    verdicts.set("com.svc.Z", 5);
    for (const name of ["baidu.com.svc.Z", "baidu.com.Z"]) {
      expect(find(name, Type.A, {}, startMs + 3_600_000)).toBeUndefined();
    }
  });
});

describe("a zone that has not shown its schema, such as the older kube-dns", () => {
  function createOlder() {
    const judge = createJudge();
    judge.knowledge.noteSchema(false);
    // It denies namespaces that exist.
    judge.verdicts.set("default.svc.Z", 5);
    judge.verdicts.set("com.svc.Z", 5);
    return judge;
  }

  test.each(["baidu.com.Z", "www.baidu.com.default.svc.Z", "web.default.svc.Z", "baidu.com.svc.Z", "x.default.pod.Z"])(
    "nothing denies %s",
    (name) => {
      const { find } = createOlder();
      expect(find(name)).toBeUndefined();
      expect(find(name, Type.AAAA)).toBeUndefined();
    },
  );

  test("no parent is asked in a name's place", () => {
    const { parentToAsk, verdicts } = createOlder();
    verdicts.clear();
    expect(parentToAsk("www.baidu.com.svc.Z")).toBeUndefined();
  });
});

describe("a rule that is switched off", () => {
  test("denies nothing, and the other rule goes on", () => {
    const { find, knowledge, verdicts } = createJudge();
    verdicts.set("com.svc.Z", 5);
    knowledge.noteCheck("absentBySchema", false, startMs);
    expect(find("baidu.com.Z")).toBeUndefined();
    expect(find("baidu.com.svc.Z")).toMatchObject({ rule: "absentParent" });
  });

  test("leaves a name that both would deny to the other rule", () => {
    const { find, knowledge, verdicts } = createJudge();
    verdicts.set("com.default.svc.Z", 5);
    expect(find("www.baidu.com.default.svc.Z")).toMatchObject({ rule: "absentParent" });
    knowledge.noteCheck("absentParent", false, startMs);
    expect(find("www.baidu.com.default.svc.Z")).toMatchObject({ rule: "absentBySchema" });
  });

  test("asks for no parents if it is the learned rule", () => {
    const { parentToAsk, knowledge } = createJudge();
    knowledge.noteCheck("absentParent", false, startMs);
    expect(parentToAsk("www.baidu.com.svc.Z")).toBeUndefined();
  });
});

describe("parentToAsk", () => {
  test.each([
    ["baidu.com.svc.Z", "com.svc.Z"],
    ["www.baidu.com.svc.Z", "com.svc.Z"],
    ["baidu.com.default.svc.Z", "com.default.svc.Z"],
  ])("for %s it is %s", (name, parent) => {
    const { parentToAsk } = createJudge();
    expect(parentToAsk(name)).toEqual(nameBytes(fullName(parent)));
    expect(parentToAsk(name, Type.AAAA)).toEqual(nameBytes(fullName(parent)));
  });

  test.each(["web.default.svc.Z", "com.default.svc.Z", "com.svc.Z", "baidu.com.Z", "baidu.com"])(
    "for %s there is none",
    (name) => {
      expect(createJudge().parentToAsk(name)).toBeUndefined();
    },
  );

  test.each([Type.TXT, Type.SRV])("there is none for type %i", (type) => {
    expect(createJudge().parentToAsk("baidu.com.svc.Z", type)).toBeUndefined();
  });

  test.each([-3, 3])("does not ask again for a parent of which it is known whether it exists (%i s)", (verdict) => {
    const { parentToAsk, verdicts } = createJudge();
    verdicts.set("com.svc.Z", verdict);
    expect(parentToAsk("baidu.com.svc.Z")).toBeUndefined();
  });

  test("there is none with the settings `certain` and `off`, nor for an exempted name", () => {
    for (const shortCircuit of ["certain", "off"] as const) {
      expect(createJudge({ shortCircuit }).parentToAsk("baidu.com.svc.Z")).toBeUndefined();
    }
    const exemptions = [nameBytes("baidu.com.svc.cluster.local")];
    expect(createJudge({ exemptions }).parentToAsk("baidu.com.svc.Z")).toBeUndefined();
  });

  test("is a Service of which a name was denied, until it is known to exist", () => {
    const { absences, parentToAsk } = createJudge();
    expect(parentToAsk("web.shop.default.svc.Z")).toBeUndefined();
    absences.noteVerdict(nameBytes(fullName("db.shop.default.svc.Z")), false, startMs);
    expect(parentToAsk("web.shop.default.svc.Z")).toEqual(nameBytes(fullName("shop.default.svc.Z")));
    absences.noteVerdict(nameBytes(fullName("shop.default.svc.Z")), true, startMs);
    absences.noteVerdict(nameBytes(fullName("db.shop.default.svc.Z")), false, startMs);
    expect(parentToAsk("web.shop.default.svc.Z")).toBeUndefined();
  });

  test("there is none once the SOA is too old: a denial could not be passed on", () => {
    expect(createJudge().parentToAsk("baidu.com.svc.Z", Type.A, startMs + 3_600_000)).toBeUndefined();
  });
});

describe("parentsOf", () => {
  test.each([
    ["web.default.svc.Z", ["default.svc.Z"]],
    ["www.web.default.svc.Z", ["default.svc.Z", "web.default.svc.Z"]],
    ["_http._tcp.web.default.svc.Z", ["default.svc.Z", "web.default.svc.Z"]],
    ["default.svc.Z", []],
    ["baidu.com.Z", []],
    ["1-2-3-4.default.pod.Z", []],
  ])("for %s they are %j", (name, parents) => {
    const query = queryFor(fullName(name), Type.A);
    const offsets = createJudge().absences.parentsOf(query);
    expect(offsets.map((offset) => query.name.octets.slice(offset, query.name.sizeBytes))).toEqual(
      parents.map((parent) => nameBytes(fullName(parent))),
    );
  });
});

describe("parentsThatDeny", () => {
  const name = nameBytes(fullName("www.web.default.svc.Z"));

  test("are the parents, while the rule is in use", () => {
    const { absences, limits } = createJudge();
    expect(absences.parentsThatDeny(name, startMs)).toHaveLength(2);
    limits.shortCircuit = "certain";
    expect(absences.parentsThatDeny(name, startMs)).toEqual([]);
  });

  test("are none of an exempted name", () => {
    const { absences } = createJudge({ exemptions: [nameBytes("default.svc.cluster.local")] });
    expect(absences.parentsThatDeny(name, startMs)).toEqual([]);
  });
});
