import { expect, test } from "vitest";
import { readPodTroubles } from "../../../src/attach/pods-in-trouble.ts";
import type { SetElement } from "../../../src/runtime/netfilter.ts";

/** A kernel with these sets: by table and name. */
function kernelWith(sets: Readonly<Record<string, readonly SetElement[]>>) {
  return { generation: () => 1, elements: (table: string, set: string) => sets[`${table} ${set}`]?.slice() };
}

test("tells the pods whose questions were left to kube-dns, with how many and how long ago the last was", () => {
  const kernel = kernelWith({
    "nodens_1 left4": [{ key: "0af4010a", packets: 7, expiresInMs: 28_000 }],
    "nodens_1 left6": [{ key: "fd000000000000000000000000000001", packets: 1, expiresInMs: 30_000 }],
  });
  expect(readPodTroubles(kernel, "nodens_1")).toEqual([
    { kind: "leftToKubeDns", host: "10.244.1.10", packets: 7, lastAgoMs: 2000 },
    { kind: "leftToKubeDns", host: "fd00::1", packets: 1, lastAgoMs: 0 },
  ]);
  expect(readPodTroubles(kernel, undefined)).toEqual([]);
});

test("tells the pods whose packets a rule of the node drops, by what is dropped, and none for one or two packets", () => {
  const kernel = kernelWith({
    "nodens stopped_in4": [{ key: "0af4010a11000000", packets: 3, expiresInMs: 59_000 }],
    "nodens stopped_out4": [
      { key: "0af4010b11000000", packets: 2, expiresInMs: 59_000 },
      { key: "0af4010c11000000", packets: 9, expiresInMs: 50_000 },
    ],
  });
  expect(readPodTroubles(kernel, undefined)).toEqual([
    { kind: "questionsDropped", host: "10.244.1.10", packets: 3, lastAgoMs: 1000 },
    { kind: "repliesDropped", host: "10.244.1.12", packets: 9, lastAgoMs: 10_000 },
  ]);
});
