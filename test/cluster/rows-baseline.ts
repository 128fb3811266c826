/*
 * What pods lose, and what they cost kube-dns, without nodens.
 */
import { expect, test } from "vitest";
import {
  type Bed,
  deleteKubeDnsPod,
  questionsPerLookup,
  rollOutKubeDns,
  scaleKubeDns,
  trackedQuestions,
  underLoad,
} from "./bed.ts";
import { newServiceMs } from "./rows-kube-proxy.ts";

const way = "without nodens";

/** Rows that the others stand beside. */
export function baselineRows(bed: () => Bed): void {
  test("pods look up", async () => {
    const figures = await underLoad(bed(), bed().load, { what: "nothing happens", way }, async () => {});
    expect(figures.failed).toBe(0);
    bed().note("questions at kube-dns for each lookup", way, (await questionsPerLookup(bed(), bed().load)).toFixed(2));
    bed().note(
      "conntrack entries of pods' questions, within 2 s",
      way,
      String(await trackedQuestions(bed(), bed().load)),
    );
  });

  test("kube-dns is rolled out, scaled, loses a pod", async () => {
    const row = (what: string, action: () => Promise<unknown>) => underLoad(bed(), bed().load, { what, way }, action);
    await row("kube-dns rolled out", () => rollOutKubeDns(bed()));
    await row("a pod of kube-dns deleted", () => deleteKubeDnsPod(bed()));
    await row("kube-dns scaled from 1 to 3 to 1", () => scaleAround(bed()));
  });

  test("a new Service works", async () => {
    bed().note("a new Service works after", way, `${Math.round(await newServiceMs(bed(), "plain"))} ms`);
  });
}

/** Scales kube-dns to one pod, to three, to one, and back to two. */
export async function scaleAround(bed: Bed): Promise<void> {
  for (const replicas of [1, 3, 1, 2]) await scaleKubeDns(bed, replicas);
}
