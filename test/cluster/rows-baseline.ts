/*
 * What pods lose, and what they cost kube-dns, without nodens.
 */
import { expect, test } from "vitest";
import { type Bed, questionsPerLookup, trackedQuestions, underLoad } from "./bed.ts";
import { newServiceMs } from "./rows-kube-proxy.ts";

const way = "without nodens";

/** Rows that the others stand beside. */
export function baselineRows(bed: () => Bed): void {
  test("pods look up", async () => {
    const figures = await underLoad(bed(), bed().load, { what: "nothing happens", way }, async () => {});
    expect(figures.failed).toBe(0);
    bed().report.note(
      "questions at kube-dns for each lookup",
      way,
      (await questionsPerLookup(bed(), bed().load)).toFixed(2),
    );
    bed().report.note(
      "conntrack entries of pods' questions, within 2 s",
      way,
      String(await trackedQuestions(bed(), bed().load)),
    );
  });

  test("a new Service works", async () => {
    bed().report.note("a new Service works after", way, `${Math.round(await newServiceMs(bed(), "plain"))} ms`);
  });
}
