/*
 * Every kind of name, as kube-dns answers it; and what a lookup costs kube-dns and the node.
 */
import { describe, expect, test } from "vitest";
import { type Bed, kubeDnsPods, questionsPerLookup, serverOf, trackedQuestions } from "./bed.ts";
import type { Load } from "./load.ts";
import type { Question } from "./lookups.ts";
import type { Mode } from "./rows-install.ts";

const questions: readonly Question[] = [
  ...["A", "AAAA"].flatMap((type) =>
    [
      "web.shop.svc.cluster.local",
      "pair.shop.svc.cluster.local",
      "pair-0.pair.shop.svc.cluster.local",
      "elsewhere.shop.svc.cluster.local",
      "kubernetes.default.svc.cluster.local",
      "www.example.com",
      "www.example.com.shop.svc.cluster.local",
      "nosuch.shop.svc.cluster.local",
      "web.nosuch.svc.cluster.local",
      "nosuch.example.org",
    ].map((name) => ({ name, type })),
  ),
  { name: "_http._tcp.web.shop.svc.cluster.local", type: "SRV" },
  { name: "_data._tcp.pair.shop.svc.cluster.local", type: "SRV" },
  { name: "elsewhere.shop.svc.cluster.local", type: "CNAME" },
  { name: "dns-version.cluster.local", type: "TXT" },
  { name: "10.96.7.1", type: "PTR" },
  { name: "10.244.9.1", type: "PTR" },
  { name: "10.96.200.200", type: "PTR" },
];

/** Row 2. */
export function nameRows(bed: () => Bed, way: Mode, load: () => Load): void {
  describe("names are answered as kube-dns answers them", () => {
    test.each([
      ["UDP", false],
      ["TCP", true],
    ])("over %s", async (_, overTcp) => {
      const { cluster, node, pod } = bed();
      const [straight] = await kubeDnsPods(cluster);
      for (const question of questions.map((each) => ({ ...each, overTcp }))) {
        const expected = await pod.ask(straight?.address ?? "", question);
        const found = await pod.ask(serverOf(way, node), question);
        expect({ question, ...found }).toEqual({ question, ...expected });
      }
    });
  });

  test("pods' questions leave no entry in connection tracking", async () => {
    const tracked = await trackedQuestions(bed(), load());
    bed().report.note("conntrack entries of pods' questions, within 2 s", way, String(tracked));
    expect(tracked).toBe(0);
  });

  // In the other modes kube-dns also answers the load that stays with it.
  if (way !== "intercept") return;

  test("a lookup costs kube-dns less than a tenth of a question", async () => {
    const perLookup = await questionsPerLookup(bed(), load());
    bed().report.note("questions at kube-dns for each lookup", way, perLookup.toFixed(2));
    expect(perLookup).toBeLessThan(0.1);
  });
}
